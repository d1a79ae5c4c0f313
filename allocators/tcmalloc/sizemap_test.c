/*
 * sizemap_test.c - the table of size classes keeps its rules, and the lookups
 * keep to the table
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tcmalloc/sizemap.h"

static void
sizemap_table_is_what_the_rules_yield(void **state)
{
    struct tcm_class made[TCM_CLASS_COUNT_MAX];

    (void)state;
    assert_int_equal(tcm_sizerules_make(made), TCM_CLASS_COUNT);
    assert_memory_equal(made, tcm_classes, sizeof tcm_classes);
}

/* What a block of the class costs: its share of the span. */
static double
cost(const struct tcm_class *class)
{
    return (double)class->pages * (double)TCM_PAGE / class->object_count;
}

static void
sizemap_wastes_no_more_than_the_limits(void **state)
{
    (void)state;
    for (unsigned i = 2; i < TCM_CLASS_COUNT; i++) {
        const struct tcm_class *class = &tcm_classes[i];
        size_t span_size = class->pages * TCM_PAGE;
        size_t least = tcm_classes[i - 1].size + 1;

        assert_true(class->size >= least);
        assert_int_equal(class->size % 16, 0);
        assert_int_equal(class->object_count, span_size / class->size);
        assert_true(span_size % class->size <= span_size / 8);
        assert_in_range(class->pages, 1, 128);
        /* All in all, rounding and tail. */
        if (class->size > 128) {
            assert_true((cost(class) - (double)least) / cost(class) <= 0.25);
        }
    }
    assert_int_equal(tcm_classes[TCM_CLASS_COUNT - 1].size, TCM_CLASS_SIZE_MAX);
}

static void
sizemap_gives_every_size_the_least_class_that_holds_it(void **state)
{
    unsigned want = 1;

    (void)state;
    assert_int_equal(tcm_sizemap_class(0), 1);
    for (size_t size = 1; size <= TCM_CLASS_SIZE_MAX; size++) {
        if (size > tcm_classes[want].size) {
            want++;
        }
        assert_int_equal(tcm_sizemap_class(size), want);
    }
}

static void
sizemap_aligns_by_the_class_size(void **state)
{
    (void)state;
    for (size_t align = 1; align <= TCM_PAGE; align *= 2) {
        for (size_t size = 1; size <= 40000; size += 7) {
            unsigned class = tcm_sizemap_class_aligned(size, align);

            assert_int_not_equal(class, 0);
            assert_true(tcm_classes[class].size >= size);
            assert_int_equal(tcm_classes[class].size % align, 0);
        }
    }
    assert_int_equal(tcm_sizemap_class_aligned(1, 2 * TCM_PAGE), 0);
    assert_int_equal(tcm_sizemap_class_aligned(TCM_CLASS_SIZE_MAX + 1, 1), 0);
}

static void
sizemap_divides_exactly(void **state)
{
    (void)state;
    for (unsigned class = 1; class < TCM_CLASS_COUNT; class ++) {
        size_t size = tcm_classes[class].size;
        size_t span_size = tcm_classes[class].pages * TCM_PAGE;

        for (size_t offset = 0; offset < span_size; offset++) {
            if (tcm_sizemap_index(class, offset) != offset / size) {
                fail_msg("%zu / %zu", offset, size);
            }
        }
    }
}

static void
sizemap_knows_where_objects_start(void **state)
{
    (void)state;
    for (unsigned class = 1; class < TCM_CLASS_COUNT; class ++) {
        size_t size = tcm_classes[class].size;
        size_t span_size = tcm_classes[class].pages * TCM_PAGE;

        for (size_t offset = 0; offset < span_size; offset++) {
            bool starts = tcm_sizemap_starts(class, (void *)offset);

            if (offset % size == 0 && !starts) {
                fail_msg("class of %zu: %zu is a start", size, offset);
            }
            if (tcm_classes[class].pages == 1 && offset % size != 0 && starts) {
                fail_msg("class of %zu: %zu is no start", size, offset);
            }
            if (offset % 16 != 0 && size % 16 == 0 && starts) {
                fail_msg("class of %zu: %zu is odd", size, offset);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizemap_table_is_what_the_rules_yield),
        cmocka_unit_test(sizemap_wastes_no_more_than_the_limits),
        cmocka_unit_test(
            sizemap_gives_every_size_the_least_class_that_holds_it),
        cmocka_unit_test(sizemap_aligns_by_the_class_size),
        cmocka_unit_test(sizemap_divides_exactly),
        cmocka_unit_test(sizemap_knows_where_objects_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
