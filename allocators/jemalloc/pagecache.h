/*
 * pagecache.h - an arena's pages: split, coalesced, kept for a time, given back
 *
 *     arena: slabs, large blocks <-- extent --> page cache <-- pages --> OS
 *
 *     dirty --(dirty decay)--> muzzy --(muzzy decay)--> retained
 *
 * A request is served from dirty extents first, since their memory is there,
 * then muzzy, then retained, then by a mapping that is larger than asked for;
 * the rest of the mapping is retained. Of the extents of one kind the lowest
 * address in the least page class that fits is taken, and what is over is split
 * off. A freed extent is joined with free neighbours of its kind.
 *
 * With the option `guard` an inaccessible page follows each extent in use; when
 * the kernel refuses, the page is there but accessible. Without the option
 * `retain` a mapping that is wholly retained is given back.
 *
 * Concurrency: any thread; each call takes pagecache.lock, of rank MTX_EXTENT,
 * and gives it up around madvise.
 * Failure: take returns NULL when out of memory. resize returns false when the
 * neighbour is not free or metadata is short; nothing changed.
 * give does not fail.
 * Design: jemalloc(3), "opt.dirty_decay_ms", "opt.muzzy_decay_ms",
 * "opt.retain"; Evans, "Tick Tock, malloc Needs a Clock" (Applicative 2015).
 */
#pragma once

#include "base/meta.h"
#include "base/sync.h"
#include "jemalloc/decay.h"
#include "jemalloc/freeset.h"
#include "jemalloc/options.h"
#include "jemalloc/region.h"

/* How many extents in use of one class there have been. */
struct jem_extent_use {
    uint64_t taken_count;
    uint64_t given_count;
};

/* What has been purged, ever, of one kind. */
struct jem_purge_use {
    uint64_t sweep_count; /* purges that found something */
    uint64_t call_count;  /* madvise calls */
    uint64_t pages;       /* they were for */
};

struct jem_pagecache {
    struct mtx lock;
    struct jem_arena *arena;
    unsigned arena_index;
    struct meta *meta;
    struct jem_freeset free[JEM_STATE_COUNT];  /* [lock] not ACTIVE */
    struct jem_decay dirty_decay, muzzy_decay; /* [lock] */
    struct list spare;          /* [lock] extent structures without pages */
    size_t spare_count;         /* [lock] */
    struct jem_regions regions; /* [lock] */
    size_t guard_count;         /* [lock] guard pages */
    size_t large_size;          /* [lock] bytes in ACTIVE extents, no slabs */
    size_t large_count;         /* [lock] */
    struct jem_purge_use purges[JEM_STATE_COUNT]; /* [lock] by kind before */
    bool guard;                     /* a guard page behind each extent in use */
    struct jem_extent_use slab_use; /* [lock] of all small classes */
    struct jem_extent_use large_uses[JEM_LARGE_COUNT]; /* [lock] */
};

void jem_pagecache_init(struct jem_pagecache *cache, struct jem_arena *arena,
    unsigned arena_index, struct meta *meta, struct jem_mapped *mapped,
    const struct jem_options *options);
/* Unmaps everything, blocks in use included. */
void jem_pagecache_fini(struct jem_pagecache *cache);

/* An ACTIVE extent of size bytes (whole pages) at a multiple of align, entered
 * in the owner map: a slab of that class and shard, or a large block. */
struct jem_extent *jem_pagecache_take(struct jem_pagecache *cache, size_t size,
    size_t align, unsigned size_class, unsigned shard);
/* Takes back what take gave. */
void jem_pagecache_give(struct jem_pagecache *cache, struct jem_extent *extent);

/* Makes a large block one of another large class: longer by the free pages
 * behind it, or shorter. */
bool jem_pagecache_resize(struct jem_pagecache *cache,
    struct jem_extent *extent, unsigned size_class);

/* Shows every large block's extent. Nobody may use or make any meanwhile. */
void jem_pagecache_each_large(struct jem_pagecache *cache,
    void (*visit)(struct jem_extent *extent, void *arg), void *arg);
/* Makes every extent in use a dirty one: their blocks are gone. The caller sees
 * to it that nobody uses them, and that no slab is known to a bin. */
void jem_pagecache_reset(struct jem_pagecache *cache);
/* Starts the counts of what has been anew; nothing may be in use. */
void jem_pagecache_clear_counts(struct jem_pagecache *cache);
/* Gives every mapping back that has no extent in use. */
void jem_pagecache_unmap(struct jem_pagecache *cache);

/* Lets time do its work: purges what may not be kept any longer. */
void jem_pagecache_tick(struct jem_pagecache *cache);
/* The same, but it waits for the lock rather than leave it for the next time. */
void jem_pagecache_decay(struct jem_pagecache *cache);
/* Purges all unused pages. True if there were any. */
bool jem_pagecache_purge(struct jem_pagecache *cache);
void jem_pagecache_set_decay(
    struct jem_pagecache *cache, enum jem_extent_state state, int64_t decay_ms);

int64_t jem_pagecache_decay_ms(
    struct jem_pagecache *cache, enum jem_extent_state state);

/* The most that a mapping is made larger than what it is for. False if that is
 * less than the least mapping. */
size_t jem_pagecache_grow_limit(struct jem_pagecache *cache);
bool jem_pagecache_set_grow_limit(struct jem_pagecache *cache, size_t limit);

void jem_pagecache_check(struct jem_pagecache *cache); /* aborts if broken */
void jem_pagecache_dump(struct jem_pagecache *cache, int fd);
