/*
 * oom_test.c - what the dlmalloc design does when a mapping is refused, beyond
 * ../oom_test.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/pages.h"
#include "dlmalloc/dlmalloc.h"

#define MIB ((size_t)1 << 20)

static void
open_fails_cleanly(void **state)
{
    (void)state;
    pages_fail_at(1, false);
    errno = 0;
    assert_null(dlm_open());
    assert_int_equal(errno, ENOMEM);
    pages_fail_at(0, false);
}

/* Fewer addresses than a segment would like to reserve. */
static void
segment_makes_do_with_what_it_needs(void **state)
{
    (void)state;
    struct heap *heap = dlm_ops.open();
    struct alloc_stats stats;

    pages_fail_at(1, false); /* the large reservation */
    char *block = dlm_ops.malloc(heap, 1000);
    assert_non_null(block);
    assert_int_equal(pages_call_count(), 3);
    pages_fail_at(0, false);
    dlm_ops.check(heap);
    dlm_ops.stats(heap, &stats);
    assert_true(stats.mapped_size < 64 << 10);
    dlm_ops.close(heap);
}

/* A mapping that cannot be given back is memory for other blocks. */
static void
unmappable_block_becomes_a_segment(void **state)
{
    (void)state;
    struct heap *heap = dlm_ops.open();
    struct alloc_stats before;
    struct alloc_stats after;

    char *block = dlm_ops.malloc(heap, 10 * MIB);
    dlm_ops.stats(heap, &before);
    pages_fail_at(1, false);
    dlm_ops.free(heap, block);
    pages_fail_at(0, false);
    dlm_ops.check(heap);
    dlm_ops.stats(heap, &after);
    assert_int_equal(after.mapped_size, before.mapped_size);
    assert_int_equal(after.direct_count, 0);
    assert_true(after.free_size >= 10 * MIB);
    char *again = dlm_ops.malloc(heap, 9 * MIB);
    assert_true(again > block - 4096 && again < block + 10 * MIB);
    dlm_ops.free(heap, again); /* Now the whole segment is free: it goes. */
    dlm_ops.stats(heap, &after);
    assert_true(after.mapped_size < before.mapped_size);
    dlm_ops.close(heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_fails_cleanly),
        cmocka_unit_test(segment_makes_do_with_what_it_needs),
        cmocka_unit_test(unmappable_block_becomes_a_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
