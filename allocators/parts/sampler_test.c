/*
 * sampler_test.c - the mathematics is right, and the samples stand for all
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parts/sampler.h"

#define MEAN  ((uint64_t)512 << 10)
#define TOTAL ((uint64_t)2 << 30)

static void
sampler_functions_are_those_of_libm(void **state)
{
    (void)state;
    for (double x = 1; x > 1e-300; x *= 0.987) {
        double exact = -log(x);

        assert_true(fabs(sampler_minus_log(x) - exact) <= 1e-10 * (1 + exact));
    }
    for (double x = 1e-12; x < 1000; x *= 1.013) {
        double exact = -expm1(-x);

        assert_true(fabs(sampler_one_minus_exp(x) - exact) <= 1e-10 * exact);
    }
    assert_true(sampler_one_minus_exp(0) == 0);
}

/* Allocates TOTAL in blocks of one size; the count that its samples tell. */
static double
estimate(size_t size, uint64_t seed)
{
    struct sampler sampler = {0};
    uint64_t full_count = 0;

    for (uint64_t sum = 0; sum < TOTAL; sum += size) {
        if (!sampler_pass(&sampler, size) &&
            sampler_point(&sampler, MEAN, seed)) {
            full_count += sampler_weight(size, MEAN);
        }
    }
    return (double)full_count / SAMPLER_UNIT;
}

/* 4096 samples have a deviation of 1.6 %; of larger blocks it is less. The seeds
 * are fixed, so each run is the same. */
static void
sampler_tells_the_true_count_of_every_size(void **state)
{
    static const size_t sizes[] = {
        64, 1000, 4096, 100000, 524288, 3000000, 50000000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double count = ceil((double)TOTAL / (double)sizes[i]);
        double ratio = estimate(sizes[i], 1 + i) / count;

        if (ratio < 0.95 || ratio > 1.05) {
            fail_msg("blocks of %zu: %.3f of their number", sizes[i], ratio);
        }
    }
}

/* The first sample of a thread comes no sooner than the others. */
static void
sampler_begins_like_it_goes_on(void **state)
{
    unsigned sampled = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        struct sampler sampler = {0};

        sampled += !sampler_pass(&sampler, MEAN / 10) &&
                   sampler_point(&sampler, MEAN, random_mix(seed));
    }
    /* 1 - exp(-0.1) of them is 1903; 41 is the deviation. */
    assert_in_range(sampled, 1903 - 200, 1903 + 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampler_functions_are_those_of_libm),
        cmocka_unit_test(sampler_tells_the_true_count_of_every_size),
        cmocka_unit_test(sampler_begins_like_it_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
