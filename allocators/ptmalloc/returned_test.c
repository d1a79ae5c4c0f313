/*
 * returned_test.c - batches come off as they went on, also from many threads
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ptmalloc/returned.h"
#include "ptmalloc/testheap.h"

#define SIZE    ((size_t)112)
#define BIN     ((unsigned)(SIZE / CHUNK_ALIGN))
#define THREADS 4
#define ROUNDS  2000

static struct ptm_arena *arena;

static int
set_up(void **state)
{
    if (open_heap(state) != 0) {
        return 1;
    }
    arena = ptm_heap_peek_arena(heap, 0);
    return 0;
}

/* A batch of fresh chunks, linked as a cache would. */
static struct ptm_cached *
make_batch(unsigned count)
{
    struct ptm_cached *batch = NULL;

    mtx_lock(&arena->lock);
    for (; count > 0; count--) {
        struct ptm_cached *cached =
            chunk_block(ptm_arena_alloc_locked(arena, SIZE));
        cached->next = ptm_mangle(&cached->next, (uintptr_t)batch);
        cached->key = heap->key;
        batch = cached;
    }
    mtx_unlock(&arena->lock);
    return batch;
}

static struct ptm_cached *
pop(unsigned *count)
{
    mtx_lock(&arena->lock);
    struct ptm_cached *batch = ptm_returned_pop_locked(arena, BIN, count);
    mtx_unlock(&arena->lock);
    return batch;
}

static void
batches_come_off_whole_newest_first(void **state)
{
    (void)state;
    struct ptm_cached *one = make_batch(3), *two = make_batch(65);
    unsigned count;

    assert_null(pop(&count));
    ptm_returned_push(arena, BIN, one, 3);
    ptm_returned_push(arena, BIN, two, 65);
    assert_int_equal(atomic_load(&arena->returned_size), 68 * SIZE);
    ptm_arena_check(arena);
    assert_ptr_equal(pop(&count), two);
    assert_int_equal(count, 65);
    assert_ptr_equal(pop(&count), one);
    assert_int_equal(count, 3);
    assert_int_equal(atomic_load(&arena->returned_size), 0);
    assert_null(pop(&count));
}

static void
freed_in_earnest_they_join_the_top(void **state)
{
    (void)state;
    struct chunk *top = arena->top.chunk;

    ptm_returned_push(arena, BIN, make_batch(20), 20);
    ptm_returned_push(arena, BIN, make_batch(1), 1);
    assert_ptr_not_equal(arena->top.chunk, top);
    mtx_lock(&arena->lock);
    ptm_returned_free_locked(arena);
    mtx_unlock(&arena->lock);
    assert_ptr_equal(arena->top.chunk, top);
    ptm_arena_check(arena);
}

static void
count_one(const struct ptm_cached *cached, void *count)
{
    assert_int_equal(cached->key, heap->key);
    (*(size_t *)count)++;
}

static void
each_visits_every_chunk_once(void **state)
{
    (void)state;
    size_t count = 0;

    ptm_returned_push(arena, BIN, make_batch(3), 3);
    ptm_returned_push(arena, BIN, make_batch(4), 4);
    mtx_lock(&arena->lock);
    ptm_returned_each_locked(arena, count_one, &count);
    mtx_unlock(&arena->lock);
    assert_int_equal(count, 7);
}

/* A batch goes round: popped under the lock, pushed without. */
static void *
pass_on(void *unused)
{
    unsigned count;

    (void)unused;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct ptm_cached *batch = pop(&count);
        if (batch != NULL) {
            ptm_returned_push(arena, BIN, batch, count);
        }
    }
    return NULL;
}

static void
no_batch_is_lost_between_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    unsigned seen = 0, count;

    for (unsigned i = 1; i <= 2 * THREADS; i++) {
        ptm_returned_push(arena, BIN, make_batch(i), i);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, pass_on, NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ptm_arena_check(arena);
    while (pop(&count) != NULL) {
        seen += 1u << count;
    }
    assert_int_equal(seen, (1u << (2 * THREADS + 1)) - 2); /* each once */
}

static void
break_returned(void *which)
{
    struct ptm_cached *batch = make_batch(3);

    ptm_returned_push(arena, BIN, batch, 3);
    switch (*(unsigned *)which) {
    case 0:
        batch->key++; /* I2 */
        break;
    case 1:
        chunk_of_block(batch)->head += 2 * CHUNK_ALIGN; /* I2 */
        break;
    default:
        arena->returned_size += SIZE; /* I3 */
    }
    mtx_lock(&arena->lock);
    ptm_returned_check_locked(arena);
    mtx_unlock(&arena->lock);
}

static void
check_finds_each_broken_invariant(void **state)
{
    (void)state;
    assert_all_found(break_returned, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(batches_come_off_whole_newest_first, set_up),
        HEAP_TEST(freed_in_earnest_they_join_the_top, set_up),
        HEAP_TEST(each_visits_every_chunk_once, set_up),
        HEAP_TEST(no_batch_is_lost_between_threads, set_up),
        HEAP_TEST(check_finds_each_broken_invariant, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
