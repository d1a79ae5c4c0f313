/*
 * transfer.h - batches of one size class on their way between front caches
 *
 *     front cache --give--> | o o o o o . . . . | --take--> front cache
 *                                  |   ^
 *                              rest v   | rest
 *                                central list
 *
 * An array of objects under a lock. What one thread frees and another takes
 * passes through here as addresses; the objects themselves are not touched, and
 * neither are their spans.
 *
 * Concurrency: any thread, any time. Each call takes transfer.lock, of rank
 * MTX_TRANSFER, and then, without it, may take the central list's.
 * Failure: take() comes back short, even empty, when pages run out.
 * Design: google/tcmalloc's docs/design.md, "Transfer Caches"; ASPLOS 2024,
 * section on transfer caches.
 */
#pragma once

#include "tcmalloc/central.h"

#define TCM_TRANSFER_SLOTS 2048u /* room; most classes may use less of it */

struct tcm_transfer {
    struct mtx lock;
    uint32_t capacity;  /* fixed at init */
    uint32_t count;     /* [lock] */
    uint32_t low_count; /* [lock] the least count since the last drain */
    void **slots;       /* [lock] the first `count` hold an object */
    struct tcm_central central;
};

/* slots has room for TCM_TRANSFER_SLOTS. */
void tcm_transfer_init(struct tcm_transfer *transfer,
    struct tcm_pageheap *pageheap, unsigned size_class, void **slots);
void tcm_transfer_fini(struct tcm_transfer *transfer);

/* Up to count objects; how many. What the array has comes first; only when it
 * is empty are up to `fresh` taken from the central list. */
size_t tcm_transfer_take(
    struct tcm_transfer *transfer, void **batch, size_t count, size_t fresh);
/* Takes count objects; what the array has no room for goes to the central
 * list. */
void tcm_transfer_give(
    struct tcm_transfer *transfer, void *const *batch, size_t count);

/* Sends objects on to the central list: all, or those that have not been
 * needed since the last call. */
void tcm_transfer_drain(struct tcm_transfer *transfer, bool all);

/* True when the object, one of this class, is free here or in the central
 * list. */
bool tcm_transfer_holds(struct tcm_transfer *transfer, const void *object);

/* True when the class has nothing, here or in the central list: then its check
 * has nothing to find. With the heap quiet; takes no lock. */
static inline bool
tcm_transfer_is_idle(const struct tcm_transfer *transfer)
{
    return transfer->count == 0 && transfer->low_count == 0 &&
           tcm_central_is_idle(&transfer->central);
}

void tcm_transfer_check(struct tcm_transfer *transfer);
/* Prints nothing of a class that is not in use. */
void tcm_transfer_dump(struct tcm_transfer *transfer, int fd);
