/*
 * block.h - one block's life on a heap: taken, resized, given back
 *
 *     ptm_malloc ... --> block --> tcache, arena, direct
 *
 * The malloc family without its argument checks and errno. A heap and the
 * caller's cache on it come together; the cache is NULL for a thread that must
 * do without.
 *
 * Concurrency: any thread; the cache is the caller's own.
 * Failure: NULL when out of memory, with nothing changed. A block that cannot be
 * one of this heap is misuse, and fatal.
 * Design: glibc wiki, "MallocInternals", "Malloc Algorithm", "Free Algorithm",
 * "Realloc Algorithm".
 */
#pragma once

#include "ptmalloc/heap.h"

/* A block of at least size bytes at a multiple of align (a power of two). */
void *ptm_block_take(struct ptm_heap *heap, struct ptm_tcache *tcache,
    size_t size, size_t align, bool zero);
void ptm_block_give(
    struct ptm_heap *heap, struct ptm_tcache *tcache, void *block);
/* A block of that size with the old one's contents; the old one is gone. */
void *ptm_block_resize(
    struct ptm_heap *heap, struct ptm_tcache *tcache, void *block, size_t size);
/* Whether a request of that size may have got the block. */
bool ptm_block_is_of(const void *block, size_t size);
size_t ptm_block_usable_size(struct ptm_heap *heap, const void *block);
