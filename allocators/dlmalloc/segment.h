/*
 * segment.h - the memory that chunks are cut from
 *
 *     reserved: addresses                                      given to top
 *     +---------+---------+---------+----- - - ---+----------+ when it grows
 *     | segment | chunk   | chunk   | ...     top | end mark |- - - - - - - -
 *     +---------+---------+---------+----- - - ---+----------+
 *     committed: memory ------------------------------------>
 *
 * A segment reserves far more addresses than it has memory, so that top grows
 * in place, as it would by sbrk, but with a place of its own for each heap: a
 * block beside top can grow by realloc without being copied. The newest
 * segment's last free chunk is top. The end mark is a used chunk's head that
 * holds the segment's address, so that joining stops there and the last chunk
 * knows its segment.
 *
 * Concurrency: REQUIRES(heap->lock).
 * Failure: false when the OS has no memory; the heap is unchanged.
 * Design: Lea, "A Memory Allocator", Wilderness preservation, Memory mapping.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dlmalloc/heap.h"

/* Free chunks of at least this size are looked at: are they a whole segment? */
#define DLM_RELEASE_MIN ((size_t)1 << 20)

struct dlm_segment {
    struct list link; /* in heap->segments */
    size_t reserved_size;
    size_t committed_size; /* of it, from the start */
};

static inline struct dlm_segment *
dlm_segment_of(struct list *link)
{
    return LIST_OF(link, struct dlm_segment, link);
}

static inline struct chunk *
dlm_segment_first(const struct dlm_segment *segment)
{
    return chunk_at(segment, sizeof(struct dlm_segment));
}

/* The end mark. */
static inline struct chunk *
dlm_segment_end(const struct dlm_segment *segment)
{
    return chunk_at(segment, segment->committed_size - CHUNK_BLOCK_OFFSET);
}

/* Makes top large enough for a chunk of that size, in place or, beyond what
 * its segment has reserved, in a new segment. */
bool dlm_segment_grow(struct dlm_heap *heap, size_t size) REQUIRES(heap->lock);

/* The same, but in place only. */
bool dlm_segment_extend(struct dlm_heap *heap, size_t size)
    REQUIRES(heap->lock);

/* Gives memory at the end of top back, but for pad bytes. True if any was. */
bool dlm_segment_trim(struct dlm_heap *heap, size_t pad) REQUIRES(heap->lock);

/* Gives back the pages inside free chunks of the tries. True if any were. */
bool dlm_segment_purge(struct dlm_heap *heap) REQUIRES(heap->lock);

/* A large free chunk, in its bin: gives its segment back if that is all free
 * and not the one that top is in. */
void dlm_segment_release(struct dlm_heap *heap, struct chunk *chunk,
    size_t size) REQUIRES(heap->lock);

/* A mapping that the OS would not take back becomes a segment, all free. */
void dlm_segment_adopt(struct dlm_heap *heap, void *addr, size_t size)
    REQUIRES(heap->lock);

/* The segment whose chunks lie around addr, or NULL. */
struct dlm_segment *dlm_segment_holding(
    const struct dlm_heap *heap, const void *addr);
