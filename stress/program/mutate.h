/*
 * mutate.h - random changes to heap programs, for fuzzers
 *
 *     one program, randomness --> mutate_program --> a similar one
 *     two programs            --> mutate_cross   --> parts of both
 *
 * The changes are those that matter to an allocator: operations come, go, move,
 * repeat and swap; sizes move to neighbours, to edges, or to a size that the
 * program already uses; blocks meet in one slot; a hole is made and filled;
 * work moves to another thread. A result is within the limits of the byte form
 * if what goes in is.
 *
 * Concurrency: pure but for the arguments.
 * Failure: out of memory leaves a smaller change, or none.
 */
#pragma once

#include <stddef.h>

#include "base/random.h"
#include "program/program.h"

/* One change or a few. */
void mutate_program(struct program *program, struct random *random);

/* Clears `child` first. */
void mutate_cross(struct program *child, const struct program *mother,
    const struct program *father, struct random *random);

/* Takes away operations, from anywhere, until at most that many are left. */
void mutate_shrink(
    struct program *program, struct random *random, size_t op_count_max);
