/*
 * bins_test.c - which chunk serves which request, and each invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/random.h"
#include "ptmalloc/bins.h"
#include "ptmalloc/subheap.h"

#define ALL SIZE_MAX /* of the unsorted chunks may be sorted */

/* Bins, and memory that is cut into chunks from the front on. */
struct fixture {
    struct ptm_bins bins;
    struct ptm_subheap *subheap;
    struct chunk *next;
};

static int
set_up(void **state)
{
    static struct fixture fixture;

    ptm_bins_init(&fixture.bins);
    fixture.subheap = ptm_subheap_new(
        NULL, sizeof(struct ptm_subheap), (size_t)8 << 20, false);
    fixture.next = ptm_subheap_first_chunk(fixture.subheap);
    *state = &fixture;
    return fixture.subheap == NULL;
}

static int
tear_down(void **state)
{
    ptm_subheap_delete(((struct fixture *)*state)->subheap);
    return 0;
}

/* A free chunk between used ones, in the unsorted bin. */
static struct chunk *
add(struct fixture *fixture, size_t size)
{
    struct chunk *chunk = fixture->next;
    struct chunk *fence = chunk_at(chunk, size);

    chunk_set_free(chunk, size);
    fence->head = CHUNK_MIN_SIZE; /* PREV_USED is clear */
    fixture->next = chunk_at(fence, CHUNK_MIN_SIZE);
    ptm_bins_push(&fixture->bins, chunk);
    ptm_bins_check(&fixture->bins);
    return chunk;
}

static struct chunk *
take(struct fixture *fixture, size_t size)
{
    struct chunk *chunk = ptm_bins_take(&fixture->bins, size, ALL);

    ptm_bins_check(&fixture->bins);
    if (chunk != NULL) {
        assert_in_range(chunk_size(chunk), size, size + CHUNK_ALIGN);
        assert_true((chunk_next(chunk)->head & PTM_PREV_USED) != 0);
    }
    return chunk;
}

static void
exact_size_is_taken_from_unsorted_oldest_first(void **state)
{
    struct fixture *fixture = *state;
    struct chunk *first = add(fixture, 2000);
    struct chunk *second = add(fixture, 2000);

    (void)add(fixture, 3008);
    assert_ptr_equal(take(fixture, 2000), first);
    assert_ptr_equal(take(fixture, 2000), second);
}

static void
what_is_passed_over_is_sorted(void **state)
{
    struct fixture *fixture = *state;
    struct chunk *small = add(fixture, 64);
    struct chunk *large = add(fixture, 2000);

    assert_null(take(fixture, 5008));
    assert_true(list_empty(&fixture->bins.unsorted));
    assert_int_equal(fixture->bins.large.count, 1);
    assert_ptr_equal(take(fixture, 64), small);
    assert_ptr_equal(take(fixture, 2000), large);
    assert_int_equal(fixture->bins.free_size, 0);
}

static void
least_chunk_that_fits_is_split(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, 2000);
    struct chunk *fit = add(fixture, 3008);
    (void)add(fixture, 4000);
    assert_ptr_equal(take(fixture, 2512), fit);
    assert_int_equal(fixture->bins.free_size, 2000 + 496 + 4000);
    assert_ptr_equal(take(fixture, 496), chunk_at(fit, 2512));
}

static void
a_rest_too_small_for_a_chunk_stays_with_it(void **state)
{
    struct fixture *fixture = *state;
    struct chunk *chunk = add(fixture, 2016);

    assert_ptr_equal(take(fixture, 2000), chunk);
    assert_int_equal(chunk_size(chunk), 2016);
}

/* Requests in a row lie in a row. */
static void
small_requests_go_on_with_the_last_remainder(void **state)
{
    struct fixture *fixture = *state;
    struct chunk *chunk = add(fixture, 2000);

    assert_ptr_equal(take(fixture, 96), chunk);
    for (unsigned i = 1; i < 10; i++) {
        assert_ptr_equal(take(fixture, 96), chunk_at(chunk, i * 96));
        assert_ptr_equal(
            fixture->bins.last_remainder, chunk_at(chunk, (i + 1) * 96));
    }
}

static void
sorting_stops_where_it_is_told_to(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < 10; i++) {
        (void)add(fixture, 2000);
    }
    assert_non_null(ptm_bins_take(&fixture->bins, 1008, 3));
    assert_int_equal(list_count(&fixture->bins.unsorted), 7 + 1);
    assert_null(ptm_bins_take(&fixture->bins, 5008, 0));
}

static void
bins_serve_whatever_was_put_in(void **state)
{
    struct fixture *fixture = *state;
    struct random random;
    size_t put = 0, taken = 0;

    random_seed(&random, 1);
    for (unsigned i = 0; i < 2000; i++) {
        size_t size = random_log_between(&random, 2, 300) * CHUNK_ALIGN;
        if (random_one_in(&random, 2)) {
            (void)add(fixture, size);
            put += size;
        } else {
            struct chunk *chunk = take(fixture, size);
            taken += chunk == NULL ? 0 : chunk_size(chunk);
        }
        assert_int_equal(fixture->bins.free_size, put - taken);
    }
    assert_true(taken > put / 4);
}

static void
count_binned(const struct chunk *chunk, bool is_unsorted, void *arg)
{
    (void)chunk;
    ((size_t *)arg)[is_unsorted]++;
}

static void
each_visits_every_bin(void **state)
{
    struct fixture *fixture = *state;
    size_t counts[2] = {0};

    (void)add(fixture, 64);
    (void)add(fixture, 2000);
    assert_null(take(fixture, 5008));
    (void)add(fixture, 96);
    ptm_bins_each(&fixture->bins, count_binned, counts);
    assert_int_equal(counts[true], 1);
    assert_int_equal(counts[false], 2);
    assert_int_equal(ptm_bins_count(&fixture->bins), 3);
}

/* ---- each invariant broken */

static struct fixture *broken;

/* An unsorted chunk, a small and a large one. */
static void
break_bins(void *which)
{
    struct chunk *small = add(broken, 64);
    struct chunk *large = add(broken, 2000);

    (void)take(broken, 5008);
    struct chunk *unsorted = add(broken, 96);
    switch (*(unsigned *)which) {
    case 0:
        *chunk_foot(small, 64) = 80; /* I1 */
        break;
    case 1:
        chunk_next(large)->head |= PTM_PREV_USED; /* I1 */
        break;
    case 2:
        unsorted->head &= ~PTM_PREV_USED; /* I1 */
        break;
    case 3:
        unsorted->head |= PTM_IN_TREE; /* I2 */
        break;
    case 4:
        large->head &= ~PTM_IN_TREE; /* I2 */
        break;
    case 5:
        memset(broken->bins.small_map, 0, sizeof broken->bins.small_map);
        break; /* I3 */
    case 6:
        broken->bins.last_remainder = small; /* I4 */
        break;
    default:
        broken->bins.free_size -= 16; /* I5 */
    }
    ptm_bins_check(&broken->bins);
}

static void
check_finds_each_broken_invariant(void **state)
{
    broken = *state;
    for (unsigned which = 0; which < 8; which++) {
        assert_dies(break_bins, &which, "check failed: ");
    }
}

static void
dump(void *fixture)
{
    (void)add(fixture, 64);
    (void)add(fixture, 2000);
    (void)take(fixture, 5008);
    (void)add(fixture, 96);
    ptm_bins_dump(&((struct fixture *)fixture)->bins, STDERR_FILENO);
}

static void
dump_tells_what_lies_where(void **state)
{
    char text[DEATH_TEXT_MAX];

    (void)death_capture(dump, *state, text);
    assert_non_null(
        strstr(text, "free 2160 in chunks: unsorted 1, small 1, large 1\n"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            exact_size_is_taken_from_unsorted_oldest_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_passed_over_is_sorted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            least_chunk_that_fits_is_split, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_rest_too_small_for_a_chunk_stays_with_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            small_requests_go_on_with_the_last_remainder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            sorting_stops_where_it_is_told_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            bins_serve_whatever_was_put_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            each_visits_every_bin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            check_finds_each_broken_invariant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            dump_tells_what_lies_where, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
