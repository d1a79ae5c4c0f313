/*
 * faults.h - makes the OS calls fail that a program names
 *
 *     struct program's faults --> faults --> base/pages.h's seam
 *
 * The seam fails one call, or all from one on. A program may name several: the
 * next is set once the last was reached. n counts the calls since the program
 * began. With one thread that is exact.
 *
 * Concurrency: faults_advance may be called by any thread; begin and end by
 * one, while no other runs. Failure: none.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "program/program.h"

struct faults {
    const struct program *program; /* NULL: nothing to do */
    _Atomic uint64_t pending;      /* index of the fault that is set */
    uint64_t base;                 /* calls before it was set */
};

void faults_begin(struct faults *faults, const struct program *program);
void faults_end(struct faults *faults);
void faults_advance_slow(struct faults *faults);

/* After each call: sets the next fault if the last was reached. */
static inline void
faults_advance(struct faults *faults)
{
    if (faults->program != NULL) {
        faults_advance_slow(faults);
    }
}
