/*
 * sizeclass_test.c - sizeclass.h against a list of sizes made step by step
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/death.h"
#include "parts/sizeclass.h"

#define CLASSES_MAX 260

/* The reference: every class's size, by adding steps. Returns how many. */
static unsigned
list_sizes(size_t *sizes, unsigned quantum_shift)
{
    size_t step = (size_t)1 << quantum_shift;
    size_t size = 0;
    unsigned count = 0;

    while (size < SIZECLASS_SIZE_MAX) {
        for (int i = 0; i < 4; i++) {
            size += step;
            sizes[count++] = size;
        }
        if (count >= 8) {
            step *= 2;
        }
    }
    return count;
}

static void
sizeclass_gives_the_listed_sizes(void **state)
{
    (void)state;
    for (unsigned shift = 3; shift <= 13; shift++) {
        size_t sizes[CLASSES_MAX];
        unsigned count = list_sizes(sizes, shift);

        assert_int_equal(sizes[count - 1], SIZECLASS_SIZE_MAX);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(sizeclass_size(i, shift), sizes[i]);
        }
    }
}

/* Every size up to a MiB, then the three around each class's size. */
static void
sizeclass_is_the_smallest_that_fits(void **state)
{
    (void)state;
    for (unsigned shift = 3; shift <= 6; shift++) {
        size_t sizes[CLASSES_MAX];
        unsigned count = list_sizes(sizes, shift);
        unsigned expected = 0;

        for (size_t size = 0; size <= (size_t)1 << 20; size++) {
            expected += size > sizes[expected];
            assert_int_equal(sizeclass_index(size, shift), expected);
        }
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(sizeclass_index(sizes[i] - 1, shift), i);
            assert_int_equal(sizeclass_index(sizes[i], shift), i);
            assert_int_equal(sizeclass_round(sizes[i], shift), sizes[i]);
            if (i + 1 < count) {
                assert_int_equal(sizeclass_index(sizes[i] + 1, shift), i + 1);
            }
        }
    }
}

static void
sizeclass_wastes_at_most_a_fifth(void **state)
{
    (void)state;
    for (size_t size = 64; size < (size_t)1 << 20; size++) {
        size_t round = sizeclass_round(size, 4);

        assert_true((round - size) * 5 <= round);
    }
}

static void
sizeclass_table_is_the_arithmetic(void **state)
{
    (void)state;
    for (unsigned shift = 3; shift <= 6; shift++) {
        struct sizeclass_table table;

        sizeclass_table_init(&table, shift);
        sizeclass_table_check(&table);
        for (size_t size = 0; size <= 2 * SIZECLASS_TABLE_SIZE_MAX; size++) {
            unsigned index = sizeclass_index(size, shift);

            assert_int_equal(sizeclass_table_index(&table, size), index);
            assert_int_equal(sizeclass_table_size(&table, index),
                sizeclass_size(index, shift));
        }
    }
}

static void
check_broken(void *arg)
{
    struct sizeclass_table table;

    sizeclass_table_init(&table, 4);
    if (*(int *)arg == 0) {
        table.index_of[77]++;
    } else {
        table.size_of[20] += 16;
    }
    sizeclass_table_check(&table);
}

static void
sizeclass_table_check_finds_a_wrong_entry(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        assert_dies(check_broken, &way, "check failed: table->");
    }
}

static void
dump_table(void *arg)
{
    sizeclass_table_dump(arg, STDERR_FILENO);
}

static void
sizeclass_table_dump_shows_each_class(void **state)
{
    struct sizeclass_table table;
    char said[DEATH_TEXT_MAX];

    (void)state;
    sizeclass_table_init(&table, 4);
    death_capture(dump_table, &table, said);
    assert_non_null(strstr(said, "class 0: 16 bytes\nclass 1: 32 bytes\n"));
    assert_non_null(strstr(said, "class 12: 320 bytes\n"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizeclass_gives_the_listed_sizes),
        cmocka_unit_test(sizeclass_is_the_smallest_that_fits),
        cmocka_unit_test(sizeclass_wastes_at_most_a_fifth),
        cmocka_unit_test(sizeclass_table_is_the_arithmetic),
        cmocka_unit_test(sizeclass_table_check_finds_a_wrong_entry),
        cmocka_unit_test(sizeclass_table_dump_shows_each_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
