/*
 * meta_test.c - metadata memory: zeroed, aligned, apart, given back
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/meta.h"
#include "base/pages.h"

static char first[1000];

static void
meta_pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct meta meta;
    unsigned char *pieces[200];
    meta_init(&meta, first, sizeof first);
    for (size_t i = 0; i < 200; i++) {
        size_t size = i * 37 + 1;
        pieces[i] = meta_take(&meta, size);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % CACHE_LINE, 0);
        for (size_t k = 0; k < size; k++) {
            assert_int_equal(pieces[i][k], 0);
        }
        memset(pieces[i], (int)(i & 0x7f) + 1, size);
    }
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(pieces[i][0], (i & 0x7f) + 1);
        assert_int_equal(pieces[i][i * 37], (i & 0x7f) + 1);
    }
    assert_true(meta_mapped_size(&meta) >= 37 * 200 * 199 / 2);
    meta_fini(&meta);
}

static void
meta_take_fails_cleanly(void **state)
{
    (void)state;
    struct meta meta;
    meta_init(&meta, first, 0);
    pages_fail_at(1, true);
    assert_null(meta_take(&meta, 100));
    assert_int_equal(meta_mapped_size(&meta), 0);
    pages_fail_at(0, false);
    assert_non_null(meta_take(&meta, 100));
    meta_fini(&meta);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(meta_pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(meta_take_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
