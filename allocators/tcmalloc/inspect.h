/*
 * inspect.h - statistics, walks, dumps and checks of a whole heap
 *
 *     heap: page map, spans, transfers, fronts --> inspect --> numbers, pieces
 *
 * Concurrency: wants the heap quiet for exact numbers, for a walk and a check.
 * Failure: none; a check aborts.
 * Design: alloc.h for the forms; glibc's manual for mallinfo2.
 */
#pragma once

#include "alloc.h"
#include "tcmalloc/heap.h"

void tcm_inspect_stats(struct tcm_heap *heap, struct alloc_stats *stats);
void tcm_inspect_walk(struct tcm_heap *heap, alloc_walk_fn *visit, void *arg);
void tcm_inspect_check(struct tcm_heap *heap);
void tcm_inspect_dump(struct tcm_heap *heap, int fd);
