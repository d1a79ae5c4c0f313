/*
 * scenario.h - generators of heap programs, each hunting one danger
 *
 *     seed, index --> scenario --> struct program --> a runner
 *
 * A scenario is a function from (seed, index) to a program: equal arguments
 * give equal programs, so that a crash is made again from two numbers. Most
 * have no end; the API matrix has a fixed count of programs, its cells.
 *
 * Concurrency: generate is pure but for *program; any thread.
 * Failure: generate returns false when memory runs out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "program/program.h"

struct scenario {
    const char *name;   /* the danger's noun: "exit_storm" */
    const char *danger; /* what it hunts, in a line, for `malstrom list` */

    /* How many programs make one full pass; 0 is without end. */
    uint64_t (*program_count)(void);
    /* Makes program number `index` for that many threads. A scenario may use
     * fewer: the matrix decides by itself. program comes cleared. */
    bool (*generate)(struct program *program, uint64_t seed, uint64_t index,
        unsigned thread_count);
};

/* In a fixed order; NULL-terminated. */
extern const struct scenario *const scenario_all[];
const struct scenario *scenario_find(const char *name); /* or NULL */
