/*
 * heap_test.c - which thread gets which arena, and what threads leave behind
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ptmalloc/block.h"
#include "ptmalloc/inspect.h"
#include "ptmalloc/returned.h"
#include "ptmalloc/testheap.h"

static void *
run(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    void *result;

    assert_int_equal(pthread_create(&thread, NULL, body, arg), 0);
    pthread_join(thread, &result);
    return result;
}

static void *
own_arena(void *unused)
{
    (void)unused;
    return ptm_heap_tcache(heap)->arena;
}

static struct ptm_arena *
arena_at(unsigned index)
{
    return ptm_heap_peek_arena(heap, index);
}

/* The first arena is the caller's. The second was made for a thread that has
 * gone: the next one takes it over. */
static void
arenas_of_dead_threads_are_used_again(void **state)
{
    (void)state;
    struct ptm_arena *mine = own_arena(NULL);

    assert_ptr_equal(mine, arena_at(0));
    for (unsigned i = 0; i < 20; i++) {
        void *arena = run(own_arena, NULL);
        assert_ptr_equal(arena, arena_at(1));
    }
    assert_int_equal(heap->arena_count, 2);
    assert_int_equal(mine->thread_count, 1);
    assert_int_equal(arena_at(1)->thread_count, 0);
}

struct crowd {
    pthread_barrier_t barrier;
    struct ptm_arena *arenas[10];
    unsigned next;
    pthread_mutex_t lock;
};

static void *
join_crowd(void *arg)
{
    struct crowd *crowd = arg;

    pthread_mutex_lock(&crowd->lock);
    crowd->arenas[crowd->next++] = own_arena(NULL);
    pthread_mutex_unlock(&crowd->lock);
    pthread_barrier_wait(&crowd->barrier); /* all live at one time */
    return NULL;
}

static void
arenas_grow_to_the_limit_and_are_shared_evenly(void **state)
{
    (void)state;
    struct crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[10];

    heap->tuning.arena_max = 5;
    pthread_barrier_init(&crowd.barrier, NULL, 10);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, join_crowd, &crowd), 0);
    }
    for (unsigned i = 0; i < 10; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(heap->arena_count, 5);
    for (unsigned arena = 0; arena < 5; arena++) {
        unsigned count = 0;
        for (unsigned i = 0; i < 10; i++) {
            count += crowd.arenas[i] == arena_at(arena);
        }
        assert_int_equal(count, 2);
    }
    pthread_barrier_destroy(&crowd.barrier);
}

/* A thread that is bound to arena 0 wants an arena. */
static void *
lock_one(void *unused) NO_LOCK_ANALYSIS
{
    (void)unused;
    struct ptm_tcache *tcache = ptm_heap_tcache(heap);
    ptm_heap_follow(tcache, arena_at(0));
    struct ptm_arena *arena = ptm_heap_lock_arena(heap, tcache);
    mtx_unlock(&arena->lock);
    return tcache->arena == arena ? arena : NULL;
}

/* The thread's last one; if that is busy, the first that is free; if none is, a
 * new one. */
static void
a_busy_arena_is_passed_by(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    void *last = run(lock_one, NULL);
    assert_ptr_equal(last, arena_at(0));
    mtx_lock(&arena_at(0)->lock);
    void *made = run(lock_one, NULL);
    assert_non_null(made);
    assert_ptr_equal(made, arena_at(1));
    void *found = run(lock_one, NULL);
    assert_ptr_equal(found, made);
    mtx_unlock(&arena_at(0)->lock);
    assert_int_equal(heap->arena_count, 2);
}

static void
other_arena_serves_when_one_is_out_of_memory(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    assert_null(ptm_heap_lock_other_arena(heap, arena_at(0)));
    (void)own_arena(NULL);
    (void)run(own_arena, NULL);
    struct ptm_arena *other = ptm_heap_lock_other_arena(heap, arena_at(0));
    assert_ptr_equal(other, arena_at(1));
    mtx_unlock(&other->lock);
}

static void *
free_first(void *block)
{
    struct ptm_tcache *tcache = ptm_heap_tcache(heap);

    ptm_block_give(heap, tcache, block);
    return tcache->arena;
}

static void
a_thread_that_begins_by_freeing_joins_that_arena(void **state)
{
    (void)state;
    void *block = ptm_block_take(heap, ptm_heap_tcache(heap), 100, 1, false);

    assert_ptr_equal(run(free_first, block), arena_at(0));
}

/* What threads had cached is the heap's again when they are gone. */
static void *
fill_cache(void *unused)
{
    struct ptm_tcache *tcache = ptm_heap_tcache(heap);
    void *blocks[50];

    (void)unused;
    for (unsigned i = 0; i < 50; i++) {
        blocks[i] = ptm_block_take(heap, tcache, i * 50, 1, false);
    }
    for (unsigned i = 0; i < 50; i++) {
        ptm_block_give(heap, tcache, blocks[i]);
    }
    return NULL;
}

static void
caches_are_flushed_at_thread_exit(void **state)
{
    (void)state;
    struct ptm_arena *arena;
    struct alloc_stats stats;
    unsigned i;

    for (i = 0; i < 20; i++) {
        (void)run(fill_cache, NULL);
    }
    ptm_heap_check(heap);
    ptm_inspect_check(heap);
    assert_true(local_peek(&heap->tcaches) == NULL);
    PTM_ARENA_EACH (arena, i, heap) {
        mtx_lock(&arena->lock);
        ptm_returned_free_locked(arena);
        mtx_unlock(&arena->lock);
    }
    ptm_inspect_stats(heap, &stats);
    assert_int_equal(stats.cached_size, 0);
    assert_int_equal(stats.used_count, 0);
    assert_true(stats.mapped_size < (size_t)1 << 20); /* and does not grow */
}

/* Other threads were anywhere in their work when the child was made. */
static void *
work_until_told(void *stop)
{
    while (!atomic_load((_Atomic bool *)stop)) {
        (void)fill_cache(NULL);
    }
    return NULL;
}

static void
check_in_child(struct ptm_heap *parents)
{
    pthread_t threads[3];

    alarm(20);
    ptm_heap_check(parents);
    ptm_inspect_check(parents);
    for (unsigned i = 0; i < 3; i++) { /* they take the lost caches over */
        (void)pthread_create(&threads[i], NULL, fill_cache, NULL);
    }
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    ptm_heap_check(parents);
    ptm_inspect_check(parents);
    _exit(0);
}

static void
a_forked_child_has_a_whole_heap(void **state)
{
    (void)state;
    _Atomic bool stop = false;
    pthread_t threads[3];
    int status;

    for (unsigned i = 0; i < 3; i++) {
        (void)pthread_create(&threads[i], NULL, work_until_told, &stop);
    }
    for (unsigned round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0) {
            check_in_child(heap);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void
heap_that_cannot_be_made_is_null(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 4; n++) {
        pages_fail_at(n, true);
        assert_null(ptm_heap_new());
        pages_fail_at(0, false);
    }
}

static void
break_heap(void *which)
{
    if (*(unsigned *)which == 0) {
        arena_at(0)->index = 1; /* I1 */
    } else {
        arena_at(0)->thread_count++; /* I2 */
    }
    ptm_heap_check(heap);
}

static void
check_finds_each_broken_invariant(void **state)
{
    (void)state;
    assert_all_found(break_heap, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(arenas_of_dead_threads_are_used_again, open_heap),
        HEAP_TEST(arenas_grow_to_the_limit_and_are_shared_evenly, open_heap),
        HEAP_TEST(a_busy_arena_is_passed_by, open_heap),
        HEAP_TEST(other_arena_serves_when_one_is_out_of_memory, open_heap),
        HEAP_TEST(a_thread_that_begins_by_freeing_joins_that_arena, open_heap),
        HEAP_TEST(caches_are_flushed_at_thread_exit, open_heap),
        HEAP_TEST(a_forked_child_has_a_whole_heap, open_heap),
        cmocka_unit_test(heap_that_cannot_be_made_is_null),
        HEAP_TEST(check_finds_each_broken_invariant, open_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
