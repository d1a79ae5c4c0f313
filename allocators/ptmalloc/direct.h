/*
 * direct.h - large blocks with mappings of their own
 *
 *     block --> direct --> pages
 *
 *     | struct ptm_direct | (lead, for alignment) | chunk: prev_foot, head |
 *     | block ...                                            end of mapping |
 *
 * prev_foot of such a chunk is its distance from the mapping's start, its head
 * the distance to the mapping's end, with PTM_MAPPED set.
 *
 * Concurrency: any thread; each call takes heap.direct_lock, of rank
 * MTX_ARENA_LIST.
 * Failure: NULL when the OS refuses, or there are too many; nothing changed. A
 * chunk that is none is misuse, and fatal.
 * Design: glibc manual, "Malloc Tunable Parameters": M_MMAP_THRESHOLD and
 * M_MMAP_MAX.
 */
#pragma once

#include "parts/chunk.h"
#include "ptmalloc/heap.h"

struct ptm_direct {
    struct list link; /* [direct_lock] */
    size_t map_size;
    size_t offset; /* of the chunk */
};

/* A chunk whose block has size bytes at a multiple of align. */
struct chunk *ptm_direct_map(struct ptm_heap *heap, size_t size, size_t align);
/* Unmaps; the thresholds follow the size, unless they are fixed. */
void ptm_direct_unmap(struct ptm_heap *heap, struct chunk *chunk);
/* The chunk with room for size bytes, perhaps moved; NULL: as it was. */
struct chunk *ptm_direct_resize(
    struct ptm_heap *heap, struct chunk *chunk, size_t size);
void ptm_direct_unmap_all(struct ptm_heap *heap);

/* Bytes that the holder of the block may use. */
static inline size_t
ptm_direct_usable_size(const struct chunk *chunk)
{
    return chunk_size(chunk) - CHUNK_BLOCK_OFFSET;
}

void ptm_direct_check(struct ptm_heap *heap); /* aborts if broken */
void ptm_direct_dump(struct ptm_heap *heap, int fd);
