/*
 * explore.h - many schedules of many programs, and what they show
 *
 *     programs --> explore --> observed runs: a strategy's choices
 *                     \------> a finding: minimised, replayed, explained
 *
 * A campaign takes programs one after another (or one that is given) and runs
 * each under several schedules. A finding is made small before it is told:
 * fewer operations, threads and preemptions, whatever still shows the same KIND
 * under some schedule, which is then written into the program.
 *
 * Concurrency: one campaign at a time. Failure: explore_run returns NULL when
 * all was done, or in a few words why it could not.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "observe/explain.h"
#include "run/observed.h"

enum explore_strategy {
    EXPLORE_RANDOM,
    EXPLORE_PCT,
    EXPLORE_POS,
    EXPLORE_EXHAUSTIVE,
    EXPLORE_REPLAY /* the given program's own schedule */
};
extern const char *const explore_strategy_names[]; /* NULL after the last */

/* What is tried at every place where it can happen, one after the other. */
enum explore_sweep {
    EXPLORE_NO_SWEEP,
    EXPLORE_FAIL_OS, /* the n-th call for memory fails */
    EXPLORE_FORK,    /* the program forks, and the child allocates */
    EXPLORE_SIGNAL   /* a handler that allocates runs */
};

typedef bool explore_generate_fn(struct program *program, uint64_t seed,
    uint64_t index, unsigned thread_count);

struct explore_finding {
    const struct observe_verdict *verdict;
    const struct program *program; /* minimised, with its schedule */
    const struct explanation *explanation;
    uint64_t index;                         /* of the program it was found in */
    uint64_t run;                           /* the run that found it */
    unsigned preemption_count, stale_count; /* choices that are not plain */
};

struct explore {
    const struct alloc_ops *ops;
    struct policy policy;
    enum explore_strategy strategy;
    unsigned depth; /* PCT's d; the bound of exhaustive */
    enum observe_points points;
    enum explore_sweep sweep;
    uint64_t seed;
    uint64_t runs_max;    /* 0: no limit */
    uint64_t deadline_ns; /* of the monotonic clock; 0: none */
    unsigned thread_count;
    unsigned op_count;             /* of each thread */
    uint64_t steps_max;            /* as struct observed's */
    uint64_t schedule_count;       /* of each program */
    const struct program *program; /* NULL: they are generated */
    explore_generate_fn *generate;
    bool keeps_whole; /* findings are not minimised */
    bool twice;       /* every run is checked by another */
    _Atomic bool *stop;
    /* A verdict that seems new, before it is made small; or NULL. */
    void (*seen)(const struct observe_verdict *verdict, void *arg);
    /* A new finding; false ends the campaign. */
    bool (*found)(const struct explore_finding *finding, void *arg);
    void (*tick)(const struct explore *explore, void *arg); /* or NULL */
    void *arg;

    /* What was done. */
    uint64_t run_count, op_total, program_count, repeat_count, finding_count;
    uint64_t place_count; /* places that a sweep has tried */
    char bound[320];      /* what the runs have earned, in a line */
};

const char *explore_run(struct explore *explore);
