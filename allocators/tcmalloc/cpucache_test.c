/*
 * cpucache_test.c - the CPUs' caches, on CPUs that the test pretends
 *
 * One thread runs on one CPU after another, by rseq_pretend(). So it is the
 * sequences themselves that run, in every build, but for the kernel's aborts:
 * those are rseq_storm_test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/machine.h"
#include "tcmalloc/cpucache.h"
#include "tcmalloc/heap.h"
#include "tcmalloc/inspect.h"
#include "tcmalloc/tcmalloc.h"
#include "tcmalloc/threadcache.h"

#define BATCH      4096u
#define SIZE       ((size_t)64)
#define SIZE_CLASS tcm_sizemap_class(SIZE)

static uint64_t now = (uint64_t)1 << 40;

static uint64_t
pretended_clock(void)
{
    return now;
}

static size_t
cached_on(int cpu)
{
    struct tcm_cpucache *cache = tcm_cpucaches.caches[cpu];

    return cache == NULL ? 0 : tcm_slab_count(&cache->slab, SIZE_CLASS);
}

static void
free_many(void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tcm_free(blocks[i]);
    }
}

static void
take_many(void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = tcm_malloc(SIZE);
        assert_non_null(blocks[i]);
    }
}

static void
cpucache_serves_what_was_freed_on_its_cpu(void **state)
{
    void *block, *other;

    (void)state;
    rseq_pretend(1);
    block = tcm_malloc(SIZE);
    tcm_free(block);
    rseq_pretend(2);
    other = tcm_malloc(SIZE);
    assert_ptr_not_equal(other, block);
    rseq_pretend(1);
    assert_ptr_equal(tcm_malloc(SIZE), block);
    tcm_free(other);
    assert_ptr_equal(tcm_malloc(SIZE), other);
    tcm_free(block);
    tcm_free(other);
    tcm_inspect_check(&tcm_heap_process);
}

static void
cpucache_moves_nothing_on_another_cpus_slab(void **state)
{
    void *batch[4];

    (void)state;
    rseq_pretend(1);
    tcm_free(tcm_malloc(SIZE));
    struct tcm_slab *slab = &tcm_cpucaches.caches[1]->slab;
    assert_true(cached_on(1) > 0);
    rseq_pretend(2);
    assert_int_equal(tcm_cpuslab_pop_many(slab, SIZE_CLASS, batch, 1), 0);
    rseq_pretend(1);
    assert_int_equal(tcm_cpuslab_pop_many(slab, SIZE_CLASS, batch, 1), 1);
    rseq_pretend(2);
    assert_int_equal(tcm_cpuslab_push_many(slab, SIZE_CLASS, batch, 1), 0);
    rseq_pretend(1);
    assert_int_equal(tcm_cpuslab_push_many(slab, SIZE_CLASS, batch, 1), 1);
    tcm_inspect_check(&tcm_heap_process);
}

/* On CPU 2, so that CPU 1's cache stays as it is. */
static void
take_from_elsewhere(void **blocks, size_t count)
{
    rseq_pretend(2);
    take_many(blocks, count);
    rseq_pretend(1);
}

/* In one sequence: as many as there are, or as there is room for. */
static void
cpucache_moves_many_up_to_the_ends(void **state)
{
    void *blocks[600], *batch[BATCH];
    struct tcm_slab *slab;

    (void)state;
    rseq_pretend(1);
    take_many(blocks, 600);
    free_many(blocks, 600);
    slab = &tcm_cpucaches.caches[1]->slab;
    size_t count = cached_on(1);
    assert_in_range(count, 8, BATCH - 8);
    assert_int_equal(
        tcm_cpuslab_pop_many(slab, SIZE_CLASS, batch, BATCH), count);
    assert_int_equal(cached_on(1), 0);
    assert_int_equal(tcm_cpuslab_pop_many(slab, SIZE_CLASS, batch, BATCH), 0);
    assert_int_equal(
        tcm_cpuslab_push_many(slab, SIZE_CLASS, batch, count), count);
    /* No room for one more than the capacity. */
    size_t room = tcm_slab_capacity(slab, SIZE_CLASS) - count;
    take_from_elsewhere(batch, room + 1);
    assert_int_equal(
        tcm_cpuslab_push_many(slab, SIZE_CLASS, batch, room + 1), room);
    tcm_free(batch[room]);
    assert_int_equal(tcm_cpuslab_push_many(slab, SIZE_CLASS, batch, 0), 0);
    tcm_inspect_check(&tcm_heap_process);
}

static void
cpucache_of_a_stopped_cpu_serves_nothing(void **state)
{
    (void)state;
    rseq_pretend(1);
    tcm_free(tcm_malloc(SIZE));
    struct tcm_front *front = tcm_cpucache_front();
    assert_true(cached_on(1) > 0);
    front->moves->stop(front);
    assert_null(tcm_cpuslab_pop(SIZE_CLASS));
    assert_false(tcm_cpuslab_push(SIZE_CLASS, &front));
    front->moves->go_on(front);
    void *object = tcm_cpuslab_pop(SIZE_CLASS);
    assert_non_null(object);
    assert_true(tcm_cpuslab_push(SIZE_CLASS, object));
    assert_false(tcm_cpuslab_push(SIZE_CLASS, object)); /* the newest already */
}

static void
cpucache_of_an_unregistered_thread_is_none(void **state)
{
    static const int unregistered[] = {-1, -2};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        rseq_pretend(unregistered[i]);
        assert_null(tcm_cpuslab_pop(SIZE_CLASS));
        assert_false(tcm_cpuslab_push(SIZE_CLASS, &state));
        assert_null(tcm_cpucache_front());
        void *block = tcm_malloc(SIZE); /* from the transfer cache */
        assert_non_null(block);
        tcm_free(block);
    }
    rseq_pretend(1);
    tcm_inspect_check(&tcm_heap_process);
}

static void
cpucache_is_drained_when_its_cpu_is_idle(void **state)
{
    void *blocks[32];

    (void)state;
    machine.clock_ns = pretended_clock;
    rseq_pretend(1);
    take_many(blocks, 32);
    free_many(blocks, 32);
    rseq_pretend(2);
    take_many(blocks, 32);
    free_many(blocks, 32);
    now += (uint64_t)2000000000;
    tcm_cpucache_drain_idle(); /* the first look */
    assert_true(cached_on(1) > 0 && cached_on(2) > 0);
    tcm_free(tcm_malloc(1000)); /* CPU 2 moves */
    blocks[0] = tcm_malloc(SIZE);
    tcm_cpucache_drain_idle(); /* too early */
    assert_true(cached_on(1) > 0);
    now += (uint64_t)2000000000;
    tcm_cpucache_drain_idle();
    assert_int_equal(cached_on(1), 0);
    assert_true(cached_on(2) > 0);
    tcm_free(blocks[0]);
    machine = machine_kernel;
    tcm_inspect_check(&tcm_heap_process);
}

static void
cpucache_is_drained_by_trim(void **state)
{
    (void)state;
    rseq_pretend(1);
    tcm_free(tcm_malloc(SIZE));
    rseq_pretend(2);
    tcm_free(tcm_malloc(SIZE));
    (void)tcm_malloc_trim(0);
    assert_int_equal(cached_on(1), 0);
    assert_int_equal(cached_on(2), 0);
    tcm_inspect_check(&tcm_heap_process);
}

/* A class that runs full takes capacity from others when there is no room. */
static void
cpucache_moves_capacity_between_classes(void **state)
{
    enum { COUNT = 60 };
    void *blocks[COUNT];
    size_t big = (size_t)32 << 10;

    (void)state;
    rseq_pretend(3);
    tcm_heap_process.front_pool.room = 0;
    for (unsigned round = 0; round < 8; round++) {
        for (size_t size = 16; size <= big; size *= 2) {
            for (unsigned i = 0; i < COUNT; i++) {
                blocks[i] = tcm_malloc(size);
            }
            free_many(blocks, COUNT);
        }
    }
    struct tcm_front *front = &tcm_cpucaches.caches[3]->front;
    assert_true(tcm_front_cached_size(front) <= TCM_CPU_ROOM);
    assert_true(tcm_slab_capacity(front->slab, tcm_sizemap_class(big)) > 0);
    tcm_inspect_check(&tcm_heap_process);
}

/* The CPU's slab has room, but the block is the newest of the thread's own. */
static void
free_twice_on_own_cache(void *unused)
{
    static void *blocks[BATCH];

    (void)unused;
    tcm_heap_process.own_max = SIZE_MAX;
    (void)tcm_threadcache_get(&tcm_heap_process);
    take_many(blocks, BATCH);
    free_many(blocks, BATCH);
    while (tcm_cpuslab_pop(SIZE_CLASS) != NULL) {
    }
    blocks[0] = tcm_malloc(SIZE);
    tcm_free(blocks[0]);
    tcm_free(blocks[0]);
}

static void
cpucache_takes_no_double_free_of_an_own_cache(void **state)
{
    (void)state;
    rseq_pretend(4);
    tcm_free(tcm_malloc(SIZE));
    assert_dies(free_twice_on_own_cache, NULL, "double free");
}

/* Its slab grows by what it refuses, though the CPU's has room. */
static void
free_on_own_cache(void *unused)
{
    static void *blocks[BATCH];
    struct tcm_threadcache *own;

    (void)unused;
    tcm_heap_process.own_max = SIZE_MAX;
    own = tcm_threadcache_get(&tcm_heap_process);
    take_many(blocks, 8);
    free_many(blocks, 8);
    if (tcm_slab_count(&own->slab, SIZE_CLASS) != 8) {
        abort();
    }
}

static void
cpucache_leaves_an_own_cache_its_blocks(void **state)
{
    char text[DEATH_TEXT_MAX];

    (void)state;
    rseq_pretend(5);
    tcm_free(tcm_malloc(SIZE));
    assert_int_equal(death_capture(free_on_own_cache, NULL, text), 0);
}

static int
start(void **state)
{
    (void)state;
    setenv("TCM_OPTIONS", "own_caches:0", 1);
    rseq_pretend(0);
    tcm_free(tcm_malloc(1));
    return tcm_heap_process.has_cpu_caches ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpucache_serves_what_was_freed_on_its_cpu),
        cmocka_unit_test(cpucache_moves_nothing_on_another_cpus_slab),
        cmocka_unit_test(cpucache_moves_many_up_to_the_ends),
        cmocka_unit_test(cpucache_of_a_stopped_cpu_serves_nothing),
        cmocka_unit_test(cpucache_of_an_unregistered_thread_is_none),
        cmocka_unit_test(cpucache_is_drained_when_its_cpu_is_idle),
        cmocka_unit_test(cpucache_is_drained_by_trim),
        cmocka_unit_test(cpucache_moves_capacity_between_classes),
        cmocka_unit_test(cpucache_takes_no_double_free_of_an_own_cache),
        cmocka_unit_test(cpucache_leaves_an_own_cache_its_blocks),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
