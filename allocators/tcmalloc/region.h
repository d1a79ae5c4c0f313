/*
 * region.h - large spans end to end, across hugepages
 *
 *     page heap --> regions --> region: 64 hugepages, 16384 pages
 *
 *     | 300 pages | 300 pages | 300 pages | ...       spans
 *     | hugepage | hugepage | hugepage | hugepage |
 *
 * A span of 300 pages on hugepages of its own leaves 212 pages of the last one
 * to the filler. Where there are not so many small spans to fill them, the rest
 * is lost, up to half of what such blocks take. In a region they lie one behind
 * the other, and two may share a hugepage.
 *
 * A hugepage of which no page is in use can be given back to the OS; one that
 * has been used since is dirty.
 *
 * Concurrency: guarded by the page heap's lock.
 * Failure: tcm_regions_take returns NULL when no region has room; the caller then
 * adds one. tcm_regions_new returns NULL when out of memory.
 * Design: Hunter et al., OSDI 2021, 4.2 (HugeRegion).
 */
#pragma once

#include "parts/list.h"
#include "tcmalloc/hugepage.h"
#include "tcmalloc/pool.h"

#define TCM_REGION_HUGEPAGES ((size_t)64) /* a bit each in a word */
#define TCM_REGION_PAGES     (TCM_REGION_HUGEPAGES * TCM_HUGEPAGE_PAGES)
#define TCM_REGION_SIZE      (TCM_REGION_HUGEPAGES * TCM_HUGEPAGE)

struct tcm_region {
    struct list link; /* in regions.list */
    char *addr;
    struct tcm_hugerange *spare; /* for when it is wholly free */
    uint64_t dirty;              /* hugepages that may hold memory */
    uint64_t idle;               /* hugepages with no page in use */
    size_t used_pages;
    size_t longest; /* the longest run of free pages */
    uint64_t used[BITMAP_WORDS(TCM_REGION_PAGES)];
};

struct tcm_regions {
    struct list list;
    size_t region_count;
    size_t used_pages;
    size_t clean_count; /* hugepages that hold no memory */
    size_t loose_count; /* hugepages that are dirty and idle */
    struct tcm_pool pool;
};

void tcm_regions_init(struct tcm_regions *regions, struct meta *meta);

/* Room for a span: its address, and the region that it lies in. */
char *tcm_regions_take(struct tcm_regions *regions, size_t pages,
    struct tcm_region **home, bool *zeroed);

/* A structure for tcm_regions_add, or for tcm_regions_drop. */
struct tcm_region *tcm_regions_new(struct tcm_regions *regions);
void tcm_regions_drop(struct tcm_regions *regions, struct tcm_region *region);
void tcm_regions_add(struct tcm_regions *regions, struct tcm_region *region,
    char *addr, struct tcm_hugerange *spare, bool clean);

/* Takes back a span's pages. True: the region is wholly free, and out of the
 * list; it is the caller's to drop. */
bool tcm_regions_give(struct tcm_regions *regions, struct tcm_region *region,
    const char *addr, size_t pages);
/* Makes a span longer in place, if the pages behind it are free. */
bool tcm_regions_extend(struct tcm_regions *regions, struct tcm_region *region,
    const char *addr, size_t pages, size_t more);

/* Gives up to that many hugepages back to the OS; how many it got. */
size_t tcm_regions_release(struct tcm_regions *regions, size_t count);

static inline size_t
tcm_regions_free_pages(const struct tcm_regions *regions)
{
    return regions->region_count * TCM_REGION_PAGES - regions->used_pages;
}

void tcm_regions_check(struct tcm_regions *regions);
void tcm_regions_dump(struct tcm_regions *regions, int fd);
