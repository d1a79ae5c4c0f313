/*
 * heap.h - all the state of one heap
 *
 *     dlm_main, or dlm_heap_open() --> struct dlm_heap
 *         bins, victim, top            free chunks, by how they are found
 *         segments                     what chunks are cut from
 *         directs                      blocks with mappings of their own
 *
 * Used chunks are in no list: they are found from their blocks, and by walking
 * the segments. The process's own heap is static and starts itself at its first
 * allocation; zeroes are a sound empty heap.
 *
 * Concurrency: one lock a heap, of rank MTX_ARENA, guards all of it.
 * Failure: open returns NULL when out of memory.
 * Design: Lea, "A Memory Allocator"; his mspaces.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sync.h"
#include "dlmalloc/smallbin.h"
#include "dlmalloc/treebin.h"
#include "dlmalloc/tuning.h"
#include "parts/chunk.h"
#include "parts/list.h"
#include "parts/tree.h"

/* The flags that chunk.h leaves to the design. */
#define DLM_USED   CHUNK_FLAG_2
#define DLM_DIRECT CHUNK_FLAG_4 /* and DLM_USED: a mapping of its own */
#define DLM_END    (DLM_USED | DLM_DIRECT) /* in a segment: its end mark */

/* A used chunk's head and footer. */
#define DLM_OVERHEAD CHUNK_OVERHEAD_FOOT

/* No request is larger: every size computed from one then fits. */
#define DLM_REQUEST_MAX ((size_t)PTRDIFF_MAX)

struct dlm_heap {
    struct mtx lock;

    /* [lock] What nearly every call needs, in cache lines that threads which
     * spin on the lock leave alone. */
    _Alignas(CACHE_LINE) size_t cookie; /* 0: not started */
    uintptr_t low;                      /* no chunk is below */
    size_t span;                        /* nor at low + span or above */
    size_t victim_size;                 /* the designated victim: */
    struct chunk *victim;               /* NULL when victim_size is 0 */
    size_t top_size;
    struct chunk *top; /* the end of the newest segment */
    struct dlm_smallbins small;
    struct dlm_treebins trees;

    /* [lock] */
    struct dlm_tuning tuning;
    struct dlm_segment *top_segment;
    struct list segments; /* newest first */
    struct tree directs;  /* by address */
    size_t own_size;      /* of the mapping that holds this; 0 for dlm_main */
    size_t mapped_size, mapped_peak;
    size_t direct_size;
    unsigned check_countdown; /* until the next assertion walks it all */

    struct list others; /* [the registry's lock] all heaps */
};

extern struct dlm_heap dlm_main;

/* Makes a heap of zeroes ready: its bins, its cookie. */
void dlm_heap_start(struct dlm_heap *heap) REQUIRES(heap->lock);

struct dlm_heap *dlm_heap_open(void);
void dlm_heap_close(struct dlm_heap *heap);

/* Counts memory that came from the OS, or went back. */
void dlm_heap_count(struct dlm_heap *heap, size_t got, size_t given)
    REQUIRES(heap->lock);

/* True if a block of another heap begins there; for misuse reports. */
bool dlm_heap_is_stranger(const struct dlm_heap *heap, const void *block);
