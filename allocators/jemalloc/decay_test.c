/*
 * decay_test.c - pages kept against the documented curve, on a virtual clock
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
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

/* ---- an arena whose threads do nothing more */

enum { LEFT_BLOCKS = 1000, ARENAS = 4 /* of one CPU */ };

static struct {
    struct jem_heap *heap;
    struct jem_arena *arena;
    sem_t is_done, may_end;
} idler;

static unsigned
one_cpu(void)
{
    return 1;
}

static void *
free_and_idle(void *unused)
{
    static void *blocks[2 * LEFT_BLOCKS];
    struct jem_heap *heap = idler.heap;
    struct jem_tcache *tcache = jem_heap_tcache(heap);
    jem_tcache_limit(tcache, JEM_SMALL_COUNT);
    idler.arena = tcache->arena;
    for (unsigned i = 0; i < 2 * LEFT_BLOCKS; i++) {
        blocks[i] =
            jem_block_take(heap, tcache, BLOCK_PAGES * JEM_PAGE, 1, false);
    }
    for (unsigned i = 0; i < 2 * LEFT_BLOCKS; i += 2) {
        jem_block_give(heap, tcache, blocks[i]);
    }
    sem_post(&idler.is_done);
    sem_wait(&idler.may_end);
    return unused;
}

/* The thread has freed its blocks at time 0; another arena's thread goes on. It
 * comes by once in ARENAS ticks, of which a step has two. */
static void
expect_decay(bool has_left)
{
    pthread_t thread;
    virtual_now_ns = 5 * SECOND_NS;
    machine.clock_ns = virtual_clock;
    machine.cpu_count = one_cpu;
    struct jem_heap *heap = idler.heap = jem_heap_new();
    struct jem_tcache *tcache = jem_heap_tcache(heap);
    sem_init(&idler.is_done, 0, 0);
    sem_init(&idler.may_end, 0, has_left);
    assert_int_equal(pthread_create(&thread, NULL, free_and_idle, NULL), 0);
    sem_wait(&idler.is_done);
    if (has_left) {
        pthread_join(thread, NULL);
        assert_int_equal(idler.arena->thread_count, 0);
    }
    assert_ptr_not_equal(idler.arena, tcache->arena);
    for (unsigned t = 0; t <= 200 + ARENAS; t++) {
        size_t kept = jem_freeset_pages(&idler.arena->pages.free[JEM_DIRTY]);
        double late = t < ARENAS ? 0 : (t - ARENAS) / 200.0;
        double limit = LEFT_BLOCKS * BLOCK_PAGES * (curve(late) + 0.02);
        assert_true((double)kept <= limit);
        make_events(heap, tcache);
        virtual_now_ns += SECOND_NS / 20;
    }
    assert_int_equal(jem_freeset_pages(&idler.arena->pages.free[JEM_DIRTY]), 0);
    if (!has_left) {
        sem_post(&idler.may_end);
        pthread_join(thread, NULL);
    }
    jem_heap_check(heap);
    local_drop(&heap->tcaches);
    jem_heap_delete(heap);
    machine = machine_kernel;
}

static void
arena_without_threads_decays(void **state)
{
    (void)state;
    expect_decay(true);
}

static void
arena_of_a_sleeping_thread_decays(void **state)
{
    (void)state;
    expect_decay(false);
}

/* An explicit arena that a caller uses past all caches, and leaves. */
static void
explicit_arena_decays(void **state)
{
    (void)state;
    virtual_now_ns = 5 * SECOND_NS;
    machine.clock_ns = virtual_clock;
    machine.cpu_count = one_cpu;
    struct jem_heap *heap = jem_heap_new();
    struct jem_tcache *tcache = jem_heap_tcache(heap);
    struct jem_arena *arena = jem_heap_arena(heap, jem_heap_create_arena(heap));
    assert_non_null(arena);
    void *block = jem_block_take_from(heap, NULL, arena, 1 << 20, 1, false);
    jem_block_give(heap, NULL, block);
    assert_int_equal(jem_freeset_pages(&arena->pages.free[JEM_DIRTY]), 256);
    for (unsigned t = 0; t < 200 + 2 * ARENAS; t++) {
        make_events(heap, tcache);
        virtual_now_ns += SECOND_NS / 20;
    }
    assert_int_equal(jem_freeset_pages(&arena->pages.free[JEM_DIRTY]), 0);
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
        cmocka_unit_test(arena_without_threads_decays),
        cmocka_unit_test(arena_of_a_sleeping_thread_decays),
        cmocka_unit_test(explicit_arena_decays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
