/*
 * misuse.c - the caller's mistakes, named (contract: misuse.h)
 *
 * A pointer that fails the checks is looked for: in which segment, and between
 * which heads. The walk from the segment's first chunk trusts no size that
 * would lead out of the segment, so it ends even in a heap full of rubbish.
 */
#include "dlmalloc/misuse.h"

#include <stdint.h>

#include "base/check.h"
#include "dlmalloc/bins.h"
#include "dlmalloc/direct.h"
#include "dlmalloc/segment.h"

#define DESIGN "dlmalloc"

void
dlm_misuse_wrong(const char *what, const void *block)
{
    check_misuse(DESIGN, what, block);
}

void
dlm_misuse_free(const struct chunk *chunk)
{
    check_misuse(DESIGN, "corrupted free chunk", chunk_block(chunk));
}

/* The chunk that lies around addr, from head to head; NULL when a size before
 * it is out of bounds. */
static const struct chunk *
find_around(const struct dlm_segment *segment, const void *addr)
{
    const struct chunk *chunk = dlm_segment_first(segment);
    const struct chunk *end = dlm_segment_end(segment);

    for (;;) {
        size_t size = chunk_size(chunk);

        if (size > (uintptr_t)end - (uintptr_t)chunk || size < CHUNK_MIN_SIZE) {
            return (uintptr_t)chunk == (uintptr_t)addr ? chunk : NULL;
        }
        if ((uintptr_t)addr - (uintptr_t)chunk < size) {
            return chunk;
        }
        chunk = chunk_next(chunk);
    }
}

/* A size is believed when it leads to the next chunk's head: from there a walk
 * reaches the segment's end. */
static bool
leads_to_end(const struct dlm_segment *segment, const struct chunk *chunk)
{
    const struct chunk *end = dlm_segment_end(segment);

    while (chunk != end) {
        size_t size = chunk_size(chunk);

        if (size > (uintptr_t)end - (uintptr_t)chunk || size < CHUNK_MIN_SIZE) {
            return false;
        }
        chunk = chunk_next(chunk);
    }
    return true;
}

/* Head and footer agree: then it is the head behind them that was written. */
static bool
is_whole(const struct dlm_heap *heap, const struct dlm_segment *segment,
    const struct chunk *chunk)
{
    size_t size = chunk_size(chunk);

    return size <= (uintptr_t)dlm_segment_end(segment) - (uintptr_t)chunk &&
           (chunk->head & DLM_USED) != 0 &&
           *chunk_foot(chunk, size) == dlm_footer(heap, size);
}

/* The word behind the chunk is the footer of one that ends there too: then it
 * is the size that is wrong. */
static bool
footer_is_anothers(const struct dlm_heap *heap, const struct chunk *chunk)
{
    size_t size = chunk_size(chunk);
    size_t named = dlm_footer(heap, *chunk_foot(chunk, size));

    return named >= CHUNK_MIN_SIZE && named < size && named % CHUNK_ALIGN == 0;
}

static const char *
name_in_segment(const struct dlm_heap *heap, const struct dlm_segment *segment,
    const struct chunk *chunk)
{
    const struct chunk *around = find_around(segment, chunk);

    if (around == NULL) {
        return "corrupted heap";
    }
    if (around != chunk) {
        return (around->head & DLM_USED) != 0 ? "invalid pointer"
                                              : "double free";
    }
    if (is_whole(heap, segment, chunk)) {
        return "corrupted footer";
    }
    if (!leads_to_end(segment, chunk)) {
        return "corrupted size";
    }
    if ((chunk->head & DLM_USED) == 0) {
        return "double free";
    }
    return footer_is_anothers(heap, chunk) ? "corrupted size"
                                           : "corrupted footer";
}

static const char *
name_in_direct(const struct dlm_direct *direct, const struct chunk *chunk)
{
    if (direct->chunk != chunk) {
        return "invalid pointer";
    }
    return chunk_next(chunk) ==
                   chunk_at(direct, direct->mapped_size - CHUNK_BLOCK_OFFSET)
               ? "corrupted footer"
               : "corrupted size";
}

static const char *
name(struct dlm_heap *heap, const void *block)
{
    const struct chunk *chunk = chunk_of_block(block);
    const struct dlm_segment *segment = dlm_segment_holding(heap, chunk);
    const struct dlm_direct *direct = dlm_direct_holding(heap, chunk);

    if ((uintptr_t)block % CHUNK_ALIGN != 0) {
        return "invalid pointer";
    }
    if (segment != NULL) {
        return name_in_segment(heap, segment, chunk);
    }
    if (direct != NULL) {
        return name_in_direct(direct, chunk);
    }
    return dlm_heap_is_stranger(heap, block) ? "block of another heap"
                                             : "invalid pointer";
}

void
dlm_misuse_block(struct dlm_heap *heap, const void *block)
{
    check_misuse(DESIGN, name(heap, block), block);
}
