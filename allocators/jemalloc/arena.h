/*
 * arena.h - what a few threads share: bins for small blocks, extents for large
 *
 *     tcaches of its threads --> arena --> bins --> page cache --> OS
 *                                   \-- large ------^
 *
 * Concurrency: any thread. No lock of its own: a bin's, or the page cache's.
 * Failure: NULL, or a short batch, when out of memory.
 * Design: Evans (BSDCan 2006), sections 2.4 and 3; jemalloc(3), "opt.narenas".
 */
#pragma once

#include <stdatomic.h>

#include "jemalloc/bin.h"
#include "jemalloc/pagecache.h"
#include "jemalloc/stats.h"

#define JEM_SHARDS_MAX JEM_OWNER_SHARDS_MAX

struct jem_heap;

struct jem_arena {
    struct jem_heap *heap;         /* for good */
    unsigned index;                /* for good */
    unsigned shard_count;          /* for good: bins a small class */
    uint64_t born_ns;              /* [arenas_lock] */
    _Atomic bool exists;           /* false: destroyed, and empty */
    _Atomic unsigned thread_count; /* threads bound to it */
    struct jem_pagecache pages;
    struct jem_arena_stats stats; /* [stats.lock] of the last refresh */
    struct jem_bin bins[JEM_SHARDS_MAX][JEM_SMALL_COUNT];
};

void jem_arena_init(struct jem_arena *arena, struct jem_heap *heap,
    unsigned index, struct meta *meta, struct jem_mapped *mapped,
    const struct jem_options *options);
void jem_arena_fini(struct jem_arena *arena); /* unmaps every block */

/* Regions of a small class, from that shard; returns how many. */
size_t jem_arena_take_small(struct jem_arena *arena, unsigned shard,
    unsigned size_class, void **batch, size_t count);

/* A large block of that class at a multiple of align; *zeroed says whether its
 * bytes are zero. */
void *jem_arena_take_large(
    struct jem_arena *arena, unsigned size_class, size_t align, bool *zeroed);

/* Gives blocks of one small class back to their bins, of whatever arena of the
 * heap; each bin is locked once. batch[] is used up. */
void jem_arena_give_small(struct jem_heap *heap, void **batch, size_t count);
void jem_arena_give_large(struct jem_extent *extent);

/* Makes a large block one of another large class, where it stands. */
bool jem_arena_resize_large(struct jem_extent *extent, unsigned size_class);

/* All its blocks are gone. Nobody may use them, nor may a cache hold any. */
void jem_arena_reset(struct jem_arena *arena);
/* Resets it and gives its mappings back; its structures stay, for revive. */
void jem_arena_destroy(struct jem_arena *arena);
static inline bool
jem_arena_exists(const struct jem_arena *arena)
{
    return atomic_load_explicit(&arena->exists, memory_order_relaxed);
}
void jem_arena_revive(
    struct jem_arena *arena, const struct jem_options *options);

/* Lets time do its work: one small class, whose turn it is, drains what its
 * stash did not need, and pages decay, unless a background thread sees to it. */
void jem_arena_tick(struct jem_arena *arena, unsigned turn);
/* The same, by a thread of another arena: a stash is left alone while the arena
 * has threads. */
void jem_arena_visit(struct jem_arena *arena, unsigned turn);
void jem_arena_decay(struct jem_arena *arena); /* pages decay */
/* Drains all stashes and purges all unused pages; true if there were any. */
bool jem_arena_purge(struct jem_arena *arena);

void jem_arena_check(struct jem_arena *arena); /* aborts if broken */
void jem_arena_dump(struct jem_arena *arena, int fd);
