/*
 * tuning_test.c - mallopt and the environment
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdlib.h>

#include "base/death.h"
#include "ptmalloc/arena.h"
#include "ptmalloc/ptmalloc.h"
#include "ptmalloc/tuning.h"

static struct ptm_tuning
read_options(const char *options)
{
    struct ptm_tuning tuning;

    setenv("PTM_OPTIONS", options, 1);
    ptm_tuning_read(&tuning);
    unsetenv("PTM_OPTIONS");
    return tuning;
}

static void
mallopt_sets_every_parameter_of_glibc(void **state)
{
    (void)state;
    struct ptm_tuning tuning = read_options("");
    const struct {
        int parameter, value;
        const _Atomic size_t *field;
        size_t wanted;
    } cases[] = {
        {M_ARENA_MAX, 3, &tuning.arena_max, 3},
        {M_ARENA_MAX, 0, &tuning.arena_max, 0},
        {M_ARENA_TEST, 2, &tuning.arena_test, 2},
        {M_MMAP_MAX, 0, &tuning.mmap_max, 0},
        {M_MMAP_THRESHOLD, 1 << 20, &tuning.mmap_threshold, 1 << 20},
        {M_MXFAST, 0, &tuning.returned_max, 0},
        {M_MXFAST, 64, &tuning.returned_max, 80},
        {M_MXFAST, 160, &tuning.returned_max, 176},
        {M_PERTURB, 0x1ab, &tuning.perturb, 0xab},
        {M_TOP_PAD, 4096, &tuning.top_pad, 4096},
        {M_TOP_PAD, 1 << 30, &tuning.top_pad, PTM_SUBHEAP_SIZE},
        {M_TRIM_THRESHOLD, 4096, &tuning.trim_threshold, 4096},
        {M_TRIM_THRESHOLD, -1, &tuning.trim_threshold, SIZE_MAX},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            ptm_tuning_set(&tuning, cases[i].parameter, cases[i].value), 1);
        assert_int_equal(ptm_tuning_get(cases[i].field), cases[i].wanted);
    }
    assert_int_equal(ptm_tuning_set(&tuning, M_CHECK_ACTION, 0), 1);
}

static void
mallopt_refuses_the_rest(void **state)
{
    (void)state;
    struct ptm_tuning tuning = read_options("");
    struct ptm_tuning before = tuning;
    const struct {
        int parameter, value;
    } cases[] = {{M_ARENA_MAX, -1}, {M_ARENA_TEST, 0}, {M_MMAP_MAX, -1},
        {M_MMAP_THRESHOLD, -1}, {M_MMAP_THRESHOLD, (32 << 20) + 1},
        {M_MXFAST, -1}, {M_MXFAST, 161}, {M_TOP_PAD, -1},
        {M_TRIM_THRESHOLD, -2}, {M_NLBLKS, 1}, {M_GRAIN, 1}, {M_KEEP, 1},
        {12345, 1}};

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            ptm_tuning_set(&tuning, cases[i].parameter, cases[i].value), 0);
    }
    assert_memory_equal(&tuning, &before, sizeof tuning);
}

/* As mallopt(3) has it: any of the four does. */
static void
setting_a_threshold_ends_the_following_of_use(void **state)
{
    (void)state;
    const int four[] = {
        M_MMAP_MAX, M_MMAP_THRESHOLD, M_TOP_PAD, M_TRIM_THRESHOLD};

    for (unsigned i = 0; i < 4; i++) {
        struct ptm_tuning tuning = read_options("");
        ptm_tuning_learn(&tuning, 300 << 10);
        assert_int_equal(tuning.mmap_threshold, 300 << 10);
        assert_int_equal(tuning.trim_threshold, 600 << 10);
        ptm_tuning_learn(&tuning, 200 << 10);      /* below: nothing to learn */
        ptm_tuning_learn(&tuning, (32 << 20) + 1); /* no arena serves it */
        assert_int_equal(tuning.mmap_threshold, 300 << 10);
        assert_int_equal(ptm_tuning_set(&tuning, four[i], 1 << 20), 1);
        size_t threshold = tuning.mmap_threshold;
        ptm_tuning_learn(&tuning, 2 << 20);
        assert_int_equal(tuning.mmap_threshold, threshold);
    }
}

static void
environment_sets_every_tunable(void **state)
{
    (void)state;
    struct ptm_tuning tuning = read_options(
        "arena_max:2,arena_test:3,hugetlb:1,mmap_max:4,mmap_threshold:1m,"
        "mxfast:64,perturb:5,tcache_count:6,tcache_max:1000,"
        "tcache_unsorted_limit:7,top_pad:64k,trim_threshold:off");

    assert_int_equal(tuning.arena_max, 2);
    assert_int_equal(tuning.arena_test, 3);
    assert_true(tuning.is_huge);
    assert_int_equal(tuning.mmap_max, 4);
    assert_int_equal(tuning.mmap_threshold, 1 << 20);
    assert_int_equal(tuning.returned_max, 80);
    assert_int_equal(tuning.perturb, 5);
    assert_int_equal(tuning.tcache_count, 6);
    assert_int_equal(tuning.tcache_max, 1008);
    assert_int_equal(tuning.unsorted_max, 7);
    assert_int_equal(tuning.top_pad, 64 << 10);
    assert_int_equal(tuning.trim_threshold, SIZE_MAX);
    assert_false(tuning.is_dynamic);
}

static void
without_options_all_is_as_documented(void **state)
{
    (void)state;
    struct ptm_tuning tuning = read_options("");

    assert_int_equal(tuning.mmap_threshold, 128 << 10);
    assert_int_equal(tuning.trim_threshold, 256 << 10);
    assert_int_equal(tuning.top_pad, 128 << 10);
    assert_int_equal(tuning.mmap_max, 65536);
    assert_int_equal(tuning.unsorted_max, 1000);
    assert_int_equal(tuning.tcache_count, PTM_BY_SIZE);
    assert_true(tuning.is_dynamic);
    assert_true(ptm_tuning_caches(&tuning));
    tuning = read_options("tcache_unsorted_limit:0"); /* none */
    assert_int_equal(tuning.unsorted_max, SIZE_MAX);
}

static void
arenas_are_limited_by_cpus_unless_told(void **state)
{
    (void)state;
    struct ptm_tuning tuning = read_options("");

    assert_int_equal(ptm_tuning_arena_limit(&tuning, 1), 8);
    assert_int_equal(ptm_tuning_arena_limit(&tuning, 4), 32);
    assert_int_equal(ptm_tuning_arena_limit(&tuning, 4096), PTM_ARENAS_MAX);
    tuning = read_options("arena_test:50");
    assert_int_equal(ptm_tuning_arena_limit(&tuning, 4), 50);
    tuning = read_options("arena_test:50,arena_max:3");
    assert_int_equal(ptm_tuning_arena_limit(&tuning, 4), 3);
}

static void
caches_are_off_where_blocks_are_filled(void **state)
{
    (void)state;
    struct ptm_tuning tuning = read_options("perturb:1");

    assert_false(ptm_tuning_caches(&tuning));
    (void)ptm_tuning_set(&tuning, M_PERTURB, 0);
    assert_true(ptm_tuning_caches(&tuning));
    tuning = read_options("tcache_count:0");
    assert_false(ptm_tuning_caches(&tuning));
}

/* ---- bad options: one line each, and the rest is read */

static void
read_then_abort(void *options)
{
    struct ptm_tuning tuning = read_options(options);

    if (tuning.mmap_max == 5) { /* the good one was read all the same */
        abort();
    }
}

static void
bad_options_are_reported_and_skipped(void **state)
{
    (void)state;
    const char *const bad[] = {"arena_max:-1", "arena_max:1025", "arena_test:0",
        "hugetlb:2", "mmap_max:x", "mmap_threshold:33m", "mxfast:1g",
        "perturb:256", "tcache_count:65536", "tcache_count:", "tcache_max:1g",
        "tcache_unsorted_limit:-1", "top_pad:1q", "trim_treshold:1"};
    char options[100];
    char line[100];

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(options, sizeof options, "%s,mmap_max:5", bad[i]);
        snprintf(line, sizeof line, ": \"%s\"", bad[i]);
        assert_dies(
            read_then_abort, options, "malstrom-ptmalloc: PTM_OPTIONS: ");
        assert_dies(read_then_abort, options, line);
    }
}

/* ---- through the public names */

static void
perturb_fills_new_and_freed_blocks(void **state)
{
    (void)state;
    assert_int_equal(ptm_mallopt(M_PERTURB, 0x5a), 1);
    unsigned char *block = ptm_malloc(1000);
    unsigned char *other = ptm_malloc(1000); /* keeps the top away */

    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(block[i], 0x5a ^ 0xff);
        block[i] = 0;
    }
    unsigned char *zeroed = ptm_calloc(10, 10);
    assert_int_equal(zeroed[99], 0);
    ptm_free(zeroed);
    assert_int_equal(ptm_mallopt(M_PERTURB, 0), 1);
    ptm_free(block);
    ptm_free(other);
}

static void
mallopt_answers_as_documented(void **state)
{
    (void)state;
    assert_int_equal(ptm_mallopt(M_TOP_PAD, 1 << 16), 1);
    assert_int_equal(ptm_mallopt(M_MXFAST, 80), 1);
    assert_int_equal(ptm_mallopt(M_MXFAST, 1000), 0);
    assert_int_equal(ptm_mallopt(999, 1), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mallopt_sets_every_parameter_of_glibc),
        cmocka_unit_test(mallopt_refuses_the_rest),
        cmocka_unit_test(setting_a_threshold_ends_the_following_of_use),
        cmocka_unit_test(environment_sets_every_tunable),
        cmocka_unit_test(without_options_all_is_as_documented),
        cmocka_unit_test(arenas_are_limited_by_cpus_unless_told),
        cmocka_unit_test(caches_are_off_where_blocks_are_filled),
        cmocka_unit_test(bad_options_are_reported_and_skipped),
        cmocka_unit_test(perturb_fills_new_and_freed_blocks),
        cmocka_unit_test(mallopt_answers_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
