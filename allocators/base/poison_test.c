/*
 * poison_test.c - what is poisoned dies when touched, and nothing else does
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/death.h"
#include "base/pages.h"
#include "base/poison.h"

#ifdef POISON_ON
#    include <sanitizer/common_interface_defs.h>

static char *
map_page(void)
{
    char *page = pages_map(pages_os_size(), pages_os_size());

    assert_non_null(page);
    return page;
}

static void
read_byte(void *arg)
{
    const char *byte = arg;

    __sanitizer_set_death_callback(abort);
    CHECK(*byte == 0);
}

static void
poison_kills_the_reader_of_free_memory(void **state)
{
    char *page = map_page();

    (void)state;
    poison_free(page + 16, 100);
    assert_dies(read_byte, page + 16, "use-after-poison");
    assert_dies(read_byte, page + 111, "use-after-poison");
    poison_use(page + 16, 100);
    read_byte(page + 16);
    pages_unmap(page, pages_os_size());
}

/* A mark covers 8 bytes: a link in the same 8 as an end stays readable. */
static void
poison_marks_whole_groups_inside_the_range(void **state)
{
    char *page = map_page();

    (void)state;
    poison_free(page + 17, 30); /* bytes 17..46: the groups at 24 and 32 */
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(poison_is(page + i), i >= 24 && i < 40);
    }
    poison_use(page + 24, 5); /* of a group, the first bytes */
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(poison_is(page + i), i >= 29 && i < 40);
    }
    poison_use(page, 64);
    poison_free(page + 17, 7); /* no whole group */
    poison_free(page + 17, 0);
    for (size_t i = 0; i < 64; i++) {
        assert_false(poison_is(page + i));
    }
    pages_unmap(page, pages_os_size());
}

/* Whoever maps those addresses next may use them. */
static void
pages_unmap_clears_poison(void **state)
{
    char *page = map_page();

    (void)state;
    poison_free(page, pages_os_size());
    assert_true(poison_is(page));
    assert_true(pages_unmap(page, pages_os_size()));
    assert_false(poison_is(page));
    assert_false(poison_is(page + pages_os_size() - 1));
}
#else
static void
poison_is_nothing_without_the_sanitizer(void **state)
{
    char bytes[64] = {0};

    (void)state;
    poison_free(bytes, sizeof(bytes));
    assert_false(poison_is(bytes));
    assert_int_equal(bytes[8], 0);
    poison_use(bytes, sizeof(bytes));
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef POISON_ON
        cmocka_unit_test(poison_kills_the_reader_of_free_memory),
        cmocka_unit_test(poison_marks_whole_groups_inside_the_range),
        cmocka_unit_test(pages_unmap_clears_poison),
#else
        cmocka_unit_test(poison_is_nothing_without_the_sanitizer),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
