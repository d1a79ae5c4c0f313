/*
 * returned.h - the batches that caches give back to an arena
 *
 *     tcache --(push)--> returned[bin] --(pop)--> tcache, or the arena's bins
 *
 * A batch of chunks of one cache bin goes onto a stack without the lock, whole,
 * and comes off it whole: this is what the fastbins of the classic design do one
 * chunk at a time. Chunks there count as in use to their neighbours until
 * ptm_returned_free_locked frees them in earnest.
 *
 * Concurrency: push is lock-free, any thread. The others want arena.lock: many
 * producers, one consumer.
 * Failure: a chunk whose link or size was written over is misuse, and fatal.
 * Design: Treiber, "Systems Programming: Coping with Parallelism" (1986).
 */
#pragma once

#include "ptmalloc/arena.h"

/* Gives back a batch of count cached chunks of one cache bin, linked from head. */
void ptm_returned_push(struct ptm_arena *arena, unsigned bin,
    struct ptm_cached *head, unsigned count);
/* Takes one batch, or NULL. */
struct ptm_cached *ptm_returned_pop_locked(struct ptm_arena *arena,
    unsigned bin, unsigned *count) REQUIRES(arena->lock);
/* Frees the chunks of one batch in earnest. */
void ptm_returned_free_batch_locked(struct ptm_arena *arena, unsigned bin,
    struct ptm_cached *head, unsigned count) REQUIRES(arena->lock);
/* Frees all returned batches in earnest. */
void ptm_returned_free_locked(struct ptm_arena *arena) REQUIRES(arena->lock);

/* Every chunk that lies on the stacks; under the lock none leaves. */
void ptm_returned_each_locked(struct ptm_arena *arena, ptm_cached_fn *visit,
    void *arg) REQUIRES(arena->lock);

/* Sets returned_size afresh, in a child of fork. */
void ptm_returned_recount(struct ptm_arena *arena);

/* Aborts if broken; wants the heap quiet. */
void ptm_returned_check_locked(struct ptm_arena *arena) REQUIRES(arena->lock);
