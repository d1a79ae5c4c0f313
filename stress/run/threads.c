/*
 * threads.c - each list on its own pthread, started together (contract:
 * runner.h)
 *
 * The caller coordinates: it makes the threads, opens the gate when all stand
 * before it, joins each that ends, and makes the successor of each that left by
 * OP_EXIT. A successor starts after its predecessor is joined, so that the
 * allocator's exit hooks have run.
 *
 * A thread in OP_WAIT is not active. When no thread is active and no slot that
 * is waited for is full, nobody can fill one any more: those that wait give up.
 */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "run/play.h"

#define STACK_SIZE ((size_t)512 << 10)

enum list_state {
    LIST_RUNS,
    LIST_LEFT, /* by OP_EXIT: wants a successor */
    LIST_ENDED,
    LIST_JOINED
};

struct list {
    struct crew *crew;
    struct player player;
    pthread_t pthread;
    _Atomic uint32_t state;     /* enum list_state */
    _Atomic uint32_t waits_for; /* slot + 1 in OP_WAIT, else 0 */
};

struct crew {
    const struct program *program;
    struct runner *runner;
    _Atomic uint32_t gate;         /* 0 shut, 1 open */
    _Atomic uint32_t at_gate;      /* threads that stand before it */
    _Atomic uint32_t left_count;   /* lists that left or ended, ever: a futex */
    _Atomic uint32_t active_count; /* lists that neither ended nor wait */
    struct list lists[PROGRAM_THREADS_MAX];
};

static void
futex_wait(_Atomic uint32_t *word, uint32_t expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void
futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* True when some list that waits will find its slot full. */
static bool
waiter_can_go(const struct crew *crew)
{
    for (unsigned i = 0; i < crew->program->thread_count; i++) {
        uint32_t slot = atomic_load(&crew->lists[i].waits_for);
        if (slot != 0 && play_slot_is_full(crew->runner->run, slot - 1)) {
            return true;
        }
    }
    return false;
}

static void
pause_for(unsigned round)
{
    if (round < 64) {
        sched_yield();
        return;
    }
    struct timespec time = {0, round < 256 ? 50000 : 500000};
    nanosleep(&time, NULL);
}

/* OP_WAIT on an empty slot. */
static void
wait_for_slot(struct list *list, uint32_t slot)
{
    struct crew *crew = list->crew;
    play_set_phase(&list->player, PROGRESS_WAIT);
    atomic_store(&list->waits_for, slot + 1);
    atomic_fetch_sub(&crew->active_count, 1);
    for (unsigned round = 0; !play_stopped(&list->player) &&
                             !play_slot_is_full(crew->runner->run, slot);
         round++) {
        if (atomic_load(&crew->active_count) == 0 && !waiter_can_go(crew)) {
            break;
        }
        pause_for(round);
    }
    atomic_fetch_add(&crew->active_count, 1);
    atomic_store(&list->waits_for, 0);
    play_set_phase(&list->player, PROGRESS_CALL);
}

/* Plays until the list ends or leaves; says which. */
static enum list_state
play_list(struct list *list)
{
    struct player *player = &list->player;
    const struct thread_ops *ops =
        &list->crew->program->threads[player->thread];
    while (player->op_index < ops->op_count && !play_stopped(player)) {
        const struct op *op = &ops->ops[player->op_index];
        enum play_result result = play_op(player, op);
        player->op_index++;
        if (result == PLAY_STOP) {
            return LIST_ENDED;
        }
        if (result == PLAY_EXIT) {
            return LIST_LEFT;
        }
        if (result == PLAY_WAIT) {
            wait_for_slot(list, op->slot);
        } else if (op->kind == OP_YIELD) {
            sched_yield();
        }
    }
    return LIST_ENDED;
}

static void *
run_list(void *arg)
{
    struct list *list = arg;
    struct crew *crew = list->crew;
    atomic_fetch_add(&crew->at_gate, 1);
    while (atomic_load(&crew->gate) == 0) {
        futex_wait(&crew->gate, 0);
    }
    play_attach(&list->player);
    enum list_state state = play_list(list);
    if (state == LIST_ENDED) {
        play_set_phase(&list->player, PROGRESS_IDLE);
        atomic_fetch_sub(&crew->active_count, 1);
    }
    atomic_store(&list->state, state);
    atomic_fetch_add(&crew->left_count, 1);
    futex_wake_all(&crew->left_count);
    return NULL;
}

/* False when the OS gives no thread: then the list counts as ended. */
static bool
start_list(struct list *list)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    atomic_store(&list->state, LIST_RUNS);
    bool started = pthread_create(&list->pthread, &attr, run_list, list) == 0;
    pthread_attr_destroy(&attr);
    if (!started) {
        atomic_store(&list->state, LIST_JOINED);
        atomic_fetch_sub(&list->crew->active_count, 1);
    }
    return started;
}

/* Starts every list and lets them go when all stand before the gate. */
static unsigned
start_crew(struct crew *crew)
{
    unsigned started = 0;
    for (unsigned i = 0; i < crew->program->thread_count; i++) {
        struct list *list = &crew->lists[i];
        list->crew = crew;
        play_set_up(&list->player, crew->runner, i);
        started += start_list(list);
    }
    while (atomic_load(&crew->at_gate) < started) {
        sched_yield();
    }
    atomic_store(&crew->gate, 1);
    futex_wake_all(&crew->gate);
    return started;
}

/* Joins those that left or ended; how many lists are at their end. */
static unsigned
collect(struct crew *crew, bool *changed)
{
    unsigned ended = 0;
    for (unsigned i = 0; i < crew->program->thread_count; i++) {
        struct list *list = &crew->lists[i];
        uint32_t state = atomic_load(&list->state);
        if (state != LIST_LEFT && state != LIST_ENDED) {
            continue;
        }
        *changed = true;
        pthread_join(list->pthread, NULL);
        atomic_store(&list->state, LIST_JOINED);
        if (state == LIST_ENDED || !start_list(list)) {
            ended++;
        }
    }
    return ended;
}

bool
runner_threads(struct runner *runner, const struct program *program)
{
    play_begin(runner, program);
    struct crew crew = {.program = program,
        .runner = runner,
        .active_count = program->thread_count};
    unsigned running = start_crew(&crew);
    while (running > 0) {
        uint32_t left_count = atomic_load(&crew.left_count);
        bool changed = false;
        running -= collect(&crew, &changed);
        if (!changed) {
            futex_wait(&crew.left_count, left_count);
        }
    }
    struct player *player = &crew.lists[0].player;
    play_attach(player);
    return !play_stopped(player) && play_end(player);
}
