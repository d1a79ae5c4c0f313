/*
 * inspect.h - checks, walks, statistics and dumps of a whole heap
 *
 *     alloc_ops.check, .walk, .stats, .dump --> inspect --> segments, directs
 *
 * Nothing is counted while blocks come and go, but bytes got from the OS: all
 * figures are read off the chunks.
 *
 * Concurrency: takes heap->lock, except walk, which wants the heap quiet: its
 * visitor may ask the heap questions, but not change it.
 * Failure: check aborts when an invariant does not hold.
 */
#pragma once

#include <stddef.h>

#include "alloc.h"
#include "dlmalloc/heap.h"

void dlm_inspect_check(struct dlm_heap *heap);
void dlm_inspect_stats(struct dlm_heap *heap, struct alloc_stats *stats);
void dlm_inspect_walk(struct dlm_heap *heap, alloc_walk_fn *visit, void *arg);
void dlm_inspect_dump(struct dlm_heap *heap, int fd);

/* The check, as an assertion: once in as many calls as there were chunks, so
 * that it costs each call the same few steps however large the heap is. */
void dlm_inspect_sometimes(struct dlm_heap *heap) REQUIRES(heap->lock);
