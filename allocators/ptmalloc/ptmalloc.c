/*
 * ptmalloc.c - the ptmalloc design: its contents page and its door
 * (contract: ptmalloc.h)
 *
 *   front    tcache.c    a list of free chunks a size and thread
 *            cached.h    what such a chunk holds
 *   middle   arena.c     chunks taken, joined and resized under one lock
 *            bins.c      unsorted bin, small bins, large bins
 *            returned.c  batches that threads give back without the lock
 *   back     top.c       the chunk at the end, which grows and shrinks
 *            subheap.c   aligned regions
 *            direct.c    large blocks with mappings of their own
 *   owner    parts/chunk boundary tags, head.h their flags; an address masked
 *                        is its subheap
 *   whole    heap.c      arenas, threads, fork
 *            block.c     a block taken, resized, given back
 *            tuning.c    mallopt and the environment
 *   shown    inspect.c   statistics, walks, dumps
 *            info.c      the same in glibc's forms
 *
 * docs/designs/ptmalloc.md follows one block from malloc to mmap and back.
 *
 * The fast paths here are the cache's pop and push. A thread without a cache
 * has ptm_tcache_none, whose bins are both empty and full, so they need no test
 * for it.
 */
#include "ptmalloc/ptmalloc.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "family.h"
#include "ptmalloc/block.h"
#include "ptmalloc/inspect.h"
#include "ptmalloc/returned.h"

#define ALIGN_DEFAULT ((size_t)1) /* what a chunk gives by itself */

/* ---- on any heap; NULL is the process's. The door's functions, too. */

static struct ptm_heap *
heap_of(struct heap *heap)
{
    return heap == NULL ? ptm_heap_main() : (struct ptm_heap *)(void *)heap;
}

static void *
take(struct ptm_heap *heap, size_t size, size_t align, bool zero)
{
    void *block = NULL;
    if (heap != NULL) {
        block = ptm_block_take(heap, ptm_heap_tcache(heap), size, align, zero);
    }
    if (block == NULL) {
        errno = ENOMEM;
    }
    return block;
}

static void
give(struct ptm_heap *heap, void *block)
{
    if (block != NULL) {
        ptm_block_give(heap, ptm_heap_tcache(heap), block);
    }
}

static void *
ops_calloc(struct heap *any, size_t count, size_t size)
{
    size_t product;
    if (!family_product(count, size, &product)) {
        errno = ENOMEM;
        return NULL;
    }
    return take(heap_of(any), product, ALIGN_DEFAULT, true);
}

static void *
ops_realloc(struct heap *any, void *block, size_t size)
{
    struct ptm_heap *heap = heap_of(any);
    if (block == NULL) {
        return take(heap, size, ALIGN_DEFAULT, false);
    }
    if (size == 0) {
        give(heap, block);
        return NULL;
    }
    void *resized = ptm_block_resize(heap, ptm_heap_tcache(heap), block, size);
    if (resized == NULL) {
        errno = ENOMEM;
    }
    return resized;
}

static void *
ops_memalign(struct heap *any, size_t align, size_t size)
{
    size_t power;
    return family_round_align(align, &power)
               ? take(heap_of(any), size, power, false)
               : NULL;
}

static size_t
ops_usable_size(struct heap *any, const void *block)
{
    return block == NULL ? 0 : ptm_block_usable_size(heap_of(any), block);
}

static void
ops_free_sized(struct heap *any, void *block, size_t size)
{
    if (block != NULL && !ptm_block_is_of(block, size)) {
        check_misuse(PTM_NAME, "wrong size in free", block);
    }
    give(heap_of(any), block);
}

static void
ops_free_aligned_sized(struct heap *any, void *block, size_t align, size_t size)
{
    if (block != NULL && (align == 0 || (align & (align - 1)) != 0 ||
                             ((uintptr_t)block & (align - 1)) != 0)) {
        check_misuse(PTM_NAME, "wrong alignment in free", block);
    }
    ops_free_sized(any, block, size);
}

static bool
ops_trim(struct heap *any, size_t pad)
{
    struct ptm_heap *heap = heap_of(any);
    struct ptm_tcache *tcache = heap == NULL ? NULL : ptm_heap_tcache(heap);
    struct ptm_arena *arena;
    bool trimmed = false;
    unsigned i;
    if (heap == NULL) {
        return false;
    }
    if (tcache != NULL) {
        ptm_tcache_drain(tcache);
    }
    PTM_ARENA_EACH (arena, i, heap) {
        mtx_lock(&arena->lock);
        ptm_returned_free_locked(arena);
        trimmed |= ptm_arena_trim_locked(arena, pad);
        mtx_unlock(&arena->lock);
    }
    return trimmed;
}

/* ---- the public family, on the process's heap */

/* Not inlined, so that the fast path saves no registers. Larger chunks that the
 * cache has come first. */
static __attribute__((noinline)) void *
malloc_slowly(size_t size)
{
    if (size <= PTM_CACHE_MAX / 2) {
        size_t chunk_bytes = chunk_size_for(size, CHUNK_HEAD_SIZE);
        unsigned bin = ptm_cache_bin(chunk_bytes);
        uintptr_t first = ptm_self->bins[bin].head;
        if (first != 0 &&
            ptm_head(chunk_of_block((void *)first)) >= chunk_bytes) {
            return ptm_tcache_pop_any(ptm_self, bin);
        }
    }
    return take(ptm_heap_main(), size, ALIGN_DEFAULT, false);
}

void *
ptm_malloc(size_t size)
{
    if (__builtin_expect(size <= PTM_SMALL_MAX - CHUNK_HEAD_SIZE, 1)) {
        size_t chunk_bytes = chunk_size_for(size, CHUNK_HEAD_SIZE);
        struct ptm_tbin *tbin = &ptm_self->bins[chunk_bytes / CHUNK_ALIGN];
        if (__builtin_expect(tbin->head != 0, 1)) {
            return ptm_tcache_pop(tbin);
        }
    }
    return malloc_slowly(size);
}

/* Not when the bin is full, or the block looks freed already. */
static inline bool
has_room(const struct ptm_tcache *tcache, unsigned bin, const void *block)
{
    const struct ptm_tbin *tbin = &tcache->bins[bin];
    const struct ptm_cached *cached = block;
    return __builtin_expect(
        ptm_tbin_count(tbin) < tbin->limit && cached->key != tcache->key, 1);
}

static __attribute__((noinline)) void
free_slowly(void *block)
{
    if (block != NULL && ((uintptr_t)block & (CHUNK_ALIGN - 1)) == 0) {
        size_t head = ptm_head(chunk_of_block(block));
        if ((head & (CHUNK_FLAGS & ~PTM_PREV_USED)) == 0 &&
            head <= PTM_CACHE_MAX && head >= CHUNK_MIN_SIZE) {
            unsigned bin = ptm_cache_bin(head & ~CHUNK_FLAGS);
            if (has_room(ptm_self, bin, block)) {
                ptm_tcache_push_any(ptm_self, bin, block);
                return;
            }
        }
    }
    give(ptm_heap_main(), block);
}

void
ptm_free(void *block)
{
    if (__builtin_expect(
            block != NULL && ((uintptr_t)block & (CHUNK_ALIGN - 1)) == 0, 1)) {
        size_t size = ptm_head(chunk_of_block(block)) & ~PTM_PREV_USED;
        /* A head with another flag set is no multiple of 16. */
        if (__builtin_expect(
                size <= PTM_SMALL_MAX && size % CHUNK_ALIGN == 0, 1)) {
            unsigned bin = (unsigned)(size / CHUNK_ALIGN);
            if (has_room(ptm_self, bin, block)) {
                ptm_tcache_push(ptm_self, &ptm_self->bins[bin], block);
                return;
            }
        }
    }
    free_slowly(block);
}

FAMILY_PUBLIC(ptm_)

/* ---- tuning */

int
ptm_mallopt(int parameter, int value)
{
    struct ptm_heap *heap = ptm_heap_main();
    if (heap == NULL) {
        return 0;
    }
    mtx_lock(&heap->direct_lock);
    int is_set = ptm_tuning_set(&heap->tuning, parameter, value);
    mtx_unlock(&heap->direct_lock);
    /* Other threads keep the caches that they have. */
    if (!ptm_tuning_caches(&heap->tuning)) {
        local_drop(&heap->tcaches);
    }
    return is_set;
}

/* ---- the door */

static struct heap *
ops_open(void)
{
    return (struct heap *)(void *)ptm_heap_new();
}

static void
ops_close(struct heap *heap)
{
    ptm_heap_delete(heap_of(heap));
}

static void *
ops_malloc(struct heap *heap, size_t size)
{
    return heap == NULL ? ptm_malloc(size)
                        : take(heap_of(heap), size, ALIGN_DEFAULT, false);
}

static void
ops_free(struct heap *heap, void *block)
{
    if (heap == NULL) {
        ptm_free(block);
    } else {
        give(heap_of(heap), block);
    }
}

static void
ops_thread_exit(struct heap *heap)
{
    local_drop(&heap_of(heap)->tcaches);
}

static void
ops_stats(struct heap *heap, struct alloc_stats *stats)
{
    ptm_inspect_stats(heap_of(heap), stats);
}

static void
ops_check(struct heap *heap)
{
    ptm_heap_check(heap_of(heap));
    ptm_inspect_check(heap_of(heap));
}

static void
ops_walk(struct heap *heap, alloc_walk_fn *visit, void *arg)
{
    ptm_inspect_walk(heap_of(heap), visit, arg);
}

static void
ops_dump(struct heap *heap, int fd)
{
    ptm_inspect_dump(heap_of(heap), fd);
}

FAMILY_OPS(ptm_ops, ptm_)

const struct alloc_ops ptm_ops = {
    .name = PTM_NAME,
    .open = ops_open,
    .close = ops_close,
    .malloc = ops_malloc,
    .calloc = ops_calloc,
    .realloc = ops_realloc,
    .reallocarray = ops_reallocarray,
    .memalign = ops_memalign,
    .aligned_alloc = ops_aligned_alloc,
    .posix_memalign = ops_posix_memalign,
    .valloc = ops_valloc,
    .pvalloc = ops_pvalloc,
    .free = ops_free,
    .free_sized = ops_free_sized,
    .free_aligned_sized = ops_free_aligned_sized,
    .usable_size = ops_usable_size,
    .trim = ops_trim,
    .thread_exit = ops_thread_exit,
    .stats = ops_stats,
    .check = ops_check,
    .walk = ops_walk,
    .dump = ops_dump,
};
