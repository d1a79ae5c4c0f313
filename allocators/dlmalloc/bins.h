/*
 * bins.h - which free chunk serves a request, and where a freed one goes
 *
 *     take(size):  exact small bin, or the one above
 *                  victim                   where small requests are cut from
 *                  the least that fits      small bins, then tries
 *                  top                      the last resort, since it grows
 *     give(chunk): joined with free neighbours, then to its bin, or into the
 *                  victim or top beside it
 *
 * The victim is what was left when a small request was last cut from a larger
 * chunk. Requests in a row are cut from it side by side, so what is asked for
 * together lies together. Everything else is best fit.
 *
 * Concurrency: REQUIRES(heap->lock).
 * Failure: take returns NULL when no free chunk is large enough; segment.h then
 * makes top larger. Corrupted chunks are misuse.
 * Design: Lea, "A Memory Allocator", Binning, Locality; his notes on 2.8.
 */
#pragma once

#include "base/poison.h"
#include "dlmalloc/heap.h"
#include "dlmalloc/misuse.h"
#include "dlmalloc/segment.h"

/* ---- marking chunks */

/* The footer of a used chunk. It tells heaps apart, and a size that was
 * overwritten does not lead to a footer that names it. */
static inline size_t
dlm_footer(const struct dlm_heap *heap, size_t size)
{
    return heap->cookie ^ size;
}

/* A free chunk, or a part of one, becomes used. The chunk before a free one is
 * used. The next chunk's flag is the caller's. */
static inline void
dlm_chunk_use(struct dlm_heap *heap, struct chunk *chunk, size_t size)
{
    chunk->head = size | CHUNK_PREV_USED | DLM_USED;
    *chunk_foot(chunk, size) = dlm_footer(heap, size);
    poison_use(chunk_block(chunk), size - DLM_OVERHEAD);
}

/* A free chunk's links, as far as its kind of bin uses them. Under the
 * AddressSanitizer free memory is closed but for the links of chunks in bins,
 * and for every word that is or was a head or a foot: a free that comes twice
 * must find its head. */
static inline void
dlm_chunk_open_links(struct chunk *chunk, size_t size)
{
    poison_use(&chunk->link, (size < DLM_SMALL_MAX ? sizeof(struct chunk)
                                                   : sizeof(struct dlm_node)) -
                                 CHUNK_BLOCK_OFFSET);
}

static inline void
dlm_chunk_close_links(struct chunk *chunk, size_t size)
{
    poison_free(&chunk->link, (size < DLM_SMALL_MAX ? sizeof(struct chunk)
                                                    : sizeof(struct dlm_node)) -
                                  CHUNK_BLOCK_OFFSET);
}

/* Head and foot of what is left of a chunk that is cut: free, and behind a used
 * chunk. */
static inline void
dlm_chunk_rest(struct chunk *rest, size_t size)
{
    poison_use(rest, CHUNK_BLOCK_OFFSET);
    chunk_set_free(rest, size);
}

/* ---- single bins */

/* Puts a free chunk, its head and foot set, where it belongs. */
static inline void
dlm_bins_put(struct dlm_heap *heap, struct chunk *chunk, size_t size)
    REQUIRES(heap->lock)
{
    dlm_chunk_open_links(chunk, size);
    if (__builtin_expect(size < DLM_SMALL_MAX, 1)) {
        dlm_smallbin_put(&heap->small, chunk, size);
    } else {
        dlm_treebin_put(&heap->trees, chunk, size);
    }
}

static inline void
dlm_bins_remove(struct dlm_heap *heap, struct chunk *chunk, size_t size)
    REQUIRES(heap->lock)
{
    if (__builtin_expect(size < DLM_SMALL_MAX, 1)) {
        dlm_smallbin_remove(&heap->small, chunk, size);
    } else {
        dlm_treebin_remove(&heap->trees, chunk);
    }
    dlm_chunk_close_links(chunk, size);
}

/* ---- take */

static inline struct chunk *
dlm_bins_take_small(struct dlm_heap *heap, unsigned index) REQUIRES(heap->lock)
{
    struct chunk *chunk = dlm_smallbin_pop(&heap->small, index);
    size_t size = index * CHUNK_ALIGN;

    chunk_at(chunk, size)->head |= CHUNK_PREV_USED;
    dlm_chunk_use(heap, chunk, size);
    return chunk;
}

static inline struct chunk *
dlm_bins_take_victim(struct dlm_heap *heap, size_t size) REQUIRES(heap->lock)
{
    struct chunk *chunk = heap->victim;
    size_t rest_size = heap->victim_size - size;

    if (rest_size >= CHUNK_MIN_SIZE) {
        struct chunk *rest = chunk_at(chunk, size);

        dlm_chunk_rest(rest, rest_size);
        heap->victim = rest;
        heap->victim_size = rest_size;
    } else {
        size = heap->victim_size;
        chunk_at(chunk, size)->head |= CHUNK_PREV_USED;
        heap->victim = NULL;
        heap->victim_size = 0;
    }
    dlm_chunk_use(heap, chunk, size);
    return chunk;
}

static inline struct chunk *
dlm_bins_take_top(struct dlm_heap *heap, size_t size) REQUIRES(heap->lock)
{
    struct chunk *chunk = heap->top;

    heap->top = chunk_at(chunk, size);
    heap->top_size -= size;
    poison_use(heap->top, CHUNK_BLOCK_OFFSET);
    heap->top->head = heap->top_size | CHUNK_PREV_USED;
    dlm_chunk_use(heap, chunk, size);
    return chunk;
}

/* The steps of take that need no search; NULL when they do not serve. */
static inline struct chunk *
dlm_bins_take_quickly(struct dlm_heap *heap, size_t size) REQUIRES(heap->lock)
{
    uint64_t larger = heap->trees.map;
    size_t victim_size = heap->victim_size;

    if (size < DLM_SMALL_MAX) {
        unsigned index = dlm_smallbin_index(size);
        uint64_t bits = heap->small.map >> index;

        if ((bits & 3) != 0) {
            return dlm_bins_take_small(heap, index + (unsigned)(~bits & 1));
        }
        larger = size > victim_size ? larger | bits : 0;
    }
    if (larger != 0) {
        return NULL;
    }
    if (size <= victim_size) {
        return dlm_bins_take_victim(heap, size);
    }
    return size + CHUNK_MIN_SIZE <= heap->top_size
               ? dlm_bins_take_top(heap, size)
               : NULL;
}

/* A used chunk of at least that size, or NULL. */
struct chunk *dlm_bins_take(struct dlm_heap *heap, size_t size)
    REQUIRES(heap->lock);

/* ---- give */

/* Each of these does the rest of give, so that give calls nothing on its way
 * and returns to nothing: the commonest cases need no stack. */
void dlm_bins_give_behind_free(struct dlm_heap *heap, struct chunk *chunk,
    size_t size) REQUIRES(heap->lock);
void dlm_bins_give_before_free(struct dlm_heap *heap, struct chunk *chunk,
    size_t size) REQUIRES(heap->lock);
void dlm_bins_give_large(struct dlm_heap *heap, struct chunk *chunk,
    size_t size) REQUIRES(heap->lock);
void dlm_bins_give_much(struct dlm_heap *heap) REQUIRES(heap->lock);

/* Gives a chunk that nothing free is before. Joins it to what is behind, or
 * puts it into a bin. */
static inline void
dlm_bins_give_behind_used(struct dlm_heap *heap, struct chunk *chunk,
    size_t size) REQUIRES(heap->lock)
{
    struct chunk *next = chunk_at(chunk, size);

    if ((next->head & DLM_USED) != 0) {
        next->head &= ~CHUNK_PREV_USED;
        chunk_set_free(chunk, size);
        if (size >= DLM_SMALL_MAX) {
            dlm_bins_give_large(heap, chunk, size);
            return;
        }
        dlm_bins_put(heap, chunk, size);
    } else if (next == heap->victim) {
        heap->victim = chunk;
        heap->victim_size += size;
        chunk_set_free(chunk, heap->victim_size);
    } else if (next == heap->top) {
        heap->top = chunk;
        heap->top_size += size;
        chunk->head = heap->top_size | CHUNK_PREV_USED;
        if (__builtin_expect(heap->top_size > heap->tuning.trim_threshold, 0)) {
            dlm_bins_give_much(heap);
        }
    } else {
        dlm_bins_give_before_free(heap, chunk, size);
    }
}

/* Frees a used chunk of that size. */
static inline void
dlm_bins_give(struct dlm_heap *heap, struct chunk *chunk, size_t size)
    REQUIRES(heap->lock)
{
    poison_free(chunk_block(chunk), size - DLM_OVERHEAD);
    if ((chunk->head & CHUNK_PREV_USED) == 0) {
        dlm_bins_give_behind_free(heap, chunk, size);
    } else {
        dlm_bins_give_behind_used(heap, chunk, size);
    }
}

/* Takes a free chunk out of its bin that is neither the victim nor top, once
 * its foot has been checked. */
void dlm_bins_remove_checked(struct dlm_heap *heap, struct chunk *chunk)
    REQUIRES(heap->lock);
