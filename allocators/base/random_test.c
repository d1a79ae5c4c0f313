/*
 * random_test.c - random.h: known answers, ranges, and rough fairness
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"

/* The first values of xoshiro256** from the state 1, 2, 3, 4. */
static void
random_gives_the_published_sequence(void **state)
{
    static const uint64_t expected[] = {11520, 0, 1509978240,
        1215971899390074240, 1216172134540287360, 607988272756665600};
    struct random random = {{1, 2, 3, 4}};

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(random_next(&random), expected[i]);
    }
}

/* SplitMix64 from seed 0 begins so. */
static void
random_seed_fills_by_splitmix(void **state)
{
    struct random random;

    (void)state;
    random_seed(&random, 0);
    assert_true(random.state[0] == 0xe220a8397b1dcdafu);
    assert_true(random.state[1] == 0x6e789e6aa1b965f4u);
}

static void
random_sequences_repeat_and_differ(void **state)
{
    struct random a, b, c;
    unsigned equal_count = 0;

    (void)state;
    random_seed(&a, 42);
    random_seed(&b, 42);
    random_seed(&c, 43);
    for (int i = 0; i < 1000; i++) {
        uint64_t value = random_next(&a);

        assert_true(value == random_next(&b));
        equal_count += value == random_next(&c);
    }
    assert_int_equal(equal_count, 0);
}

/* 100000 draws of ten: each within 5 standard deviations of 10000. */
static void
random_below_is_fair(void **state)
{
    struct random random;
    unsigned counts[10] = {0};

    (void)state;
    random_seed(&random, 1);
    for (int i = 0; i < 100000; i++) {
        counts[random_below(&random, 10)]++;
    }
    for (int i = 0; i < 10; i++) {
        assert_in_range(counts[i], 10000 - 475, 10000 + 475);
    }
    assert_int_equal(random_below(&random, 1), 0);
}

/* A bound of three quarters of 2^64, where a quarter of all products must be
 * drawn again: without that, multiples of three would come twice as often. */
static void
random_below_is_fair_for_huge_bounds(void **state)
{
    uint64_t bound = (uint64_t)3 << 62;
    struct random random;
    unsigned third_count = 0;

    (void)state;
    random_seed(&random, 2);
    for (int i = 0; i < 30000; i++) {
        uint64_t value = random_below(&random, bound);

        assert_true(value < bound);
        third_count += value % 3 == 0;
    }
    assert_in_range(third_count, 10000 - 410, 10000 + 410);
}

static void
random_between_includes_both_ends(void **state)
{
    struct random random;
    bool low = false;
    bool high = false;

    (void)state;
    random_seed(&random, 3);
    for (int i = 0; i < 200; i++) {
        uint64_t value = random_between(&random, 7, 9);

        assert_in_range(value, 7, 9);
        low |= value == 7;
        high |= value == 9;
    }
    assert_true(low && high);
    assert_int_equal(random_between(&random, 5, 5), 5);
    random_between(&random, 0, UINT64_MAX);
}

static void
random_log_between_favours_no_magnitude(void **state)
{
    struct random random;
    unsigned counts[22] = {0};

    (void)state;
    random_seed(&random, 4);
    for (int i = 0; i < 22000; i++) {
        uint64_t value = random_log_between(&random, 0, (1 << 21) - 1);
        unsigned length =
            value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);

        assert_true(length < 22);
        counts[length]++;
    }
    for (int i = 0; i < 22; i++) {
        assert_in_range(counts[i], 1000 - 160, 1000 + 160);
    }
    for (int i = 0; i < 1000; i++) {
        assert_in_range(random_log_between(&random, 100, 300), 100, 300);
    }
}

static void
random_one_in_has_that_rate(void **state)
{
    struct random random;
    unsigned count = 0;

    (void)state;
    random_seed(&random, 5);
    for (int i = 0; i < 64000; i++) {
        count += random_one_in(&random, 64);
    }
    assert_in_range(count, 1000 - 160, 1000 + 160);
    assert_true(random_one_in(&random, 1));
}

/* One bit of the input changed changes about half of the result's. */
static void
random_mix_spreads_every_bit(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t changed =
            random_mix(12345) ^ random_mix(12345 ^ (uint64_t)1 << bit);
        assert_in_range(__builtin_popcountll(changed), 12, 52);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_gives_the_published_sequence),
        cmocka_unit_test(random_seed_fills_by_splitmix),
        cmocka_unit_test(random_sequences_repeat_and_differ),
        cmocka_unit_test(random_below_is_fair),
        cmocka_unit_test(random_below_is_fair_for_huge_bounds),
        cmocka_unit_test(random_between_includes_both_ends),
        cmocka_unit_test(random_log_between_favours_no_magnitude),
        cmocka_unit_test(random_one_in_has_that_rate),
        cmocka_unit_test(random_mix_spreads_every_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
