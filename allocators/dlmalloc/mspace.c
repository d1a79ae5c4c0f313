/*
 * mspace.c - heaps as objects: the public names (contract: dlmalloc.h)
 *
 * The process's heap is one of them, so every call that is not worth a path of
 * its own goes through here.
 */
#include "dlmalloc/block.h"
#include "dlmalloc/bulk.h"
#include "dlmalloc/dlmalloc.h"
#include "dlmalloc/inspect.h"

struct dlm_heap *
dlm_open(void)
{
    return dlm_heap_open();
}

void
dlm_close(struct dlm_heap *heap)
{
    dlm_heap_close(heap);
}

void *
dlm_mspace_malloc(struct dlm_heap *heap, size_t size)
{
    return dlm_block_take(heap, size);
}

void *
dlm_mspace_calloc(struct dlm_heap *heap, size_t count, size_t size)
{
    return dlm_block_take_zeroed(heap, count, size);
}

void *
dlm_mspace_realloc(struct dlm_heap *heap, void *block, size_t size)
{
    return dlm_block_resize(heap, block, size);
}

void *
dlm_mspace_memalign(struct dlm_heap *heap, size_t align, size_t size)
{
    return dlm_block_take_aligned(heap, align, size);
}

void
dlm_mspace_free(struct dlm_heap *heap, void *block)
{
    dlm_block_give(heap, block);
}

size_t
dlm_mspace_usable_size(struct dlm_heap *heap, const void *block)
{
    return dlm_block_usable_size(heap, block);
}

int
dlm_mspace_trim(struct dlm_heap *heap, size_t pad)
{
    return dlm_block_trim(heap, pad);
}

int
dlm_mspace_mallopt(struct dlm_heap *heap, int parameter, int value)
{
    mtx_lock(&heap->lock);
    int done = dlm_tuning_set(&heap->tuning, parameter, value);
    mtx_unlock(&heap->lock);
    return done;
}

struct mallinfo2
dlm_mspace_mallinfo2(struct dlm_heap *heap)
{
    struct alloc_stats stats;

    dlm_inspect_stats(heap, &stats);
    mtx_lock(&heap->lock);
    size_t top_size = heap->top_size;
    mtx_unlock(&heap->lock);
    return (struct mallinfo2){
        .arena = stats.mapped_size - stats.direct_size,
        .ordblks = stats.free_count,
        .hblks = stats.direct_count,
        .hblkhd = stats.direct_size,
        .usmblks = stats.mapped_peak,
        .uordblks = stats.used_size,
        .fordblks = stats.free_size,
        .keepcost = top_size,
    };
}

void
dlm_mspace_check(struct dlm_heap *heap)
{
    dlm_inspect_check(heap);
}

void **
dlm_mspace_independent_calloc(
    struct dlm_heap *heap, size_t count, size_t size, void **blocks)
{
    return dlm_bulk_take_equal(heap, count, size, blocks);
}

void **
dlm_mspace_independent_comalloc(
    struct dlm_heap *heap, size_t count, const size_t *sizes, void **blocks)
{
    return dlm_bulk_take(heap, count, sizes, blocks);
}

void
dlm_mspace_bulk_free(struct dlm_heap *heap, void **blocks, size_t count)
{
    dlm_bulk_give(heap, blocks, count);
}
