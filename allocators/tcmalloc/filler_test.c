/*
 * filler_test.c - which hugepage a span goes to, and which gives memory back;
 * each invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/pages.h"
#include "tcmalloc/filler.h"

#define HUGEPAGES 4
#define PAGES     TCM_HUGEPAGE_PAGES

static struct tcm_filler filler;
static struct tcm_hugepage hugepages[HUGEPAGES];
static char *memory;

static int
map(void **state)
{
    (void)state;
    memory = pages_map(HUGEPAGES * TCM_HUGEPAGE, TCM_HUGEPAGE);
    return memory == NULL;
}

static int
unmap(void **state)
{
    (void)state;
    return !pages_unmap(memory, HUGEPAGES * TCM_HUGEPAGE);
}

static int
set_up(void **state)
{
    (void)state;
    tcm_filler_init(&filler);
    return 0;
}

/* A hugepage with that many spans of that many pages, the rest dirty. */
static struct tcm_hugepage *
add(unsigned index, enum tcm_filler_kind kind, unsigned spans, size_t pages)
{
    struct tcm_hugepage *hugepage = &hugepages[index];
    bool zeroed;

    tcm_hugepage_init(hugepage, memory + index * TCM_HUGEPAGE, false);
    for (unsigned i = 0; i < spans; i++) {
        (void)tcm_hugepage_take(hugepage, pages, 1, &zeroed);
    }
    tcm_filler_add(&filler, hugepage, kind);
    tcm_filler_check(&filler);
    return hugepage;
}

/* Where a span of that many pages goes, or NULL. */
static struct tcm_hugepage *
home_of(size_t pages, size_t align_pages)
{
    struct tcm_hugepage *home = NULL;
    bool zeroed;
    char *addr = tcm_filler_take(&filler, pages, align_pages, &home, &zeroed);

    tcm_filler_check(&filler);
    assert_true((addr == NULL) == (home == NULL));
    assert_int_equal(
        (uintptr_t)addr & ((align_pages << TCM_PAGE_SHIFT) - 1), 0);
    return home;
}

static void
a_span_goes_where_the_longest_free_run_is_shortest(void **state)
{
    struct tcm_hugepage *half = add(0, TCM_FILLER_REGULAR, 1, 128);
    struct tcm_hugepage *most = add(1, TCM_FILLER_REGULAR, 1, 250);
    struct tcm_hugepage *little = add(2, TCM_FILLER_REGULAR, 1, 20);

    (void)state;
    assert_ptr_equal(home_of(5, 1), most);
    assert_ptr_equal(home_of(2, 1), half);
    assert_ptr_equal(home_of(200, 1), little);
    assert_ptr_equal(home_of(36, 1), little);
    assert_ptr_equal(home_of(126, 1), half);
    assert_null(home_of(2, 1));
    assert_ptr_equal(home_of(1, 1), most);
    assert_null(home_of(1, 1));
    assert_int_equal(tcm_filler_free_pages(&filler), 0);
}

static void
among_equals_the_one_with_most_spans_is_taken(void **state)
{
    struct tcm_hugepage *one = add(0, TCM_FILLER_REGULAR, 1, 128);
    struct tcm_hugepage *many = add(1, TCM_FILLER_REGULAR, 8, 16);

    (void)state;
    assert_ptr_equal(home_of(128, 1), many);
    assert_ptr_equal(home_of(128, 1), one);
}

static void
regular_comes_before_donated_before_released(void **state)
{
    struct tcm_hugepage *released = add(0, TCM_FILLER_RELEASED, 1, 246);
    struct tcm_hugepage *donated = add(1, TCM_FILLER_DONATED, 1, 156);
    struct tcm_hugepage *regular = add(2, TCM_FILLER_REGULAR, 1, 56);

    (void)state;
    assert_ptr_equal(home_of(10, 1), regular);
    assert_ptr_equal(home_of(190, 1), regular);
    assert_ptr_equal(home_of(10, 1), donated);
    assert_ptr_equal(home_of(90, 1), donated);
    assert_ptr_equal(home_of(10, 1), released);
}

static void
an_aligned_span_goes_where_it_fits_for_sure(void **state)
{
    struct tcm_hugepage *short_one = add(0, TCM_FILLER_REGULAR, 1, 246);
    struct tcm_hugepage *long_one = add(1, TCM_FILLER_REGULAR, 1, 3);

    (void)state;
    assert_ptr_equal(home_of(4, 8), long_one);
    assert_ptr_equal(home_of(3, 8), short_one);
    assert_ptr_equal(home_of(16, 128), long_one);
}

static void
a_wholly_free_hugepage_leaves(void **state)
{
    struct tcm_hugepage *hugepage = add(0, TCM_FILLER_REGULAR, 2, 16);

    (void)state;
    assert_false(tcm_filler_give(&filler, hugepage, 0, 16));
    tcm_filler_check(&filler);
    assert_true(tcm_filler_give(&filler, hugepage, 16, 16));
    tcm_filler_check(&filler);
    assert_int_equal(filler.hugepage_count, 0);
    assert_int_equal(filler.used_pages, 0);
    assert_null(home_of(1, 1));
}

static void
an_adopted_hugepage_is_regular(void **state)
{
    struct tcm_hugepage *donated = add(0, TCM_FILLER_DONATED, 2, 16);
    struct tcm_hugepage *released = add(1, TCM_FILLER_RELEASED, 2, 16);

    (void)state;
    tcm_filler_adopt(&filler, donated);
    tcm_filler_adopt(&filler, released);
    tcm_filler_check(&filler);
    assert_int_equal(donated->kind, TCM_FILLER_REGULAR);
    assert_int_equal(released->kind, TCM_FILLER_RELEASED);
}

static void
a_span_grows_where_it_stands(void **state)
{
    struct tcm_hugepage *hugepage = add(0, TCM_FILLER_REGULAR, 2, 16);

    (void)state;
    assert_false(tcm_filler_extend(&filler, hugepage, 0, 16, 1));
    assert_true(tcm_filler_extend(&filler, hugepage, 16, 16, 224));
    assert_false(tcm_filler_extend(&filler, hugepage, 16, 240, 1));
    tcm_filler_check(&filler);
    assert_int_equal(filler.used_pages, PAGES);
}

static void
the_emptiest_hugepages_are_released_first(void **state)
{
    struct tcm_hugepage *full = add(0, TCM_FILLER_REGULAR, 1, 208);
    struct tcm_hugepage *empty = add(1, TCM_FILLER_REGULAR, 1, 16);

    (void)state;
    assert_int_equal(tcm_filler_release(&filler, 1), 240);
    tcm_filler_check(&filler);
    assert_int_equal(empty->kind, TCM_FILLER_RELEASED);
    assert_int_equal(full->kind, TCM_FILLER_REGULAR);
    assert_int_equal(filler.clean_pages, 240);
    assert_int_equal(tcm_filler_release(&filler, PAGES), 48);
    assert_int_equal(full->kind, TCM_FILLER_RELEASED);
    assert_int_equal(tcm_filler_release(&filler, PAGES), 0);
    tcm_filler_check(&filler);
}

static void
a_refused_release_changes_nothing(void **state)
{
    struct tcm_hugepage *hugepage = add(0, TCM_FILLER_REGULAR, 1, 16);

    (void)state;
    pages_fail_at(1, true);
    assert_int_equal(tcm_filler_release(&filler, PAGES), 0);
    pages_fail_at(0, false);
    tcm_filler_check(&filler);
    assert_int_equal(hugepage->kind, TCM_FILLER_REGULAR);
    assert_int_equal(filler.clean_pages, 0);
}

/* ---- each invariant broken */

static void
break_filler(void *index)
{
    struct tcm_hugepage *hugepage = add(0, TCM_FILLER_REGULAR, 1, 16);

    switch (*(unsigned *)index) {
    case 0:
        hugepage->kind = TCM_FILLER_DONATED; /* I1 */
        break;
    case 1:
        hugepage->key++; /* I1 */
        break;
    case 2:
        filler.used_pages--; /* I2 */
        break;
    case 3:
        filler.clean_pages++; /* I2 */
        break;
    case 4:
        filler.hugepage_count++; /* I2 */
        break;
    default: /* I3, under the key that it then has */
        tcm_hugepage_give(hugepage, 0, 16);
        hugepage->key = (uint32_t)PAGES << 4 | 15;
    }
    tcm_filler_check(&filler);
}

static void
check_finds_each_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "hugepage->kind == kind",
        "hugepage->key == key_of(hugepage)",
        "used_pages == filler->used_pages",
        "clean_pages == filler->clean_pages",
        "hugepage_count == filler->hugepage_count",
        "hugepage->used_pages > 0",
    };

    (void)state;
    assert_each_dies(break_filler, messages, 6);
}

static void
dump(void *unused)
{
    (void)unused;
    tcm_filler_dump(&filler, STDERR_FILENO);
}

static void
dump_tells_each_hugepage_and_its_kind(void **state)
{
    (void)state;
    (void)add(0, TCM_FILLER_DONATED, 1, 16);
    (void)add(1, TCM_FILLER_RELEASED, 1, 32);
    assert_prints(dump, NULL,
        "filler: 2 hugepages, 48 pages used, 464 free, 0 of them clean\n");
    assert_prints(dump, NULL, "donated hugepage ");
    assert_prints(dump, NULL, "released hugepage ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(
            a_span_goes_where_the_longest_free_run_is_shortest, set_up),
        cmocka_unit_test_setup(
            among_equals_the_one_with_most_spans_is_taken, set_up),
        cmocka_unit_test_setup(
            regular_comes_before_donated_before_released, set_up),
        cmocka_unit_test_setup(
            an_aligned_span_goes_where_it_fits_for_sure, set_up),
        cmocka_unit_test_setup(a_wholly_free_hugepage_leaves, set_up),
        cmocka_unit_test_setup(an_adopted_hugepage_is_regular, set_up),
        cmocka_unit_test_setup(a_span_grows_where_it_stands, set_up),
        cmocka_unit_test_setup(
            the_emptiest_hugepages_are_released_first, set_up),
        cmocka_unit_test_setup(a_refused_release_changes_nothing, set_up),
        cmocka_unit_test_setup(check_finds_each_broken_invariant, set_up),
        cmocka_unit_test_setup(dump_tells_each_hugepage_and_its_kind, set_up),
    };

    return cmocka_run_group_tests(tests, map, unmap);
}
