/*
 * segment_test.c - top grows, moves on, and gives memory back
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/pages.h"
#include "dlmalloc/block.h"
#include "dlmalloc/inspect.h"
#include "dlmalloc/segment.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

#define BLOCK_SIZE (200 * KIB) /* below the threshold of mappings */
#define MANY       500         /* more than one segment holds */

static void *blocks[MANY];

static void
take_all(struct dlm_heap *heap, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = dlm_block_take(heap, BLOCK_SIZE);
        assert_non_null(blocks[i]);
    }
}

static void
give_all(struct dlm_heap *heap, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        dlm_block_give(heap, blocks[i]);
    }
}

static void
top_grows_in_place(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_heap_open();

    take_all(heap, 100);
    assert_int_equal(list_count(&heap->segments), 1);
    for (unsigned i = 1; i < 100; i++) {
        assert_int_equal((char *)blocks[i] - (char *)blocks[i - 1],
            BLOCK_SIZE + DLM_OVERHEAD);
    }
    dlm_inspect_check(heap);
    dlm_heap_close(heap);
}

static void
realloc_at_top_never_copies(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_heap_open();
    char *block = dlm_block_take(heap, 16);

    memset(block, 7, 16);
    for (size_t size = 32; size < 20 * MIB; size += size / 3) {
        assert_ptr_equal(dlm_block_resize(heap, block, size), block);
        assert_int_equal(block[15], 7);
        block[size - 1] = 1;
    }
    assert_int_equal(heap->directs.count, 0);
    dlm_inspect_check(heap);
    dlm_heap_close(heap);
}

static void
full_segment_is_left_and_given_back_when_free(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_heap_open();

    take_all(heap, MANY);
    assert_int_equal(list_count(&heap->segments), 2);
    dlm_inspect_check(heap);
    size_t full_size = heap->mapped_size;
    give_all(heap, MANY);
    dlm_inspect_check(heap);
    assert_int_equal(list_count(&heap->segments), 1);
    assert_true(heap->mapped_size < full_size / 20);
    assert_true(full_size <= heap->mapped_peak);
    dlm_heap_close(heap);
}

static void
top_is_trimmed_beyond_its_threshold(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_heap_open();

    take_all(heap, 50);
    give_all(heap, 50);
    assert_true(heap->top_size <= heap->tuning.trim_threshold);
    dlm_inspect_check(heap);
    (void)dlm_tuning_set(&heap->tuning, M_TRIM_THRESHOLD, -1);
    take_all(heap, 50);
    give_all(heap, 50);
    assert_true(heap->top_size > 9 * MIB);
    dlm_inspect_check(heap);
    dlm_heap_close(heap);
}

static void
trim_keeps_the_pad_and_says_what_it_did(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_heap_open();

    take_all(heap, 5);
    give_all(heap, 5);
    assert_true(dlm_block_trim(heap, 300 * KIB));
    assert_in_range(heap->top_size, 300 * KIB, 300 * KIB + 2 * pages_os_size());
    assert_false(dlm_block_trim(heap, 300 * KIB));
    assert_false(dlm_block_trim(heap, SIZE_MAX));
    assert_true(dlm_block_trim(heap, 0));
    assert_true(heap->top_size <= 2 * pages_os_size());
    dlm_inspect_check(heap);
    dlm_heap_close(heap);
}

static void
trim_purges_free_chunks_between_blocks(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_heap_open();
    struct alloc_stats stats;

    take_all(heap, 5);
    for (unsigned i = 0; i < 5; i++) {
        memset(blocks[i], 'a' + (int)i, BLOCK_SIZE);
    }
    dlm_block_give(heap, blocks[1]);
    dlm_block_give(heap, blocks[3]);
    assert_true(dlm_block_trim(heap, SIZE_MAX));
    dlm_inspect_check(heap);
    dlm_inspect_stats(heap, &stats);
    assert_in_range(
        stats.purged_size, 2 * (BLOCK_SIZE - 8 * KIB), 2 * BLOCK_SIZE);
    for (unsigned i = 0; i < 5; i += 2) {
        assert_int_equal(((char *)blocks[i])[0], 'a' + i);
        assert_int_equal(((char *)blocks[i])[BLOCK_SIZE - 1], 'a' + i);
    }
    char *again = dlm_block_take(heap, BLOCK_SIZE);
    assert_true(again == blocks[1] || again == blocks[3]);
    assert_int_equal(again[BLOCK_SIZE / 2], 0);
    dlm_inspect_stats(heap, &stats);
    assert_true(stats.purged_size < BLOCK_SIZE);
    dlm_heap_close(heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(top_grows_in_place),
        cmocka_unit_test(realloc_at_top_never_copies),
        cmocka_unit_test(full_segment_is_left_and_given_back_when_free),
        cmocka_unit_test(top_is_trimmed_beyond_its_threshold),
        cmocka_unit_test(trim_keeps_the_pad_and_says_what_it_did),
        cmocka_unit_test(trim_purges_free_chunks_between_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
