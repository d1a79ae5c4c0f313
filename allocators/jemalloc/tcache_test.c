/*
 * tcache_test.c - a cache's stacks: filled, flushed, lowered by use, limited;
 * what breaks an invariant
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/pages.h"
#include "jemalloc/block.h"
#include "jemalloc/heap.h"

#define CLASS 7 /* 112 bytes */
#define LARGE (JEM_SMALL_COUNT + 2)

static struct jem_heap *heap;
static struct jem_tcache *tcache;

static int
set_up(void **state)
{
    (void)state;
    heap = jem_heap_new();
    tcache = heap == NULL ? NULL : jem_heap_tcache(heap);
    return tcache == NULL;
}

static int
tear_down(void **state)
{
    (void)state;
    jem_tcache_check(tcache);
    jem_heap_check(heap);
    local_drop(&heap->tcaches);
    jem_heap_delete(heap);
    return 0;
}

static struct jem_tbin *
bin_of(unsigned size_class)
{
    return &tcache->bins[size_class];
}

static void *
take(size_t size)
{
    void *block = jem_block_take(heap, tcache, size, 1, false);
    assert_non_null(block);
    return block;
}

static void
tcache_fills_in_batches_lowest_on_top(void **state)
{
    (void)state;
    char *first = take(112);
    size_t filled = jem_tbin_count(bin_of(CLASS));
    assert_true(filled > 0);
    assert_true(filled < jem_tbin_capacity(bin_of(CLASS)));
    for (size_t i = 1; i <= filled; i++) {
        struct jem_tbin *bin = bin_of(CLASS);
        assert_ptr_equal(jem_tbin_pop(bin, jem_tbin_top(bin)), first + i * 112);
        jem_block_give(heap, NULL, first + i * 112);
    }
    jem_block_give(heap, tcache, first);
}

static void
tcache_keeps_what_was_freed_last(void **state)
{
    void *blocks[5];
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        blocks[i] = take(3000);
    }
    for (unsigned i = 0; i < 5; i++) {
        jem_block_give(heap, tcache, blocks[i]);
    }
    struct jem_tbin *bin = bin_of(jem_size_class(3000));
    for (unsigned i = 5; i-- > 0;) {
        assert_ptr_equal(jem_tbin_pop(bin, jem_tbin_top(bin)), blocks[i]);
        jem_block_give(heap, NULL, blocks[i]);
    }
}

static void
full_bin_flushes_its_older_half(void **state)
{
    enum { COUNT = 4000 };
    static void *blocks[COUNT];
    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = take(112);
    }
    tcache->uses[CLASS].floor_hit = false; /* A bin that ran empty grows. */
    size_t room = jem_tbin_capacity(bin_of(CLASS));
    for (unsigned i = 0; i < COUNT; i++) {
        jem_block_give(heap, tcache, blocks[i]);
        assert_true(jem_tbin_count(bin_of(CLASS)) > 0);
        jem_tcache_check(tcache);
    }
    assert_true(jem_tbin_count(bin_of(CLASS)) <= 2 * room);
    assert_ptr_equal(jem_tbin_top(bin_of(CLASS))[-1], blocks[COUNT - 1]);
}

/* A bin that nobody uses is flushed as events of other classes pass. */
static void
unused_bin_is_lowered_by_events(void **state)
{
    static void *blocks[60];
    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        blocks[i] = take(112);
    }
    for (unsigned i = 0; i < 60; i++) {
        jem_block_give(heap, tcache, blocks[i]);
    }
    size_t held = jem_tbin_count(bin_of(CLASS));
    assert_true(held > 20);
    unsigned begin = tcache->event_count;
    while (tcache->event_count - begin < 16 * 49 * 12) {
        void *other = take(20000); /* Fills and drains: two events. */
        jem_block_give(heap, NULL, other);
    }
    assert_true(jem_tbin_count(bin_of(CLASS)) <= held / 4);
}

static void
limit_decides_what_is_cached(void **state)
{
    (void)state;
    jem_block_give(heap, tcache, take(112));
    jem_block_give(heap, tcache, take(28000));
    assert_true(jem_tbin_count(bin_of(CLASS)) > 0);
    assert_int_equal(jem_tbin_count(bin_of(jem_size_class(28000))), 1);
    jem_tcache_limit(tcache, JEM_SMALL_COUNT);
    assert_int_equal(jem_tbin_count(bin_of(jem_size_class(28000))), 0);
    assert_int_equal(jem_tbin_capacity(bin_of(LARGE)), 0);
    assert_true(jem_tbin_count(bin_of(CLASS)) > 0);
    jem_tcache_limit(tcache, 0);
    assert_int_equal(jem_tbin_count(bin_of(CLASS)), 0);
    void *block = take(112); /* without a cache */
    jem_block_give(heap, tcache, block);
    assert_int_equal(jem_tbin_count(bin_of(CLASS)), 0);
    jem_tcache_limit(tcache, JEM_TCACHE_CLASSES);
    jem_block_give(heap, tcache, take(112));
    assert_true(jem_tbin_count(bin_of(CLASS)) > 0);
}

static void
tcache_without_memory_gives_null(void **state)
{
    (void)state;
    pages_fail_at(1, true);
    unsigned count = 0;
    while (jem_block_take(heap, tcache, 100000, 1, false) != NULL) {
        count++;
    }
    jem_tcache_check(tcache);
    jem_heap_check(heap);
    pages_fail_at(0, false);
    assert_true(count < 1000);
    jem_block_give(heap, tcache, take(100000));
}

/* ---- breaking it */

static void
raise_floor(void *unused)
{
    (void)unused;
    bin_of(CLASS)->floor = jem_tbin_top(bin_of(CLASS)) + 1;
    jem_tcache_check(tcache);
}

static void
cache_a_foreign_address(void *unused)
{
    static char foreign[112];
    (void)unused;
    *bin_of(CLASS)->empty = foreign;
    jem_tcache_check(tcache);
}

static void
cache_another_class(void *block)
{
    *bin_of(CLASS)->empty = block;
    jem_tcache_check(tcache);
}

static void
open_a_limited_bin(void *unused)
{
    (void)unused;
    tcache->class_limit = 1;
    jem_tcache_check(tcache);
}

static void
tcache_check_finds_what_is_broken(void **state)
{
    (void)state;
    jem_block_give(heap, tcache, take(112));
    void *other = take(224);
    assert_dies(raise_floor, NULL, "check failed: ");
    assert_dies(cache_a_foreign_address, NULL, "check failed: ");
    assert_dies(cache_another_class, other, "check failed: ");
    assert_dies(open_a_limited_bin, NULL, "check failed: ");
    jem_block_give(heap, tcache, other);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tcache_fills_in_batches_lowest_on_top),
        TEST(tcache_keeps_what_was_freed_last),
        TEST(full_bin_flushes_its_older_half),
        TEST(unused_bin_is_lowered_by_events),
        TEST(limit_decides_what_is_cached),
        TEST(tcache_without_memory_gives_null),
        TEST(tcache_check_finds_what_is_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
