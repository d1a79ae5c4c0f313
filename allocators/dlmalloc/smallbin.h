/*
 * smallbin.h - free chunks of less than 1 KiB, a list for each size
 *
 *     map   ...0 1 0 1 1 0 0     bit i: bins[i] holds a chunk
 *                  |   | |
 *     bins[i] <-> chunk <-> chunk ...   all of 16 * i bytes, newest first
 *
 * A chunk that fits exactly is one bit test away; the best that fits is the
 * lowest bit above.
 *
 * Concurrency: guarded by the lock of the heap that the bins are part of.
 * Failure: none. A chunk whose links or head were overwritten is misuse.
 * Design: Lea, "A Memory Allocator", Binning.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "dlmalloc/misuse.h"
#include "parts/chunk.h"

#define DLM_SMALL_COUNT 64
#define DLM_SMALL_MAX   (DLM_SMALL_COUNT * CHUNK_ALIGN) /* sizes are below */

struct dlm_smallbins {
    uint64_t map;
    struct list bins[DLM_SMALL_COUNT]; /* the first two stay empty */
};

void dlm_smallbin_init(struct dlm_smallbins *small);

static inline unsigned
dlm_smallbin_index(size_t size)
{
    return (unsigned)(size / CHUNK_ALIGN);
}

/* Puts a free chunk, its head and foot set, into its bin. */
static inline void
dlm_smallbin_put(struct dlm_smallbins *small, struct chunk *chunk, size_t size)
{
    unsigned index = dlm_smallbin_index(size);

    chunk_push(&small->bins[index], chunk);
    small->map |= (uint64_t)1 << index;
}

/* Takes that free chunk out of its bin. */
static inline void
dlm_smallbin_remove(
    struct dlm_smallbins *small, struct chunk *chunk, size_t size)
{
    unsigned index = dlm_smallbin_index(size);

    if (__builtin_expect(!chunk_unlink(chunk), 0)) {
        dlm_misuse_free(chunk);
    }
    if (list_empty(&small->bins[index])) {
        small->map &= ~((uint64_t)1 << index);
    }
}

/* Takes the newest chunk of a bin that holds one. */
static inline struct chunk *
dlm_smallbin_pop(struct dlm_smallbins *small, unsigned index)
{
    struct chunk *chunk = chunk_of_link(small->bins[index].next);
    size_t size = index * CHUNK_ALIGN;

    if (__builtin_expect(chunk->head != (size | CHUNK_PREV_USED), 0)) {
        dlm_misuse_free(chunk);
    }
    dlm_smallbin_remove(small, chunk, size);
    return chunk;
}

/* Aborts if broken; returns how many chunks there are. */
size_t dlm_smallbin_check(const struct dlm_smallbins *small);
/* A line for each bin that holds a chunk. */
void dlm_smallbin_dump(const struct dlm_smallbins *small, int fd);
