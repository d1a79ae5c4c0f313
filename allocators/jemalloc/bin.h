/*
 * bin.h - the regions of one small class in one arena
 *
 *     tcache <-- batch of regions --> bin <-- slabs --> page cache
 *
 * Regions are drawn from the current slab, lowest address first; when it is
 * used up, the lowest slab with a free region becomes current. So load gathers
 * at low addresses and the slabs above drain, become empty and go back.
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

struct jem_bin {
    _Alignas(CACHE_LINE) struct mtx lock;
    unsigned size_class;        /* fixed at init */
    unsigned shard;             /* fixed at init */
    struct jem_extent *current; /* [lock] or NULL; on no tree */
    struct tree nonfull;        /* [lock] other slabs with a free region */
    size_t slab_count;          /* [lock] full ones included */
    size_t free_count;          /* [lock] free regions in all slabs */
    size_t contended_count;     /* [lock] takes that had to wait */
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

/* Whether the slab says that the region at block is free. Wants the bin quiet,
 * or the block owned by the caller. */
bool jem_slab_region_is_free(const struct jem_extent *slab, const void *block);

void jem_bin_check(struct jem_bin *bin); /* aborts if broken */
void jem_bin_dump(struct jem_bin *bin, int fd);
