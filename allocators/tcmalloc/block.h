/*
 * block.h - one block taken, resized, given back: the slow way of every call
 *
 *     malloc, free, realloc --> block --> front, transfer, page heap
 *
 * Concurrency: any thread.
 * Failure: NULL or false when out of memory or too large, nothing changed; errno
 * is the caller's business. Misuse ends in tcm_misuse().
 * Design: docs/designs/tcmalloc.md, "The life of one block".
 */
#pragma once

#include "base/poison.h"
#include "tcmalloc/heap.h"

/* Allocations on the process's heap are sampled. Relaxed: who sees it and has not
 * started the heap has a new sampler, and comes the slow way. */
extern _Atomic bool tcm_block_counted;
/* The calling thread's, on the process's heap. */
extern _Thread_local struct sampler tcm_block_sampler TLS_INITIAL_EXEC;

/* align is a power of two. */
void *tcm_block_take(
    struct tcm_heap *heap, size_t size, size_t align, bool zero);
void tcm_block_give(struct tcm_heap *heap, void *block); /* not NULL */

/* The usable size of a live block. */
size_t tcm_block_size(struct tcm_heap *heap, const void *block);
/* True when the block may keep its place and now serves the new size. */
bool tcm_block_resize(struct tcm_heap *heap, void *block, size_t size);

/* An object comes into use, or rests in a cache or span: nobody may touch it. */
static inline void
tcm_block_use(void *object, unsigned size_class)
{
    poison_use(object, tcm_classes[size_class].size);
}

static inline void
tcm_block_rest(void *object, unsigned size_class)
{
    poison_free(object, tcm_classes[size_class].size);
}
