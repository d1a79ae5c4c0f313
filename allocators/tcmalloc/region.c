/*
 * region.c - large spans end to end, across hugepages (contract: region.h)
 *
 * A span goes to the region whose longest free run is the shortest that holds
 * it, and there as low as possible: load gathers, and the last hugepages of a
 * region stay idle.
 *
 * Whether memory reads as zero is known of whole hugepages only: a span on any
 * that is dirty counts as dirty. A bit a page, as the filler has it, would take
 * as much again and tell blocks apart that are cleared by the megabyte.
 *
 * Invariants:
 *   I1  used_pages counts the bits of a region; longest is its longest run.
 *   I2  idle has the hugepages of which no bit is set; a clean one is idle.
 *   I3  used_pages, clean_count, loose_count and region_count are sums.
 *   I4  No region here is wholly free.
 */
#include "tcmalloc/region.h"

#include "base/check.h"
#include "base/pages.h"
#include "base/print.h"

#define PAGES TCM_REGION_PAGES

static struct tcm_region *
region_of(struct list *link)
{
    return LIST_OF(link, struct tcm_region, link);
}

/* The hugepages that hold pages of the run. */
static uint64_t
mask_of(size_t first, size_t pages)
{
    size_t low = first / TCM_HUGEPAGE_PAGES;
    size_t high = (first + pages - 1) / TCM_HUGEPAGE_PAGES;

    return (~(uint64_t)0 >> (63 - (high - low))) << low;
}

static size_t
bit_count(uint64_t bits)
{
    return (size_t)__builtin_popcountll(bits);
}

void
tcm_regions_init(struct tcm_regions *regions, struct meta *meta)
{
    *regions = (struct tcm_regions){0};
    list_init(&regions->list);
    tcm_pool_init(&regions->pool, meta, sizeof(struct tcm_region));
}

/* ---- sums */

/* The region counts no more, while it changes. */
static void
discount(struct tcm_regions *regions, const struct tcm_region *region)
{
    regions->used_pages -= region->used_pages;
    regions->clean_count -= bit_count(~region->dirty);
    regions->loose_count -= bit_count(region->dirty & region->idle);
}

static void
count(struct tcm_regions *regions, const struct tcm_region *region)
{
    regions->used_pages += region->used_pages;
    regions->clean_count += bit_count(~region->dirty);
    regions->loose_count += bit_count(region->dirty & region->idle);
}

/* After a change of the bits in the run: what follows from them. */
static void
settle(struct tcm_region *region, size_t first, size_t pages)
{
    uint64_t touched = mask_of(first, pages);

    for (size_t i = 0; i < TCM_REGION_HUGEPAGES; i++) {
        uint64_t bit = (uint64_t)1 << i;

        if ((touched & bit) != 0) {
            bool idle = bitmap_count_run(region->used, i * TCM_HUGEPAGE_PAGES,
                            TCM_HUGEPAGE_PAGES) == 0;
            region->idle = idle ? region->idle | bit : region->idle & ~bit;
        }
    }
    region->longest = bitmap_longest_run(region->used, PAGES);
}

/* Free pages come into use; *zeroed: none of their hugepages was dirty. */
static void
use(struct tcm_regions *regions, struct tcm_region *region, size_t first,
    size_t pages, bool *zeroed)
{
    uint64_t touched = mask_of(first, pages);

    discount(regions, region);
    *zeroed = (region->dirty & touched) == 0;
    region->dirty |= touched;
    bitmap_set_run(region->used, first, pages);
    region->used_pages += pages;
    settle(region, first, pages);
    count(regions, region);
}

/* ---- take and give */

struct tcm_region *
tcm_regions_new(struct tcm_regions *regions)
{
    return tcm_pool_take(&regions->pool);
}

void
tcm_regions_drop(struct tcm_regions *regions, struct tcm_region *region)
{
    tcm_pool_give(&regions->pool, region);
}

void
tcm_regions_add(struct tcm_regions *regions, struct tcm_region *region,
    char *addr, struct tcm_hugerange *spare, bool clean)
{
    *region = (struct tcm_region){.addr = addr,
        .spare = spare,
        .dirty = clean ? 0 : ~(uint64_t)0,
        .idle = ~(uint64_t)0,
        .longest = PAGES};
    list_push(&regions->list, &region->link);
    regions->region_count++;
    count(regions, region);
}

char *
tcm_regions_take(struct tcm_regions *regions, size_t pages,
    struct tcm_region **home, bool *zeroed)
{
    struct tcm_region *best = NULL;
    struct list *link;

    LIST_EACH (link, &regions->list) {
        struct tcm_region *region = region_of(link);

        if (region->longest >= pages &&
            (best == NULL || region->longest < best->longest)) {
            best = region;
        }
    }
    if (best == NULL) {
        return NULL;
    }
    size_t first = bitmap_find_run(best->used, PAGES, 0, pages);
    use(regions, best, first, pages, zeroed);
    *home = best;
    return best->addr + (first << TCM_PAGE_SHIFT);
}

static size_t
index_of(const struct tcm_region *region, const char *addr)
{
    return (size_t)(addr - region->addr) >> TCM_PAGE_SHIFT;
}

bool
tcm_regions_give(struct tcm_regions *regions, struct tcm_region *region,
    const char *addr, size_t pages)
{
    size_t first = index_of(region, addr);

    discount(regions, region);
    bitmap_clear_run(region->used, first, pages);
    region->used_pages -= pages;
    if (region->used_pages == 0) {
        list_remove(&region->link);
        regions->region_count--;
        return true;
    }
    settle(region, first, pages);
    count(regions, region);
    return false;
}

bool
tcm_regions_extend(struct tcm_regions *regions, struct tcm_region *region,
    const char *addr, size_t pages, size_t more)
{
    size_t end = index_of(region, addr) + pages;
    bool zeroed;

    if (more > PAGES - end || bitmap_count_run(region->used, end, more) != 0) {
        return false;
    }
    use(regions, region, end, more, &zeroed);
    return true;
}

/* ---- release */

/* The hugepage's memory goes back, if the OS takes it. */
static bool
purge(struct tcm_region *region, size_t i)
{
    if (!pages_purge(region->addr + (i << TCM_HUGEPAGE_SHIFT), TCM_HUGEPAGE)) {
        return false;
    }
    region->dirty &= ~((uint64_t)1 << i);
    return true;
}

size_t
tcm_regions_release(struct tcm_regions *regions, size_t wanted)
{
    size_t released = 0;
    struct list *link;

    LIST_EACH (link, &regions->list) {
        struct tcm_region *region = region_of(link);

        discount(regions, region);
        for (size_t i = TCM_REGION_HUGEPAGES; i-- > 0 && released < wanted;) {
            uint64_t loose = region->dirty & region->idle;

            released += (loose >> i & 1) != 0 && purge(region, i);
        }
        count(regions, region);
    }
    return released;
}

/* ---- looking */

static void
check_region(const struct tcm_region *region)
{
    CHECK(((uintptr_t)region->addr & (TCM_HUGEPAGE - 1)) == 0);
    CHECK(region->used_pages > 0);                                  /* I4 */
    CHECK(bitmap_count(region->used, PAGES) == region->used_pages); /* I1 */
    CHECK(bitmap_longest_run(region->used, PAGES) == region->longest);
    for (size_t i = 0; i < TCM_REGION_HUGEPAGES; i++) {
        bool idle = bitmap_count_run(region->used, i * TCM_HUGEPAGE_PAGES,
                        TCM_HUGEPAGE_PAGES) == 0;
        CHECK((region->idle >> i & 1) == idle); /* I2 */
    }
    CHECK((~region->dirty & ~region->idle) == 0); /* I2 */
}

void
tcm_regions_check(struct tcm_regions *regions)
{
    struct tcm_regions sums = {0};
    struct list *link;

    list_check(&regions->list);
    LIST_EACH (link, &regions->list) {
        check_region(region_of(link));
        count(&sums, region_of(link));
        sums.region_count++;
    }
    CHECK(sums.region_count == regions->region_count); /* I3 */
    CHECK(sums.used_pages == regions->used_pages);
    CHECK(sums.clean_count == regions->clean_count);
    CHECK(sums.loose_count == regions->loose_count);
}

void
tcm_regions_dump(struct tcm_regions *regions, int fd)
{
    struct print print;
    struct list *link;

    print_init(&print, fd);
    LIST_EACH (link, &regions->list) {
        const struct tcm_region *region = region_of(link);

        print_format(&print,
            "region %p: %zu of %zu pages used, longest run %zu, %zu of %zu "
            "hugepages clean\n",
            (void *)region->addr, region->used_pages, PAGES, region->longest,
            bit_count(~region->dirty), TCM_REGION_HUGEPAGES);
    }
    print_flush(&print);
}
