/*
 * bulk_test.c - many blocks at once
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dlmalloc/dlmalloc.h"

#define COUNT 50

static void
assert_empty(struct dlm_heap *heap)
{
    dlm_mspace_check(heap);
    assert_int_equal(dlm_mspace_mallinfo2(heap).uordblks, 0);
}

static void
independent_calloc_gives_zeroed_neighbours(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_open();
    void *blocks[COUNT];

    /* Memory that is not zero, to be found and cleared. */
    void *dirty = dlm_mspace_malloc(heap, 100 * COUNT * 2);
    memset(dirty, 0xee, 100 * COUNT * 2);
    dlm_mspace_free(heap, dirty);
    assert_ptr_equal(
        dlm_mspace_independent_calloc(heap, COUNT, 100, blocks), blocks);
    for (unsigned i = 0; i < COUNT; i++) {
        const unsigned char *block = blocks[i];

        for (unsigned at = 0; at < 100; at++) {
            assert_int_equal(block[at], 0);
        }
        if (i > 0) {
            assert_true(block > (unsigned char *)blocks[i - 1]);
            assert_true(block < (unsigned char *)blocks[i - 1] + 130);
        }
        memset(blocks[i], 0xff, dlm_mspace_usable_size(heap, blocks[i]));
    }
    dlm_mspace_check(heap);
    for (unsigned i = 0; i < COUNT; i++) {
        dlm_mspace_free(heap, blocks[i * 7 % COUNT]);
        dlm_mspace_check(heap);
    }
    assert_empty(heap);
    dlm_close(heap);
}

static void
array_is_a_block_when_the_caller_has_none(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_open();
    const size_t sizes[] = {1, 1000, 0, 300000, 16};
    void **blocks = dlm_mspace_independent_comalloc(heap, 5, sizes, NULL);

    assert_non_null(blocks);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(dlm_mspace_usable_size(heap, blocks[i]) >= sizes[i]);
        memset(blocks[i], 1, dlm_mspace_usable_size(heap, blocks[i]));
    }
    blocks[0] = dlm_mspace_realloc(heap, blocks[0], 500000);
    dlm_mspace_bulk_free(heap, blocks, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_null(blocks[i]);
    }
    dlm_mspace_free(heap, blocks);
    void **none = dlm_mspace_independent_calloc(heap, 0, 10, NULL);
    assert_non_null(none);
    dlm_mspace_free(heap, none);
    assert_empty(heap);
    dlm_close(heap);
}

static void
sums_that_overflow_are_refused(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_open();
    void *blocks[3] = {NULL, NULL, NULL};
    const size_t wide[] = {SIZE_MAX, 1, 1};
    const size_t half[] = {SIZE_MAX / 4, SIZE_MAX / 4, SIZE_MAX / 4};

    errno = 0;
    assert_null(dlm_mspace_independent_comalloc(heap, 3, wide, blocks));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(dlm_mspace_independent_comalloc(heap, 3, half, NULL));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(dlm_mspace_independent_calloc(heap, SIZE_MAX / 8, 16, NULL));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(dlm_mspace_independent_calloc(heap, SIZE_MAX / 2, 2, blocks));
    assert_int_equal(errno, ENOMEM);
    assert_null(blocks[0]);
    assert_empty(heap);
    dlm_close(heap);
}

static void
bulk_free_takes_blocks_of_every_kind(void **state)
{
    (void)state;
    struct dlm_heap *heap = dlm_open();
    void *blocks[COUNT];

    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] =
            i % 5 == 0 ? NULL
                       : dlm_mspace_malloc(heap, i % 7 == 0 ? 5000000 : 30 * i);
    }
    dlm_mspace_bulk_free(heap, blocks, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_null(blocks[i]);
    }
    assert_empty(heap);
    dlm_close(heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(independent_calloc_gives_zeroed_neighbours),
        cmocka_unit_test(array_is_a_block_when_the_caller_has_none),
        cmocka_unit_test(sums_that_overflow_are_refused),
        cmocka_unit_test(bulk_free_takes_blocks_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
