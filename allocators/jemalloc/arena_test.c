/*
 * arena_test.c - an arena's blocks by shard and class, its reset and its end;
 * fork with threads at work in several arenas
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/pages.h"
#include "jemalloc/heap.h"
#include "jemalloc/jemalloc.h"

static void
shards_keep_their_regions_apart(void **state)
{
    (void)state;
    struct jem_heap *heap = jem_heap_new();
    struct jem_options options = heap->options;
    options.shard_count = 4;
    heap->options = options;
    struct jem_arena *arena = jem_heap_arena(heap, 0);
    for (unsigned shard = 0; shard < 9; shard++) {
        void *batch[3];
        assert_int_equal(jem_arena_take_small(arena, shard, 5, batch, 3), 3);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(
                jem_owner_shard(jem_owner_get(batch[i])), shard % 4);
        }
        jem_arena_give_small(heap, batch, 3);
    }
    for (unsigned shard = 0; shard < 4; shard++) {
        assert_int_equal(arena->bins[shard][5].slab_count, 1);
    }
    jem_heap_check(heap);
    jem_heap_delete(heap);
}

static void
explicit_arena_comes_and_goes(void **state)
{
    (void)state;
    struct jem_heap *heap = jem_heap_new();
    for (unsigned round = 0; round < 20; round++) {
        unsigned index = jem_heap_create_arena(heap);
        assert_int_equal(index, heap->auto_count);
        struct jem_arena *arena = jem_heap_arena(heap, index);
        void *batch[100];
        bool zeroed;
        for (unsigned class = 0; class < JEM_SMALL_COUNT; class ++) {
            assert_int_equal(
                jem_arena_take_small(arena, 0, class, batch, 100), 100);
        }
        assert_non_null(
            jem_arena_take_large(arena, JEM_SMALL_COUNT + 30, 4096, &zeroed));
        assert_true(arena->pages.regions.mapped_size > 0);
        jem_heap_check(heap);
        if (round % 2 != 0) {
            jem_arena_reset(arena);
            jem_heap_check(heap);
        }
        assert_true(jem_heap_destroy_arena(heap, arena));
        assert_false(jem_arena_exists(arena));
        assert_int_equal(arena->pages.regions.mapped_size, 0);
        jem_heap_check(heap);
    }
    jem_heap_delete(heap);
}

/* A mapping that the kernel will not take back serves the next of that index. */
static void
arena_that_cannot_be_unmapped_is_kept(void **state)
{
    (void)state;
    struct jem_heap *heap = jem_heap_new();
    struct jem_arena *arena = jem_heap_arena(heap, jem_heap_create_arena(heap));
    bool zeroed;
    assert_non_null(jem_heap_any_arena(heap));
    assert_non_null(
        jem_arena_take_large(arena, JEM_SMALL_COUNT, 4096, &zeroed));
    pages_fail_at(1, true);
    assert_true(jem_heap_destroy_arena(heap, arena));
    pages_fail_at(0, false);
    jem_heap_check(heap);
    size_t kept = arena->pages.regions.mapped_size;
    assert_true(kept > 0);
    assert_int_equal(jem_heap_create_arena(heap), arena->index);
    char *block = jem_arena_take_large(arena, JEM_SMALL_COUNT, 4096, &zeroed);
    assert_non_null(block);
    assert_int_equal(arena->pages.regions.mapped_size, kept);
    jem_heap_check(heap);
    jem_heap_delete(heap);
}

/* ---- fork while threads work */

static _Atomic bool ended;

static void *
work(void *unused)
{
    void *blocks[64] = {NULL};
    unsigned step = 0;
    (void)unused;
    for (; !atomic_load(&ended); step++) {
        unsigned i = step % 64;
        jem_free(blocks[i]);
        blocks[i] = jem_malloc((size_t)step * 7919 % 40000);
        if (step % 500 == 0) {
            (void)jem_malloc_trim(0);
        }
    }
    for (unsigned i = 0; i < 64; i++) {
        jem_free(blocks[i]);
    }
    return NULL;
}

static void
live_in_child(void)
{
    unsigned arena = 0;
    size_t size = sizeof arena;
    uint64_t any = 1;
    alarm(30);
    for (unsigned i = 0; i < 300; i++) {
        jem_free(jem_malloc((size_t)i * 331));
    }
    if (jem_mallctl("arenas.create", &arena, &size, NULL, 0) != 0 ||
        jem_mallctl("epoch", NULL, NULL, &any, sizeof any) != 0) {
        _exit(1);
    }
    memset(jem_mallocx(70000, JEM_MALLOCX_ARENA(arena)), 1, 70000);
    jem_heap_check(jem_heap_main());
    (void)jem_malloc_trim(0);
    jem_heap_check(jem_heap_main());
    _exit(0);
}

static void
child_of_busy_threads_is_whole(void **state)
{
    pthread_t threads[4];
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
    }
    for (unsigned round = 0; round < 15; round++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            live_in_child();
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    atomic_store(&ended, true);
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    jem_heap_check(jem_heap_main());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_keep_their_regions_apart),
        cmocka_unit_test(explicit_arena_comes_and_goes),
        cmocka_unit_test(arena_that_cannot_be_unmapped_is_kept),
        cmocka_unit_test(child_of_busy_threads_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
