/*
 * bin.h - the regions of one small class in one arena
 *
 *     tcache <-- batch of regions --> stash | bin <-- slabs --> page cache
 *
 * Regions are drawn from the current slab, lowest address first; when it is
 * used up, the lowest slab with a free region becomes current. So load gathers
 * at low addresses and the slabs above drain, become empty and go back.
 *
 * Regions that come back first lie in the stash, an array of addresses. A batch
 * that one thread gives and another takes soon after then moves as a copy of
 * addresses: no slab is read, and the lock is held briefly. What lies there too
 * long, or is too much, goes on to its slabs.
 *
 * Concurrency: any thread; each call takes bin.lock, of rank MTX_BIN, and may
 * take the page cache's inside it.
 * Failure: take comes back short, even empty, when pages run out. A region that
 * is free already is misuse, and fatal.
 * Design: Evans (BSDCan 2006), section 3, runs and their bitmaps; jemalloc 5
 * renames runs to slabs.
 */
#pragma once

#include "base/sync.h"
#include "jemalloc/extent.h"
#include "jemalloc/pagecache.h"

#define JEM_STASH_MAX 128u

struct jem_bin {
    _Alignas(CACHE_LINE) struct mtx lock;
    unsigned size_class;        /* fixed at init */
    unsigned shard;             /* fixed at init */
    struct jem_extent *current; /* [lock] or NULL; on no tree */
    struct tree nonfull;        /* [lock] other slabs with a free region */
    size_t slab_count;          /* [lock] full ones included */
    size_t free_count;          /* [lock] free regions in all slabs */
    size_t contended_count;     /* [lock] calls that had to wait */
    uint64_t taken_count;       /* [lock] regions ever taken */
    uint64_t given_count;       /* [lock] ... and given back */
    uint64_t slabs_made_count; /* [lock] slabs ever taken from the page cache */
    uint64_t slabs_used_again; /* [lock] ... and ever made current once more */
    uint64_t fill_count;       /* [lock] calls that took */
    uint64_t flush_count;      /* [lock] ... and that gave */
    unsigned stash_count;      /* [lock] */
    unsigned stash_low;        /* [lock] least stash_count since a drain */
    void *stash[JEM_STASH_MAX]; /* [lock] regions in use to their slabs */
};

void jem_bin_init(struct jem_bin *bin, unsigned size_class, unsigned shard);
void jem_bin_fini(struct jem_bin *bin);

/* Moves up to count free regions into batch[]; returns how many. */
size_t jem_bin_take(struct jem_bin *bin, struct jem_pagecache *cache,
    void **batch, size_t count);

/* Takes back those of the regions whose slab belongs to this bin, in one
 * locked section. The others stay, moved to the front of batch[]; returns how
 * many they are. */
size_t jem_bin_give(struct jem_bin *bin, struct jem_pagecache *cache,
    void **batch, size_t count);

/* Sends to their slabs the regions that the stash did not need since the last
 * drain; all of them, if so told. */
void jem_bin_drain(struct jem_bin *bin, struct jem_pagecache *cache, bool all);

/* Starts the counts of what has been anew; nothing may be in use. */
void jem_bin_clear_counts(struct jem_bin *bin);
/* Forgets all slabs and regions; the caller makes their pages free. */
void jem_bin_reset(struct jem_bin *bin);

/* Whether the region at block is free, be it in its slab or in the stash. */
bool jem_bin_holds(
    struct jem_bin *bin, const struct jem_extent *slab, const void *block);

/* Whether the slab says that the region at block is free. Wants the bin quiet,
 * or the block owned by the caller. */
bool jem_slab_region_is_free(const struct jem_extent *slab, const void *block);

void jem_bin_check(struct jem_bin *bin); /* aborts if broken */
void jem_bin_dump(struct jem_bin *bin, int fd);
