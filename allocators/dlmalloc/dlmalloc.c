/*
 * dlmalloc.c - the dlmalloc design: its contents page and its door
 * (contract: dlmalloc.h)
 *
 *   middle   bins.c        which free chunk serves a request, where a freed
 *                          one goes: small bins, tries, the victim, top
 *            smallbin.c    lists of chunks of one size, below 1 KiB
 *            treebin.c     tries of larger ones
 *   back     segment.c     reserved addresses with memory at their start
 *            direct.c      large blocks, each in a mapping of its own
 *   owner    the chunk's own head and footer: parts/chunk.h, and block.h
 *   whole    heap.c        all the state; the process's heap
 *            block.c       a block taken, resized, given back
 *            bulk.c        many blocks at once
 *            mspace.c      heaps as objects
 *   apart    tuning.c      thresholds: mallopt, environment
 *            inspect.c     checks, walks, statistics, dumps
 *            misuse.c      what is wrong with a pointer
 *
 * docs/designs/dlmalloc.md follows one block from malloc to mmap and back.
 *
 * There is no front tier: the lock of the heap is taken for each call. While
 * the process has one thread, that costs no locked instruction, and a malloc
 * and free of the same size meet in the victim or in top.
 */
#include "dlmalloc/dlmalloc.h"

#include <unistd.h>

#include "base/check.h"
#include "dlmalloc/block.h"
#include "dlmalloc/bulk.h"
#include "dlmalloc/heap.h"
#include "dlmalloc/inspect.h"
#include "family.h"

/* ---- the public family, on the process's heap */

void *
dlm_malloc(size_t size)
{
    return dlm_block_take(&dlm_main, size);
}

void
dlm_free(void *block)
{
    dlm_block_give(&dlm_main, block);
}

struct mallinfo2
dlm_mallinfo2(void)
{
    return dlm_mspace_mallinfo2(&dlm_main);
}

int
dlm_mallopt(int parameter, int value)
{
    return dlm_mspace_mallopt(&dlm_main, parameter, value);
}

void
dlm_malloc_stats(void)
{
    dlm_inspect_dump(&dlm_main, STDERR_FILENO);
}

void
dlm_check(void)
{
    dlm_inspect_check(&dlm_main);
}

void **
dlm_independent_calloc(size_t count, size_t size, void **blocks)
{
    return dlm_bulk_take_equal(&dlm_main, count, size, blocks);
}

void **
dlm_independent_comalloc(size_t count, const size_t *sizes, void **blocks)
{
    return dlm_bulk_take(&dlm_main, count, sizes, blocks);
}

void
dlm_bulk_free(void **blocks, size_t count)
{
    dlm_bulk_give(&dlm_main, blocks, count);
}

/* ---- the door; NULL is the process's heap */

static struct dlm_heap *
heap_of(struct heap *heap)
{
    return heap == NULL ? &dlm_main : (struct dlm_heap *)(void *)heap;
}

static struct heap *
ops_open(void)
{
    return (struct heap *)(void *)dlm_heap_open();
}

static void
ops_close(struct heap *heap)
{
    dlm_heap_close(heap_of(heap));
}

static void *
ops_malloc(struct heap *heap, size_t size)
{
    return dlm_mspace_malloc(heap_of(heap), size);
}

static void *
ops_calloc(struct heap *heap, size_t count, size_t size)
{
    return dlm_block_take_zeroed(heap_of(heap), count, size);
}

static void *
ops_realloc(struct heap *heap, void *block, size_t size)
{
    return dlm_block_resize(heap_of(heap), block, size);
}

static void *
ops_memalign(struct heap *heap, size_t align, size_t size)
{
    return dlm_block_take_aligned(heap_of(heap), align, size);
}

static void
ops_free(struct heap *heap, void *block)
{
    dlm_mspace_free(heap_of(heap), block);
}

static void
ops_free_sized(struct heap *heap, void *block, size_t size)
{
    dlm_block_give_sized(heap_of(heap), block, size);
}

static void
ops_free_aligned_sized(
    struct heap *heap, void *block, size_t align, size_t size)
{
    dlm_block_give_aligned_sized(heap_of(heap), block, align, size);
}

static size_t
ops_usable_size(struct heap *heap, const void *block)
{
    return dlm_block_usable_size(heap_of(heap), block);
}

static bool
ops_trim(struct heap *heap, size_t pad)
{
    return dlm_block_trim(heap_of(heap), pad);
}

static void
ops_stats(struct heap *heap, struct alloc_stats *stats)
{
    dlm_inspect_stats(heap_of(heap), stats);
}

static void
ops_check(struct heap *heap)
{
    dlm_inspect_check(heap_of(heap));
}

static void
ops_walk(struct heap *heap, alloc_walk_fn *visit, void *arg)
{
    dlm_inspect_walk(heap_of(heap), visit, arg);
}

static void
ops_dump(struct heap *heap, int fd)
{
    dlm_inspect_dump(heap_of(heap), fd);
}

FAMILY_PUBLIC(dlm_)
FAMILY_OPS(dlm_ops, dlm_)

const struct alloc_ops dlm_ops = {
    .name = "dlmalloc",
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
    .stats = ops_stats,
    .check = ops_check,
    .walk = ops_walk,
    .dump = ops_dump,
};

int
dlm_malloc_info(int options, FILE *stream)
{
    return family_malloc_info(&dlm_ops, options, stream);
}
