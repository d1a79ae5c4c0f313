/*
 * pattern_test.c - the bytes of a block: what is found, and what is not
 */
#include "oracle/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

enum { ROOM = 1 << 20 };
static char room[ROOM];

static void
pattern_finds_each_single_byte_of_a_whole_block(void **state)
{
    (void)state;
    for (size_t size = 0; size < 70; size++) {
        struct pattern pattern = {room + 3, size, 77 + size, true};
        pattern_fill(&pattern, 0);
        assert_true(pattern_verify(&pattern, size) == PATTERN_NOWHERE);
        for (size_t i = 0; i < size; i++) {
            room[3 + i] ^= 1;
            assert_int_equal(pattern_verify(&pattern, size), i);
            room[3 + i] ^= 1;
        }
    }
}

static void
pattern_fills_no_byte_outside(void **state)
{
    (void)state;
    for (size_t size = 1; size < 5000; size += 37) {
        for (size_t from = 0; from < size; from += 1 + size / 5) {
            memset(room, 0x5a, 6000);
            struct pattern pattern = {room + 16, size, size, size % 2 == 0};
            pattern_fill(&pattern, from);
            for (size_t i = 0; i < from; i++) {
                assert_int_equal(room[16 + i], 0x5a);
            }
            assert_int_equal(room[15], 0x5a);
            assert_int_equal(room[16 + size], 0x5a);
        }
    }
}

static void
pattern_finds_bytes_copied_from_a_wrong_offset(void **state)
{
    (void)state;
    struct pattern pattern = {room, 4096, 5, true};
    pattern_fill(&pattern, 0);
    memmove(room + 1024, room + 1032, 64);
    assert_int_equal(pattern_verify(&pattern, 4096), 1024);
}

static void
pattern_sparse_covers_both_ends_and_middles(void **state)
{
    (void)state;
    for (size_t size = 1025; size < ROOM; size += size / 3) {
        struct pattern pattern = {room, size, size * 0x1234567, false};
        memset(room, 0, size);
        pattern_fill(&pattern, 0);
        assert_true(pattern_verify(&pattern, size) == PATTERN_NOWHERE);
        room[size - 1] ^= 4;
        assert_int_equal(pattern_verify(&pattern, size), size - 1);
        room[size - 1] ^= 4;
        room[1023] ^= 4;
        assert_int_equal(pattern_verify(&pattern, size), 1023);
        if (size > 8192) {
            memset(room + 1024, 0, size / 2);
            assert_true(pattern_verify(&pattern, size) != PATTERN_NOWHERE);
        }
    }
}

/* As realloc does it: verify what must be kept, then fill the rest. */
static void
pattern_survives_growing_and_shrinking(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 3);
    struct pattern pattern = {room, 2000, 99, false};
    pattern_fill(&pattern, 0);
    for (int i = 0; i < 3000; i++) {
        size_t size = random_log_between(&random, 1, ROOM);
        size_t kept = size < pattern.size ? size : pattern.size;
        assert_true(pattern_verify(&pattern, kept) == PATTERN_NOWHERE);
        pattern.size = size;
        pattern_fill(&pattern, kept);
        assert_true(pattern_verify(&pattern, size) == PATTERN_NOWHERE);
    }
}

static void
pattern_finds_dirt(void **state)
{
    (void)state;
    memset(room, 0, ROOM);
    struct pattern pattern = {room, 5001, 1, true};
    assert_true(pattern_nonzero(&pattern, 5001) == PATTERN_NOWHERE);
    room[5000] = 1;
    assert_int_equal(pattern_nonzero(&pattern, 5001), 5000);
    assert_true(pattern_nonzero(&pattern, 5000) == PATTERN_NOWHERE);
    room[17] = 1;
    assert_int_equal(pattern_nonzero(&pattern, 5001), 17);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pattern_finds_each_single_byte_of_a_whole_block),
        cmocka_unit_test(pattern_fills_no_byte_outside),
        cmocka_unit_test(pattern_finds_bytes_copied_from_a_wrong_offset),
        cmocka_unit_test(pattern_sparse_covers_both_ends_and_middles),
        cmocka_unit_test(pattern_survives_growing_and_shrinking),
        cmocka_unit_test(pattern_finds_dirt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
