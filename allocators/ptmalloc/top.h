/*
 * top.h - the chunk at the end of an arena's newest subheap
 *
 *     arena --> top: cut, grow, shrink --> subheap
 *                \-> bins: what is left of a top that ends
 *
 * The top is what fits nowhere else is cut from. It is always free and in no
 * bin, and reaches to the end of the usable part. When its subheap is used up, a
 * new one takes over, and the old one's end is closed by fences.
 *
 *     newest: | lead | chunk | chunk | ...        | top             |
 *     older:  | lead | chunk | ...   | fence 16   | fence 16        |
 *
 * Concurrency: guarded by the lock of the arena that it is part of.
 * Failure: NULL or false when the OS refuses, with nothing changed. A top or a
 * fence that was written over is misuse, and fatal.
 * Design: Lea, "A Memory Allocator" (1996), "Wilderness Preservation"; glibc
 * wiki, "MallocInternals", "Arenas and Heaps".
 */
#pragma once

#include "ptmalloc/bins.h"
#include "ptmalloc/subheap.h"

#define PTM_FENCE_SIZE (2 * CHUNK_OVERHEAD_FOOT)

struct ptm_top {
    struct chunk *chunk;
    struct ptm_subheap *newest; /* holds it */
    size_t system_size;         /* usable bytes of all subheaps */
    size_t system_peak;
};

/* The top of a first subheap: all of it. */
void ptm_top_init(struct ptm_top *top, struct ptm_subheap *subheap);
void ptm_top_fini(struct ptm_top *top); /* deletes all subheaps */

/* A used chunk of that size; NULL when the top is too short. */
struct chunk *ptm_top_cut(struct ptm_top *top, size_t size);
/* The used chunk before the top becomes part of it. */
void ptm_top_join(struct ptm_top *top, struct chunk *chunk);
/* The used chunk before the top becomes so much larger, if the top allows. */
bool ptm_top_lend(struct ptm_top *top, struct chunk *chunk, size_t more);

/* Makes the top long enough to cut size from, and pad longer if it can, in its
 * own subheap or in a new one. */
bool ptm_top_extend(struct ptm_top *top, size_t size, size_t pad);
bool ptm_top_renew(struct ptm_top *top, struct ptm_bins *bins, size_t size,
    size_t pad, bool huge);

/* When the newest subheap is all top, the one before becomes the newest. */
bool ptm_top_drop_newest(struct ptm_top *top, struct ptm_bins *bins);
/* Gives back what the top has beyond pad bytes. */
bool ptm_top_shrink(struct ptm_top *top, size_t pad);

void ptm_top_check(const struct ptm_top *top); /* aborts if broken */
void ptm_top_dump(const struct ptm_top *top, int fd);
