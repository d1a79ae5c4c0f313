/*
 * block.h - one block's life on a heap: taken, resized, given back
 *
 *     jem_malloc ... --> block --> tcache --> arena
 *
 * The malloc family without its argument checks and errno. Sizes are at most
 * JEM_SIZE_MAX; a heap and the caller's cache on it come together, and the
 * cache is NULL for a thread that must do without.
 *
 * Concurrency: any thread; the cache is the caller's own.
 * Failure: NULL when out of memory, with nothing changed. An address that is no
 * block of this heap is misuse, and fatal.
 * Design: jemalloc(3), "Implementation notes".
 */
#pragma once

#include "jemalloc/heap.h"

/* A block of at least size bytes at a multiple of align (a power of two). */
void *jem_block_take(struct jem_heap *heap, struct jem_tcache *tcache,
    size_t size, size_t align, bool zero);
/* The same; what the cache, which may be NULL, does not serve comes from that
 * arena. */
void *jem_block_take_from(struct jem_heap *heap, struct jem_tcache *tcache,
    struct jem_arena *arena, size_t size, size_t align, bool zero);
void jem_block_give(
    struct jem_heap *heap, struct jem_tcache *tcache, void *block);
/* The same block if it can stay: always when the class stays; a large one
 * also when its neighbour allows. */
bool jem_block_resize(struct jem_heap *heap, void *block, size_t size);
bool jem_block_resize_to(
    struct jem_heap *heap, void *block, unsigned size_class);
/* The bytes of a block that its holder may use; of any block of this heap. */
size_t jem_block_size(struct jem_heap *heap, const void *block);
/* True when a block of that size and alignment would be of this one's class; a
 * sampled small block is of the least large one. */
bool jem_block_serves(
    struct jem_heap *heap, const void *block, size_t size, size_t align);
/* The class of a block, checked to be one of this heap; not of a guarded one. */
unsigned jem_block_class(struct jem_heap *heap, const void *block);

/* The class that serves size at a multiple of align; JEM_CLASS_NONE when none
 * can. A small class is chosen only if all its regions are so aligned. */
unsigned jem_block_class_for(size_t size, size_t align);

/* From now on the bytes of the blocks that the calling thread takes and gives
 * on the process's heap are counted, in its cache, which is turned off. */
void jem_block_count(struct jem_tcache *tcache);
