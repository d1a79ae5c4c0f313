/*
 * minimise.h - makes a heap program small while it still shows its finding
 *
 *     a long program, "does it still show it?" --> minimise --> a short one
 *
 * What it removes: threads, all operations on a slot, operations, choices of
 * the schedule, faults. What it simplifies: several threads into one, calls
 * into simpler calls, sizes, counts and alignments into small powers of two,
 * slots into 0, 1, 2 ... It starts over until a whole round changes nothing.
 *
 * The caller's shows() runs a candidate and says whether it has a finding of
 * the same KIND. With a run that does not repeat exactly, shows() may run it
 * several times.
 *
 * Concurrency: shows() and progress() are called by the caller's thread.
 * Failure: when the budget is used up or memory runs out, the smallest program
 * so far is the result. The result always shows the finding.
 * Design: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
 * Input" (IEEE TSE 2002).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program/program.h"

struct minimise_status {
    size_t try_count;
    size_t op_count; /* of the smallest program so far */
    unsigned thread_count;
};

struct minimise_options {
    bool (*shows)(const struct program *program, void *arg);
    void (*progress)(const struct minimise_status *status, void *arg); /* NULL:
                                                                          none */
    void *arg;
    uint64_t time_ns; /* 0: no limit */
    size_t try_max;   /* 0: no limit */
};

enum minimise_end {
    MINIMISE_DONE,     /* no single step makes it smaller */
    MINIMISE_BUDGET,   /* time or tries are used up, or memory */
    MINIMISE_NOT_SHOWN /* the program as given does not show it; unchanged */
};

/* Changes the program; *status says what it has become. */
enum minimise_end minimise(struct program *program,
    const struct minimise_options *options, struct minimise_status *status);
