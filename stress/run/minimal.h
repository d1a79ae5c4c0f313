/*
 * minimal.h - a verdict with as few operations, threads and preemptions as can
 * be found
 *
 *     a run with a verdict --> minimal --> program with its schedule
 *                                 |
 *                    program/minimise, calm, new schedules
 *
 * Concurrency: one at a time. Failure: minimal_open returns false when memory
 * is short; what runs out of time, that of `observed` or half a minute, stays as
 * small as it is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "run/observed.h"

/* The best of what was kept, over several attempts. */
struct minimal_best {
    struct program *program;
    size_t weight; /* the less the better */
    uint8_t *bytes;
    size_t byte_count;
};

struct minimal {
    struct observed *observed;
    struct observe_verdict verdict; /* of the last run that was kept */
    struct program *program;        /* after minimal_find */
    struct program *kept;           /* what the kept run was of */
    unsigned preemption_count, stale_count;
    uint64_t run_count;

    bool keeps_whole; /* only the schedule is cut to what was used */

    uint8_t *bytes; /* choices of the last run that was kept */
    size_t byte_count;
    struct minimal_best best;
    uint64_t seed;
    unsigned search_runs; /* new schedules for each candidate */
};

bool minimal_open(struct minimal *minimal, struct observed *observed);
void minimal_close(struct minimal *minimal);

/* Keeps the verdict and the choices of the run that has just ended. */
void minimal_keep(
    struct minimal *minimal, const struct observe_verdict *verdict);

/* Runs the program with the choices that are kept. */
const struct observe_verdict *minimal_replay(
    struct minimal *minimal, const struct program *program);

/* For calm.c: one run; does it show the verdict that is sought, and is kept
 * then; is there no more time; choices of the kept run that are not plain. */
const struct observe_verdict *minimal_run(struct minimal *minimal,
    const struct program *program, struct strategy *strategy);
bool minimal_try(struct minimal *minimal, const struct program *program,
    struct strategy *strategy);
bool minimal_is_over(const struct minimal *minimal);
unsigned minimal_cost(const struct minimal *minimal);

/* The kept run was of this program. */
void minimal_find(
    struct minimal *minimal, const struct program *program, uint64_t seed);

/* Runs what was found once more, for `explain`, however late it is; false: it
 * went another way. */
bool minimal_explain(struct minimal *minimal);
