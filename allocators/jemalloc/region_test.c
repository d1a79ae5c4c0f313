/*
 * region_test.c - how large mappings are, and what is counted of them; the
 * invariants broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/pages.h"
#include "jemalloc/region.h"

#define MIB ((size_t)1 << 20)

static struct meta meta;
static struct jem_mapped mapped;
static struct jem_regions regions;
static struct jem_options options;

static int
set_up(void **state)
{
    static _Alignas(64) char first[4096];

    (void)state;
    memset(first, 0, sizeof first);
    options = (struct jem_options){.retain = true};
    meta_init(&meta, first, sizeof first);
    memset(&mapped, 0, sizeof mapped);
    jem_regions_init(&regions, &meta, &mapped, &options);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    pages_fail_at(0, false);
    jem_regions_check(&regions);
    jem_regions_fini(&regions);
    meta_fini(&meta);
    return 0;
}

static struct jem_region *
map(size_t size, size_t align)
{
    struct jem_region *region = jem_regions_map(&regions, size, align);

    jem_regions_check(&regions);
    if (region != NULL) {
        assert_ptr_equal(regions.first, region);
        assert_int_equal((uintptr_t)region->addr & (align - 1), 0);
        assert_true(region->size >= size);
    }
    return region;
}

static void
mappings_double_up_to_the_limit(void **state)
{
    (void)state;
    assert_true(jem_regions_limit(&regions, 8 * MIB));
    for (size_t wanted = 2 * MIB; wanted <= 32 * MIB; wanted *= 2) {
        size_t size = wanted < 8 * MIB ? wanted : 8 * MIB;
        assert_int_equal(map(1, 1)->size, size);
    }
    assert_int_equal(map(9 * MIB, 1)->size, 10 * MIB); /* whole hugepages */
    assert_true(jem_regions_limit(&regions, 5 * MIB));
    assert_int_equal(map(1, 1)->size, 4 * MIB);
    jem_regions_start_small(&regions);
    assert_int_equal(map(1, 1)->size, 2 * MIB);
    assert_false(jem_regions_limit(&regions, MIB));
}

static void
without_retain_mappings_stay_small(void **state)
{
    (void)state;
    regions.retain = false;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(map(1, 1)->size, 2 * MIB);
    }
}

static void
mappings_have_every_alignment(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 32 * MIB; align *= 4) {
        assert_non_null(map(MIB, align));
    }
}

static void
what_is_unmapped_counts_no_more_and_its_structure_serves_again(void **state)
{
    struct jem_region *oldest = map(1, 1);
    struct jem_region *newest = map(1, 1);

    (void)state;
    assert_true(jem_regions_unmap(&regions, &newest->next));
    jem_regions_check(&regions);
    assert_int_equal(regions.mapped_size, 4 * MIB);
    assert_int_equal(atomic_load(&mapped.size), 4 * MIB);
    assert_int_equal(atomic_load(&mapped.peak), 6 * MIB);
    assert_ptr_equal(map(1, 1), oldest);
}

static void
refused_nothing_changes(void **state)
{
    struct jem_region *region = map(1, 1);

    (void)state;
    pages_fail_at(1, true);
    assert_null(map(1, 1));
    assert_false(jem_regions_unmap(&regions, &regions.first));
    pages_fail_at(0, false);
    jem_regions_check(&regions);
    assert_ptr_equal(regions.first, region);
    assert_int_equal(atomic_load(&mapped.size), 2 * MIB);
    assert_int_equal(map(1, 1)->size, 4 * MIB);
}

/* ---- the invariants broken */

static void
break_regions(void *index)
{
    struct jem_region *region = map(1, 1);

    switch (*(unsigned *)index) {
    case 0:
        regions.mapped_size += JEM_PAGE; /* I1 */
        break;
    case 1:
        atomic_store(&mapped.size, 0); /* I1 */
        break;
    case 2:
        region->addr += JEM_PAGE; /* I2 */
        break;
    case 3:
        regions.mapped_size = region->size += JEM_PAGE; /* I2 */
        break;
    default:
        regions.grow_size = 2 * regions.grow_limit; /* I3 */
    }
    jem_regions_check(&regions);
}

static void
check_finds_each_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "sum == regions->mapped_size",
        "atomic_load(&regions->mapped->size) >= sum",
        "(uintptr_t)region->addr & (PAGES_HUGE_SIZE - 1)",
        "region->size & (PAGES_HUGE_SIZE - 1)",
        "regions->grow_size <= regions->grow_limit",
    };

    (void)state;
    assert_each_dies(break_regions, messages, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mappings_double_up_to_the_limit),
        TEST(without_retain_mappings_stay_small),
        TEST(mappings_have_every_alignment),
        TEST(what_is_unmapped_counts_no_more_and_its_structure_serves_again),
        TEST(refused_nothing_changes),
        TEST(check_finds_each_broken_invariant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
