/*
 * inspect_test.c - walks and figures agree; an object twice cached is found, and
 * a class that has nothing and is broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/death.h"
#include "base/random.h"
#include "tcmalloc/block.h"
#include "tcmalloc/inspect.h"

#define BLOCKS 500

/* A heap with spans of many classes, large ones, and full caches. */
static struct tcm_heap *
full_heap(void)
{
    struct tcm_heap *heap = tcm_heap_new();
    void *blocks[BLOCKS];
    struct random random;

    assert_non_null(heap);
    random_seed(&random, 3);
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t size = random_log_between(&random, 1, 2000000);

        blocks[i] = tcm_block_take(heap, size, 1, false);
        assert_non_null(blocks[i]);
    }
    for (unsigned i = 0; i < BLOCKS; i += 2) {
        tcm_block_give(heap, blocks[i]);
    }
    return heap;
}

/* What a walk has seen. */
struct seen {
    const char *next, *region_end;
    size_t sizes[ALLOC_PIECE_META + 1];
    size_t counts[ALLOC_PIECE_META + 1];
};

/* The pieces of a region lie end to end. */
static void
see(const struct alloc_piece *piece, void *arg)
{
    struct seen *seen = arg;
    const char *addr = piece->addr;

    assert_non_null(piece->owner);
    seen->sizes[piece->kind] += piece->size;
    seen->counts[piece->kind]++;
    if (strcmp(piece->owner, "heap") == 0) {
        return;
    }
    if (piece->kind == ALLOC_PIECE_REGION) {
        assert_ptr_equal(seen->next, seen->region_end);
        seen->next = addr;
        seen->region_end = addr + piece->size;
        return;
    }
    assert_ptr_equal(addr, seen->next);
    seen->next = addr + piece->size;
    assert_true(seen->next <= seen->region_end);
}

static void
walk_and_figures_agree(void **state)
{
    struct tcm_heap *heap = full_heap();
    struct seen seen = {0};
    struct alloc_stats stats;

    (void)state;
    tcm_inspect_check(heap);
    tcm_inspect_stats(heap, &stats);
    tcm_inspect_walk(heap, see, &seen);
    assert_ptr_equal(seen.next, seen.region_end);
    assert_int_equal(stats.used_count, BLOCKS / 2);
    assert_int_equal(seen.counts[ALLOC_PIECE_USED], stats.used_count);
    assert_int_equal(seen.sizes[ALLOC_PIECE_USED], stats.used_size);
    assert_true(stats.cached_size > 0);
    assert_int_equal(seen.sizes[ALLOC_PIECE_CACHED], stats.cached_size);
    assert_int_equal(
        seen.sizes[ALLOC_PIECE_FREE] + stats.cached_size, stats.free_size);
    assert_int_equal(
        stats.mapped_size, stats.used_size + stats.free_size + stats.meta_size);
    tcm_heap_delete(heap);
}

/* An object on its span's free list, and in a transfer cache. */
static void
cache_an_object_twice(void *unused)
{
    struct tcm_heap *heap = full_heap();

    (void)unused;
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        struct tcm_transfer *transfer = &heap->transfers[i];
        void *object;

        if (transfer->count == 0 &&
            tcm_central_take(&transfer->central, &object, 1) == 1) {
            tcm_central_give(&transfer->central, &object, 1);
            transfer->slots[transfer->count++] = object;
            break;
        }
    }
    tcm_inspect_check(heap);
}

/* Breaks a class that has nothing, in one of the ways. */
static void
break_idle_class(void *arg)
{
    static struct tcm_span stray;
    struct tcm_heap *heap = tcm_heap_new();
    struct tcm_transfer *transfer = &heap->transfers[TCM_CLASS_COUNT - 1];

    assert_true(tcm_transfer_is_idle(transfer));
    switch (*(int *)arg) {
    case 0:
        transfer->central.span_count = 1;
        break;
    case 1:
        transfer->central.free_count = 1;
        break;
    case 2:
        transfer->low_count = 1;
        break;
    case 3:
        transfer->count = transfer->capacity + 1;
        break;
    case 4:
        list_push(&transfer->central.full, &stray.link);
        break;
    }
    tcm_inspect_check(heap);
}

static void
check_passes_over_no_class(void **state)
{
    (void)state;
    const char *const lines[] = {
        "check failed: span_count == central->span_count",
        "check failed: free_count == central->free_count",
        "check failed: transfer->low_count <= transfer->count",
        "check failed: transfer->count <= transfer->capacity",
        "check failed: span->page_count > 0",
    };

    for (int way = 0; way < 5; way++) {
        assert_dies(break_idle_class, &way, lines[way]);
    }
}

static void
check_finds_an_object_twice(void **state)
{
    (void)state;
    assert_dies(cache_an_object_twice, NULL, "marks.twice");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walk_and_figures_agree),
        cmocka_unit_test(check_finds_an_object_twice),
        cmocka_unit_test(check_passes_over_no_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
