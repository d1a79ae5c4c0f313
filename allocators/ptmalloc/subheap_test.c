/*
 * subheap_test.c - regions that grow and shrink, and each invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/pages.h"
#include "ptmalloc/subheap.h"

#define LEAD sizeof(struct ptm_subheap)
#define KIB  ((size_t)1 << 10)

static struct ptm_subheap *
new_subheap(size_t size)
{
    struct ptm_subheap *subheap = ptm_subheap_new(NULL, LEAD, size, false);

    assert_non_null(subheap);
    return subheap;
}

static void
subheap_is_found_from_any_of_its_addresses(void **state)
{
    (void)state;
    struct ptm_subheap *subheap = new_subheap(100 * KIB);
    char *base = (char *)subheap;

    assert_int_equal((uintptr_t)subheap % PTM_SUBHEAP_SIZE, 0);
    assert_ptr_equal(ptm_subheap_of(base + 1), subheap);
    assert_ptr_equal(ptm_subheap_of(base + PTM_SUBHEAP_SIZE - 1), subheap);
    assert_ptr_equal(ptm_subheap_first_chunk(subheap), base + LEAD);
    assert_ptr_equal(ptm_subheap_end(subheap), base + 100 * KIB);
    ptm_subheap_delete(subheap);
}

static void
subheap_holds_what_ends_in_its_usable_part(void **state)
{
    (void)state;
    struct ptm_subheap *subheap = new_subheap(64 * KIB);
    char *base = (char *)subheap;

    assert_true(ptm_subheap_holds(base + 16, 64 * KIB - 16));
    assert_false(ptm_subheap_holds(base + 16, 64 * KIB - 15));
    assert_false(ptm_subheap_holds(base + 16, SIZE_MAX));
    assert_true(ptm_subheap_holds(base + 64 * KIB, 0));
    assert_false(ptm_subheap_holds(base + 64 * KIB + 1, 0));
    ptm_subheap_delete(subheap);
}

static void
what_comes_back_after_a_shrink_is_zero(void **state)
{
    (void)state;
    struct ptm_subheap *subheap = new_subheap(64 * KIB);
    char *base = (char *)subheap;

    assert_true(ptm_subheap_grow(subheap, 256 * KIB));
    memset(base + 64 * KIB, 1, 192 * KIB);
    assert_true(ptm_subheap_shrink(subheap, 100 * KIB));
    assert_int_equal(subheap->usable_size, 100 * KIB);
    assert_false(ptm_subheap_shrink(subheap, 100 * KIB)); /* nothing to give */
    assert_true(ptm_subheap_grow(subheap, 101 * KIB));
    assert_int_equal(subheap->usable_size % pages_os_size(), 0);
    assert_int_equal(base[100 * KIB - 1], 1);
    assert_int_equal(base[100 * KIB], 0);
    ptm_subheap_check(subheap);
    ptm_subheap_delete(subheap);
}

static void
refusals_change_nothing(void **state)
{
    (void)state;
    struct ptm_subheap *subheap = new_subheap(64 * KIB);

    assert_null(ptm_subheap_new(NULL, LEAD, PTM_SUBHEAP_SIZE + 1, false));
    assert_false(ptm_subheap_grow(subheap, PTM_SUBHEAP_SIZE + 1));
    for (uint64_t n = 1; n <= 2; n++) {
        pages_fail_at(n, true);
        assert_null(ptm_subheap_new(NULL, LEAD, 64 * KIB, false));
    }
    pages_fail_at(1, true);
    assert_false(ptm_subheap_grow(subheap, 128 * KIB));
    assert_false(ptm_subheap_shrink(subheap, 4 * KIB));
    pages_fail_at(0, false);
    assert_int_equal(subheap->usable_size, 64 * KIB);
    assert_true(ptm_subheap_grow(subheap, PTM_SUBHEAP_SIZE));
    ptm_subheap_delete(subheap);
}

/* Huge pages are advice: a kernel that refuses it changes nothing. */
static void
huge_pages_are_only_asked_for(void **state)
{
    (void)state;
    pages_fail_at(0, false);
    struct ptm_subheap *subheap = ptm_subheap_new(NULL, LEAD, 64 * KIB, true);

    assert_non_null(subheap);
    assert_true(ptm_subheap_grow(subheap, PTM_SUBHEAP_SIZE));
    ptm_subheap_delete(subheap);
}

static void
break_subheap(void *which)
{
    struct ptm_subheap *subheap = new_subheap(64 * KIB);

    switch (*(unsigned *)which) {
    case 0:
        subheap->lead_size = 8;
        break;
    case 1:
        subheap->lead_size = subheap->usable_size + 16;
        break;
    case 2:
        subheap->usable_size = PTM_SUBHEAP_SIZE + pages_os_size();
        break;
    default:
        subheap->usable_size -= 16;
    }
    ptm_subheap_check(subheap);
}

static void
check_finds_each_broken_invariant(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 4; which++) {
        assert_dies(break_subheap, &which, "check failed: ");
    }
}

static void
dump(void *unused)
{
    (void)unused;
    ptm_subheap_dump(new_subheap(64 * KIB), STDERR_FILENO);
}

static void
dump_tells_the_size(void **state)
{
    (void)state;
    char text[DEATH_TEXT_MAX];

    (void)death_capture(dump, NULL, text);
    assert_non_null(strstr(text, "usable 65536 of 67108864\n"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subheap_is_found_from_any_of_its_addresses),
        cmocka_unit_test(subheap_holds_what_ends_in_its_usable_part),
        cmocka_unit_test(what_comes_back_after_a_shrink_is_zero),
        cmocka_unit_test(refusals_change_nothing),
        cmocka_unit_test(huge_pages_are_only_asked_for),
        cmocka_unit_test(check_finds_each_broken_invariant),
        cmocka_unit_test(dump_tells_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
