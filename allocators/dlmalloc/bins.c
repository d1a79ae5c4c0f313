/*
 * bins.c - which free chunk serves a request: the ways past the first
 * (contract: bins.h)
 *
 * A small request that no bin fits exactly is cut from the least chunk that is
 * larger, and the rest becomes the victim, so that the requests that follow are
 * cut from the same place. A large one is best fit, the victim included, and
 * its rest goes to its bin: there is no locality to gain.
 *
 * First fit with a roving pointer, Knuth's, would be quicker still, but best
 * fit wastes less in all of Lea's and others' measurements.
 *
 * Invariants, whenever the lock is free; inspect.c asserts them:
 *   I1  Free chunks have no free neighbours, top included.
 *   I2  A free chunk is in exactly one place: its bin, the victim or top.
 *   I3  top_size is at least CHUNK_MIN_SIZE when there is a top, so that top
 *       can be retired to a bin.
 */
#include "dlmalloc/bins.h"

/* The rest of a cut chunk becomes the victim; the old one goes to its bin. */
static void
replace_victim(struct dlm_heap *heap, struct chunk *rest, size_t size)
    REQUIRES(heap->lock)
{
    if (heap->victim_size != 0) {
        dlm_bins_put(heap, heap->victim, heap->victim_size);
    }
    heap->victim = rest;
    heap->victim_size = size;
}

/* Cuts a chunk that is out of its bin. */
static struct chunk *
cut(struct dlm_heap *heap, struct chunk *chunk, size_t size, bool is_small)
    REQUIRES(heap->lock)
{
    size_t rest_size = chunk_size(chunk) - size;

    if (rest_size < CHUNK_MIN_SIZE) {
        size += rest_size;
        chunk_at(chunk, size)->head |= CHUNK_PREV_USED;
    } else {
        struct chunk *rest = chunk_at(chunk, size);

        dlm_chunk_rest(rest, rest_size);
        if (is_small) {
            replace_victim(heap, rest, rest_size);
        } else {
            dlm_bins_put(heap, rest, rest_size);
        }
    }
    dlm_chunk_use(heap, chunk, size);
    return chunk;
}

static struct chunk *
take_from_small(struct dlm_heap *heap, size_t size) REQUIRES(heap->lock)
{
    unsigned index = dlm_smallbin_index(size);
    uint64_t bits = heap->small.map >> index;

    if (bits == 0) {
        return NULL;
    }
    index += (unsigned)__builtin_ctzl(bits);
    return cut(heap, dlm_smallbin_pop(&heap->small, index), size, true);
}

static struct chunk *
take_from_trees(struct dlm_heap *heap, size_t size) REQUIRES(heap->lock)
{
    struct chunk *chunk = dlm_treebin_find(&heap->trees, size);
    bool is_small = size < DLM_SMALL_MAX;

    if (chunk == NULL || (!is_small && heap->victim_size >= size &&
                             heap->victim_size < chunk_size(chunk))) {
        return NULL;
    }
    if (chunk->head != (chunk_size(chunk) | CHUNK_PREV_USED) ||
        !chunk_foot_matches(chunk)) {
        dlm_misuse_free(chunk);
    }
    dlm_treebin_remove(&heap->trees, chunk);
    return cut(heap, chunk, size, is_small);
}

/* From the small bins above and the tries. NULL when none fits better than the
 * victim. */
static struct chunk *
take_best(struct dlm_heap *heap, size_t size) REQUIRES(heap->lock)
{
    struct chunk *chunk = NULL;

    if (size < DLM_SMALL_MAX) {
        chunk = take_from_small(heap, size);
    }
    return chunk != NULL ? chunk : take_from_trees(heap, size);
}

struct chunk *
dlm_bins_take(struct dlm_heap *heap, size_t size)
{
    struct chunk *chunk = dlm_bins_take_quickly(heap, size);

    if (chunk == NULL) {
        chunk = take_best(heap, size);
    }
    if (chunk == NULL && size <= heap->victim_size) {
        chunk = dlm_bins_take_victim(heap, size);
    }
    if (chunk == NULL && size + CHUNK_MIN_SIZE <= heap->top_size) {
        chunk = dlm_bins_take_top(heap, size);
    }
    return chunk;
}

/* ---- give */

/* Puts a chunk of which all neighbours are used into its bin. */
static void
put_joined(struct dlm_heap *heap, struct chunk *chunk, size_t size)
    REQUIRES(heap->lock)
{
    chunk_set_free(chunk, size);
    dlm_bins_put(heap, chunk, size);
    if (size >= DLM_RELEASE_MIN) {
        dlm_segment_release(heap, chunk, size);
    }
}

void
dlm_bins_give_large(struct dlm_heap *heap, struct chunk *chunk, size_t size)
{
    put_joined(heap, chunk, size);
}

void
dlm_bins_give_much(struct dlm_heap *heap)
{
    (void)dlm_segment_trim(heap, heap->tuning.top_pad);
}

void
dlm_bins_remove_checked(struct dlm_heap *heap, struct chunk *chunk)
{
    if (!chunk_foot_matches(chunk)) {
        dlm_misuse_free(chunk);
    }
    dlm_bins_remove(heap, chunk, chunk_size(chunk));
}

void
dlm_bins_give_before_free(
    struct dlm_heap *heap, struct chunk *chunk, size_t size)
{
    struct chunk *next = chunk_at(chunk, size);

    dlm_bins_remove_checked(heap, next);
    put_joined(heap, chunk, size + chunk_size(next));
}

/* The victim, which begins at chunk, has grown to size. */
static void
give_to_victim(struct dlm_heap *heap, struct chunk *chunk, size_t size)
    REQUIRES(heap->lock)
{
    struct chunk *next = chunk_at(chunk, size);

    if (next == heap->top) {
        heap->victim = NULL;
        heap->victim_size = 0;
        dlm_bins_give_behind_used(heap, chunk, size);
        return;
    }
    if ((next->head & DLM_USED) != 0) {
        next->head &= ~CHUNK_PREV_USED;
    } else {
        dlm_bins_remove_checked(heap, next);
        size += chunk_size(next);
    }
    chunk_set_free(chunk, size);
    heap->victim_size = size;
}

/* A free chunk in a bin has grown to size, at its end. */
static void
give_to_binned(struct dlm_heap *heap, struct chunk *chunk, size_t old_size,
    size_t size) REQUIRES(heap->lock)
{
    struct chunk *next = chunk_at(chunk, size);

    /* Blocks freed in the order of their addresses make one chunk grow. */
    if (old_size >= DLM_SMALL_MAX && size < DLM_RELEASE_MIN &&
        (next->head & DLM_USED) != 0 &&
        dlm_treebin_can_grow(&heap->trees, chunk, size)) {
        next->head &= ~CHUNK_PREV_USED;
        chunk_set_free(chunk, size);
        return;
    }
    dlm_bins_remove(heap, chunk, old_size);
    dlm_bins_give_behind_used(heap, chunk, size);
}

/* The head left behind says that no chunk begins there. */
void
dlm_bins_give_behind_free(
    struct dlm_heap *heap, struct chunk *chunk, size_t size)
{
    size_t prev_size = chunk->prev_foot;
    struct chunk *prev = chunk_at(chunk, -prev_size);

    if ((uintptr_t)prev - heap->low >= heap->span ||
        (uintptr_t)prev % CHUNK_ALIGN != 0 ||
        prev->head != (prev_size | CHUNK_PREV_USED)) {
        dlm_misuse_free(prev);
    }
    chunk->head = 0;
    if (prev == heap->victim) {
        give_to_victim(heap, prev, prev_size + size);
    } else {
        give_to_binned(heap, prev, prev_size, prev_size + size);
    }
}
