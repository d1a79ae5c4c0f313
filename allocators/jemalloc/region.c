/*
 * region.c - an arena's mappings (contract: region.h)
 *
 *   I1  mapped_size is the sum over the regions; the heap's size that of all its
 *       arenas.
 *   I2  A region is whole hugepages.
 *   I3  The next one's least size is at most the limit.
 */
#include "jemalloc/region.h"

#include "base/check.h"
#include "base/pages.h"

#define GROW_SIZE_MIN PAGES_HUGE_SIZE
#define GROW_LIMIT    ((size_t)64 << 20) /* until told otherwise */

void
jem_regions_init(struct jem_regions *regions, struct meta *meta,
    struct jem_mapped *mapped, const struct jem_options *options)
{
    *regions = (struct jem_regions){
        .meta = meta,
        .mapped = mapped,
        .grow_size = GROW_SIZE_MIN,
        .grow_limit = GROW_LIMIT,
        .thp = options->thp,
        .retain = options->retain,
    };
}

void
jem_regions_fini(struct jem_regions *regions)
{
    for (struct jem_region *region = regions->first; region != NULL;
         region = region->next) {
        jem_owner_forget(region->addr, region->size);
        (void)pages_unmap(region->addr, region->size);
    }
}

void
jem_regions_start_small(struct jem_regions *regions)
{
    regions->grow_size = GROW_SIZE_MIN;
}

bool
jem_regions_limit(struct jem_regions *regions, size_t limit)
{
    if (limit < GROW_SIZE_MIN) {
        return false;
    }
    regions->grow_limit = limit;
    while (regions->grow_size > limit) {
        regions->grow_size /= 2;
    }
    return true;
}

/* ---- counting */

static void
count_mapped(struct jem_regions *regions, size_t size)
{
    struct jem_mapped *mapped = regions->mapped;
    regions->mapped_size += size;
    size_t now = atomic_fetch_add(&mapped->size, size) + size;
    size_t peak = atomic_load(&mapped->peak);
    while (now > peak &&
           !atomic_compare_exchange_weak(&mapped->peak, &peak, now)) {
    }
}

static void
count_unmapped(struct jem_regions *regions, size_t size)
{
    regions->mapped_size -= size;
    atomic_fetch_sub(&regions->mapped->size, size);
}

/* ---- structures */

static struct jem_region *
new_structure(struct jem_regions *regions)
{
    struct jem_region *region = regions->spare;
    if (region == NULL) {
        return meta_take(regions->meta, sizeof *region);
    }
    regions->spare = region->next;
    return region;
}

static void
drop_structure(struct jem_regions *regions, struct jem_region *region)
{
    region->next = regions->spare;
    regions->spare = region;
}

/* ---- mapping */

static void *
map_pages(const struct jem_regions *regions, size_t size, size_t align)
{
    void *addr = pages_map(size, align);
    if (addr != NULL && !jem_owner_reserve(addr, size)) {
        (void)pages_unmap(addr, size);
        return NULL;
    }
    if (addr != NULL && regions->thp != JEM_THP_DEFAULT) {
        (void)pages_huge(addr, size, regions->thp == JEM_THP_ALWAYS);
    }
    return addr;
}

struct jem_region *
jem_regions_map(struct jem_regions *regions, size_t size, size_t align)
{
    size_t region_size = size > regions->grow_size ? size : regions->grow_size;
    size_t region_align = align > PAGES_HUGE_SIZE ? align : PAGES_HUGE_SIZE;
    region_size = (region_size + PAGES_HUGE_SIZE - 1) & ~(PAGES_HUGE_SIZE - 1);
    struct jem_region *region = new_structure(regions);
    if (region == NULL) {
        return NULL;
    }
    char *addr = map_pages(regions, region_size, region_align);
    if (addr == NULL) {
        drop_structure(regions, region);
        return NULL;
    }
    *region = (struct jem_region){regions->first, addr, region_size};
    regions->first = region;
    count_mapped(regions, region_size);
    if (regions->grow_size <= regions->grow_limit / 2 && regions->retain) {
        regions->grow_size *= 2;
    }
    return region;
}

bool
jem_regions_unmap(struct jem_regions *regions, struct jem_region **place)
{
    struct jem_region *region = *place;
    if (!pages_unmap(region->addr, region->size)) {
        return false;
    }
    count_unmapped(regions, region->size);
    *place = region->next;
    drop_structure(regions, region);
    return true;
}

void
jem_regions_check(const struct jem_regions *regions)
{
    size_t sum = 0;
    for (const struct jem_region *region = regions->first; region != NULL;
         region = region->next) {
        CHECK(((uintptr_t)region->addr & (PAGES_HUGE_SIZE - 1)) == 0); /* I2 */
        CHECK((region->size & (PAGES_HUGE_SIZE - 1)) == 0);
        sum += region->size;
    }
    CHECK(sum == regions->mapped_size);                /* I1 */
    CHECK(atomic_load(&regions->mapped->size) >= sum); /* I1 */
    CHECK(regions->grow_size <= regions->grow_limit);  /* I3 */
}
