/*
 * direct.h - large blocks, each in a mapping of its own
 *
 *     +---------------+-----------+-------------------------+--------+
 *     | struct direct | head      | the user's bytes ...    | footer |
 *     +---------------+-----------+-------------------------+--------+
 *     start of a page       block ^                   end of a page ^
 *
 * Such a block never touches the bins. It goes back to the OS when it is freed
 * and is moved by mremap, page tables instead of bytes, when it is resized. It
 * costs system calls and page faults, so only large blocks are made so, and the
 * threshold rises when they turn out to be short-lived.
 *
 * They are in a tree by address: heap checks, walks and close reach them, and a
 * pointer is known to be one before it is followed.
 *
 * Concurrency: REQUIRES(heap->lock).
 * Failure: NULL when the OS refuses; the heap is unchanged.
 * Design: Lea, "A Memory Allocator", Memory mapping; mremap(2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dlmalloc/heap.h"

struct dlm_direct {
    struct tree_node node; /* in heap->directs */
    size_t mapped_size;
    struct chunk *chunk; /* in the first page, its head DLM_DIRECT */
};

static inline struct dlm_direct *
dlm_direct_of(const struct tree_node *node)
{
    return TREE_OF(node, struct dlm_direct, node);
}

/* Makes the tree of a new heap. */
void dlm_direct_init(struct dlm_heap *heap);

/* True if a request for a chunk of that size is to have its own mapping. */
static inline bool
dlm_direct_wanted(const struct dlm_heap *heap, size_t size)
{
    return size >= heap->tuning.mmap_threshold &&
           heap->directs.count < heap->tuning.mmap_max;
}

/* A block whose address is a multiple of align, a power of two. Its bytes are
 * zero. */
struct chunk *dlm_direct_take(struct dlm_heap *heap, size_t size, size_t align)
    REQUIRES(heap->lock);

/* The mapping that addr lies in, or NULL. Touches no memory at addr. */
struct dlm_direct *dlm_direct_holding(
    const struct dlm_heap *heap, const void *addr);

/* True if head and footer of the block are as they must be. */
bool dlm_direct_is_sound(
    const struct dlm_heap *heap, const struct dlm_direct *direct);

/* Resizes to a chunk of at least that size; the mapping may move. NULL: not
 * done. */
struct chunk *dlm_direct_resize(struct dlm_heap *heap,
    struct dlm_direct *direct, size_t size) REQUIRES(heap->lock);

/* What the least mapping for a chunk of that size would be, where this is. */
size_t dlm_direct_size_for(const struct dlm_direct *direct, size_t size);

/* Out of the heap: the mapping is the caller's. */
void dlm_direct_leave(struct dlm_heap *heap, struct dlm_direct *direct)
    REQUIRES(heap->lock);
