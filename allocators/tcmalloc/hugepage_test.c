/*
 * hugepage_test.c - runs of pages in one hugepage, on real memory; each
 * invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/pages.h"
#include "tcmalloc/hugepage.h"

#define PAGES TCM_HUGEPAGE_PAGES

static struct tcm_hugepage hugepage;
static char *memory;
static bool zeroed; /* what the last take said */

static int
map(void **state)
{
    (void)state;
    memory = pages_map(TCM_HUGEPAGE, TCM_HUGEPAGE);
    return memory == NULL;
}

static int
unmap(void **state)
{
    (void)state;
    return !pages_unmap(memory, TCM_HUGEPAGE);
}

static int
set_up(void **state)
{
    (void)state;
    tcm_hugepage_init(&hugepage, memory, true);
    return 0;
}

static size_t
take(size_t pages, size_t align_pages)
{
    size_t first = tcm_hugepage_take(&hugepage, pages, align_pages, &zeroed);

    tcm_hugepage_check(&hugepage);
    return first;
}

static void
give(size_t first, size_t pages)
{
    tcm_hugepage_give(&hugepage, first, pages);
    tcm_hugepage_check(&hugepage);
}

static void
the_lowest_aligned_run_is_taken(void **state)
{
    (void)state;
    assert_int_equal(take(3, 1), 0);
    assert_int_equal(take(4, 4), 4);
    assert_int_equal(take(1, 1), 3);
    assert_int_equal(take(1, 128), 128);
    assert_int_equal(take(120, 1), 8);
    give(4, 4);
    assert_int_equal(take(5, 1), 129);
    assert_int_equal(take(2, 1), 4);
    assert_int_equal(hugepage.span_count, 7 - 1);
}

static void
longest_is_the_longest_free_run(void **state)
{
    (void)state;
    assert_int_equal(hugepage.longest, PAGES);
    assert_int_equal(take(100, 1), 0);
    assert_int_equal(take(100, 1), 100);
    assert_int_equal(hugepage.longest, 56);
    give(0, 100);
    assert_int_equal(hugepage.longest, 100);
    assert_int_equal(take(101, 1), TCM_HUGEPAGE_NONE);
    assert_int_equal(take(1, 1), 0);
    assert_int_equal(take(50, 64), TCM_HUGEPAGE_NONE); /* only unaligned */
    give(0, 1);
    give(100, 100);
    assert_int_equal(hugepage.longest, PAGES);
}

static void
a_run_grows_over_free_pages_alone(void **state)
{
    (void)state;
    assert_int_equal(take(10, 1), 0);
    assert_int_equal(take(10, 16), 16);
    assert_false(tcm_hugepage_extend(&hugepage, 0, 10, 7));
    assert_true(tcm_hugepage_extend(&hugepage, 0, 10, 6));
    assert_false(tcm_hugepage_extend(&hugepage, 16, 10, PAGES - 25));
    assert_true(tcm_hugepage_extend(&hugepage, 16, 10, PAGES - 26));
    tcm_hugepage_check(&hugepage);
    assert_int_equal(hugepage.used_pages, PAGES);
    assert_int_equal(hugepage.span_count, 2);
}

static void
zeroed_means_that_all_of_the_run_was_clean(void **state)
{
    (void)state;
    assert_int_equal(take(8, 1), 0);
    assert_true(zeroed);
    give(0, 8);
    assert_int_equal(take(4, 1), 0);
    assert_false(zeroed);
    assert_int_equal(take(8, 1), 4); /* four of them clean */
    assert_false(zeroed);
    assert_int_equal(take(8, 1), 12);
    assert_true(zeroed);
    tcm_hugepage_init(&hugepage, memory, false);
    assert_int_equal(take(8, 1), 0);
    assert_false(zeroed);
}

/* Runs of 16 pages: whole OS pages, whatever their size. */
static void
purge_takes_the_memory_of_free_pages_alone(void **state)
{
    (void)state;
    assert_int_equal(take(PAGES, 1), 0);
    for (size_t i = 0; i < 48; i++) {
        *tcm_hugepage_addr(&hugepage, i) = 'x';
    }
    hugepage.span_count += 2; /* as if it had been taken in three */
    give(16, 16);
    assert_int_equal(tcm_hugepage_purge(&hugepage), 16);
    tcm_hugepage_check(&hugepage);
    assert_int_equal(hugepage.clean_pages, 16);
    assert_int_equal(tcm_hugepage_purge(&hugepage), 0);
    for (size_t i = 0; i < 48; i++) {
        char wanted = i / 16 == 1 ? 0 : 'x';
        assert_int_equal(*tcm_hugepage_addr(&hugepage, i), wanted);
    }
    assert_int_equal(take(16, 1), 16);
    assert_true(zeroed);
}

static void
a_refused_purge_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(take(32, 1), 0);
    assert_int_equal(take(32, 1), 32);
    give(0, 32);
    pages_fail_at(1, true);
    assert_int_equal(tcm_hugepage_purge(&hugepage), 0);
    pages_fail_at(0, false);
    tcm_hugepage_check(&hugepage);
    assert_int_equal(hugepage.clean_pages, PAGES - 64);
    assert_int_equal(tcm_hugepage_purge(&hugepage), 32);
}

/* ---- each invariant broken */

static void
break_hugepage(void *index)
{
    (void)take(10, 1);
    switch (*(unsigned *)index) {
    case 0:
        hugepage.used_pages++; /* I1 */
        break;
    case 1:
        hugepage.clean_pages--; /* I1 */
        break;
    case 2:
        hugepage.longest--; /* I1 */
        break;
    case 3:
        bitmap_set(hugepage.clean, 5); /* I2 */
        hugepage.clean_pages++;
        break;
    case 4:
        hugepage.span_count = 0; /* I3 */
        break;
    default:
        hugepage.addr += TCM_PAGE;
    }
    tcm_hugepage_check(&hugepage);
}

static void
check_finds_each_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "== hugepage->used_pages",
        "== hugepage->clean_pages",
        "== hugepage->longest",
        "hugepage->used[i] & hugepage->clean[i]",
        "(hugepage->span_count == 0) ==",
        "hugepage->addr & (TCM_HUGEPAGE - 1)",
    };

    (void)state;
    assert_each_dies(break_hugepage, messages, 6);
}

static void
dump(void *unused)
{
    (void)unused;
    tcm_hugepage_dump(&hugepage, STDERR_FILENO);
}

static void
dump_tells_its_pages(void **state)
{
    (void)state;
    (void)take(10, 1);
    assert_prints(
        dump, NULL, ": 1 spans, 10 pages used, 246 clean, longest run 246\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_lowest_aligned_run_is_taken, set_up),
        cmocka_unit_test_setup(longest_is_the_longest_free_run, set_up),
        cmocka_unit_test_setup(a_run_grows_over_free_pages_alone, set_up),
        cmocka_unit_test_setup(
            zeroed_means_that_all_of_the_run_was_clean, set_up),
        cmocka_unit_test_setup(
            purge_takes_the_memory_of_free_pages_alone, set_up),
        cmocka_unit_test_setup(a_refused_purge_changes_nothing, set_up),
        cmocka_unit_test_setup(check_finds_each_broken_invariant, set_up),
        cmocka_unit_test_setup(dump_tells_its_pages, set_up),
    };

    return cmocka_run_group_tests(tests, map, unmap);
}
