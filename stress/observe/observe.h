/*
 * observe.h - runs compiled C under a schedule of our choosing
 *
 *     clang -fsanitize=thread --> __tsan_* --> this runtime --> one verdict
 *
 * The compiler calls us at every access. Logical threads run one at a time; a
 * strategy says who goes on at each schedule point and which store an atomic
 * load reads. Four observers watch: data races and weak memory by C11, who
 * owns the bytes, deadlock and livelock. A run is a function of the code, the
 * plan and the choices, so the recorded choices replay it.
 *
 * Concurrency: one observed run at a time, on the thread that called
 * observe_init. The calls below "From a body" are for logical threads.
 * Failure: observe_init returns NULL, or says in a few words what the machine
 * lacks. A run always ends: by itself, by a verdict, or cut when time is over.
 * Design: docs/observe.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oracle/verdict.h"

#define OBSERVE_THREADS_MAX                                                    \
    16                       /* logical threads, those of the target included */
#define OBSERVE_STACK_MAX 24 /* frames that a report keeps */
#define OBSERVE_STEPS_MAX 16 /* last steps that a report keeps of a thread */

struct strategy;

/* Where threads may be switched. */
enum observe_points {
    OBSERVE_SYNC, /* at atomics, fences, locks, futexes and operations */
    OBSERVE_EVERY /* at every access besides */
};

struct observe_plan {
    unsigned thread_count; /* started together, below OBSERVE_THREADS_MAX */
    void (*body)(unsigned thread, void *arg);
    /* Called on one more logical thread when all others have ended, their
     * destructors included. May be NULL. */
    void (*end)(void *arg);
    void *arg;

    struct strategy *strategy;
    enum observe_points points;
    /* At that point of the run (0: none) the thread that is at it calls
     * interrupt(arg) first, as a signal handler would run there. */
    uint64_t interrupt_at;
    void (*interrupt)(unsigned thread, void *arg);
    bool strong;        /* atomic loads read the newest store, always */
    bool no_races;      /* races are no verdict */
    unsigned cpu_count; /* that the target sees; 0 is 2 */
    uint64_t seed;      /* of the random bytes that the target sees */
    uint64_t steps_max; /* accesses until the verdict livelock; 0 is 4M */
    /* Does the n-th call for memory, from 1, fail? NULL: none does. */
    bool (*os_fails)(uint64_t n, void *arg);
    /* Asked now and then in the run: is there no time for the rest? Then it is
     * cut. NULL: there is. */
    bool (*is_late)(void *arg);
};

/* One step of a thread, for people. */
struct observe_step {
    uint8_t kind; /* enum event_kind */
    uint8_t size;
    uint32_t number; /* how many steps of all threads came before */
    uintptr_t pc;
    uintptr_t addr;
    uint64_t value;
    char text[48]; /* of an operation: what the harness said */
};

/* One access, with where it came from, innermost frame first. */
struct observe_access {
    unsigned thread;
    uintptr_t addr;
    unsigned size;
    bool write, atomic;
    uintptr_t stack[OBSERVE_STACK_MAX];
    unsigned stack_count; /* 0: not known */
};

struct observe_verdict {
    enum verdict_kind kind; /* VERDICT_KIND_COUNT: none */
    char text[320];         /* what, in a line */
    struct observe_access access;
    bool has_other; /* a race's earlier access */
    struct observe_access other;
    uint32_t other_count; /* in which stretch between releases it was */
};

struct observe_stats {
    uint64_t steps;   /* accesses and points */
    uint64_t points;  /* where a switch was possible by its kind */
    uint64_t choices; /* where there was more than one way on */
    uint64_t switches;
    uint64_t preemptions; /* switches from a thread that could go on */
    uint64_t stale_loads; /* atomic loads that read an older store */
    uint64_t os_calls;    /* calls for memory */
    uint64_t hash;        /* of the trace */
    bool is_cut;          /* for want of time: it says nothing */
};

/* NULL, or what this machine lacks. Call once, from the main thread. */
const char *observe_init(void);

/* Rewinds everything and runs the plan to its end. The verdict stays until the
 * next run. */
const struct observe_verdict *observe_run(const struct observe_plan *plan);

/* Runs the plan once more and keeps what a report shows: both stacks and the
 * last steps of each thread. The plan's strategy must make the same choices.
 * False when this run ended otherwise: then the target is not deterministic. */
bool observe_explain(const struct observe_plan *plan);

/* Where pairs of a store and a load that read it are counted, by a hash of both
 * places in the code, up to 255 each: coverage for a fuzzer. NULL: nowhere. */
void observe_count_pairs(uint8_t *counters, size_t count);

const struct observe_stats *observe_stats(void);
const struct observe_verdict *observe_last_verdict(void);

/* The choices that the last run made, as bytes that strategy_replay takes. */
const uint8_t *observe_choices(size_t *count);

/* After observe_explain: a thread's last steps, oldest first. */
unsigned observe_steps(
    unsigned thread, struct observe_step steps[OBSERVE_STEPS_MAX]);
unsigned observe_thread_count(void); /* in the last run */

/*
 * From a body.
 */

bool observe_is_explaining(void);

/* The caller's number; -1 when it is not a logical thread. */
int observe_self(void);

/* An operation begins: a schedule point, and a step that a report shows. */
void observe_op(const char *text, uint64_t value);

/* A block is the user's from here, or the target's again. The user is taken to
 * write all of it, so target code that touches it later without a
 * happens-before edge is a race; while it is the user's, it is ownership. */
void observe_block_taken(const void *block, size_t size);
void observe_block_given(const void *block, size_t size);

/* The user's own synchronization: what the caller did before happens before
 * what the taker of the same cell does next. */
void observe_release(const void *cell);
void observe_acquire(const void *cell);

/* Waits until somebody calls observe_wake with the cell; may wake early. False
 * when no other thread can go on: all have ended or wait likewise. */
bool observe_wait(const void *cell);
void observe_wake(const void *cell);

/* Lets others run first. */
void observe_yield(void);

/* That much virtual time passes. */
void observe_sleep(uint64_t ns);

/* The thread ends here, its destructors run, and a new one goes on in its
 * place, with fresh thread-local variables. */
void observe_renew(void);

/* fork, for the harness: the child has the calling thread alone. */
pid_t observe_fork(void);
/* In the parent, once the child has ended: what the verdict that ended it says;
 * NULL when it ended by itself. */
const char *observe_child_verdict(enum verdict_kind *kind);

/* Between the two the target's accesses are not looked at: for its own checks
 * once nobody else runs. It must not map, wait or end there; it may abort. */
void observe_pause(void);
void observe_resume(void);

/* Ends the run with this verdict. From a body; does not return there. */
_Noreturn void observe_fail(enum verdict_kind kind, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
