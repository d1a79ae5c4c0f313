/*
 * region.h - an arena's mappings
 *
 *     page cache: extents --> regions --> OS
 *
 * A region is one mapping of whole hugepages; extents of two regions are never
 * joined, so each can be walked, and given back, by itself. While addresses are
 * retained a mapping is twice as large as the one before, up to a limit, so that
 * a large heap has few.
 *
 * Concurrency: the page cache's lock guards all but struct jem_mapped, which any
 * thread may read.
 * Failure: map returns NULL when out of memory, unmap false when the kernel
 * refuses; nothing changed.
 * Design: jemalloc(3), "opt.retain", "opt.thp".
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/meta.h"
#include "jemalloc/extent.h"
#include "jemalloc/options.h"

struct jem_region {
    struct jem_region *next;
    char *addr;
    size_t size;
};

/* What all page caches of a heap have mapped. */
struct jem_mapped {
    _Atomic size_t size;
    _Atomic size_t peak;
};

struct jem_regions {
    struct jem_region *first; /* the newest */
    struct jem_region *spare; /* structures without a mapping */
    struct meta *meta;
    struct jem_mapped *mapped; /* the heap's */
    size_t mapped_size;
    size_t grow_size;  /* least size of the next */
    size_t grow_limit; /* it does not grow beyond */
    enum jem_thp thp;  /* advice on huge pages */
    bool retain;       /* addresses are kept without memory */
};

void jem_regions_init(struct jem_regions *regions, struct meta *meta,
    struct jem_mapped *mapped, const struct jem_options *options);
/* Unmaps everything, and takes it out of the owner map. */
void jem_regions_fini(struct jem_regions *regions);

/* A new region with room for size bytes at a multiple of align. The owner map
 * has room for it, and it reads as zero. */
struct jem_region *jem_regions_map(
    struct jem_regions *regions, size_t size, size_t align);
/* Gives the region at *place back, which is `first` or a `next`. No page of it is
 * in the owner map. */
bool jem_regions_unmap(struct jem_regions *regions, struct jem_region **place);
/* Mappings grow up to that size. False if it is below the least one. */
bool jem_regions_limit(struct jem_regions *regions, size_t limit);
/* The next region is a small one again. */
void jem_regions_start_small(struct jem_regions *regions);

void jem_regions_check(
    const struct jem_regions *regions); /* aborts if broken */

/* The extents of a region, each behind the other; with the lock of its page
 * cache, or the heap quiet. */
#define JEM_REGION_EACH(extent, region)                                        \
    for (extent = jem_owner_extent(jem_owner_get((region)->addr));             \
         extent != NULL; extent = jem_extent_behind(extent))
