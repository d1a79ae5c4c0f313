/*
 * bins.h - the free chunks of one arena: unsorted, small and large bins
 *
 *     free --> unsorted --(passed over)--> small bins, large bins
 *     malloc <--+-------------<---------------+--------+
 *
 * A freed chunk waits in the unsorted bin, to be asked for by its exact size.
 * Small bins hold chunks of one size each; the large bins are one tree by size.
 * A request that no chunk fits exactly splits the least that is large enough,
 * and goes on splitting the last remainder while it serves.
 *
 * Concurrency: guarded by the lock of the arena that they are part of.
 * Failure: NULL when no chunk is large enough. A chunk whose size, links or
 * neighbours cannot be right is misuse, and fatal.
 * Design: Lea, "A Memory Allocator" (1996); glibc wiki, "MallocInternals",
 * "Malloc Algorithm".
 */
#pragma once

#include "parts/list.h"
#include "parts/tree.h"
#include "ptmalloc/head.h"

#define PTM_SMALL_MAX   ((size_t)1024) /* the largest chunk of a small bin */
#define PTM_SMALL_COUNT (PTM_SMALL_MAX / CHUNK_ALIGN + 1)

struct ptm_bins {
    struct list unsorted;
    struct list small[PTM_SMALL_COUNT];           /* by size / 16 */
    uint64_t small_map[PTM_SMALL_COUNT / 64 + 1]; /* maybe not empty */
    struct tree large;                            /* by size, then address */
    struct chunk *last_remainder; /* of a small request, or NULL */
    size_t free_size;             /* of all chunks here */
};

void ptm_bins_init(struct ptm_bins *bins);

/* A free chunk with head and foot, whose next chunk knows, goes to unsorted. */
void ptm_bins_push(struct ptm_bins *bins, struct chunk *chunk);
/* Takes a free chunk out of whatever holds it. */
void ptm_bins_remove(struct ptm_bins *bins, struct chunk *chunk);
/* A used chunk of that size or, where no rest would be a chunk, 16 more. Sorts
 * at most sort_max unsorted chunks on the way. */
struct chunk *ptm_bins_take(
    struct ptm_bins *bins, size_t size, size_t sort_max);

/* Gives the memory of whole pages inside large free chunks back. True if any
 * was. */
bool ptm_bins_purge(struct ptm_bins *bins);

/* A chunk that is no longer free, or has become larger, holds nothing but head
 * and links (base/poison.h); or its bytes may be used. */
void ptm_bins_poison(const struct chunk *chunk);

/* Every chunk, bin by bin. */
typedef void ptm_binned_fn(
    const struct chunk *chunk, bool is_unsorted, void *arg);
void ptm_bins_each(
    const struct ptm_bins *bins, ptm_binned_fn *visit, void *arg);
size_t ptm_bins_count(const struct ptm_bins *bins); /* walks them */

void ptm_bins_check(const struct ptm_bins *bins); /* aborts if broken */
void ptm_bins_dump(const struct ptm_bins *bins, int fd);
