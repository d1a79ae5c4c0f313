/*
 * chunk.h - boundary-tag chunks: memory that knows its neighbours
 *
 * A region is cut into chunks that lie end to end. Each begins with its size;
 * a free one also ends with it, so that the chunk behind it finds its head:
 *
 *     chunk -> +--------------------------------+
 *              | prev_foot: the previous chunk's|  its size, if it is free,
 *              |            last word           |  else the design's or user's
 *              +--------------------------------+
 *              | head: size              |flags |
 *     block -> +--------------------------------+
 *              | link, when free; else the      |
 *              | user's bytes ...               |
 *      next -> +--------------------------------+
 *              | prev_foot: this chunk's        |
 *              +--------------------------------+
 *
 * Sizes are multiples of CHUNK_ALIGN, which leaves the head's low bits for
 * flags. CHUNK_PREV_USED tells whether prev_foot is a size. The other two are
 * the design's: dlmalloc marks used and directly mapped chunks, ptmalloc mapped
 * ones and those in its tree.
 *
 * What a used chunk costs is the design's choice too. With overhead
 * CHUNK_HEAD_SIZE the user's bytes reach into the next chunk's prev_foot; with
 * CHUNK_OVERHEAD_FOOT that word is kept as a footer, a check value.
 *
 * Concurrency: none of its own; whoever guards the region guards its chunks.
 * Failure: chunk_unlink returns false when the links are broken.
 * Design: Knuth, "The Art of Computer Programming" 1, 2.5, boundary tags; Lea,
 * "A Memory Allocator" (1996).
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parts/list.h"

#define CHUNK_ALIGN ((size_t)16)

/* The head's flags. */
#define CHUNK_PREV_USED ((size_t)1)
#define CHUNK_FLAG_2    ((size_t)2) /* the design's */
#define CHUNK_FLAG_4    ((size_t)4) /* the design's */
#define CHUNK_FLAG_NONE ((size_t)8) /* always clear */
#define CHUNK_FLAGS     (CHUNK_ALIGN - 1)

struct chunk {
    size_t prev_foot;
    size_t head;
    struct list link; /* in a free list; a used chunk has its block here */
};

#define CHUNK_HEAD_SIZE     sizeof(size_t)
#define CHUNK_OVERHEAD_FOOT (2 * sizeof(size_t))
#define CHUNK_BLOCK_OFFSET  offsetof(struct chunk, link)
#define CHUNK_MIN_SIZE      sizeof(struct chunk)

static_assert(CHUNK_MIN_SIZE % CHUNK_ALIGN == 0, "the least chunk is a size");
static_assert(CHUNK_BLOCK_OFFSET % CHUNK_ALIGN == 0, "blocks are aligned");

static inline size_t
chunk_size(const struct chunk *chunk)
{
    return chunk->head & ~CHUNK_FLAGS;
}

static inline size_t
chunk_flags(const struct chunk *chunk)
{
    return chunk->head & CHUNK_FLAGS;
}

/* The chunk that begins offset bytes further on. */
static inline struct chunk *
chunk_at(const void *base, size_t offset)
{
    return (struct chunk *)((uintptr_t)base + offset);
}

static inline struct chunk *
chunk_next(const struct chunk *chunk)
{
    return chunk_at(chunk, chunk_size(chunk));
}

/* Only where CHUNK_PREV_USED is clear. */
static inline struct chunk *
chunk_prev(const struct chunk *chunk)
{
    return chunk_at(chunk, -chunk->prev_foot);
}

static inline void *
chunk_block(const struct chunk *chunk)
{
    return (void *)((uintptr_t)chunk + CHUNK_BLOCK_OFFSET);
}

static inline struct chunk *
chunk_of_block(const void *block)
{
    return (struct chunk *)((uintptr_t)block - CHUNK_BLOCK_OFFSET);
}

static inline struct chunk *
chunk_of_link(const struct list *link)
{
    return (struct chunk *)((uintptr_t)link - offsetof(struct chunk, link));
}

/* The least chunk for a request; the caller has seen to it that the sum does
 * not overflow. */
static inline size_t
chunk_size_for(size_t request, size_t overhead)
{
    size_t size = (request + overhead + CHUNK_ALIGN - 1) & ~(CHUNK_ALIGN - 1);

    return size < CHUNK_MIN_SIZE ? CHUNK_MIN_SIZE : size;
}

/* The word behind the chunk: its size when it is free, or its footer. */
static inline size_t *
chunk_foot(const struct chunk *chunk, size_t size)
{
    return &chunk_at(chunk, size)->prev_foot;
}

/* Head and foot of a free chunk. Those before and behind it are used, since
 * free neighbours are one chunk. The next chunk's flag is the caller's. */
static inline void
chunk_set_free(struct chunk *chunk, size_t size)
{
    chunk->head = size | CHUNK_PREV_USED;
    *chunk_foot(chunk, size) = size;
}

/* True when the word behind a free chunk repeats its size. */
static inline bool
chunk_foot_matches(const struct chunk *chunk)
{
    return *chunk_foot(chunk, chunk_size(chunk)) == chunk_size(chunk);
}

/* Takes a free chunk off its list. An overwritten link, as a write after free
 * leaves it, is found before anything is stored. */
static inline bool
chunk_unlink(struct chunk *chunk)
{
    struct list *next = chunk->link.next;
    struct list *prev = chunk->link.prev;

    if (__builtin_expect(
            next->prev != &chunk->link || prev->next != &chunk->link, 0)) {
        return false;
    }
    next->prev = prev;
    prev->next = next;
    return true;
}

/* Puts a free chunk at the front of a list. */
static inline void
chunk_push(struct list *list, struct chunk *chunk)
{
    struct list *first = list->next;

    chunk->link.next = first;
    chunk->link.prev = list;
    first->prev = &chunk->link;
    list->next = &chunk->link;
}

/* Aborts unless this chunk, of a run that goes on to `end`, keeps I1 to I4 of
 * chunk.c. Whether it and the chunk before it are used, the design tells; what
 * is before the first counts as used. Inline, for heaps that are checked after
 * each call. */
static inline void
chunk_check(const struct chunk *chunk, const struct chunk *end, bool is_used,
    bool prev_used)
{
    size_t size = chunk_size(chunk);

    CHECK(size >= CHUNK_MIN_SIZE);                              /* I1 */
    CHECK(size <= (uintptr_t)end - (uintptr_t)chunk);           /* I1 */
    CHECK((chunk_flags(chunk) & CHUNK_FLAG_NONE) == 0);         /* I1 */
    CHECK(prev_used == ((chunk->head & CHUNK_PREV_USED) != 0)); /* I2 */
    CHECK(is_used || chunk_foot_matches(chunk));                /* I3 */
    CHECK(is_used || prev_used);                                /* I4 */
}

/* One line: address, size, flags. */
void chunk_dump(const struct chunk *chunk, int fd);
