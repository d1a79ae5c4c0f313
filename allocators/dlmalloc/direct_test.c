/*
 * direct_test.c - blocks with mappings of their own
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

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static void
large_block_comes_and_goes_with_its_mapping(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_heap_open();
    size_t before = heap->mapped_size;
    char *block = dlm_block_take(heap, 5 * MIB);

    assert_int_equal(heap->directs.count, 1);
    assert_true(heap->mapped_size >= before + 5 * MIB);
    memset(block, 1, dlm_block_usable_size(heap, block));
    dlm_inspect_check(heap);
    dlm_block_give(heap, block);
    assert_int_equal(heap->mapped_size, before);
    assert_int_equal(heap->direct_size, 0);
    dlm_heap_close(heap);
}

static void
threshold_rises_to_what_is_freed(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_heap_open();
    void *block = dlm_block_take(heap, 1 * MIB);

    assert_int_equal(heap->directs.count, 1);
    dlm_block_give(heap, block);
    block = dlm_block_take(heap, 1 * MIB);
    assert_int_equal(heap->directs.count, 0);
    dlm_block_give(heap, block);
    block = dlm_block_take(heap, 40 * MIB); /* beyond what is learned */
    dlm_block_give(heap, block);
    assert_true(heap->tuning.mmap_threshold < 2 * MIB);
    assert_int_equal(
        heap->tuning.trim_threshold, 2 * heap->tuning.mmap_threshold);
    dlm_heap_close(heap);
}

static void
threshold_stays_where_it_was_set(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_heap_open();

    (void)dlm_tuning_set(&heap->tuning, M_MMAP_THRESHOLD, 64 * 1024);
    for (unsigned i = 0; i < 3; i++) {
        void *block = dlm_block_take(heap, 100 * KIB);

        assert_int_equal(heap->directs.count, 1);
        dlm_block_give(heap, block);
    }
    (void)dlm_tuning_set(&heap->tuning, M_MMAP_MAX, 2);
    for (unsigned i = 0; i < 5; i++) {
        assert_non_null(dlm_block_take(heap, 100 * KIB));
    }
    assert_int_equal(heap->directs.count, 2);
    dlm_inspect_check(heap);
    dlm_heap_close(heap);
}

static void
realloc_moves_the_mapping(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_heap_open();
    unsigned char *block = dlm_block_take(heap, 1 * MIB);

    for (size_t i = 0; i < 1 * MIB; i++) {
        block[i] = (unsigned char)(i % 251);
    }
    const size_t sizes[] = {
        90 * MIB, 2 * MIB, 2 * MIB + 1, 300 * KIB, 64 * KIB, 100, 1 * MIB};
    size_t least = 1 * MIB;
    for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        block = dlm_block_resize(heap, block, sizes[s]);
        least = sizes[s] < least ? sizes[s] : least;
        for (size_t i = 0; i < least; i++) {
            assert_int_equal(block[i], i % 251);
        }
        block[sizes[s] - 1] = (unsigned char)((sizes[s] - 1) % 251);
        assert_int_equal(heap->directs.count, sizes[s] >= 64 * KIB && s < 5);
        dlm_inspect_check(heap);
    }
    dlm_block_give(heap, block);
    dlm_heap_close(heap);
}

static void
wide_alignment_wastes_no_more_than_pages(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_heap_open();

    for (size_t align = 16; align <= 64 * MIB; align *= 2) {
        unsigned char *block = dlm_block_take_aligned(heap, align, MIB);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block % align, 0);
        assert_int_equal(heap->directs.count, 1);
        assert_true(heap->direct_size <= MIB + 3 * pages_os_size());
        memset(block, 9, dlm_block_usable_size(heap, block));
        block = dlm_block_resize(heap, block, 3 * MIB);
        assert_int_equal(block[MIB - 1], 9);
        dlm_inspect_check(heap);
        dlm_block_give_sized(heap, block, 3 * MIB);
        heap->tuning.mmap_threshold = 256 * KIB; /* unlearn */
    }
    dlm_heap_close(heap);
}

static void
calloc_of_a_mapping_is_zero(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_heap_open();

    heap->tuning.is_dynamic = false;
    for (unsigned round = 0; round < 3; round++) {
        unsigned char *block = dlm_block_take_zeroed(heap, 1024, 1024);

        for (size_t i = 0; i < MIB; i++) {
            assert_int_equal(block[i], 0);
        }
        memset(block, 0xff, MIB);
        dlm_block_give(heap, block);
    }
    dlm_heap_close(heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_block_comes_and_goes_with_its_mapping),
        cmocka_unit_test(threshold_rises_to_what_is_freed),
        cmocka_unit_test(threshold_stays_where_it_was_set),
        cmocka_unit_test(realloc_moves_the_mapping),
        cmocka_unit_test(wide_alignment_wastes_no_more_than_pages),
        cmocka_unit_test(calloc_of_a_mapping_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
