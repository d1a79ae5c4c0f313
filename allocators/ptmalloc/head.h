/*
 * head.h - what this design keeps in a chunk's head
 *
 *     block.c, tcache.c, bins.c ... --> head --> parts/chunk.h
 *
 * Concurrency: a chunk's head changes under its arena's lock. Who holds the
 * block reads it without: its size and flags stay, but for PREV_USED, which a
 * neighbour's free may change meanwhile. So both use one relaxed access.
 * Failure: ptm_misuse does not return.
 * Design: glibc wiki, "MallocInternals", "What is a Chunk?".
 */
#pragma once

#include <stdatomic.h>

#include "base/check.h"
#include "parts/chunk.h"

#define PTM_NAME "ptmalloc"

/* Flags of a chunk's head. */
#define PTM_PREV_USED CHUNK_PREV_USED
#define PTM_MAPPED    CHUNK_FLAG_2 /* a mapping of its own: see direct.h */
#define PTM_IN_TREE   CHUNK_FLAG_4 /* free, and in the large bins */

/* A chunk's head, read by the holder of its block. */
static inline size_t
ptm_head(const struct chunk *chunk)
{
    return atomic_load_explicit(
        (const _Atomic size_t *)&chunk->head, memory_order_relaxed);
}

/* The chunk's size, read by the holder of its block. */
static inline size_t
ptm_head_size(const struct chunk *chunk)
{
    return ptm_head(chunk) & ~CHUNK_FLAGS;
}

/* Tells a chunk whether the one before it is used: a store of one word. */
static inline void
ptm_head_set_prev_used(struct chunk *chunk, bool used)
{
    size_t head = chunk->head & ~PTM_PREV_USED;
    atomic_store_explicit((_Atomic size_t *)&chunk->head,
        head | (used ? PTM_PREV_USED : 0), memory_order_relaxed);
}

static inline _Noreturn void
ptm_misuse(const char *what, const struct chunk *chunk)
{
    check_misuse(PTM_NAME, what, chunk_block(chunk));
}
