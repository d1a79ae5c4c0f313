/*
 * bulk.h - many blocks at once
 *
 * independent_calloc and independent_comalloc make blocks that lie side by side,
 * cut from one chunk under one lock; each may be resized and freed alone. They
 * serve structures whose parts live together: a list's nodes, a record's
 * arrays. bulk_free frees an array of blocks under one lock.
 *
 * Concurrency: any thread, any time. Each call takes heap->lock.
 * Failure: NULL and ENOMEM, and no block is made.
 * Design: Lea, notes on 2.8: independent_calloc, independent_comalloc,
 * bulk_free.
 */
#pragma once

#include <stddef.h>

#include "dlmalloc/heap.h"

/* count zeroed blocks of size bytes each, their addresses in blocks[]. If that
 * is NULL, the array is a block too, which the caller frees. Returns it. */
void **dlm_bulk_take_equal(
    struct dlm_heap *heap, size_t count, size_t size, void **blocks);

/* The same with a size for each, and not zeroed. */
void **dlm_bulk_take(
    struct dlm_heap *heap, size_t count, const size_t *sizes, void **blocks);

/* Frees the blocks that are not NULL and sets the elements to NULL. */
void dlm_bulk_give(struct dlm_heap *heap, void **blocks, size_t count);
