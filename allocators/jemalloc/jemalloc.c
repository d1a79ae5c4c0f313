/*
 * jemalloc.c - the jemalloc design: its contents page and its door
 * (contract: jemalloc.h)
 *
 *   front    tcache.c      a stack of free blocks a size class and thread
 *   middle   bin.c         regions of one class, in slabs; a lock each
 *            arena.c       a set of bins and a page cache, for a few threads
 *   back     pagecache.c   extents: split, joined, purged, given back
 *            freeset.c     the free ones of one kind: dirty, muzzy, retained
 *            decay.c       how long unused pages are kept
 *            region.c      the mappings that extents lie in
 *   owner    extent.c      address -> extent and size class
 *   tables   size.c        size classes and the shapes of slabs
 *   apart    base/meta.c   memory for all these structures
 *   whole    heap.c        arenas, threads, options
 *            block.c       a block taken, resized, given back
 *   sampled  ../sampled.c  the profile; ../guarded.c: blocks on guarded pages
 *   by name  ctl.c         mallctl: ctl_names.c is the table
 *            stats.c       what is counted, report.c prints it
 *
 * docs/designs/jemalloc.md follows one block from malloc to mmap and back.
 *
 * The fast paths here are the tcache's pop and push. A thread without a cache
 * has jem_tcache_none, whose bins are all both empty and full, so they need no
 * test for it. free learns the class from the owner map and reads no header and
 * no extent.
 */
#include "jemalloc/jemalloc.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/print.h"
#include "family.h"
#include "jemalloc/block.h"
#include "jemalloc/inspect.h"

#define ALIGN_DEFAULT ((size_t)1) /* what the class gives by itself */

/* ---- on any heap; NULL is the process's. The door's functions, too. */

static struct jem_heap *
heap_of(struct heap *heap)
{
    return heap == NULL ? jem_heap_main() : (struct jem_heap *)(void *)heap;
}

static void *
take(struct jem_heap *heap, size_t size, size_t align, bool zero)
{
    void *block = NULL;
    if (heap != NULL) {
        block = jem_block_take(heap, jem_heap_tcache(heap), size, align, zero);
    }
    if (block == NULL) {
        errno = ENOMEM;
    }
    return block;
}

static void
give(struct jem_heap *heap, void *block)
{
    if (block != NULL) {
        jem_block_give(heap, jem_heap_tcache(heap), block);
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
    struct jem_heap *heap = heap_of(any);
    if (block == NULL) {
        return take(heap, size, ALIGN_DEFAULT, false);
    }
    if (size == 0) {
        atomic_fetch_add_explicit(
            &heap->zero_reallocs, 1, memory_order_relaxed);
        give(heap, block);
        return NULL;
    }
    if (jem_block_resize(heap, block, size)) {
        return block;
    }
    void *moved = take(heap, size, ALIGN_DEFAULT, false);
    if (moved != NULL) {
        size_t old_size = jem_block_size(heap, block);
        memcpy(moved, block, old_size < size ? old_size : size);
        give(heap, block);
    }
    return moved;
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
    return block == NULL ? 0 : jem_block_size(heap_of(any), block);
}

static void
give_sized(struct jem_heap *heap, void *block, size_t align, size_t size)
{
    if (block != NULL && !jem_block_serves(heap, block, size, align)) {
        check_misuse(JEM_NAME, "wrong size in free", block);
    }
    give(heap, block);
}

static void
ops_free_sized(struct heap *any, void *block, size_t size)
{
    give_sized(heap_of(any), block, ALIGN_DEFAULT, size);
}

static void
ops_free_aligned_sized(struct heap *any, void *block, size_t align, size_t size)
{
    if (align == 0 || (align & (align - 1)) != 0 ||
        ((uintptr_t)block & (align - 1)) != 0) {
        check_misuse(JEM_NAME, "wrong alignment in free", block);
    }
    give_sized(heap_of(any), block, align, size);
}

static bool
ops_trim(struct heap *any, size_t pad)
{
    struct jem_heap *heap = heap_of(any);
    struct jem_tcache *tcache = heap == NULL ? NULL : jem_heap_tcache(heap);
    struct jem_arena *arena;
    bool trimmed = false;
    unsigned i;
    (void)pad; /* There is no top that could keep it. */
    if (heap == NULL) {
        return false;
    }
    if (tcache != NULL) {
        jem_tcache_drain(tcache);
    }
    mtx_lock(&heap->arenas_lock);
    JEM_ARENA_EACH (arena, i, heap) {
        trimmed |= jem_arena_purge(arena);
    }
    mtx_unlock(&heap->arenas_lock);
    return trimmed;
}

/* ---- the public family, on the process's heap */

/* Not inlined, so that the fast path saves no registers. */
static __attribute__((noinline)) void *
malloc_slowly(size_t size)
{
    return take(jem_heap_main(), size, ALIGN_DEFAULT, false);
}

void *
jem_malloc(size_t size)
{
    if (__builtin_expect(size <= JEM_LOOKUP_MAX, 1)) {
        struct jem_tbin *bin = &jem_self->bins[jem_size_class(size)];
        void **top = jem_tbin_top(bin);
        if (__builtin_expect(top != bin->floor, 1)) {
            return jem_tbin_pop(bin, top);
        }
    }
    return malloc_slowly(size);
}

static __attribute__((noinline)) void
free_slowly(void *block)
{
    give(jem_heap_main(), block);
}

void
jem_free(void *block)
{
    struct jem_tcache *tcache = jem_self;
    if (__builtin_expect(
            (uintptr_t)block >> PAGEMAP_LEAF_SHIFT == tcache->leaf_index, 1)) {
        struct jem_owner owner = jem_owner_in_leaf(tcache->leaf, block);
        unsigned class = jem_owner_class(owner);
        if (__builtin_expect(class < JEM_SMALL_COUNT, 1)) {
            struct jem_tbin *bin = &tcache->bins[class];
            void **top = jem_tbin_top(bin);
            if (__builtin_expect(top != bin->full, 1)) {
                jem_tbin_push(bin, top, block);
                return;
            }
        }
    }
    free_slowly(block);
}

FAMILY_PUBLIC(jem_)

/* ---- the door. The process may be too short of memory to have a heap. */

static struct heap *
ops_open(void)
{
    return (struct heap *)(void *)jem_heap_new();
}

static void
ops_close(struct heap *heap)
{
    jem_heap_delete(heap_of(heap));
}

static void *
ops_malloc(struct heap *heap, size_t size)
{
    return heap == NULL ? jem_malloc(size)
                        : take(heap_of(heap), size, ALIGN_DEFAULT, false);
}

static void
ops_free(struct heap *heap, void *block)
{
    if (heap == NULL) {
        jem_free(block);
    } else {
        give(heap_of(heap), block);
    }
}

static void
ops_thread_exit(struct heap *any)
{
    struct jem_heap *heap = heap_of(any);
    if (heap != NULL) {
        local_drop(&heap->tcaches);
    }
}

static void
ops_stats(struct heap *heap, struct alloc_stats *stats)
{
    jem_inspect_stats(heap_of(heap), stats);
}

static void
ops_check(struct heap *any)
{
    struct jem_heap *heap = heap_of(any);
    if (heap != NULL) {
        jem_heap_check(heap);
    }
}

static void
ops_walk(struct heap *any, alloc_walk_fn *visit, void *arg)
{
    struct jem_heap *heap = heap_of(any);
    if (heap != NULL) {
        jem_inspect_walk(heap, visit, arg);
    }
}

static void
ops_dump(struct heap *any, int fd)
{
    struct jem_heap *heap = heap_of(any);
    if (heap != NULL) {
        jem_inspect_dump(heap, fd);
    }
}

FAMILY_OPS(jem_ops, jem_)

const struct alloc_ops jem_ops = {
    .name = JEM_NAME,
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

int
jem_malloc_info(int options, FILE *stream)
{
    return family_malloc_info(&jem_ops, options, stream);
}
