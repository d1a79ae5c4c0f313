/*
 * arena_test.c - chunks are cut, joined and resized; each invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "ptmalloc/arena.h"
#include "ptmalloc/testheap.h"

#define SLOTS 300

static struct ptm_arena *arena;

static int
set_up(void **state)
{
    if (open_heap(state) != 0) {
        return 1;
    }
    arena = ptm_heap_peek_arena(heap, 0);
    heap->tuning.trim_threshold = SIZE_MAX; /* only where a test sets it */
    return 0;
}

static struct chunk *
take(size_t size)
{
    mtx_lock(&arena->lock);
    struct chunk *chunk = ptm_arena_alloc_locked(arena, size);
    mtx_unlock(&arena->lock);
    return chunk;
}

static void
give(struct chunk *chunk)
{
    mtx_lock(&arena->lock);
    ptm_arena_free_locked(arena, chunk);
    mtx_unlock(&arena->lock);
}

static bool
resize(struct chunk *chunk, size_t size)
{
    mtx_lock(&arena->lock);
    bool resized = ptm_arena_resize_locked(arena, chunk, size);
    mtx_unlock(&arena->lock);
    ptm_arena_check(arena);
    return resized;
}

static void
neighbours_are_joined_in_every_order(void **state)
{
    (void)state;
    static const unsigned char orders[6][3] = {
        {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    for (unsigned i = 0; i < 6; i++) {
        struct chunk *chunks[3] = {take(112), take(2000), take(64)};
        struct chunk *barrier = take(112);
        for (unsigned k = 0; k < 3; k++) {
            give(chunks[orders[i][k]]);
            ptm_arena_check(arena);
        }
        assert_int_equal(ptm_bins_count(&arena->bins), 1);
        assert_int_equal(chunk_size(chunks[0]), 112 + 2000 + 64);
        give(barrier);
        assert_ptr_equal(arena->top.chunk, chunks[0]); /* all is top again */
        ptm_arena_check(arena);
    }
}

static void
aligned_chunks_give_their_edges_back(void **state)
{
    (void)state;
    for (size_t align = 32; align <= MIB; align *= 2) {
        mtx_lock(&arena->lock);
        struct chunk *chunk = ptm_arena_alloc_aligned_locked(arena, align, 112);
        mtx_unlock(&arena->lock);
        assert_int_equal((uintptr_t)chunk_block(chunk) % align, 0);
        assert_in_range(chunk_size(chunk), 112, 128);
        ptm_arena_check(arena);
    }
}

static void
chunks_grow_into_what_is_free_behind_them(void **state)
{
    (void)state;
    struct chunk *chunk = take(112);
    struct chunk *next = take(2000);
    struct chunk *last = take(112);

    assert_false(resize(chunk, 1008));
    give(next);
    assert_true(resize(chunk, 1008));
    assert_int_equal(chunk_size(chunk), 1008);
    assert_false(resize(chunk, 4000));
    assert_true(resize(last, 64 * KIB)); /* into the top */
    assert_int_equal(chunk_size(last), 64 * KIB);
    assert_true(resize(last, 112));
    assert_true(resize(chunk, 32));
    assert_int_equal(chunk_size(chunk), 32);
    heap->tuning.mmap_threshold = 100 * KIB;
    assert_false(resize(last, 1 * MIB)); /* a mapping shall serve it */
}

static void
a_long_top_is_given_back(void **state)
{
    (void)state;
    struct chunk *chunk = take(4 * MIB);
    size_t before = arena->top.system_size;

    heap->tuning.trim_threshold = 1 * MIB;
    give(chunk);
    assert_true(arena->top.system_size < before - 3 * MIB);
    ptm_arena_check(arena);
}

static void
used_up_subheaps_are_left_and_come_back(void **state)
{
    (void)state;
    struct chunk *chunks[7];

    for (unsigned i = 0; i < 7; i++) {
        chunks[i] = take(30 * MIB);
        assert_non_null(chunks[i]);
    }
    assert_true(arena->top.system_size > 210 * MIB);
    ptm_arena_check(arena);
    heap->tuning.trim_threshold = 1 * MIB;
    for (unsigned i = 0; i < 7; i++) {
        give(chunks[i]);
        ptm_arena_check(arena);
    }
    assert_null(arena->top.newest->older);
    assert_true(arena->top.system_size < 1 * MIB);
}

static void
trim_purges_free_chunks_inside(void **state)
{
    (void)state;
    struct chunk *chunk = take(4 * MIB);
    char *block = chunk_block(chunk);

    (void)take(112);
    memset(block, 1, 4 * MIB - 64);
    give(chunk);
    mtx_lock(&arena->lock);
    assert_true(ptm_arena_trim_locked(arena, 0));
    mtx_unlock(&arena->lock);
    ptm_arena_check(arena);
    chunk = take(4 * MIB);
    assert_ptr_equal(chunk_block(chunk), block);
    assert_int_equal(block[2 * MIB], 0);
}

static void
random_work_leaves_it_whole_and_empty(void **state)
{
    (void)state;
    struct chunk *slots[SLOTS] = {NULL};
    struct random random;

    random_seed(&random, 7);
    for (unsigned step = 0; step < 20000; step++) {
        unsigned k = (unsigned)random_below(&random, SLOTS);
        size_t size = random_log_between(&random, 2, 4000) * CHUNK_ALIGN;
        if (slots[k] == NULL) {
            slots[k] = take(size);
        } else if (random_one_in(&random, 4)) {
            mtx_lock(&arena->lock);
            (void)ptm_arena_resize_locked(arena, slots[k], size);
            mtx_unlock(&arena->lock);
        } else {
            give(slots[k]);
            slots[k] = NULL;
        }
        if (step % 200 == 0) {
            ptm_arena_check(arena);
        }
    }
    for (unsigned k = 0; k < SLOTS; k++) {
        if (slots[k] != NULL) {
            give(slots[k]);
        }
    }
    ptm_arena_check(arena);
    assert_int_equal(arena->bins.free_size, 0);
    assert_ptr_equal(
        arena->top.chunk, ptm_subheap_first_chunk(arena->top.newest));
}

static void
out_of_memory_changes_nothing(void **state)
{
    (void)state;
    size_t before = arena->top.system_size;

    pages_fail_at(1, true);
    assert_null(take(1 * MIB));
    pages_fail_at(0, false);
    assert_int_equal(arena->top.system_size, before);
    ptm_arena_check(arena);
    assert_non_null(take(1 * MIB));
}

/* ---- each invariant broken */

static void
break_arena(void *which)
{
    struct chunk *one = take(112), *two = take(2000);

    (void)take(112);
    give(two);
    if (*(unsigned *)which == 0) { /* I1: two free neighbours */
        chunk_set_free(one, 112);
        two->head &= ~PTM_PREV_USED;
        ptm_bins_push(&arena->bins, one);
    } else { /* I2: a free chunk in no bin */
        ptm_bins_remove(&arena->bins, two);
    }
    ptm_arena_check(arena);
}

static void
check_finds_each_broken_invariant(void **state)
{
    (void)state;
    assert_all_found(break_arena, 2);
}

static void
dump(void *unused)
{
    (void)unused;
    ptm_arena_dump(arena, STDERR_FILENO);
}

static void
dump_shows_its_parts(void **state)
{
    (void)state;
    char text[DEATH_TEXT_MAX];

    (void)death_capture(dump, NULL, text);
    assert_non_null(strstr(text, "arena 0: threads 0, returned 0\n"));
    assert_non_null(strstr(text, "top: "));
    assert_non_null(strstr(text, "subheap 0x"));
    assert_non_null(strstr(text, "bins: free 0 "));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(neighbours_are_joined_in_every_order, set_up),
        HEAP_TEST(aligned_chunks_give_their_edges_back, set_up),
        HEAP_TEST(chunks_grow_into_what_is_free_behind_them, set_up),
        HEAP_TEST(a_long_top_is_given_back, set_up),
        HEAP_TEST(used_up_subheaps_are_left_and_come_back, set_up),
        HEAP_TEST(trim_purges_free_chunks_inside, set_up),
        HEAP_TEST(random_work_leaves_it_whole_and_empty, set_up),
        HEAP_TEST(out_of_memory_changes_nothing, set_up),
        HEAP_TEST(check_finds_each_broken_invariant, set_up),
        HEAP_TEST(dump_shows_its_parts, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
