/*
 * meta.h - memory for the allocator's own structures, apart from user pages
 *
 *     heap, arenas, extents, caches --> meta --> pages
 *
 * A write past the end of a user's block then meets other users' blocks, never
 * the structures that say where memory is. Memory is only ever taken; what
 * uses it keeps free lists of its own. It all goes back with the heap.
 *
 * Concurrency: meta_take may be called by any thread; it takes meta.lock, of
 * rank MTX_BASE. init and fini want the heap to themselves.
 * Failure: NULL when out of memory.
 * Design: jemalloc(3), "stats.metadata"; Evans (BSDCan 2006), section 3.
 */
#pragma once

#include <stddef.h>

#include "base/sync.h"

struct meta_block; /* one mapping */

struct meta {
    struct mtx lock;
    struct meta_block *blocks; /* [lock] newest first */
    char *next, *end;          /* [lock] what is left of the newest */
    size_t mapped_size;        /* [lock] */
};

/* Starts in `first`, memory that the caller mapped and will unmap; mapped_size
 * does not count it. */
void meta_init(struct meta *meta, void *first, size_t first_size);
void meta_fini(struct meta *meta); /* unmaps all but the first */

/* Zeroed memory, aligned to a cache line. */
void *meta_take(struct meta *meta, size_t size);
size_t meta_mapped_size(struct meta *meta);
