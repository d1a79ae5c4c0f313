/*
 * pageheap_test.c - spans out of hugepages, their tails, limits, and what running
 * out of memory leaves; each invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcmalloc/testheap.h"

#define PAGES TCM_HUGEPAGE_PAGES
#define CLASS tcm_sizemap_class(TCM_PAGE * 2) /* spans of some pages */

static struct tcm_pageheap *
pageheap(void)
{
    return &heap->pageheap;
}

static struct tcm_pageheap_stats
stats(void)
{
    struct tcm_pageheap_stats now;

    tcm_pageheap_check(pageheap());
    tcm_pageheap_stats(pageheap(), &now);
    return now;
}

static struct tcm_span *
take_large(size_t pages, size_t align)
{
    struct tcm_span *span = tcm_pageheap_take_large(pageheap(), pages, align);

    assert_non_null(span);
    assert_int_equal(span->page_count, pages);
    assert_int_equal((uintptr_t)span->addr & (align - 1), 0);
    tcm_pageheap_check(pageheap());
    return span;
}

static struct tcm_span *
take_small(void)
{
    struct tcm_span *span = tcm_pageheap_take(pageheap(), CLASS);

    assert_non_null(span);
    assert_int_equal(span->free_count, tcm_span_object_count(span));
    return span;
}

static void
give(struct tcm_span *span)
{
    tcm_pageheap_give(pageheap(), span);
    tcm_pageheap_check(pageheap());
}

static void *
owner_of(const char *addr)
{
    return tcm_owner_get(&pageheap()->map, addr);
}

static void
every_page_of_a_small_span_leads_to_it(void **state)
{
    struct tcm_span *span = take_small();
    char *addr = span->addr;
    size_t size = tcm_span_size(span);

    (void)state;
    assert_true(size > TCM_PAGE);
    for (size_t at = 0; at < size; at += TCM_PAGE) {
        assert_ptr_equal(owner_of(addr + at), tcm_owner_make(span));
    }
    give(span);
    for (size_t at = 0; at < size; at += TCM_PAGE) {
        assert_ptr_equal(owner_of(addr + at), TCM_OWNER_FREED);
    }
}

static void
only_the_first_page_of_a_large_span_leads_to_it(void **state)
{
    struct tcm_span *span = take_large(300, 1);
    char *addr = span->addr;

    (void)state;
    assert_ptr_equal(owner_of(addr), tcm_owner_make(span));
    assert_ptr_equal(tcm_owner_span(owner_of(addr)), span);
    for (size_t page = 1; page < 300; page++) {
        assert_null(owner_of(addr + page * TCM_PAGE));
    }
    give(span);
    assert_ptr_equal(owner_of(addr), TCM_OWNER_FREED);
}

static void
the_rest_of_a_long_span_is_donated(void **state)
{
    struct tcm_span *large = take_large(2 * PAGES + 88, 1);
    struct tcm_hugepage *home = large->home;

    (void)state;
    assert_int_equal(home->kind, TCM_FILLER_DONATED);
    assert_int_equal(home->used_pages, 88);
    struct tcm_span *small = take_small();
    assert_ptr_equal(small->home, home);
    give(large);
    assert_int_equal(home->kind, TCM_FILLER_REGULAR);
    assert_int_equal(home->used_pages, small->page_count);
    give(small);
    assert_int_equal(pageheap()->filler.hugepage_count, 0);
}

static void
whole_hugepages_donate_nothing(void **state)
{
    struct tcm_span *span = take_large(3 * PAGES, 1);

    (void)state;
    assert_null(span->home);
    assert_int_equal(pageheap()->filler.hugepage_count, 0);
    give(span);
    assert_int_equal(stats().free_pages, stats().mapped_pages);
}

static void
spans_have_every_alignment(void **state)
{
    static const size_t lengths[] = {1, 10, 300};
    struct tcm_span *spans[64];
    unsigned count = 0;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        for (size_t align = 1; align <= TCM_HUGEPAGE << 3; align *= 4) {
            spans[count++] = take_large(lengths[i], align);
        }
    }
    assert_int_equal(stats().large_count, count);
    while (count > 0) {
        give(spans[--count]);
    }
    assert_int_equal(stats().large_pages, 0);
    assert_int_equal(stats().free_pages, stats().mapped_pages);
}

static void
a_large_span_grows_where_it_stands(void **state)
{
    struct tcm_span *span = take_large(10, 1);

    (void)state;
    assert_true(tcm_pageheap_extend(pageheap(), span, 20));
    assert_int_equal(span->page_count, 20);
    assert_int_equal(stats().large_pages, 20);
    struct tcm_span *next = take_large(1, 1);
    assert_ptr_equal(next->addr, span->addr + 20 * TCM_PAGE);
    assert_false(tcm_pageheap_extend(pageheap(), span, 21));
    assert_false(tcm_pageheap_extend(pageheap(), next, PAGES));
    assert_int_equal(stats().large_pages, 21);
}

/* The whole hugepage of a fresh mapping reads as zero; pages used before do
 * not. */
static void
zeroed_means_never_used(void **state)
{
    struct tcm_span *span = take_large(10, 1);

    (void)state;
    assert_true(span->zeroed);
    give(span);
    assert_false(take_large(10, 1)->zeroed);
}

/* ---- giving back */

static void
release_gives_free_memory_back_whole_and_in_parts(void **state)
{
    struct tcm_span *whole = take_large(PAGES, 1);
    struct tcm_span *kept = take_large(16, 1);
    struct tcm_span *part = take_large(PAGES - 16, 1);

    (void)state;
    give(whole);
    give(part);
    size_t dirty = stats().free_pages - stats().clean_pages;
    size_t released = tcm_pageheap_release(pageheap(), SIZE_MAX / 2);
    assert_int_equal(released, dirty << TCM_PAGE_SHIFT);
    assert_int_equal(stats().clean_pages, stats().free_pages);
    assert_int_equal(tcm_pageheap_release(pageheap(), SIZE_MAX / 2), 0);
    give(kept);
}

static void
above_the_hard_limit_nothing_is_taken(void **state)
{
    struct tcm_pageheap_limits limits = {
        .soft = SIZE_MAX, .hard = 4 * TCM_HUGEPAGE};

    (void)state;
    tcm_pageheap_set_limits(pageheap(), &limits);
    struct tcm_span *span = take_large(3 * PAGES, 1);
    struct tcm_pageheap_stats before = stats(), after;
    assert_null(tcm_pageheap_take_large(pageheap(), 2 * PAGES, 1));
    after = stats();
    assert_memory_equal(&before, &after, sizeof before);
    give(span); /* makes way */
    span = take_large(4 * PAGES, 1);
    give(span);
}

static void
above_the_soft_limit_free_pages_make_way(void **state)
{
    struct tcm_pageheap_limits limits = {
        .soft = 3 * TCM_HUGEPAGE, .hard = SIZE_MAX};
    struct tcm_span *one = take_large(2 * PAGES, 1);
    struct tcm_span *two = take_large(2 * PAGES, 1);

    (void)state;
    tcm_pageheap_set_limits(pageheap(), &limits);
    assert_int_equal(tcm_pageheap_limits(pageheap()).soft, 3 * TCM_HUGEPAGE);
    give(one);
    (void)take_large(PAGES + PAGES / 2, 1); /* taken all the same */
    give(two);
    (void)take_large(1, 1);
    size_t backed = stats().mapped_pages - stats().clean_pages;
    assert_true(backed << TCM_PAGE_SHIFT <= 3 * TCM_HUGEPAGE);
}

static void
a_release_rate_gives_back_as_spans_come_free(void **state)
{
    struct tcm_pageheap_limits limits = {
        .soft = SIZE_MAX, .hard = SIZE_MAX, .release_rate = 1000};

    (void)state;
    pageheap()->hugecache.dirty_min = 100;
    tcm_pageheap_set_limits(pageheap(), &limits);
    give(take_large(4 * PAGES, 1));
    assert_true(stats().clean_pages >= 4 * PAGES);
}

/* ---- out of memory: each call to the OS fails in turn */

static void
out_of_memory_changes_nothing(void **state)
{
    struct tcm_pageheap_stats before = stats(), after;
    struct tcm_span *span = NULL;
    unsigned n;

    (void)state;
    for (n = 1; span == NULL; n++) {
        pages_fail_at(n, true);
        span = tcm_pageheap_take_large(pageheap(), PAGES + 10, 1);
        pages_fail_at(0, false);
        after = stats();
        if (span == NULL) { /* There may be free ranges more. */
            assert_int_equal(after.large_count, before.large_count);
            assert_int_equal(after.free_pages, after.mapped_pages);
        }
    }
    assert_true(n > 2);
    assert_null(
        tcm_pageheap_take_large(pageheap(), (size_t)TCM_SPAN_PAGES_MAX + 1, 1));
    give(span);
}

/* ---- misuse */

static void
free_twice(void *inside)
{
    struct tcm_span *span = take_large(300, 1);
    char *block = span->addr;

    if (inside == NULL) {
        tcm_pageheap_give_large(pageheap(), block);
        tcm_pageheap_give_large(pageheap(), block);
    } else {
        tcm_pageheap_give_large(pageheap(), block + TCM_PAGE);
    }
}

static void
a_block_is_given_once_by_its_first_address(void **state)
{
    (void)state;
    assert_dies(free_twice, NULL, "malstrom-tcmalloc: double free: ");
    assert_dies(free_twice, heap, "malstrom-tcmalloc: double free: ");
}

/* ---- each invariant broken */

static void
break_pageheap(void *index)
{
    struct tcm_span *span = take_large(PAGES + 10, 1);

    switch (*(unsigned *)index) {
    case 0: /* I1: a hugepage in no span */
        pageheap()->hugecache.mapped_count++;
        break;
    case 1: /* I1: a page in no span */
        pageheap()->filler.used_pages++;
        break;
    case 2: /* I2 */
        list_remove(&span->link);
        break;
    case 3:
        pageheap()->large_pages++; /* I2 */
        break;
    case 4:
        pageheap()->tail_pages++; /* I2 */
        break;
    case 5:
        pageheap()->slack_pages--; /* I2 */
        break;
    case 6:
        pagemap_set(&pageheap()->map, span->addr, 1, TCM_OWNER_FREED);
        break;
    default:
        span->home = NULL;
    }
    tcm_pageheap_check(pageheap());
}

static void
check_finds_each_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "cache->mapped_count",
        "used_pages == filler->used_pages",
        "count == pageheap->large_count",
        "pages == pageheap->large_pages",
        "tail == pageheap->tail_pages",
        "slack == pageheap->slack_pages",
        "tcm_owner_make(span)",
        "span->home == NULL",
    };

    (void)state;
    assert_each_dies(break_pageheap, messages, 8);
}

static void
dump(void *unused)
{
    (void)unused;
    tcm_pageheap_dump(pageheap(), STDERR_FILENO);
}

static void
dump_tells_spans_and_its_parts(void **state)
{
    (void)state;
    (void)take_small();
    (void)take_large(300, 1);
    assert_prints(dump, NULL,
        "page heap: 1 small spans, 1 large ones of 300 pages\nfiller: ");
    assert_prints(dump, NULL, "huge cache: ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(every_page_of_a_small_span_leads_to_it),
        HEAP_TEST(only_the_first_page_of_a_large_span_leads_to_it),
        HEAP_TEST(the_rest_of_a_long_span_is_donated),
        HEAP_TEST(whole_hugepages_donate_nothing),
        HEAP_TEST(spans_have_every_alignment),
        HEAP_TEST(a_large_span_grows_where_it_stands),
        HEAP_TEST(zeroed_means_never_used),
        HEAP_TEST(release_gives_free_memory_back_whole_and_in_parts),
        HEAP_TEST(above_the_hard_limit_nothing_is_taken),
        HEAP_TEST(above_the_soft_limit_free_pages_make_way),
        HEAP_TEST(a_release_rate_gives_back_as_spans_come_free),
        HEAP_TEST(out_of_memory_changes_nothing),
        HEAP_TEST(a_block_is_given_once_by_its_first_address),
        HEAP_TEST(check_finds_each_broken_invariant),
        HEAP_TEST(dump_tells_spans_and_its_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
