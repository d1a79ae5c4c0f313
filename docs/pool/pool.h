/*
 * pool.h - a small allocator, the subject of the example in docs/observe.md
 *
 * Blocks of up to POOL_BLOCK bytes, from a stack of cells under a spinlock.
 *
 * Concurrency: any thread, any time.
 * Failure: pool_malloc returns NULL with ENOMEM when the pool is empty or the
 * size is too large.
 */
#pragma once

#include <stddef.h>

#define POOL_BLOCK 512

void *pool_malloc(size_t size);
void pool_free(void *block);
