/*
 * runtime.h - what the files of the runtime share, and nobody else sees
 *
 *     abi, intercept --> sched, race, weak, owner --> this state
 *
 * Concurrency: one logical thread runs at a time, so plain variables serve.
 * Failure: as each call says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/clock.h"
#include "observe/fiber.h"
#include "observe/observe.h"
#include "observe/strategy.h"

#define FRAMES_MAX        512
#define STEPS_MAX_DEFAULT (4u << 20)

enum event_kind {
    EVENT_NONE,
    EVENT_READ,
    EVENT_WRITE,
    EVENT_LOAD,       /* atomic */
    EVENT_LOAD_STALE, /* atomic, of an older store */
    EVENT_STORE,
    EVENT_RMW,
    EVENT_CAS_FAIL,
    EVENT_FENCE,
    EVENT_LOCK,
    EVENT_UNLOCK,
    EVENT_WAIT,
    EVENT_WAKE,
    EVENT_OP,
    EVENT_OS,
    EVENT_YIELD,
    EVENT_EXIT,
    EVENT_KIND_COUNT
};

enum thread_state { THREAD_UNUSED, THREAD_READY, THREAD_BLOCKED, THREAD_DONE };

/* Why a thread is blocked: a reader of a deadlock wants to know. */
enum wait_kind {
    WAIT_NONE,
    WAIT_FUTEX,
    WAIT_LOCK, /* a pthread mutex or rwlock */
    WAIT_COND,
    WAIT_JOIN,
    WAIT_CELL, /* observe_wait */
    WAIT_TIME
};

/* What a release hands to an acquire. */
struct seen {
    struct clock hb;   /* happens before */
    struct clock view; /* hb, and what sequentially consistent fences order */
    uint32_t fence_stamp; /* sequentially consistent stores before the newest
                             such fence that happens before */
};

static inline void
seen_join(struct seen *into, const struct seen *from)
{
    clock_join(&into->hb, &from->hb);
    clock_join(&into->view, &from->view);
    if (into->fence_stamp < from->fence_stamp) {
        into->fence_stamp = from->fence_stamp;
    }
}

struct thread {
    struct fiber fiber;
    unsigned id;
    enum thread_state state;
    enum wait_kind wait_kind;
    uintptr_t wait_addr;
    uint64_t wait_until; /* virtual ns; 0: for ever */
    bool timed_out;
    bool is_detached, is_harness;
    unsigned cpu;
    unsigned spin_count;  /* atomic operations in a row that changed nothing */
    unsigned stale_count; /* stale loads in a row */

    struct seen seen;     /* what happens before the thread's next step */
    struct seen relaxed;  /* read relaxed: an acquire fence takes it over */
    struct seen released; /* as of the last release fence */
    bool has_released;

    uintptr_t frames[FRAMES_MAX];
    unsigned frame_count;

    void *(*start)(void *); /* pthread_create's */
    void *start_arg;
    void *result;
};

/* What every access needs, in one cache line. */
struct hot {
    struct thread *current; /* NULL: observed code runs outside of a run */
    uint64_t hash;
    uint64_t steps;
    uint64_t steps_stop; /* where the fast path must leave; 0 in slow modes */
    uint64_t look_at;    /* the step to call sched_look at */
    uint32_t epoch;      /* the current thread's */
    uint32_t run_tag;    /* this run's number in the upper half: see race.h */
};
extern struct hot hot;

extern struct thread threads[OBSERVE_THREADS_MAX];

extern const struct observe_plan *plan;
extern struct observe_stats stats;
extern bool explaining; /* this run keeps what a report shows */

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

static inline void
hash_add(uint64_t value)
{
    hot.hash = (hot.hash ^ value) * 0x9e3779b97f4a7c15ull;
    hot.hash ^= hot.hash >> 32;
}

/* After a release: what follows is another epoch. */
static inline void
thread_tick(struct thread *thread)
{
    uint32_t count = ++thread->seen.hb.at[thread->id];
    thread->seen.view.at[thread->id] = count;
    hot.epoch = clock_epoch(thread->id, count);
}

/*
 * sched.c
 */

/* The calling thread is about to do this; others may go first. */
void sched_point(enum event_kind kind, uintptr_t addr, bool write);
/* Like sched_point, and others should go first. */
void sched_yield_point(void);
/* Until sched_wake, or until virtual time `until` (0: for ever). False when
 * time ran out. */
bool sched_block(enum wait_kind kind, uintptr_t addr, uint64_t until);
/* Wakes at most `count` threads that wait so, first come first. */
unsigned sched_wake(enum wait_kind kind, uintptr_t addr, unsigned count);
/* A new logical thread, of the target; NULL when there is no slot. */
struct thread *sched_spawn(void *(*start)(void *), void *arg);
_Noreturn void sched_exit(void); /* the calling logical thread ends */
_Noreturn void sched_stop(void); /* the run ends, whatever threads do */
/* Which of count stores to read: 0 is the newest. */
unsigned sched_choose_store(unsigned count);
uint64_t sched_now(void); /* virtual ns */
void sched_advance(uint64_t ns);
/* At hot.look_at: may end the run, since it has had its steps, or its time. */
void sched_look(void);
/* In a forked child: the caller is the only thread, and after all others. */
void sched_enter_child(void);
/* Ends a pause, if there is one; false outside of runs. */
bool sched_resume(void);

/* The last atomic operation changed nothing: maybe a spin loop. */
static inline void
sched_note_idle(struct thread *thread)
{
    thread->spin_count++;
}

static inline void
sched_note_progress(struct thread *thread)
{
    thread->spin_count = 0;
}

/*
 * verdict.c
 */
extern struct observe_verdict last_verdict;

/* Fills the verdict with the calling thread's stack and ends the run. pc 0: no
 * access of its own. */
_Noreturn void verdict_raise(enum verdict_kind kind, uintptr_t pc,
    uintptr_t addr, unsigned size, bool write, bool atomic, const char *format,
    ...) __attribute__((format(printf, 7, 8)));
bool verdict_init(void);
void verdict_clear(void);
/* In a forked child: a verdict goes to the parent, and ends the process. */
void verdict_enter_child(void);

/* While explaining: one step into the thread's ring. */
void trace_note(enum event_kind kind, uintptr_t pc, uintptr_t addr,
    unsigned size, uint64_t value, const char *text);
void trace_begin(void);
/* While explaining a race: keeps the stack if this access is the earlier one
 * that the report needs. */
void trace_match(
    uintptr_t pc, uintptr_t addr, unsigned size, bool write, bool atomic);
void trace_seek(const struct observe_verdict *wanted); /* NULL: nothing */
void trace_found(struct observe_verdict *into);

static inline void
trace_event(enum event_kind kind, uintptr_t pc, uintptr_t addr, unsigned size,
    uint64_t value)
{
    if (UNLIKELY(explaining)) {
        trace_note(kind, pc, addr, size, value, NULL);
    }
}

#define CALLER_PC ((uintptr_t)__builtin_return_address(0))
