/*
 * arena.h - chunks under one lock: bins and top
 *
 *     tcache --(batch)--> returned (returned.h) ----+
 *     tcache <--(batch)-- bins, top  <--------------+  <-- subheap
 *
 * An arena holds free chunks in an unsorted bin, where freed ones wait to be
 * asked for by their exact size; small bins of one size each; the large bins,
 * kept as one tree by size; and the top chunk, at the end of the newest subheap,
 * from which what fits nowhere else is cut.
 *
 * Concurrency: functions ending in _locked want arena.lock, of rank MTX_ARENA.
 * Failure: NULL when out of memory. A chunk whose size, links or neighbours
 * cannot be right is misuse, and fatal.
 * Design: Lea, "A Memory Allocator" (1996); Gloger, ptmalloc; glibc wiki,
 * "MallocInternals".
 */
#pragma once

#include <stdatomic.h>

#include "base/poison.h"
#include "base/sync.h"
#include "parts/chunk.h"
#include "parts/list.h"
#include "parts/tree.h"
#include "ptmalloc/subheap.h"

#define PTM_NAME "ptmalloc"

/* Flags of a chunk's head. */
#define PTM_PREV_USED CHUNK_PREV_USED
#define PTM_MAPPED    CHUNK_FLAG_2 /* a mapping of its own: see direct.h */
#define PTM_IN_TREE   CHUNK_FLAG_4 /* free, and in the large bins */

#define PTM_SMALL_MAX   ((size_t)1024) /* the largest chunk of a small bin */
#define PTM_SMALL_COUNT (PTM_SMALL_MAX / CHUNK_ALIGN + 1)

/* The cache bins: one a small size, then four a doubling, each for the chunks
 * of its class's size up to the next class. */
#define PTM_CACHE_MAX  (((size_t)256 << 10) - 1) /* the largest cached chunk */
#define PTM_CACHE_BINS (PTM_SMALL_COUNT + 32u)

/* The largest request an arena serves; larger ones get mappings. */
#define PTM_ARENA_REQUEST_MAX (PTM_SUBHEAP_SIZE / 2)

struct ptm_heap;

/* A chunk in a cache or on a returned stack: what its block's first words hold.
 * The key tells a double free; links are mangled (tcache.h). */
struct ptm_cached {
    uintptr_t next;
    uintptr_t key;
    uintptr_t batch; /* head of a batch: the batch below it, and its count */
};

/* A link that an overflow cannot forge without knowing where it stands. */
static inline uintptr_t
ptm_mangle(const void *place, uintptr_t link)
{
    return ((uintptr_t)place >> 12) ^ link;
}

/* A chunk's head, read by a thread that holds the block but not the lock: a
 * neighbour's free may change PREV_USED meanwhile. */
static inline size_t
ptm_chunk_head(const struct chunk *chunk)
{
    return atomic_load_explicit(
        (const _Atomic size_t *)&chunk->head, memory_order_relaxed);
}

/* A cached block but for its three words holds nothing (base/poison.h). */
static inline size_t
ptm_cached_size(const struct ptm_cached *cached)
{
    return (ptm_chunk_head(chunk_of_block(cached)) & ~CHUNK_FLAGS) -
           CHUNK_BLOCK_OFFSET;
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

struct ptm_arena {
    struct mtx lock;
    struct ptm_heap *heap;              /* for good */
    unsigned index;                     /* for good */
    _Atomic unsigned thread_count;      /* caches bound to it */
    struct ptm_subheap *newest;         /* [lock] holds top */
    struct chunk *top;                  /* [lock] always free, never in a bin */
    struct chunk *last_remainder;       /* [lock] of a small request, or NULL */
    struct list unsorted;               /* [lock] */
    struct list small[PTM_SMALL_COUNT]; /* [lock] by size / 16 */
    uint64_t small_map[PTM_SMALL_COUNT / 64 + 1]; /* [lock] maybe not empty */
    struct tree large;  /* [lock] by size, then address */
    size_t free_size;   /* [lock] of all free chunks but top */
    size_t system_size; /* [lock] usable bytes of all subheaps */
    size_t system_peak; /* [lock] */
    _Alignas(CACHE_LINE) _Atomic size_t returned_size; /* on the stacks, by
                                                     their bins' sizes */
    _Atomic(uintptr_t) returned[PTM_CACHE_BINS]; /* batch and count, as above */
};

/* An arena in the subheap that it makes; NULL when out of memory. */
struct ptm_arena *ptm_arena_new(struct ptm_heap *heap, unsigned index);
void ptm_arena_delete(struct ptm_arena *arena); /* with all its blocks */

/* A used chunk of that size, a multiple of 16 up to PTM_ARENA_REQUEST_MAX, from
 * what the arena has; NULL if it would have to grow. */
struct chunk *ptm_arena_take_locked(struct ptm_arena *arena, size_t size)
    REQUIRES(arena->lock);
/* The same, and it grows. */
struct chunk *ptm_arena_alloc_locked(struct ptm_arena *arena, size_t size)
    REQUIRES(arena->lock);
/* The same with its block at a multiple of align. */
struct chunk *ptm_arena_alloc_aligned_locked(
    struct ptm_arena *arena, size_t align, size_t size) REQUIRES(arena->lock);
void ptm_arena_free_locked(struct ptm_arena *arena, struct chunk *chunk)
    REQUIRES(arena->lock);
/* Changes a used chunk's size where it stands. */
bool ptm_arena_resize_locked(struct ptm_arena *arena, struct chunk *chunk,
    size_t size) REQUIRES(arena->lock);

/* Shrinks the top to pad bytes, and purges whole pages of other free chunks.
 * True if memory went back. */
bool ptm_arena_trim_locked(struct ptm_arena *arena, size_t pad)
    REQUIRES(arena->lock);

/* Each chunk of a subheap, in order of address, the top last. */
typedef void ptm_chunk_fn(
    struct ptm_arena *arena, struct chunk *chunk, bool used, void *arg);
void ptm_arena_each_chunk_locked(struct ptm_arena *arena, ptm_chunk_fn *visit,
    void *arg) REQUIRES(arena->lock);
struct chunk *ptm_subheap_first_chunk(struct ptm_subheap *subheap);

void ptm_arena_check(struct ptm_arena *arena); /* aborts if broken */
void ptm_arena_dump(struct ptm_arena *arena, int fd);
