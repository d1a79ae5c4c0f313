/*
 * slotpool.h - slots for a trace's blocks, such that a wait means one block
 *
 *     trace_convert --> slotpool: which slot may this block use?
 *
 * OP_WAIT cannot tell one block from another: it waits for a slot to be full.
 * So a block that passes from list a to list b by a wait may have only a slot
 * that b, at the wait, surely finds empty or with that very block: a new slot,
 * or one of which both lists know that it was emptied.
 *
 * What a list knows of another is a point in it: everything up to that point
 * has happened. It learns by waiting. Points are counts of operations.
 *
 * Concurrency: one thread.
 * Failure: slotpool_take returns SLOTPOOL_NONE when all PROGRAM_SLOTS_MAX are
 * in use; give returns false when memory runs out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program/program.h"

#define SLOTPOOL_NONE UINT32_MAX

struct emptied {
    uint32_t slot;
    uint32_t point; /* of the list that emptied it */
};

/* The slots that one list emptied, oldest first: entries[first .. end). */
struct emptied_list {
    struct emptied *entries;
    size_t capacity;
    size_t first, end;
};

struct slotpool {
    struct emptied_list lists[PROGRAM_THREADS_MAX];
    /* known[a][b]: the point in list b that list a knows of. */
    uint32_t known[PROGRAM_THREADS_MAX][PROGRAM_THREADS_MAX];
    uint32_t next_slot; /* none from here on was ever used */
};

/* All zero is an empty one. */
void slotpool_fini(struct slotpool *pool);

/* A slot for a block of `list` which `next`, maybe the same, takes over. */
uint32_t slotpool_take(struct slotpool *pool, unsigned list, unsigned next);
/* The list emptied that slot, at its point. */
bool slotpool_give(
    struct slotpool *pool, unsigned list, uint32_t slot, uint32_t point);

bool slotpool_knows(
    const struct slotpool *pool, unsigned list, unsigned other, uint32_t point);
void slotpool_learn(
    struct slotpool *pool, unsigned list, unsigned other, uint32_t point);
