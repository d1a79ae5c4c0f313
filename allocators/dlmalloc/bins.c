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

struct chunk *
dlm_bins_take_best(struct dlm_heap *heap, size_t size)
{
    struct chunk *chunk = NULL;

    if (size < DLM_SMALL_MAX) {
        chunk = take_from_small(heap, size);
    }
    return chunk != NULL ? chunk : take_from_trees(heap, size);
}
