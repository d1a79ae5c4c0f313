/*
 * block.h - blocks taken, resized and given back: the user's calls on a heap
 *
 *     malloc, free, realloc ... --> block --> bins, segment, direct
 *
 * Each call is lock, body, unlock. While the process has one thread, the lock of
 * a call that needs no search and no system call is that nobody else runs: then
 * malloc and free write to nothing but chunks and the heap's bins. A block that is given back is checked first:
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

/* The same with the lock, and whatever else it takes. */
void *dlm_block_take_locked(struct dlm_heap *heap, size_t size);
void dlm_block_give_locked(struct dlm_heap *heap, void *block);

/* True if the chunk is used and whole, and lies in a segment. */
static inline bool
dlm_block_is_sound(const struct dlm_heap *heap, const struct chunk *chunk)
{
    size_t offset = (uintptr_t)chunk - heap->low;

    if (offset >= heap->span || (uintptr_t)chunk % CHUNK_ALIGN != 0) {
        return false;
    }
    size_t size = chunk_size(chunk);
    if (size > heap->span - offset ||
        (chunk->head & (DLM_USED | DLM_DIRECT)) != DLM_USED) {
        return false;
    }
    const struct chunk *next = chunk_at(chunk, size);
    return next->prev_foot == dlm_footer(heap, size) &&
           (next->head & CHUNK_PREV_USED) != 0;
}

/* malloc */
static inline void *
dlm_block_take(struct dlm_heap *heap, size_t size)
{
    if (__builtin_expect(
            size <= DLM_REQUEST_MAX && mtx_lock_alone(&heap->lock), 1)) {
        struct chunk *chunk =
            dlm_bins_take_quickly(heap, chunk_size_for(size, DLM_OVERHEAD));

        ASSERT_HEAP(dlm_inspect_sometimes(heap));
        mtx_unlock_alone(&heap->lock);
        if (__builtin_expect(chunk != NULL, 1)) {
            return chunk_block(chunk);
        }
    }
    return dlm_block_take_locked(heap, size);
}

/* free. NULL lies in no segment. */
static inline void
dlm_block_give(struct dlm_heap *heap, void *block)
{
    struct chunk *chunk = chunk_of_block(block);

    if (__builtin_expect(mtx_lock_alone(&heap->lock), 1)) {
        bool is_sound = dlm_block_is_sound(heap, chunk);

        if (__builtin_expect(is_sound, 1)) {
            dlm_bins_give(heap, chunk, chunk_size(chunk));
            ASSERT_HEAP(dlm_inspect_sometimes(heap));
            mtx_unlock_alone(&heap->lock);
            return;
        }
        mtx_unlock_alone(&heap->lock);
    }
    dlm_block_give_locked(heap, block);
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
