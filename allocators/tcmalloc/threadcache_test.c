/*
 * threadcache_test.c - a thread's cache is made, kept, and left to the next
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcmalloc/block.h"
#include "tcmalloc/testheap.h"
#include "tcmalloc/threadcache.h"

#define SIZE  ((size_t)64)
#define CLASS tcm_sizemap_class(SIZE)

static size_t
own_count(void)
{
    return atomic_load(&heap->own_count);
}

static void *
run(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    void *result;

    assert_int_equal(pthread_create(&thread, NULL, body, arg), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    return result;
}

static void *
get(void *unused)
{
    (void)unused;
    return tcm_threadcache_get(heap);
}

/* Its cache; a block lies in it, whose address is left in *block. */
static void *
use(void *block)
{
    void **place = block;

    *place = tcm_block_take(heap, SIZE, 1, false);
    tcm_block_give(heap, *place);
    return tcm_threadcache_get(heap);
}

static void
a_thread_has_one_cache(void **state)
{
    struct tcm_threadcache *cache = get(NULL);

    (void)state;
    assert_non_null(cache);
    assert_ptr_equal(get(NULL), cache);
    assert_ptr_equal(tcm_heap_front(heap), &cache->front);
    assert_ptr_equal(cache->heap, heap);
    assert_ptr_not_equal(run(get, NULL), cache);
    assert_int_equal(own_count(), 1);
}

static void
a_freed_block_is_the_next_of_its_size(void **state)
{
    void *block;
    struct tcm_threadcache *cache = use(&block);

    (void)state;
    assert_true(tcm_slab_holds(&cache->slab, CLASS, block));
    assert_ptr_equal(tcm_block_take(heap, SIZE, 1, false), block);
    assert_false(tcm_slab_holds(&cache->slab, CLASS, block));
    tcm_front_check(&cache->front);
}

static void
a_thread_that_ends_leaves_its_objects_to_all(void **state)
{
    size_t room = atomic_load(&heap->front_pool.room);
    void *block;

    (void)state;
    struct tcm_threadcache *cache = run(use, &block);
    assert_int_equal(tcm_slab_count(&cache->slab, CLASS), 0);
    assert_true(tcm_transfer_holds(&heap->transfers[CLASS], block));
    assert_int_equal(atomic_load(&heap->front_pool.room), room);
    assert_int_equal(own_count(), 0);
}

static void
its_memory_serves_the_next_thread(void **state)
{
    void *cache = run(get, NULL);
    size_t mapped_size = meta_mapped_size(&heap->meta);

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        assert_ptr_equal(run(get, NULL), cache);
    }
    assert_int_equal(meta_mapped_size(&heap->meta), mapped_size);
}

static void
out_of_memory_a_thread_does_without(void **state)
{
    (void)state;
    pages_fail_at(1, true);
    while (meta_take(&heap->meta, 64) != NULL) {
    }
    assert_null(get(NULL));
    assert_null(tcm_heap_front(heap));
    assert_int_equal(own_count(), 0);
    pages_fail_at(0, false);
    assert_non_null(get(NULL));
}

/* The fast paths' slab where there is no cache. */
static void
the_slab_of_no_cache_neither_pops_nor_pushes(void **state)
{
    char object;

    (void)state;
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        assert_null(tcm_slab_pop(&tcm_slab_none, i));
        assert_false(tcm_slab_push(&tcm_slab_none, i, &object));
    }
}

/* ---- the invariants are its front's and its slab's */

static void
break_cache(void *unused)
{
    struct tcm_threadcache *cache = get(NULL);

    (void)unused;
    cache->front.room++;
    tcm_heap_check(heap);
}

static void
the_heaps_check_comes_by_each_cache(void **state)
{
    (void)state;
    assert_dies(break_cache, NULL, "sum_locked(front) == ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(a_thread_has_one_cache),
        HEAP_TEST(a_freed_block_is_the_next_of_its_size),
        HEAP_TEST(a_thread_that_ends_leaves_its_objects_to_all),
        HEAP_TEST(its_memory_serves_the_next_thread),
        HEAP_TEST(out_of_memory_a_thread_does_without),
        HEAP_TEST(the_slab_of_no_cache_neither_pops_nor_pushes),
        HEAP_TEST(the_heaps_check_comes_by_each_cache),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
