/*
 * sizes_test.c - sizes.h: bounds, and that edges are drawn
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scenarios/sizes.h"

#define DRAWS 200000

static void
edges_rise_by_four_steps_to_a_doubling(void **state)
{
    (void)state;
    static const uint64_t first[] = {8, 10, 12, 14, 16, 20, 24, 28, 32};

    for (unsigned i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        assert_int_equal(sizes_edge_at(i), first[i]);
    }
    for (unsigned i = 1; i < 240; i++) {
        assert_true(sizes_edge_at(i) > sizes_edge_at(i - 1));
    }
    assert_int_equal(sizes_edge_at(52), 65536);
}

static void
sizes_stay_in_bounds(void **state)
{
    (void)state;
    struct random random;

    random_seed(&random, 1);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t max = random_log_between(&random, 0, UINT64_MAX >> 8);
        uint64_t low = random_log_between(&random, 0, max);
        assert_true(sizes_any(&random, max) <= max);
        uint64_t edge = sizes_edge(&random, low, max);
        assert_true(low <= edge && edge <= max);
        uint64_t near = sizes_near(&random, max);
        assert_true(near <= max && near + max / 8 + 1 >= max);
    }
}

static void
small_sizes_are_all_drawn(void **state)
{
    (void)state;
    struct random random;
    unsigned drawn[513] = {0};
    unsigned small_count = 0;

    random_seed(&random, 2);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t size = sizes_any(&random, 65536);
        if (size <= 512) {
            drawn[size]++;
            small_count++;
        }
    }
    for (int i = 0; i <= 512; i++) {
        assert_true(drawn[i] > 0);
    }
    /* Common, but not all. */
    assert_in_range(small_count, DRAWS / 2, DRAWS * 9 / 10);
}

static void
page_edges_are_drawn_on_both_sides(void **state)
{
    (void)state;
    struct random random;
    unsigned below = 0, at = 0, above = 0;

    random_seed(&random, 3);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t size = sizes_edge(&random, 0, 1 << 20);
        below += size % 4096 == 4095;
        at += size % 4096 == 0;
        above += size % 4096 == 1;
    }
    assert_true(below > DRAWS / 100);
    assert_true(at > DRAWS / 100);
    assert_true(above > DRAWS / 100);
}

static void
alignments_are_powers_of_two_up_to_the_largest(void **state)
{
    (void)state;
    struct random random;
    uint64_t seen = 0;

    random_seed(&random, 4);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t align = sizes_align(&random, 4096);
        assert_int_equal(align & (align - 1), 0);
        assert_true(align <= 4096);
        seen |= align;
    }
    assert_int_equal(seen, 8191);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_rise_by_four_steps_to_a_doubling),
        cmocka_unit_test(sizes_stay_in_bounds),
        cmocka_unit_test(small_sizes_are_all_drawn),
        cmocka_unit_test(page_edges_are_drawn_on_both_sides),
        cmocka_unit_test(alignments_are_powers_of_two_up_to_the_largest),
    };

    return cmocka_run_group_tests_name("sizes", tests, NULL, NULL);
}
