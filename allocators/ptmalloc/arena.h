/*
 * arena.h - chunks under one lock: bins and top
 *
 *     tcache --(batch)--> returned (returned.h) ----+
 *     tcache <--(batch)-- bins, top  <--------------+  <-- subheap
 *
 * An arena cuts its subheaps into chunks. Free ones are in its bins, or are the
 * top; one that is freed is joined with its free neighbours first.
 *
 * Concurrency: functions ending in _locked want arena.lock, of rank MTX_ARENA.
 * Failure: NULL when out of memory. A chunk whose size, links or neighbours
 * cannot be right is misuse, and fatal.
 * Design: Lea, "A Memory Allocator" (1996); Gloger, ptmalloc; glibc wiki,
 * "MallocInternals".
 */
#pragma once

#include <stdatomic.h>

#include "base/sync.h"
#include "ptmalloc/bins.h"
#include "ptmalloc/cached.h"
#include "ptmalloc/top.h"

/* The largest request an arena serves; larger ones get mappings. */
#define PTM_ARENA_REQUEST_MAX (PTM_SUBHEAP_SIZE / 2)

struct ptm_heap;

struct ptm_arena {
    struct mtx lock;
    struct ptm_heap *heap;                             /* for good */
    unsigned index;                                    /* for good */
    _Atomic unsigned thread_count;                     /* caches bound to it */
    struct ptm_top top;                                /* [lock] */
    struct ptm_bins bins;                              /* [lock] */
    _Alignas(CACHE_LINE) _Atomic size_t returned_size; /* on the stacks, by
                                                     their bins' sizes */
    /* A batch and its count, one stack a cache bin: see returned.c. */
    _Atomic(uintptr_t) returned[PTM_CACHE_BINS];
};

/* An arena in the subheap that it makes; NULL when out of memory. */
struct ptm_arena *ptm_arena_new(struct ptm_heap *heap, unsigned index);
void ptm_arena_delete(struct ptm_arena *arena); /* with all its blocks */

/* A used chunk of that size, a multiple of 16 up to PTM_ARENA_REQUEST_MAX, from
 * what the arena has; NULL if it would have to grow. */
struct chunk *ptm_arena_take_locked(struct ptm_arena *arena, size_t size)
    REQUIRES(arena->lock);
/* The same, and it grows. */
struct chunk *ptm_arena_alloc_locked(struct ptm_arena *arena, size_t size)
    REQUIRES(arena->lock);
/* The same with its block at a multiple of align. */
struct chunk *ptm_arena_alloc_aligned_locked(
    struct ptm_arena *arena, size_t align, size_t size) REQUIRES(arena->lock);
void ptm_arena_free_locked(struct ptm_arena *arena, struct chunk *chunk)
    REQUIRES(arena->lock);
/* Changes a used chunk's size where it stands. */
bool ptm_arena_resize_locked(struct ptm_arena *arena, struct chunk *chunk,
    size_t size) REQUIRES(arena->lock);

/* Shrinks the top to pad bytes, and purges whole pages of other free chunks.
 * True if memory went back. */
bool ptm_arena_trim_locked(struct ptm_arena *arena, size_t pad)
    REQUIRES(arena->lock);

/* Each chunk of a subheap, in order of address, the top last. */
typedef void ptm_chunk_fn(
    struct ptm_arena *arena, struct chunk *chunk, bool used, void *arg);
void ptm_arena_each_chunk_locked(struct ptm_arena *arena, ptm_chunk_fn *visit,
    void *arg) REQUIRES(arena->lock);

void ptm_arena_check(struct ptm_arena *arena); /* aborts if broken */
void ptm_arena_dump(struct ptm_arena *arena, int fd);
