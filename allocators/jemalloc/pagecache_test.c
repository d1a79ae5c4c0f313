/*
 * pagecache_test.c - extents split, joined and reused by address; kinds of pages;
 * guards; mappings given back; what breaks an invariant
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/machine.h"
#include "base/meta.h"
#include "base/pages.h"
#include "jemalloc/heap.h"
#include "jemalloc/pagecache.h"

#define KIB       ((size_t)1 << 10)
#define MIB       ((size_t)1 << 20)
#define SECOND_NS ((uint64_t)1000000000)

static uint64_t virtual_now_ns;
static struct meta meta;
static struct jem_mapped mapped;
static struct jem_arena *arena; /* for the extents to name */
static struct jem_pagecache cache;
static struct jem_options options;

static uint64_t
virtual_clock(void)
{
    return virtual_now_ns;
}

static int
set_up(void **state)
{
    static struct jem_arena none;
    static _Alignas(64) char first[4096];
    memset(first, 0, sizeof first);
    (void)state;
    machine.clock_ns = virtual_clock;
    options = *jem_heap_options();
    arena = &none;
    meta_init(&meta, first, sizeof first);
    memset(&mapped, 0, sizeof mapped);
    jem_pagecache_init(&cache, arena, 9, &meta, &mapped, &options);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    jem_pagecache_check(&cache);
    jem_pagecache_fini(&cache);
    meta_fini(&meta);
    machine = machine_kernel;
    return 0;
}

/* Begins again with what the test has put into `options`. */
static void
restart(void)
{
    jem_pagecache_fini(&cache);
    jem_pagecache_init(&cache, arena, 9, &meta, &mapped, &options);
}

static struct jem_extent *
take(size_t size)
{
    struct jem_extent *extent =
        jem_pagecache_take(&cache, size, JEM_PAGE, jem_size_class(size), 0);
    assert_non_null(extent);
    assert_int_equal(extent->size, size);
    return extent;
}

static size_t
pages_of(enum jem_extent_state state)
{
    return jem_freeset_pages(&cache.free[state]);
}

static void
pagecache_splits_and_joins(void **state)
{
    struct jem_extent *extents[10];
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        extents[i] = take(32 * KIB);
        assert_ptr_equal(extents[i]->addr, extents[0]->addr + i * 32 * KIB);
    }
    for (unsigned i = 0; i < 10; i += 2) {
        jem_pagecache_give(&cache, extents[i]);
    }
    assert_int_equal(cache.free[JEM_DIRTY].by_size.count, 5);
    jem_pagecache_check(&cache);
    for (unsigned i = 1; i < 10; i += 2) {
        jem_pagecache_give(&cache, extents[i]);
    }
    assert_int_equal(cache.free[JEM_DIRTY].by_size.count, 1);
    assert_int_equal(pages_of(JEM_DIRTY), 80);
    assert_int_equal(pages_of(JEM_RETAINED), 512 - 80);
}

/* Dirty before retained, the least class that fits, the lowest address. */
static void
pagecache_prefers_dirty_and_low(void **state)
{
    struct jem_extent *extents[9];
    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        extents[i] = take(i % 2 == 0 ? 16 * KIB : i == 1 ? 64 * KIB : 32 * KIB);
    }
    char *large = extents[1]->addr;
    char *low = extents[3]->addr;
    char *high = extents[7]->addr;
    for (unsigned i = 7; i < 9; i -= 2) { /* 7, 5, 3, 1 */
        jem_pagecache_give(&cache, extents[i]);
    }
    assert_ptr_equal(take(32 * KIB)->addr, low);
    assert_ptr_equal(take(40 * KIB)->addr, large);
    (void)take(32 * KIB);
    assert_ptr_equal(take(32 * KIB)->addr, high);
    assert_int_equal(pages_of(JEM_DIRTY), 6); /* of the large one */
}

static void
pagecache_aligns(void **state)
{
    (void)state;
    for (unsigned log2 = 12; log2 < 26; log2++) {
        size_t align = (size_t)1 << log2;
        struct jem_extent *extent =
            jem_pagecache_take(&cache, 20 * KIB, align, JEM_SMALL_COUNT + 1, 0);
        assert_non_null(extent);
        assert_int_equal((uintptr_t)extent->addr % align, 0);
        jem_pagecache_check(&cache);
    }
    assert_null(jem_pagecache_take(
        &cache, 20 * KIB, (size_t)1 << 62, JEM_SMALL_COUNT + 1, 0));
}

static void
pagecache_resizes_in_place(void **state)
{
    struct jem_extent *first = take(64 * KIB);
    struct jem_extent *second = take(64 * KIB);
    (void)state;
    unsigned larger = jem_size_class(128 * KIB);
    unsigned smaller = jem_size_class(16 * KIB);
    assert_false(jem_pagecache_resize(&cache, first, larger));
    assert_int_equal(first->size, 64 * KIB);
    jem_pagecache_give(&cache, second);
    assert_true(jem_pagecache_resize(&cache, first, larger));
    assert_int_equal(first->size, 128 * KIB);
    assert_int_equal(pages_of(JEM_DIRTY), 0);
    assert_true(jem_pagecache_resize(&cache, first, smaller));
    assert_int_equal(pages_of(JEM_DIRTY), 28);
    assert_int_equal(cache.large_size, 16 * KIB);
}

static void
pages_go_from_dirty_to_muzzy_to_retained(void **state)
{
    (void)state;
    options.dirty_decay_ms = 1000;
    options.muzzy_decay_ms = 1000;
    restart();
    struct jem_extent *extent = take(1 * MIB);
    struct jem_extent *wall = take(16 * KIB);
    jem_pagecache_give(&cache, extent);
    assert_int_equal(pages_of(JEM_DIRTY), 256);
    virtual_now_ns += SECOND_NS / 100;
    jem_pagecache_tick(&cache);
    virtual_now_ns += 2 * SECOND_NS;
    jem_pagecache_decay(&cache);
    assert_int_equal(pages_of(JEM_DIRTY), 0);
    size_t muzzy = pages_of(JEM_MUZZY); /* 0 where the kernel has it not */
    virtual_now_ns += 2 * SECOND_NS;
    jem_pagecache_decay(&cache);
    virtual_now_ns += 2 * SECOND_NS;
    jem_pagecache_decay(&cache);
    assert_int_equal(pages_of(JEM_MUZZY), 0);
    assert_true(muzzy == 0 || muzzy == 256);
    assert_int_equal(pages_of(JEM_RETAINED), 512 - 4);
    jem_pagecache_give(&cache, wall);
}

static void
decay_times_never_and_at_once(void **state)
{
    (void)state;
    jem_pagecache_set_decay(&cache, JEM_DIRTY, -1);
    struct jem_extent *extent = take(1 * MIB);
    struct jem_extent *other = take(1 * MIB);
    jem_pagecache_give(&cache, extent);
    virtual_now_ns += 100000 * SECOND_NS;
    jem_pagecache_decay(&cache);
    assert_int_equal(pages_of(JEM_DIRTY), 256);
    jem_pagecache_set_decay(&cache, JEM_DIRTY, 0);
    assert_int_equal(pages_of(JEM_DIRTY), 0);
    jem_pagecache_give(&cache, other);
    assert_int_equal(pages_of(JEM_DIRTY), 0);
    assert_int_equal(jem_pagecache_decay_ms(&cache, JEM_DIRTY), 0);
}

static void
guard_follows_each_extent(void **state)
{
    (void)state;
    options.guard = true;
    restart();
    struct jem_extent *extent = take(16 * KIB);
    struct jem_extent *slab =
        jem_pagecache_take(&cache, JEM_PAGE, JEM_PAGE, 1, 0);
    assert_int_equal(cache.guard_count, 2);
    struct jem_owner owner = jem_owner_get(extent->addr + extent->size);
    assert_int_equal(jem_owner_class(owner), JEM_CLASS_GUARD);
    assert_false(
        jem_pagecache_resize(&cache, extent, jem_size_class(20 * KIB)));
    jem_pagecache_check(&cache);
    jem_pagecache_give(&cache, slab);
    jem_pagecache_give(&cache, extent);
    assert_int_equal(cache.guard_count, 0);
    assert_int_equal(pages_of(JEM_DIRTY), 4 + 1 + 1 + 1);
    memset(take(28 * KIB)->addr, 1, 28 * KIB); /* The guards' pages, too. */
    /* A guard that cannot be made accessible stays. */
    extent = take(16 * KIB);
    pages_fail_at(1, true);
    jem_pagecache_give(&cache, extent);
    pages_fail_at(0, false);
    assert_int_equal(cache.guard_count, 2);
}

static void
mapping_without_a_used_page_is_unmapped(void **state)
{
    (void)state;
    options.retain = false;
    restart();
    struct jem_extent *one = take(1 * MIB);
    struct jem_extent *two = take(16 * MIB);
    assert_int_equal(atomic_load(&mapped.size), 18 * MIB);
    jem_pagecache_give(&cache, two);
    (void)jem_pagecache_purge(&cache);
    assert_int_equal(cache.regions.mapped_size, 2 * MIB);
    assert_int_equal(atomic_load(&mapped.peak), 18 * MIB);
    jem_pagecache_give(&cache, one);
    pages_fail_at(2, true); /* The purge may, unmapping may not. */
    (void)jem_pagecache_purge(&cache);
    pages_fail_at(0, false);
    assert_int_equal(cache.regions.mapped_size, 2 * MIB);
    jem_pagecache_check(&cache);
    (void)jem_pagecache_purge(&cache);
    assert_int_equal(cache.regions.mapped_size, 0);
    assert_int_equal(atomic_load(&mapped.size), 0);
    jem_pagecache_give(&cache, take(16 * KIB));
}

static void
pagecache_survives_without_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 12; n++) {
        struct jem_extent *extents[64];
        unsigned count = 0;
        pages_fail_at(n, true);
        while (
            count < 64 && (extents[count] = jem_pagecache_take(&cache, 4 * MIB,
                               JEM_PAGE, jem_size_class(4 * MIB), 0)) != NULL) {
            count++;
        }
        jem_pagecache_check(&cache);
        while (count > 0) {
            jem_pagecache_give(&cache, extents[--count]);
            (void)jem_pagecache_purge(&cache);
        }
        pages_fail_at(0, false);
        jem_pagecache_check(&cache);
    }
}

/* ---- breaking it */

static void
miscount_pages(void *unused)
{
    (void)unused;
    atomic_fetch_add(&cache.free[JEM_RETAINED].pages, 1);
    jem_pagecache_check(&cache);
}

static void
forget_an_owner(void *extent)
{
    jem_owner_clear(extent);
    jem_pagecache_check(&cache);
}

static void
shorten_an_extent(void *extent)
{
    ((struct jem_extent *)extent)->size -= JEM_PAGE;
    jem_pagecache_check(&cache);
}

static void
miscount_large(void *unused)
{
    (void)unused;
    cache.large_count++;
    jem_pagecache_check(&cache);
}

static void
miscount_guards(void *unused)
{
    (void)unused;
    cache.guard_count++;
    jem_pagecache_check(&cache);
}

static void
pagecache_check_finds_what_is_broken(void **state)
{
    struct jem_extent *extent = take(64 * KIB);
    (void)state;
    assert_dies(miscount_pages, NULL, "check failed: ");
    assert_dies(forget_an_owner, extent, "check failed: ");
    assert_dies(shorten_an_extent, extent, "check failed: ");
    assert_dies(miscount_large, NULL, "check failed: ");
    assert_dies(miscount_guards, NULL, "check failed: ");
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(pagecache_splits_and_joins),
        TEST(pagecache_prefers_dirty_and_low),
        TEST(pagecache_aligns),
        TEST(pagecache_resizes_in_place),
        TEST(pages_go_from_dirty_to_muzzy_to_retained),
        TEST(decay_times_never_and_at_once),
        TEST(guard_follows_each_extent),
        TEST(mapping_without_a_used_page_is_unmapped),
        TEST(pagecache_survives_without_memory),
        TEST(pagecache_check_finds_what_is_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
