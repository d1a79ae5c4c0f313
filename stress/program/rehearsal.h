/*
 * rehearsal.h - plays a program's slots without an allocator, for tests
 *
 *     struct program, seed --> rehearsal --> one struct step an operation
 *
 * Threads take turns at random under the slot rules of program.h. Whoever
 * looks on sees which block each operation met and which it left, and so can
 * judge what a program is worth: does it free across threads, do its waits
 * come true, does it mean the same under every schedule.
 *
 * Concurrency: one thread.
 * Failure: false when memory runs out; nothing else fails. Every request is
 * granted below 2^46 bytes, and refused above; realloc to 0 bytes frees.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program/program.h"

/* A block of the rehearsal; it keeps its id when it is resized. */
struct step_block {
    uint64_t id; /* from 1, in the order of allocation; 0: no block */
    uint64_t size;
    unsigned life; /* whose it is: that of the call that last made it */
};

struct step {
    const struct op *op;
    unsigned thread;
    size_t op_index;
    unsigned life; /* from 0; OP_EXIT ends one, its successor is a new one */
    bool first;    /* the life's first call to the allocator */
    bool gave_up;  /* OP_WAIT whose slot nobody could fill any more */
    struct step_block before; /* what the slot held; freed, if not the same */
    struct step_block after;  /* what it holds now */
};

typedef void rehearsal_fn(void *arg, const struct step *step);

bool rehearse(const struct program *program, uint64_t seed,
    rehearsal_fn *look_on, void *arg);
