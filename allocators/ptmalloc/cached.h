/*
 * cached.h - chunks in a cache or on a returned stack, and their bins by size
 *
 *     tcache, returned --> cached: | next  key  batch | ... the block's bytes
 *
 * To its arena and its neighbours such a chunk is used. What its block's first
 * words hold is here, and which list a size belongs to. Small sizes have a list
 * each; larger ones share one of four a doubling.
 *
 * Concurrency: whoever owns the list owns its chunks.
 * Failure: none.
 * Design: glibc wiki, "MallocInternals", "Thread Local Cache (tcache)"; Check
 * Point Research, "Safe-Linking" (2020).
 */
#pragma once

#include "base/poison.h"
#include "ptmalloc/bins.h"
#include "ptmalloc/head.h"

/* The cache bins: one a small size, then four a doubling, each for the chunks
 * of its class's size up to the next class. */
#define PTM_CACHE_MAX  (((size_t)256 << 10) - 1) /* the largest cached chunk */
#define PTM_CACHE_BINS (PTM_SMALL_COUNT + 32u)

/* The key tells a double free; links are mangled. */
struct ptm_cached {
    uintptr_t next;
    uintptr_t key;
    uintptr_t batch; /* head of a batch: the batch below it, and its count */
};

/* For walks over cached chunks. */
typedef void ptm_cached_fn(const struct ptm_cached *cached, void *arg);

/* A link that an overflow cannot forge without knowing where it stands. */
static inline uintptr_t
ptm_mangle(const void *place, uintptr_t link)
{
    return ((uintptr_t)place >> 12) ^ link;
}

/* A cached block but for its three words holds nothing (base/poison.h). */
static inline size_t
ptm_cached_size(const struct ptm_cached *cached)
{
    return ptm_head_size(chunk_of_block(cached)) - CHUNK_BLOCK_OFFSET;
}

static inline void
ptm_cached_free(const struct ptm_cached *cached)
{
    if (poison_active()) {
        poison_free(cached + 1, ptm_cached_size(cached) - sizeof *cached);
    }
}

static inline void
ptm_cached_use(const struct ptm_cached *cached)
{
    if (poison_active()) {
        poison_use(cached, ptm_cached_size(cached));
    }
}

/* The bin of a cacheable chunk size. */
static inline unsigned
ptm_cache_bin(size_t size)
{
    if (__builtin_expect(size <= PTM_SMALL_MAX, 1)) {
        return (unsigned)(size / CHUNK_ALIGN);
    }
    unsigned shift = 63 - (unsigned)__builtin_clzl(size);
    return (unsigned)PTM_SMALL_COUNT + (shift - 10) * 4 +
           (unsigned)(size >> (shift - 2) & 3);
}

/* The least chunk size of a cache bin. */
static inline size_t
ptm_cache_bin_size(unsigned bin)
{
    if (bin < PTM_SMALL_COUNT) {
        return bin * CHUNK_ALIGN;
    }
    unsigned step = bin - (unsigned)PTM_SMALL_COUNT;
    return (size_t)(4 + step % 4) << (8 + step / 4);
}
