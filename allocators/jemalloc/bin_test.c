/*
 * bin_test.c - regions of one class: lowest first, the stash, slabs that come and
 * go, and what breaks an invariant
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/pages.h"
#include "jemalloc/heap.h"

#define CLASS 7 /* 112 bytes, 256 in a slab */
#define SIZE  112
#define COUNT 600

static struct jem_heap *heap;
static struct jem_arena *arena;
static struct jem_bin *bin;
static struct jem_pagecache *pages;
static void *regions[COUNT];

static int
set_up(void **state)
{
    (void)state;
    heap = jem_heap_new();
    arena = heap == NULL ? NULL : jem_heap_arena(heap, 0);
    if (arena == NULL) {
        return 1;
    }
    bin = &arena->bins[0][CLASS];
    pages = &arena->pages;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    jem_heap_delete(heap);
    return 0;
}

static void
take_all(void)
{
    assert_int_equal(jem_bin_take(bin, pages, regions, COUNT), COUNT);
}

/* Gives regions [from, to) back: into the stash, and then to their slabs. */
static void
give(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        void *batch[] = {regions[i]};
        assert_int_equal(jem_bin_give(bin, pages, batch, 1), 0);
    }
    jem_bin_drain(bin, pages, true);
    jem_arena_check(arena);
}

static void
bin_draws_the_lowest_address_first(void **state)
{
    (void)state;
    take_all();
    assert_int_equal(bin->slab_count, 3);
    for (unsigned i = 1; i < COUNT; i++) {
        assert_ptr_equal((char *)regions[i - 1] + SIZE, regions[i]);
    }
    give(100, 200); /* the first slab */
    give(300, 400); /* the second */
    void *again[256];
    size_t left = bin->current->free_count; /* The current goes on first. */
    assert_int_equal(jem_bin_take(bin, pages, again, left), left);
    assert_ptr_equal(again[0], (char *)regions[COUNT - 1] + SIZE);
    assert_int_equal(jem_bin_take(bin, pages, again, 150), 150);
    assert_ptr_equal(again[0], regions[100]);
    assert_ptr_equal(again[100], regions[300]);
    jem_arena_check(arena);
}

static void
bin_gives_empty_slabs_back(void **state)
{
    (void)state;
    take_all();
    give(0, 512);
    assert_int_equal(bin->slab_count, 1); /* the current one */
    assert_int_equal(jem_freeset_pages(&pages->free[JEM_DIRTY]), 2 * 7);
    give(512, COUNT);
    assert_int_equal(bin->slab_count, 1);
    assert_int_equal(bin->free_count, 256);
}

static void
stash_hands_regions_on(void **state)
{
    void *batch[20];
    (void)state;
    take_all();
    for (unsigned i = 0; i < 20; i++) {
        batch[i] = regions[i * 20];
    }
    assert_int_equal(jem_bin_give(bin, pages, batch, 20), 0);
    assert_int_equal(bin->stash_count, 20);
    for (unsigned i = 0; i < 20; i++) {
        const struct jem_extent *slab =
            jem_owner_extent(jem_owner_get(regions[i * 20]));
        assert_false(jem_slab_region_is_free(slab, regions[i * 20]));
        assert_true(jem_bin_holds(bin, slab, regions[i * 20]));
        assert_false(jem_bin_holds(bin, slab, regions[i * 20 + 1]));
    }
    assert_int_equal(jem_bin_take(bin, pages, batch, 20), 20);
    assert_int_equal(bin->stash_count, 0);
    assert_ptr_equal(batch[0], regions[0]);
    /* What a drain finds unused since the one before goes to its slab. */
    assert_int_equal(jem_bin_give(bin, pages, batch, 20), 0);
    jem_bin_drain(bin, pages, false);
    assert_int_equal(bin->stash_count, 20);
    jem_bin_drain(bin, pages, false);
    assert_int_equal(bin->stash_count, 0);
    jem_arena_check(arena);
}

/* A batch of three bins' regions: each is given what is its own, in one turn. */
static void
bin_takes_its_own_of_a_batch(void **state)
{
    struct jem_arena *other = jem_heap_arena(heap, 1);
    void *mixed[30];
    (void)state;
    assert_int_equal(jem_bin_take(bin, pages, mixed, 15), 15);
    assert_int_equal(
        jem_bin_take(&other->bins[0][CLASS], &other->pages, mixed + 15, 15),
        15);
    for (unsigned i = 0; i < 15; i += 2) {
        void *swapped = mixed[i];
        mixed[i] = mixed[29 - i];
        mixed[29 - i] = swapped;
    }
    uint64_t flushes = bin->flush_count;
    jem_arena_give_small(heap, mixed, 30);
    assert_int_equal(bin->flush_count, flushes + 1);
    assert_int_equal(other->bins[0][CLASS].flush_count, 1);
    assert_int_equal(bin->given_count, bin->taken_count);
    jem_heap_check(heap);
}

static void
bin_comes_short_without_memory(void **state)
{
    (void)state;
    pages_fail_at(1, true);
    size_t taken = 0;
    while (jem_bin_take(bin, pages, regions, COUNT) == COUNT) {
        taken += COUNT;
    }
    pages_fail_at(0, false);
    jem_arena_check(arena);
    take_all();
    jem_bin_reset(bin);
    jem_pagecache_reset(pages);
    assert_int_equal(bin->slab_count, 0);
    jem_arena_check(arena);
    assert_true(taken < 1 << 20);
}

/* ---- breaking it */

static void
free_region_twice(void *unused)
{
    (void)unused;
    void *twice[] = {regions[5], regions[5]};
    (void)jem_bin_give(bin, pages, twice, 2);
    jem_bin_drain(bin, pages, true);
}

static void
miscount_free(void *unused)
{
    (void)unused;
    bin->free_count++;
    jem_bin_check(bin);
}

static void
flip_a_bit(void *unused)
{
    (void)unused;
    jem_owner_extent(jem_owner_get(regions[COUNT - 1]))->free_bits[0] ^= 1;
    jem_bin_check(bin);
}

static void
stash_a_free_region(void *unused)
{
    (void)unused;
    void *batch[] = {regions[COUNT - 1]};
    (void)jem_bin_give(bin, pages, batch, 1);
    jem_bin_drain(bin, pages, true);
    bin->stash[bin->stash_count++] = regions[COUNT - 1];
    jem_bin_check(bin);
}

static void
bin_check_finds_what_is_broken(void **state)
{
    (void)state;
    take_all();
    assert_dies(free_region_twice, NULL, "malstrom-jemalloc: double free: 0x");
    assert_dies(miscount_free, NULL, "check failed: ");
    assert_dies(flip_a_bit, NULL, "check failed: ");
    assert_dies(stash_a_free_region, NULL, "check failed: ");
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(bin_draws_the_lowest_address_first),
        TEST(bin_gives_empty_slabs_back),
        TEST(stash_hands_regions_on),
        TEST(bin_takes_its_own_of_a_batch),
        TEST(bin_comes_short_without_memory),
        TEST(bin_check_finds_what_is_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
