/*
 * inspect.h - statistics, walks and dumps of a heap
 *
 *     heap: arenas, chunks, tcaches, direct mappings --> inspect --> numbers
 *
 * Concurrency: takes the arenas' locks one after the other; wants the heap quiet
 * for numbers that belong together and for any walk.
 * Failure: none.
 * Design: alloc.h for the forms; glibc manual, "Statistics of Malloc".
 */
#pragma once

#include "alloc.h"
#include "ptmalloc/heap.h"

void ptm_inspect_stats(struct ptm_heap *heap, struct alloc_stats *stats);
void ptm_inspect_walk(struct ptm_heap *heap, alloc_walk_fn *visit, void *arg);
/* Aborts unless the statistics balance; wants the heap quiet. */
void ptm_inspect_check(struct ptm_heap *heap);
void ptm_inspect_dump(struct ptm_heap *heap, int fd);
