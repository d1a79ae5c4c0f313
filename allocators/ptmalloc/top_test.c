/*
 * top_test.c - the top is cut, grows, ends and comes back; each invariant broken
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
#include "ptmalloc/top.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

struct fixture {
    struct ptm_top top;
    struct ptm_bins bins;
};

static int
set_up(void **state)
{
    static struct fixture fixture;
    struct ptm_subheap *subheap =
        ptm_subheap_new(NULL, sizeof(struct ptm_subheap), 64 * KIB, false);

    ptm_bins_init(&fixture.bins);
    ptm_top_init(&fixture.top, subheap);
    *state = &fixture;
    return 0;
}

static int
tear_down(void **state)
{
    ptm_top_fini(&((struct fixture *)*state)->top);
    return 0;
}

static void
assert_whole(const struct fixture *fixture)
{
    ptm_top_check(&fixture->top);
    ptm_bins_check(&fixture->bins);
}

static void
cuts_lie_in_a_row_until_it_is_too_short(void **state)
{
    struct fixture *fixture = *state;
    struct chunk *first = ptm_top_cut(&fixture->top, 1024);
    unsigned count = 1;
    struct chunk *chunk;

    while ((chunk = ptm_top_cut(&fixture->top, 1024)) != NULL) {
        assert_ptr_equal(chunk, chunk_at(first, count * 1024));
        assert_int_equal(chunk->head, 1024 | PTM_PREV_USED);
        assert_whole(fixture);
        count++;
    }
    assert_int_equal(count, 63);
}

static void
chunk_before_it_lends_and_joins(void **state)
{
    struct fixture *fixture = *state;
    struct chunk *chunk = ptm_top_cut(&fixture->top, 1024);
    size_t left = chunk_size(fixture->top.chunk);

    assert_true(ptm_top_lend(&fixture->top, chunk, 512));
    assert_int_equal(chunk_size(chunk), 1536);
    assert_int_equal(chunk_size(fixture->top.chunk), left - 512);
    assert_false(ptm_top_lend(&fixture->top, chunk, left - 512));
    assert_whole(fixture);
    ptm_top_join(&fixture->top, chunk);
    assert_ptr_equal(fixture->top.chunk, chunk);
    assert_int_equal(chunk_size(chunk), left + 1024);
    assert_whole(fixture);
}

static void
extends_in_its_subheap_with_or_without_the_pad(void **state)
{
    struct fixture *fixture = *state;

    assert_true(ptm_top_extend(&fixture->top, 1 * MIB, 1 * MIB));
    assert_true(fixture->top.system_size >= 2 * MIB);
    assert_non_null(ptm_top_cut(&fixture->top, 1 * MIB));
    assert_true(ptm_top_extend(&fixture->top, 60 * MIB, 16 * MIB));
    assert_non_null(ptm_top_cut(&fixture->top, 60 * MIB));
    assert_false(ptm_top_extend(&fixture->top, 16 * MIB, 0));
    assert_whole(fixture);
}

static void
os_that_refuses_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct ptm_top before = fixture->top;

    pages_fail_at(1, true);
    assert_false(ptm_top_extend(&fixture->top, 1 * MIB, 0));
    assert_false(
        ptm_top_renew(&fixture->top, &fixture->bins, 1 * MIB, 0, false));
    assert_false(ptm_top_shrink(&fixture->top, 0));
    pages_fail_at(0, false);
    assert_memory_equal(&before, &fixture->top, sizeof before);
    assert_whole(fixture);
}

/* What the old top has left is a chunk for the bins; when the new subheap goes,
 * it is the top again. `left` is what remains before the fences. */
static void
renew_and_drop(struct fixture *fixture, size_t left)
{
    size_t all = chunk_size(fixture->top.chunk);
    struct chunk *last =
        ptm_top_cut(&fixture->top, all - PTM_FENCE_SIZE - left);

    assert_true(
        ptm_top_renew(&fixture->top, &fixture->bins, 1 * MIB, 0, false));
    assert_whole(fixture);
    assert_int_equal(
        fixture->bins.free_size, left >= CHUNK_MIN_SIZE ? left : 0);
    assert_non_null(fixture->top.newest->older);
    struct chunk *chunk = ptm_top_cut(&fixture->top, 1 * MIB);
    assert_false(ptm_top_drop_newest(&fixture->top, &fixture->bins));
    ptm_top_join(&fixture->top, chunk);
    assert_true(ptm_top_drop_newest(&fixture->top, &fixture->bins));
    assert_whole(fixture);
    assert_int_equal(fixture->bins.free_size, 0);
    assert_null(fixture->top.newest->older);
    size_t lost = left == CHUNK_OVERHEAD_FOOT ? left : 0;
    assert_ptr_equal(fixture->top.chunk, chunk_at(chunk_next(last), lost));
    assert_false(ptm_top_drop_newest(&fixture->top, &fixture->bins));
}

static void
old_top_is_fenced_and_comes_back(void **state)
{
    renew_and_drop(*state, 0);
}

static void
rest_of_an_old_top_goes_to_the_bins(void **state)
{
    renew_and_drop(*state, 4096);
}

static void
rest_too_small_for_a_chunk_is_a_fence(void **state)
{
    renew_and_drop(*state, CHUNK_OVERHEAD_FOOT);
}

static void
shrinks_to_the_pad(void **state)
{
    struct fixture *fixture = *state;

    assert_true(ptm_top_extend(&fixture->top, 4 * MIB, 0));
    assert_true(ptm_top_shrink(&fixture->top, 64 * KIB));
    assert_in_range(chunk_size(fixture->top.chunk), 64 * KIB,
        64 * KIB + PTM_FENCE_SIZE + pages_os_size());
    assert_false(ptm_top_shrink(&fixture->top, 1 * MIB));
    assert_true(fixture->top.system_peak >= 4 * MIB);
    assert_whole(fixture);
}

/* ---- each invariant broken */

static struct fixture *broken;

static void
break_top(void *which)
{
    (void)ptm_top_renew(&broken->top, &broken->bins, 1 * MIB, 0, false);
    char *end = ptm_subheap_end(broken->top.newest->older);
    struct chunk *fence = chunk_at(end, -PTM_FENCE_SIZE);
    switch (*(unsigned *)which) {
    case 0:
        broken->top.chunk->head += 16; /* I1 */
        break;
    case 1:
        broken->top.chunk->head &= ~PTM_PREV_USED; /* I2 */
        break;
    case 2:
        fence->head += 16; /* I3 */
        break;
    case 3:
        chunk_at(fence, 16)->head &= ~PTM_PREV_USED; /* I3 */
        break;
    default:
        broken->top.system_size += 16; /* I4 */
    }
    ptm_top_check(&broken->top);
}

static void
check_finds_each_broken_invariant(void **state)
{
    broken = *state;
    for (unsigned which = 0; which < 5; which++) {
        assert_dies(break_top, &which, "check failed: ");
    }
}

static void
dump(void *fixture)
{
    ptm_top_dump(&((struct fixture *)fixture)->top, STDERR_FILENO);
}

static void
dump_tells_the_sizes(void **state)
{
    char text[DEATH_TEXT_MAX];

    (void)death_capture(dump, *state, text);
    assert_non_null(strstr(text, "; subheaps 65536, at most 65536\n"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            cuts_lie_in_a_row_until_it_is_too_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            chunk_before_it_lends_and_joins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            extends_in_its_subheap_with_or_without_the_pad, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            os_that_refuses_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            old_top_is_fenced_and_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            rest_of_an_old_top_goes_to_the_bins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            rest_too_small_for_a_chunk_is_a_fence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shrinks_to_the_pad, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            check_finds_each_broken_invariant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            dump_tells_the_sizes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
