/*
 * tuning_test.c - mallopt and the environment
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdlib.h>

#include "base/death.h"
#include "dlmalloc/tuning.h"

static void
mallopt_sets_what_it_knows(void **state)
{
    (void)state;
    struct dlm_tuning tuning = DLM_TUNING_DEFAULT;

    assert_int_equal(dlm_tuning_set(&tuning, M_MMAP_THRESHOLD, 1 << 20), 1);
    assert_int_equal(dlm_tuning_set(&tuning, M_TRIM_THRESHOLD, -1), 1);
    assert_int_equal(dlm_tuning_set(&tuning, M_TOP_PAD, 0), 1);
    assert_int_equal(dlm_tuning_set(&tuning, M_MMAP_MAX, 0), 1);
    assert_int_equal(dlm_tuning_set(&tuning, M_ARENA_MAX, 1), 1);
    assert_int_equal(tuning.mmap_threshold, 1 << 20);
    assert_int_equal(tuning.trim_threshold, DLM_OFF);
    assert_int_equal(tuning.top_pad, 0);
    assert_int_equal(tuning.mmap_max, 0);
    assert_false(tuning.is_dynamic);
}

static void
mallopt_refuses_what_it_does_not(void **state)
{
    (void)state;
    struct dlm_tuning tuning = DLM_TUNING_DEFAULT;
    struct dlm_tuning before = tuning;

    assert_int_equal(dlm_tuning_set(&tuning, 12345, 1), 0);
    assert_int_equal(dlm_tuning_set(&tuning, M_PERTURB, 1), 0);
    assert_int_equal(dlm_tuning_set(&tuning, M_MMAP_THRESHOLD, -2), 0);
    assert_int_equal(dlm_tuning_set(&tuning, M_TOP_PAD, -1), 0);
    assert_int_equal(dlm_tuning_set(&tuning, M_ARENA_MAX, 0), 0);
    assert_memory_equal(&tuning, &before, sizeof(tuning));
}

static void
only_the_dynamic_threshold_learns(void **state)
{
    (void)state;
    struct dlm_tuning tuning = DLM_TUNING_DEFAULT;

    dlm_tuning_learn(&tuning, 1000); /* below: nothing to learn */
    assert_int_equal(tuning.mmap_threshold, 256 << 10);
    dlm_tuning_learn(&tuning, 1 << 20);
    assert_int_equal(tuning.mmap_threshold, 1 << 20);
    assert_int_equal(tuning.trim_threshold, 2 << 20);
    dlm_tuning_learn(&tuning, 33 << 20); /* too large ever to keep */
    assert_int_equal(tuning.mmap_threshold, 1 << 20);
    (void)dlm_tuning_set(&tuning, M_MMAP_THRESHOLD, 4096);
    dlm_tuning_learn(&tuning, 1 << 20);
    assert_int_equal(tuning.mmap_threshold, 4096);
}

static void
environment_sets_the_same_four(void **state)
{
    (void)state;
    struct dlm_tuning tuning = DLM_TUNING_DEFAULT;

    unsetenv("DLM_OPTIONS");
    dlm_tuning_read(&tuning);
    assert_true(tuning.is_dynamic);
    setenv("DLM_OPTIONS",
        "mmap_threshold:1m,trim_threshold:off,top_pad:64k,mmap_max:7", 1);
    dlm_tuning_read(&tuning);
    assert_int_equal(tuning.mmap_threshold, 1 << 20);
    assert_int_equal(tuning.trim_threshold, DLM_OFF);
    assert_int_equal(tuning.top_pad, 64 << 10);
    assert_int_equal(tuning.mmap_max, 7);
    assert_false(tuning.is_dynamic);
    unsetenv("DLM_OPTIONS");
}

/* Reads a bad option; aborts so that its stderr is looked at. */
static void
read_bad_option(void *unused)
{
    struct dlm_tuning tuning = DLM_TUNING_DEFAULT;

    (void)unused;
    setenv("DLM_OPTIONS", "mmap_treshold:1m", 1);
    dlm_tuning_read(&tuning);
    if (tuning.is_dynamic) {
        abort();
    }
}

static void
misspelt_option_is_reported_and_skipped(void **state)
{
    (void)state;
    assert_dies(read_bad_option, NULL, "malstrom-dlmalloc: DLM_OPTIONS: ");
    assert_dies(read_bad_option, NULL, "mmap_treshold:1m");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mallopt_sets_what_it_knows),
        cmocka_unit_test(mallopt_refuses_what_it_does_not),
        cmocka_unit_test(only_the_dynamic_threshold_learns),
        cmocka_unit_test(environment_sets_the_same_four),
        cmocka_unit_test(misspelt_option_is_reported_and_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
