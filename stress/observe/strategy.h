/*
 * strategy.h - who goes on, and which store a load reads
 *
 *     scheduler --> struct choice --> strategy --> an index
 *
 * A strategy is asked only where there is more than one way on. The ways are
 * ordered so that 0 is always the plainest: the thread that runs goes on (or,
 * when it yields or cannot, the next in turn), a load reads the newest store.
 * A schedule of zeros is thus a run without preemption or weak memory, and a
 * minimiser makes choices zero.
 *
 * Concurrency: none; each campaign owns its strategy.
 * Failure: none after making.
 * Design: Burckhardt et al., "A randomized scheduler with probabilistic
 * guarantees of finding bugs" (ASPLOS 2010); Yuan, Yang, Gu, "Partial order
 * aware concurrency sampling" (CAV 2018); Musuvathi, Qadeer, "Iterative
 * context bounding" (PLDI 2007).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "observe/observe.h"

/* What a thread does next, as far as others could notice. */
struct pending {
    uintptr_t addr; /* 0: nothing that conflicts */
    bool write;
};

struct choice {
    unsigned count;        /* ways on: at least 2 */
    bool is_load;          /* which store; else which thread */
    bool preempts;         /* any way but 0 takes the processor from a thread */
    const uint8_t *thread; /* the thread that each way is */
    unsigned current;      /* who asks */
    uint64_t point;        /* how many points came before */
    const uint64_t *places;        /* where each thread is, by its number */
    const struct pending *pending; /* of each thread, by its number */
    bool yields;                   /* the one who asks spins or yields */
};

struct strategy {
    const char *name;
    bool done; /* nothing is left to explore */
    void (*begin)(struct strategy *strategy, unsigned thread_count);
    unsigned (*choose)(struct strategy *strategy, const struct choice *choice);
    /* A thread's pending event was executed; may be NULL. */
    void (*executed)(struct strategy *strategy, unsigned thread,
        const struct pending *pending);
    void (*end)(struct strategy *strategy, uint64_t points);
    /* What the runs so far have earned, in a line. */
    void (*print_bound)(
        const struct strategy *strategy, char *text, size_t size);
};

/* Bytes of a heap program; past their end every choice is 0. */
struct strategy_replay {
    struct strategy base;
    const uint8_t *bytes;
    size_t byte_count;
    size_t used_count;
};
void strategy_replay_init(
    struct strategy_replay *replay, const uint8_t *bytes, size_t byte_count);

/* Every way on is as likely as any other. */
struct strategy_walk {
    struct strategy base;
    struct random random;
    uint64_t run_count;
};
void strategy_walk_init(struct strategy_walk *walk, uint64_t seed);

/* The highest priority runs; depth-1 points, drawn in advance, lower it. */
struct strategy_pct {
    struct strategy base;
    struct random random;
    unsigned depth;
    unsigned thread_count;
    uint64_t points_max;  /* k: the longest run so far */
    uint64_t points_here; /* the longest of this program */
    unsigned threads_max; /* n */
    uint64_t change_at[16];
    int64_t priority[OBSERVE_THREADS_MAX];
    int64_t lowest;
    uint64_t run_count;
};
void strategy_pct_init(struct strategy_pct *pct, uint64_t seed, unsigned depth);

/* Another program: its runs may be shorter. */
void strategy_pct_restart(struct strategy_pct *pct);

/* Random priorities for pending events, drawn anew for those that conflict
 * with the event that was executed. */
struct strategy_pos {
    struct strategy base;
    struct random random;
    uint64_t priority[OBSERVE_THREADS_MAX];
    const struct pending *pending;
    uint64_t run_count;
};
void strategy_pos_init(struct strategy_pos *pos, uint64_t seed);

/* All runs with at most `bound` preemptions and stale loads together, depth
 * first. */
#define STRATEGY_DECISIONS_MAX 65536
struct strategy_exhaustive {
    struct strategy base;
    unsigned bound;
    struct decision {
        uint8_t taken, count;
        bool costs;        /* any way but 0 counts against the bound */
    } * decisions;         /* STRATEGY_DECISIONS_MAX, mapped */
    size_t decision_count; /* on the path to follow */
    size_t at;             /* in the run that goes on */
    unsigned spent;
    uint64_t run_count;
    bool cut; /* a run made more decisions than fit: not all are explored */
};
bool strategy_exhaustive_init(
    struct strategy_exhaustive *exhaustive, unsigned bound);
/* Another program: from the start. */
void strategy_exhaustive_restart(struct strategy_exhaustive *exhaustive);
void strategy_exhaustive_fini(struct strategy_exhaustive *exhaustive);

/* Where a thread is, in its own count: at that operation, and how many points
 * into it. Before the first operation the place is below it. */
#define PLACE_OF_OP(op) (((uint64_t)(op) + 1) << 32)

/* That thread goes on until it has come to that place. */
struct stretch {
    uint8_t thread;
    uint8_t way;       /* of a load: which store */
    bool is_preempted; /* the thread could go on then */
    uint64_t until;
};

#define STRETCHES_MAX 8192
#define STALES_MAX    1024
struct stretches {
    struct stretch list[STRETCHES_MAX];
    unsigned count;
    struct stretch stales[STALES_MAX]; /* at that point it reads that store */
    unsigned stale_count;
    bool is_cut; /* there were more */
};

/* Follows the stretches that are wanted, or writes down another strategy's. */
struct strategy_stretches {
    struct strategy base;
    struct strategy *inner;
    const struct stretches *wanted;
    unsigned at;
    bool is_entered;       /* the thread of that one has gone on in it */
    struct stretches made; /* by the last run */
};
void strategy_stretches_follow(
    struct strategy_stretches *self, const struct stretches *wanted);
void strategy_stretches_record(
    struct strategy_stretches *self, struct strategy *inner);

/* Another strategy's choices, but that thread keeps off before that point, and
 * goes first from there on. */
struct strategy_nudge {
    struct strategy base;
    struct strategy *inner;
    unsigned thread;
    uint64_t point;
};
void strategy_nudge_init(struct strategy_nudge *nudge, struct strategy *inner,
    unsigned thread, uint64_t point);
