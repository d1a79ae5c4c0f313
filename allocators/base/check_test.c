/*
 * check_test.c - the exact lines of check.h, and that they need nothing
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/death.h"

static void
misuse(void *arg)
{
    check_misuse("dlmalloc", "double free", arg);
}

static void
check_misuse_prints_its_one_line(void **state)
{
    (void)state;
    assert_dies(misuse, (void *)0x7f00dead1230,
        "malstrom-dlmalloc: double free: 0x7f00dead1230\n");
    assert_dies(misuse, NULL, "malstrom-dlmalloc: double free: 0x0\n");
}

static void
fail_check(void *arg)
{
    CHECK(arg == NULL);
    CHECK(1 + 1 == 3);
}

static void
check_names_place_and_condition(void **state)
{
    (void)state;
    assert_dies(fail_check, NULL, "check_test.c:");
    assert_dies(fail_check, NULL, ": check failed: 1 + 1 == 3");
    assert_dies(fail_check, &state, ": check failed: arg == NULL");
}

static void
check_passes_what_holds(void **state)
{
    int evaluated = 0;

    (void)state;
    CHECK(++evaluated == 1);
    assert_int_equal(evaluated, 1);
}

/* Release builds must not evaluate; the others must. */
static void
assert_follows_the_build(void **state)
{
    int evaluated = 0;

    (void)state;
    ASSERT(++evaluated == 1);
#ifdef MALSTROM_ASSERT
    assert_int_equal(evaluated, 1);
#else
    assert_int_equal(evaluated, 0);
#endif
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_misuse_prints_its_one_line),
        cmocka_unit_test(check_names_place_and_condition),
        cmocka_unit_test(check_passes_what_holds),
        cmocka_unit_test(assert_follows_the_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
