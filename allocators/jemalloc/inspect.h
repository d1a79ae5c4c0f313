/*
 * inspect.h - statistics, walks and dumps of a heap
 *
 *     heap: arenas, regions, extents, tcaches --> inspect --> numbers, pieces
 *
 * Concurrency: wants the heap quiet for exact numbers and for any walk.
 * Failure: none.
 * Design: alloc.h for the forms; glibc's manual for mallinfo2.
 */
#pragma once

#include "alloc.h"
#include "jemalloc/heap.h"

void jem_inspect_stats(struct jem_heap *heap, struct alloc_stats *stats);
void jem_inspect_walk(struct jem_heap *heap, alloc_walk_fn *visit, void *arg);
void jem_inspect_dump(struct jem_heap *heap, int fd);
