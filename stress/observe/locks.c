/*
 * locks.c - who holds what (contract: intercept.h)
 *
 * One short list of held locks serves all threads: allocators hold few at a
 * time. A thread that waits on a lock's word waits for its holder, so a cycle
 * among waiting threads is a deadlock that can be told lock by lock.
 *
 * The project's own locks (base/sync.h) are told by their witness, which also
 * stops at a wrong lock order at once, deadlock or not: the schedule that
 * deadlocks may need more preemptions than a campaign tries.
 */
#include <stdio.h>

#include "base/sync.h"
#include "base/witness.h"
#include "observe/intercept.h"
#include "observe/runtime.h"

#define HELD_MAX 256

struct held {
    uintptr_t lock;
    unsigned thread;
    unsigned rank;
    bool is_wanted; /* maybe not yet got */
};

static struct held held[HELD_MAX]; /* in the order they were taken */
static unsigned held_count;

void
locks_begin(void)
{
    held_count = 0;
}

void
locks_taken(uintptr_t lock, unsigned rank, bool is_wanted)
{
    if (held_count < HELD_MAX) {
        held[held_count++] =
            (struct held){lock, hot.current->id, rank, is_wanted};
    }
}

void
locks_dropped(uintptr_t lock)
{
    for (unsigned i = held_count; i > 0; i--) {
        if (held[i - 1].lock == lock) {
            held_count--;
            for (unsigned j = i - 1; j < held_count; j++) {
                held[j] = held[j + 1];
            }
            return;
        }
    }
}

/* Who has the lock. A thread that waits for it has entered it too, but has not
 * got it. */
static const struct held *
find_holder(uintptr_t lock)
{
    for (unsigned i = 0; i < held_count; i++) {
        const struct thread *thread = &threads[held[i].thread];
        bool waits = held[i].is_wanted && thread->state == THREAD_BLOCKED &&
                     thread->wait_addr == lock;
        if (held[i].lock == lock && !waits) {
            return &held[i];
        }
    }
    return NULL;
}

/* The thread that the given one waits for; -1 when it cannot be told. */
static int
find_blocker(const struct thread *thread)
{
    if (thread->state != THREAD_BLOCKED) {
        return -1;
    }
    if (thread->wait_kind == WAIT_JOIN) {
        return (int)((const struct thread *)thread->wait_addr)->id;
    }
    const struct held *holder = find_holder(thread->wait_addr);
    return holder != NULL ? (int)holder->thread : -1;
}

/* A thread on a cycle of waiting; -1 when there is none. */
static int
find_cycle(void)
{
    for (unsigned start = 0; start < thread_count; start++) {
        int at = find_blocker(&threads[start]);
        for (unsigned i = 0; i < thread_count && at >= 0; i++) {
            if ((unsigned)at == start) {
                return at;
            }
            at = find_blocker(&threads[at]);
        }
    }
    return -1;
}

static size_t
describe_wait(char *text, size_t size, const struct thread *thread)
{
    static const char *const waits[] = {
        [WAIT_NONE] = "nothing",
        [WAIT_FUTEX] = "a wake-up of the futex",
        [WAIT_LOCK] = "lock",
        [WAIT_COND] = "a signal of the condition",
        [WAIT_JOIN] = "the end of a thread",
        [WAIT_CELL] = "another thread's operation",
        [WAIT_TIME] = "time",
    };
    const struct held *holder = find_holder(thread->wait_addr);
    int length;
    if (holder != NULL) {
        length = snprintf(text, size,
            "thread %u waits for %s 0x%lx held by "
            "thread %u; ",
            thread->id, witness_rank_name(holder->rank),
            (unsigned long)holder->lock, holder->thread);
    } else {
        length =
            snprintf(text, size, "thread %u waits for %s 0x%lx; ", thread->id,
                waits[thread->wait_kind], (unsigned long)thread->wait_addr);
    }
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}

void
intercept_raise_deadlock(void)
{
    char text[280] = "";
    size_t used = 0;
    int start = find_cycle();
    if (start >= 0) {
        int at = start;
        do {
            used +=
                describe_wait(text + used, sizeof(text) - used, &threads[at]);
            at = find_blocker(&threads[at]);
        } while (at != start);
    } else {
        for (unsigned i = 0; i < thread_count; i++) {
            if (threads[i].state == THREAD_BLOCKED) {
                used += describe_wait(
                    text + used, sizeof(text) - used, &threads[i]);
            }
        }
    }
    if (used >= 2) {
        text[used - 2] = '\0';
    }
    uintptr_t addr = start >= 0 ? threads[start].wait_addr : 0;
    verdict_raise(VERDICT_DEADLOCK, 0, addr, 0, false, false, "%s", text);
}

/*
 * The witness of the project's own lock calls us on its way. witness_lock comes
 * before the wait, the others after the deed.
 */

void observed_witness_lock(const struct mtx *mtx) __attribute__((weak));
void observed_witness_trylock(const struct mtx *mtx) __attribute__((weak));
void observed_witness_unlock(const struct mtx *mtx) __attribute__((weak));
void observe_witness_lock(const struct mtx *mtx);
void observe_witness_trylock(const struct mtx *mtx);
void observe_witness_unlock(const struct mtx *mtx);

static void
note_taken(const struct mtx *mtx, bool is_wanted, uintptr_t pc)
{
    if (hot.current != NULL) {
        locks_taken((uintptr_t)mtx, mtx->rank, is_wanted);
        trace_event(EVENT_LOCK, pc, (uintptr_t)mtx, 0, mtx->rank);
    }
}

void
observe_witness_lock(const struct mtx *mtx)
{
    observed_witness_lock(mtx);
    note_taken(mtx, true, CALLER_PC);
}

void
observe_witness_trylock(const struct mtx *mtx)
{
    observed_witness_trylock(mtx);
    note_taken(mtx, false, CALLER_PC);
}

void
observe_witness_unlock(const struct mtx *mtx)
{
    observed_witness_unlock(mtx);
    if (hot.current != NULL) {
        trace_event(EVENT_UNLOCK, CALLER_PC, (uintptr_t)mtx, 0, mtx->rank);
        locks_dropped((uintptr_t)mtx);
    }
}
