/*
 * guarded.h - a few sampled blocks on pages of their own between guard pages
 *
 *     | guard | slot | guard | slot | guard | ... | slot | guard |
 *               ^ a block at the left or the right end of its page
 *
 * Whoever reads or writes past a block's end that lies at its page's end, or
 * before its beginning, dies at that instruction; after the block is freed its
 * page is inaccessible until all other slots have been used. The last lines say
 * who allocated the block, who freed it, and what was wrong. So bugs show in
 * production, in one run of many, at the cost of a few pages.
 *
 * Concurrency: any thread, with no lock of rank MTX_PROFILE or above held.
 * Failure: guarded_take returns NULL when all slots are in use, when the block
 * does not fit a page, or when the OS refuses. Misuse ends in a report, the last
 * line of which is check_misuse's.
 * Design: Serebryany et al., "GWP-ASan: Sampling-Based Detection of Memory-Safety
 * Bugs in Production" (2023); LLVM's documentation, "GWP-ASan".
 */
#pragma once

#include <stdatomic.h>

#include "base/meta.h"
#include "base/random.h"
#include "base/sync.h"
#include "sampled.h"

struct guarded_slot;

struct guarded {
    bool on; /* fixed at start, as are all fields up to the lock */
    const char *design;
    uint64_t one_in; /* of so many sampled blocks, one is guarded */
    size_t page_size, slot_count;
    char *begin, *end;           /* of all pages; NULL: none */
    _Atomic uint64_t pick_count; /* sampled blocks so far */
    struct mtx lock;
    struct guarded_slot *slots;         /* [lock] by address */
    struct guarded_slot *first, **last; /* [lock] free ones, oldest first */
    struct random random;               /* [lock] left or right */
};

/* In zeroed memory. one_in 0: off. Without memory for it, it stays off too. */
void guarded_init(struct guarded *guarded, struct meta *meta,
    const char *design, uint64_t one_in, size_t slot_count);

/* True for the sampled block that is to be guarded. */
bool guarded_pick(struct guarded *guarded);
/* A zeroed block; align is a power of two. tag comes back when it is freed. */
void *guarded_take(
    struct guarded *guarded, size_t size, size_t align, void *tag);

/* True when the address lies in the slots: the calls below are for it. */
static inline bool
guarded_owns(const struct guarded *guarded, const void *addr)
{
    return guarded->on && (const char *)addr >= guarded->begin &&
           (const char *)addr < guarded->end;
}

void *guarded_give(struct guarded *guarded, void *block); /* its tag */

/* Perhaps a guarded block for one that is to be sampled: it is in the profile
 * until it is given back. Its alignment is at least that of a size class. NULL
 * when it is not to be. */
void *guarded_take_sampled(struct guarded *guarded, struct sampled *sampled,
    size_t size, size_t align);
void guarded_give_sampled(
    struct guarded *guarded, struct sampled *sampled, void *block);

/* The size that was asked for, of a live block; at least 1. */
size_t guarded_size(struct guarded *guarded, const void *block);
