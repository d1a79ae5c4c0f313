/*
 * size_test.c - the tables of size classes against the rule that made them
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jemalloc/size.h"

static void
size_class_is_the_least_that_fits(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 300000; size++) {
        unsigned class = jem_size_class(size);
        assert_true(jem_class_size(class) >= size);
        assert_true(class == 0 || jem_class_size(class - 1) < size);
    }
    for (unsigned class = 1; class < JEM_CLASS_COUNT; class ++) {
        size_t size = jem_class_size(class);
        assert_int_equal(jem_size_class(size), class);
        assert_int_equal(jem_size_class(size - 1), class);
        if (size < JEM_SIZE_MAX) {
            assert_int_equal(jem_size_class(size + 1), class + 1);
        }
    }
    assert_int_equal(jem_class_size(JEM_CLASS_COUNT - 1), JEM_SIZE_MAX);
    assert_int_equal(jem_class_size(JEM_SMALL_COUNT - 1), JEM_SMALL_MAX);
}

static void
size_slabs_follow_the_rule(void **state)
{
    (void)state;
    for (unsigned class = 0; class < JEM_SMALL_COUNT; class ++) {
        const struct jem_slab_shape *shape = &jem_slab_shapes[class];
        size_t region_size = jem_class_size(class);
        size_t slab_size = JEM_PAGE;
        while (slab_size % region_size != 0) {
            slab_size += JEM_PAGE;
        }
        while (slab_size / region_size < 4) {
            slab_size *= 2;
        }
        assert_int_equal(shape->region_size, region_size);
        assert_int_equal(shape->slab_size, slab_size);
        assert_int_equal(shape->region_count, slab_size / region_size);
        assert_true(shape->region_count <= JEM_REGIONS_MAX);
        for (size_t offset = 0; offset < slab_size; offset++) {
            assert_int_equal(
                jem_slab_region(shape, offset), offset / region_size);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_class_is_the_least_that_fits),
        cmocka_unit_test(size_slabs_follow_the_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
