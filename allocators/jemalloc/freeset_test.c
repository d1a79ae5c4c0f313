/*
 * freeset_test.c - which free extent serves, which is the oldest, and what they
 * come to; the invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/random.h"
#include "jemalloc/freeset.h"

#define COUNT 64

static struct jem_freeset set;
static struct jem_extent extents[COUNT]; /* each higher than the one before */

static int
set_up(void **state)
{
    (void)state;
    jem_freeset_init(&set);
    for (uintptr_t i = 0; i < COUNT; i++) {
        extents[i] = (struct jem_extent){.addr = (char *)((i + 1) << 32)};
    }
    return 0;
}

static void
insert(unsigned index, size_t pages)
{
    extents[index].size = pages * JEM_PAGE;
    jem_freeset_insert(&set, &extents[index]);
    jem_freeset_check(&set);
}

static void
drop(unsigned index)
{
    jem_freeset_remove(&set, &extents[index]);
    jem_freeset_check(&set);
    extents[index].size = 0;
}

static struct jem_extent *
fit(size_t pages)
{
    return jem_freeset_fit(&set, pages * JEM_PAGE);
}

static void
the_lowest_of_the_least_class_fits(void **state)
{
    (void)state;
    insert(0, 9);
    insert(1, 4);
    insert(2, 2);
    insert(3, 4);
    assert_ptr_equal(fit(1), &extents[2]);
    assert_ptr_equal(fit(3), &extents[1]);
    assert_ptr_equal(fit(5), &extents[0]);
    drop(1);
    assert_ptr_equal(fit(3), &extents[3]);
    assert_null(fit(16));
}

static struct jem_extent *
fit_aligned(size_t pages, size_t align_pages)
{
    return jem_freeset_fit_aligned(
        &set, pages * JEM_PAGE, align_pages * JEM_PAGE);
}

/* Freed, an aligned extent has no page to spare, and serves its like again. */
static void
aligned_fit_needs_no_more_than_the_place(void **state)
{
    (void)state;
    extents[0].addr += JEM_PAGE;
    extents[3].addr += JEM_PAGE;
    insert(0, 8); /* a page past a multiple of 8 pages */
    insert(1, 8);
    assert_ptr_equal(fit_aligned(8, 8), &extents[1]);
    drop(1);
    assert_null(fit_aligned(8, 8));
    assert_ptr_equal(fit_aligned(1, 8), &extents[0]);
    assert_null(fit_aligned(2, 8));
    insert(3, 15);
    assert_ptr_equal(fit_aligned(8, 8), &extents[3]);
    drop(3);
    insert(3, 14);
    assert_null(fit_aligned(8, 8));
}

/* Behind more extents than are looked at, room for any place still serves. */
static void
aligned_fit_beyond_many_takes_what_has_room(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        extents[i].addr += JEM_PAGE;
        insert(i, 8);
    }
    insert(40, 16);
    assert_ptr_equal(fit_aligned(8, 8), &extents[40]);
}

/* 9 pages are of class 8, and so serve what needs 8. */
static void
between_two_classes_an_extent_serves_the_lower(void **state)
{
    (void)state;
    insert(0, 9);
    assert_ptr_equal(fit(8), &extents[0]);
    assert_null(fit(9));
    assert_int_equal(set.classes[7].count, 1);
    assert_int_equal(set.classes[7].size, 9 * JEM_PAGE);
}

static void
the_oldest_was_inserted_first(void **state)
{
    (void)state;
    assert_null(jem_freeset_oldest(&set));
    insert(2, 1);
    insert(0, 7);
    insert(1, 3);
    assert_ptr_equal(jem_freeset_oldest(&set), &extents[2]);
    drop(2);
    assert_ptr_equal(jem_freeset_oldest(&set), &extents[0]);
    insert(2, 1);
    assert_ptr_equal(jem_freeset_oldest(&set), &extents[0]);
    assert_int_equal(jem_freeset_pages(&set), 11);
}

/* Of sizes that are classes any extent as large may serve, and the smallest
 * class does. */
static void
fit_agrees_with_a_search(void **state)
{
    static const size_t classes[] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16};
    struct random random;

    (void)state;
    random_seed(&random, 11);
    for (unsigned step = 0; step < 2000; step++) {
        unsigned index = (unsigned)random_below(&random, COUNT);
        if (extents[index].size != 0) {
            drop(index);
        } else {
            insert(index, classes[random_below(&random, 12)]);
        }
        size_t wanted = classes[random_below(&random, 12)] * JEM_PAGE;
        const struct jem_extent *best = NULL;
        for (unsigned i = 0; i < COUNT; i++) {
            if (extents[i].size >= wanted &&
                (best == NULL || extents[i].size < best->size)) {
                best = &extents[i];
            }
        }
        assert_ptr_equal(jem_freeset_fit(&set, wanted), best);
    }
}

/* ---- the invariant broken */

static void
break_set(void *index)
{
    insert(0, 5);
    insert(1, 5);
    switch (*(unsigned *)index) {
    case 0:
        atomic_store(&set.pages, 11);
        break;
    case 1:
        set.classes[4].size -= JEM_PAGE;
        break;
    case 2:
        set.classes[3].count++;
        break;
    case 3:
        list_remove(&extents[0].link);
        break;
    default:
        extents[0].addr = extents[1].addr + JEM_PAGE; /* not in order */
    }
    jem_freeset_check(&set);
}

static void
check_finds_the_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "jem_freeset_pages(set) == pages",
        "size == pages * JEM_PAGE",
        "count == set->by_size.count",
        "list_count(&set->by_age) == set->by_size.count",
        "tree.c:",
    };

    (void)state;
    assert_each_dies(break_set, messages, 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_lowest_of_the_least_class_fits, set_up),
        cmocka_unit_test_setup(
            between_two_classes_an_extent_serves_the_lower, set_up),
        cmocka_unit_test_setup(
            aligned_fit_needs_no_more_than_the_place, set_up),
        cmocka_unit_test_setup(
            aligned_fit_beyond_many_takes_what_has_room, set_up),
        cmocka_unit_test_setup(the_oldest_was_inserted_first, set_up),
        cmocka_unit_test_setup(fit_agrees_with_a_search, set_up),
        cmocka_unit_test_setup(check_finds_the_broken_invariant, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
