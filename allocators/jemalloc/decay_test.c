/*
 * decay_test.c - pages kept against the documented curve, on a virtual clock
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/machine.h"
#include "jemalloc/arena.h"
#include "jemalloc/block.h"
#include "jemalloc/decay.h"
#include "jemalloc/heap.h"

#define SECOND_NS ((uint64_t)1000000000)

static uint64_t virtual_now_ns;

static uint64_t
virtual_clock(void)
{
    return virtual_now_ns;
}

/* The share that may be kept after a fraction x of the decay time. */
static double
curve(double x)
{
    double left = x < 1 ? 1 - x : 0;
    return left * left * left * (left * (left * 6 - 15) + 10);
}

static void
decay_limit_follows_the_curve(void **state)
{
    (void)state;
    static struct jem_decay decay;
    const size_t pages = 100000;
    size_t unused = pages;
    jem_decay_init(&decay, 10000, 0);
    (void)jem_decay_advance(&decay, SECOND_NS / 20, pages);
    for (unsigned step = 1; step <= 210; step++) {
        uint64_t now = SECOND_NS / 20 + step * (SECOND_NS / 20);
        assert_true(jem_decay_advance(&decay, now, unused));
        double wanted = (double)pages * curve(step / 200.0);
        double got = (double)decay.limit_pages;
        assert_true(got - wanted < 0.02 * (double)pages);
        assert_true(wanted - got < 0.02 * (double)pages);
        unused = unused < decay.limit_pages ? unused : decay.limit_pages;
    }
    assert_int_equal(decay.limit_pages, 0);
}

static void
decay_honours_never_and_at_once(void **state)
{
    (void)state;
    static struct jem_decay decay;
    jem_decay_init(&decay, -1, 0);
    assert_false(jem_decay_advance(&decay, 1000 * SECOND_NS, 5));
    assert_true(decay.limit_pages == SIZE_MAX);
    jem_decay_init(&decay, 0, 0);
    assert_int_equal(decay.limit_pages, 0);
}

/* The page cache itself: many one-page extents, apart so that none joins. */
static void
pagecache_keeps_what_the_curve_allows(void **state)
{
    (void)state;
    enum { COUNT = 4000 };
    static struct jem_extent *extents[2 * COUNT];
    virtual_now_ns = SECOND_NS;
    machine.clock_ns = virtual_clock;
    struct jem_heap *heap = jem_heap_new();
    struct jem_arena *arena = jem_heap_arena(heap, 0);
    struct jem_pagecache *cache = &arena->pages;
    for (unsigned i = 0; i < 2 * COUNT; i++) {
        extents[i] =
            jem_pagecache_take(cache, JEM_PAGE, JEM_PAGE, JEM_SMALL_COUNT, 0);
        assert_non_null(extents[i]);
    }
    for (unsigned i = 0; i < 2 * COUNT; i += 2) {
        jem_pagecache_give(cache, extents[i]);
    }
    virtual_now_ns += SECOND_NS / 20;
    jem_pagecache_tick(cache);
    for (unsigned step = 1; step <= 200; step++) {
        virtual_now_ns += SECOND_NS / 20;
        jem_pagecache_tick(cache);
        double wanted = COUNT * curve(step / 200.0);
        double kept = (double)cache->free[JEM_DIRTY].pages;
        assert_true(kept - wanted <= 0.02 * COUNT);
        assert_true(wanted - kept <= 0.02 * COUNT);
    }
    assert_int_equal(cache->free[JEM_DIRTY].pages, 0);
    jem_pagecache_check(cache);
    jem_heap_delete(heap);
    machine = machine_kernel;
}

/* ---- an arena, as its threads use it */

enum {
    WAVE = 1000,      /* blocks freed at one time */
    BLOCK_PAGES = 10, /* of each */
    WAVES = 2,
    GAP_STEPS = 67 /* between the waves: not a multiple of anything */
};

/* What both waves may have left, t steps of 1/200 after the first. */
static double
wanted_pages(unsigned t)
{
    double second = t < GAP_STEPS ? 0 : curve((t - GAP_STEPS) / 200.0);
    return WAVE * BLOCK_PAGES * (curve(t / 200.0) + second);
}

/* 128 fills of a cache that is emptied each time. */
static void
make_events(struct jem_heap *heap, struct jem_tcache *tcache)
{
    for (unsigned i = 0; i < 128; i++) {
        jem_block_give(
            heap, tcache, jem_block_take(heap, tcache, 100, 1, false));
        jem_tcache_drain(tcache);
    }
}

/* Two waves of blocks are freed; then only small blocks come
 * and go, whose fills and flushes are the arena's clock. What is dirty must be
 * what the curve allows for both waves together. */
static void
arena_keeps_what_the_curve_allows_of_two_waves(void **state)
{
    static void *blocks[2 * WAVE * WAVES];
    double worst = 0;
    (void)state;
    virtual_now_ns = 77 * SECOND_NS;
    machine.clock_ns = virtual_clock;
    struct jem_heap *heap = jem_heap_new();
    struct jem_tcache *tcache = jem_heap_tcache(heap);
    jem_tcache_limit(tcache, JEM_SMALL_COUNT); /* Large ones go straight. */
    for (unsigned i = 0; i < 2 * WAVE * WAVES; i++) {
        blocks[i] =
            jem_block_take(heap, tcache, BLOCK_PAGES * JEM_PAGE, 1, false);
        assert_non_null(blocks[i]);
    }
    for (unsigned t = 0; t <= 290; t++) {
        if (t == 0 || t == GAP_STEPS) {
            for (unsigned i = t == 0 ? 0 : 2; i < 2 * WAVE * WAVES; i += 4) {
                jem_block_give(heap, tcache, blocks[i]);
            }
        }
        make_events(heap, tcache);
        double kept = (double)tcache->arena->pages.free[JEM_DIRTY].pages;
        double off = kept - wanted_pages(t);
        worst = off > worst ? off : -off > worst ? -off : worst;
        virtual_now_ns += SECOND_NS / 20;
    }
    print_message(
        "worst: %.2f%% of a wave\n", 100 * worst / (WAVE * BLOCK_PAGES));
    assert_true(worst <= 0.02 * WAVE * BLOCK_PAGES);
    jem_heap_check(heap);
    local_drop(&heap->tcaches);
    jem_heap_delete(heap);
    machine = machine_kernel;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decay_limit_follows_the_curve),
        cmocka_unit_test(decay_honours_never_and_at_once),
        cmocka_unit_test(pagecache_keeps_what_the_curve_allows),
        cmocka_unit_test(arena_keeps_what_the_curve_allows_of_two_waves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
