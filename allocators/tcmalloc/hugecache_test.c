/*
 * hugecache_test.c - ranges of hugepages are cut, joined and purged; each
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
#include "tcmalloc/hugecache.h"

#define DIRTY_MIN 2
#define MANY      1000 /* dirty hugepages that may stay: more than there are */

static struct tcm_hugecache cache;
static struct meta meta;
static char first_meta[(size_t)32 << 10];

static int
set_up(void **state)
{
    (void)state;
    meta_init(&meta, first_meta, sizeof first_meta);
    tcm_hugecache_init(&cache, &meta, MANY, false);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    tcm_hugecache_fini(&cache);
    meta_fini(&meta);
    return 0;
}

/* What is in use: an address, its length, and the range to give it back. */
struct piece {
    char *addr;
    size_t count;
    struct tcm_hugerange *spare;
    bool clean;
};

static struct piece
take(size_t count, size_t align)
{
    struct piece piece = {.count = count};

    piece.addr =
        tcm_hugecache_take(&cache, count, align, &piece.spare, &piece.clean);
    tcm_hugecache_check(&cache);
    return piece;
}

static void
give(const struct piece *piece, bool clean)
{
    tcm_hugecache_give(&cache, piece->addr, piece->count, piece->spare, clean);
    tcm_hugecache_check(&cache);
}

/* One run of hugepages as pieces of these lengths, which end in 0. */
static void
take_pieces(struct piece *pieces, const size_t *counts)
{
    size_t sum = 0;

    for (unsigned i = 0; counts[i] > 0; i++) {
        sum += counts[i];
    }
    struct piece whole = take(sum, TCM_HUGEPAGE);
    assert_non_null(whole.addr);
    for (unsigned i = 0; counts[i] > 0; i++) {
        pieces[i] = whole;
        pieces[i].count = counts[i];
        whole.addr += counts[i] << TCM_HUGEPAGE_SHIFT;
        whole.spare = tcm_hugecache_spare(&cache);
        assert_non_null(whole.spare);
    }
}

static size_t
range_count(enum tcm_hugerange_state state)
{
    return cache.by_addr[state].count;
}

static void
a_fresh_mapping_is_clean_and_of_the_wanted_length(void **state)
{
    struct piece piece = take(3, TCM_HUGEPAGE);

    (void)state;
    assert_true(piece.clean);
    assert_int_equal((uintptr_t)piece.addr & (TCM_HUGEPAGE - 1), 0);
    assert_int_equal(cache.mapped_count, 3);
    give(&piece, false);
    assert_int_equal(cache.count[TCM_RANGE_DIRTY], 3);
    struct piece again = take(3, TCM_HUGEPAGE);
    assert_ptr_equal(again.addr, piece.addr);
    assert_false(again.clean);
}

static void
neighbours_of_one_state_are_joined(void **state)
{
    struct piece pieces[3];

    (void)state;
    take_pieces(pieces, (const size_t[]){2, 1, 2, 0});
    give(&pieces[0], false);
    give(&pieces[2], false);
    assert_int_equal(range_count(TCM_RANGE_DIRTY), 2);
    give(&pieces[1], false);
    assert_int_equal(range_count(TCM_RANGE_DIRTY), 1);
    assert_int_equal(cache.count[TCM_RANGE_DIRTY], 5);
    assert_ptr_equal(take(5, TCM_HUGEPAGE).addr, pieces[0].addr);
}

static void
neighbours_of_unlike_states_are_not_joined(void **state)
{
    struct piece pieces[3];

    (void)state;
    take_pieces(pieces, (const size_t[]){1, 1, 1, 0});
    give(&pieces[0], false);
    give(&pieces[1], true);
    give(&pieces[2], false);
    assert_int_equal(range_count(TCM_RANGE_DIRTY), 2);
    assert_int_equal(range_count(TCM_RANGE_CLEAN), 1);
}

static void
the_shortest_range_that_is_long_enough_is_cut(void **state)
{
    struct piece pieces[5];

    (void)state;
    take_pieces(pieces, (const size_t[]){5, 1, 3, 1, 2, 0});
    give(&pieces[0], false);
    give(&pieces[2], false);
    give(&pieces[4], false);
    assert_ptr_equal(take(3, TCM_HUGEPAGE).addr, pieces[2].addr);
    assert_ptr_equal(take(1, TCM_HUGEPAGE).addr, pieces[4].addr);
    assert_ptr_equal(take(4, TCM_HUGEPAGE).addr, pieces[0].addr);
    assert_int_equal(cache.count[TCM_RANGE_DIRTY], 2);
}

static void
dirty_ranges_are_given_out_before_clean_ones(void **state)
{
    struct piece pieces[3];

    (void)state;
    take_pieces(pieces, (const size_t[]){1, 1, 4, 0});
    give(&pieces[0], true);
    give(&pieces[2], false);
    assert_ptr_equal(take(1, TCM_HUGEPAGE).addr, pieces[2].addr);
}

static void
a_range_holds_every_alignment(void **state)
{
    struct piece pieces[8];
    unsigned count = 0;

    (void)state;
    for (size_t align = TCM_HUGEPAGE; align <= TCM_HUGEPAGE << 5; align *= 2) {
        pieces[count] = take(3, align);
        assert_non_null(pieces[count].addr);
        assert_int_equal((uintptr_t)pieces[count++].addr & (align - 1), 0);
    }
    while (count > 0) {
        give(&pieces[--count], false);
    }
    assert_int_equal(
        cache.count[TCM_RANGE_DIRTY] + cache.count[TCM_RANGE_CLEAN],
        cache.mapped_count);
}

static void
what_is_dirty_beyond_the_limit_is_purged(void **state)
{
    struct piece pieces[2];

    (void)state;
    cache.dirty_min = DIRTY_MIN;
    take_pieces(pieces, (const size_t[]){4, 12, 0});
    give(&pieces[0], false); /* a quarter of what is in use may stay */
    assert_int_equal(cache.count[TCM_RANGE_DIRTY], 3);
    assert_int_equal(cache.count[TCM_RANGE_CLEAN], 1);
    give(&pieces[1], false);
    assert_int_equal(cache.count[TCM_RANGE_DIRTY], DIRTY_MIN);
    assert_int_equal(cache.count[TCM_RANGE_CLEAN], 16 - DIRTY_MIN);
}

static void
release_keeps_what_it_is_told_and_the_rest_reads_as_zero(void **state)
{
    struct piece piece = take(4, TCM_HUGEPAGE);

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        piece.addr[i << TCM_HUGEPAGE_SHIFT] = 'x';
    }
    give(&piece, false);
    assert_int_equal(tcm_hugecache_release(&cache, 1), 3);
    tcm_hugecache_check(&cache);
    assert_int_equal(cache.count[TCM_RANGE_DIRTY], 1);
    assert_int_equal(piece.addr[0], 'x'); /* from the end */
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(piece.addr[i << TCM_HUGEPAGE_SHIFT], 0);
    }
    assert_int_equal(tcm_hugecache_release(&cache, 1), 0);
}

static void
a_refused_purge_leaves_the_range_dirty(void **state)
{
    struct piece piece = take(4, TCM_HUGEPAGE);

    (void)state;
    give(&piece, false);
    pages_fail_at(1, true);
    assert_int_equal(tcm_hugecache_release(&cache, 1), 0);
    pages_fail_at(0, false);
    tcm_hugecache_check(&cache);
    assert_int_equal(cache.count[TCM_RANGE_DIRTY], 4);
    assert_int_equal(range_count(TCM_RANGE_DIRTY), 1);
}

/* ---- out of memory */

static void
out_of_addresses_nothing_changes(void **state)
{
    struct piece piece = take(2, TCM_HUGEPAGE);

    (void)state;
    pages_fail_at(1, true);
    assert_null(take(2, TCM_HUGEPAGE).addr);
    pages_fail_at(0, false);
    assert_int_equal(cache.mapped_count, 2);
    give(&piece, false);
    assert_non_null(take(2, TCM_HUGEPAGE).addr);
    assert_int_equal(cache.mapped_count, 2);
}

/* Uses up the memory for structures, as all calls to the OS fail. */
static void
out_of_structures_a_range_is_not_cut(void **state)
{
    struct piece piece = take(3, TCM_HUGEPAGE);

    (void)state;
    give(&piece, false);
    pages_fail_at(1, true);
    while (tcm_hugecache_spare(&cache) != NULL) {
    }
    assert_null(take(1, TCM_HUGEPAGE).addr);
    assert_int_equal(tcm_hugecache_release(&cache, 1), 0);
    assert_int_equal(cache.count[TCM_RANGE_DIRTY], 3);
    assert_ptr_equal(take(3, TCM_HUGEPAGE).addr, piece.addr);
    pages_fail_at(0, false);
}

/* ---- each invariant broken */

/* Two dirty ranges of one hugepage, and one in use between them. */
static struct tcm_hugerange *
two_ranges(void)
{
    struct piece pieces[3];

    take_pieces(pieces, (const size_t[]){1, 1, 1, 0});
    give(&pieces[0], false);
    give(&pieces[2], false);
    return pieces[2].spare;
}

static void
break_hugecache(void *index)
{
    struct tcm_hugerange *range = two_ranges();
    static struct tcm_mapping half;

    switch (*(unsigned *)index) {
    case 0: /* I1: in one tree */
        tree_remove(&cache.by_size[TCM_RANGE_DIRTY], &range->by_size);
        break;
    case 1: /* I1: overlap */
        range->addr -= TCM_HUGEPAGE + TCM_PAGE;
        break;
    case 2: /* I2 */
        range->addr -= TCM_HUGEPAGE;
        break;
    case 3:
        cache.count[TCM_RANGE_DIRTY]++; /* I3 */
        break;
    case 4: /* I4 */
        cache.mappings->size -= TCM_HUGEPAGE;
        half = (struct tcm_mapping){cache.mappings,
            cache.mappings->addr + cache.mappings->size, TCM_HUGEPAGE};
        cache.mappings = &half;
        break;
    default:
        cache.mapped_count++; /* I5 */
    }
    tcm_hugecache_check(&cache);
}

static void
check_finds_each_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "by_addr->count == ",
        "range->addr > last_end",
        "range->addr > last_end",
        "count == cache->count[state]",
        "end < other->addr",
        "== cache->mapped_count",
    };

    (void)state;
    assert_each_dies(break_hugecache, messages, 6);
}

static void
dump(void *unused)
{
    (void)unused;
    tcm_hugecache_dump(&cache, STDERR_FILENO);
}

static void
dump_tells_each_range(void **state)
{
    (void)state;
    (void)two_ranges();
    assert_prints(dump, NULL,
        "huge cache: 3 hugepages mapped\n  dirty: 2 hugepages in 0x");
    assert_prints(dump, NULL, "+1\n  clean: 0 hugepages in\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fresh_mapping_is_clean_and_of_the_wanted_length),
        TEST(neighbours_of_one_state_are_joined),
        TEST(neighbours_of_unlike_states_are_not_joined),
        TEST(the_shortest_range_that_is_long_enough_is_cut),
        TEST(dirty_ranges_are_given_out_before_clean_ones),
        TEST(a_range_holds_every_alignment),
        TEST(what_is_dirty_beyond_the_limit_is_purged),
        TEST(release_keeps_what_it_is_told_and_the_rest_reads_as_zero),
        TEST(a_refused_purge_leaves_the_range_dirty),
        TEST(out_of_addresses_nothing_changes),
        TEST(out_of_structures_a_range_is_not_cut),
        TEST(check_finds_each_broken_invariant),
        TEST(dump_tells_each_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
