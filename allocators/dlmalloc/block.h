/*
 * block.h - blocks taken, resized and given back: the user's calls on a heap
 *
 *     malloc, free, realloc ... --> block --> bins, segment, direct
 *
 * Each call is lock, body, unlock. A block that is given back is checked first:
 * it must lie in the heap's bounds, its head must say that it is used, and the
 * footer behind it must be this heap's and name this size. What fails is named
 * by misuse.h.
 *
 * Concurrency: any thread, any time. Each call takes heap->lock.
 * Failure: NULL and ENOMEM, the heap unchanged. free keeps errno.
 * Design: Lea, "A Memory Allocator"; his notes on 2.8, footers.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dlmalloc/bins.h"
#include "dlmalloc/direct.h"
#include "dlmalloc/heap.h"
#include "dlmalloc/inspect.h"

/* What dlm_block_take_locked does when no free chunk is large enough. */
struct chunk *dlm_block_take_slowly(struct dlm_heap *heap, size_t size)
    REQUIRES(heap->lock);

/* Any block but a sound one in a segment. Unlocks. */
void dlm_block_give_slowly(struct dlm_heap *heap, void *block)
    RELEASES(heap->lock);

/* True if the chunk is used and whole, and lies in a segment. */
static inline bool
dlm_block_is_sound(const struct dlm_heap *heap, const struct chunk *chunk)
{
    size_t offset = (uintptr_t)chunk - heap->low;

    if (offset >= heap->span || (uintptr_t)chunk % CHUNK_ALIGN != 0) {
        return false;
    }
    size_t size = chunk_size(chunk);
    return size <= heap->span - offset &&
           (chunk->head & (DLM_USED | DLM_DIRECT)) == DLM_USED &&
           *chunk_foot(chunk, size) == dlm_footer(heap, size);
}

/* A used chunk of at least that size, from a bin, a grown top or a mapping of
 * its own; NULL when out of memory. */
static inline struct chunk *
dlm_block_take_locked(struct dlm_heap *heap, size_t size) REQUIRES(heap->lock)
{
    struct chunk *chunk = dlm_bins_take(heap, size);

    if (__builtin_expect(chunk == NULL, 0)) {
        chunk = dlm_block_take_slowly(heap, size);
    }
    ASSERT_HEAP(dlm_inspect_sometimes(heap));
    return chunk;
}

/* malloc */
static inline void *
dlm_block_take(struct dlm_heap *heap, size_t size)
{
    struct chunk *chunk = NULL;

    if (__builtin_expect(size <= DLM_REQUEST_MAX, 1)) {
        mtx_lock(&heap->lock);
        chunk = dlm_block_take_locked(heap, chunk_size_for(size, DLM_OVERHEAD));
        mtx_unlock(&heap->lock);
    }
    if (__builtin_expect(chunk == NULL, 0)) {
        errno = ENOMEM;
        return NULL;
    }
    return chunk_block(chunk);
}

/* free */
static inline void
dlm_block_give(struct dlm_heap *heap, void *block)
{
    struct chunk *chunk = chunk_of_block(block);

    if (__builtin_expect(block == NULL, 0)) {
        return;
    }
    mtx_lock(&heap->lock);
    if (__builtin_expect(!dlm_block_is_sound(heap, chunk), 0)) {
        dlm_block_give_slowly(heap, block);
        return;
    }
    dlm_bins_give(heap, chunk, chunk_size(chunk));
    ASSERT_HEAP(dlm_inspect_sometimes(heap));
    mtx_unlock(&heap->lock);
}

/* calloc, memalign, realloc, free_sized, free_aligned_sized,
 * malloc_usable_size, malloc_trim. */
void *dlm_block_take_zeroed(struct dlm_heap *heap, size_t count, size_t size);
void *dlm_block_take_aligned(struct dlm_heap *heap, size_t align, size_t size);
void *dlm_block_resize(struct dlm_heap *heap, void *block, size_t size);
void dlm_block_give_sized(struct dlm_heap *heap, void *block, size_t size);
void dlm_block_give_aligned_sized(
    struct dlm_heap *heap, void *block, size_t align, size_t size);
size_t dlm_block_usable_size(struct dlm_heap *heap, const void *block);
bool dlm_block_trim(struct dlm_heap *heap, size_t pad);
