/*
 * hugepage.c - which pages of one hugepage are in use (contract: hugepage.h)
 *
 * Runs are taken from low to high, so that the free pages gather at the end.
 *
 * Invariants:
 *   I1  used_pages and clean_pages count the bits; longest is the longest run.
 *   I2  No page is both used and clean.
 *   I3  span_count is 0 exactly when no page is used.
 *
 * A page can be smaller than an OS page (16 and 64 KiB on some Arm systems).
 * Then a purge spares the ends of a run that share their OS page with others.
 */
#include "tcmalloc/hugepage.h"

#include "base/check.h"
#include "base/pages.h"
#include "base/print.h"

#define PAGES TCM_HUGEPAGE_PAGES

void
tcm_hugepage_init(struct tcm_hugepage *hugepage, char *addr, bool clean)
{
    *hugepage = (struct tcm_hugepage){.addr = addr, .longest = PAGES};
    if (clean) {
        bitmap_set_run(hugepage->clean, 0, PAGES);
        hugepage->clean_pages = PAGES;
    }
}

/* The lowest aligned run, or BITMAP_NONE. */
static size_t
find_run(const struct tcm_hugepage *hugepage, size_t pages, size_t align_pages)
{
    size_t first = 0;

    for (;;) {
        first = bitmap_find_run(hugepage->used, PAGES, first, pages);
        if (first == BITMAP_NONE || (first & (align_pages - 1)) == 0) {
            return first;
        }
        first = (first | (align_pages - 1)) + 1;
    }
}

static void
use(struct tcm_hugepage *hugepage, size_t first, size_t pages, bool *zeroed)
{
    size_t clean = bitmap_count_run(hugepage->clean, first, pages);

    bitmap_set_run(hugepage->used, first, pages);
    for (size_t i = first; clean > 0 && i < first + pages; i++) {
        if (bitmap_get(hugepage->clean, i)) {
            bitmap_clear(hugepage->clean, i);
        }
    }
    *zeroed = clean == pages;
    hugepage->used_pages += (uint16_t)pages;
    hugepage->clean_pages -= (uint16_t)clean;
    hugepage->longest = (uint16_t)bitmap_longest_run(hugepage->used, PAGES);
}

size_t
tcm_hugepage_take(struct tcm_hugepage *hugepage, size_t pages,
    size_t align_pages, bool *zeroed)
{
    size_t first = find_run(hugepage, pages, align_pages);

    if (first == BITMAP_NONE) {
        return TCM_HUGEPAGE_NONE;
    }
    use(hugepage, first, pages, zeroed);
    hugepage->span_count++;
    return first;
}

void
tcm_hugepage_give(struct tcm_hugepage *hugepage, size_t first, size_t pages)
{
    ASSERT(hugepage->span_count > 0);
    bitmap_clear_run(hugepage->used, first, pages);
    hugepage->used_pages -= (uint16_t)pages;
    hugepage->longest = (uint16_t)bitmap_longest_run(hugepage->used, PAGES);
    hugepage->span_count--;
}

bool
tcm_hugepage_extend(
    struct tcm_hugepage *hugepage, size_t first, size_t pages, size_t more)
{
    bool zeroed;

    if (first + pages + more > PAGES ||
        bitmap_count_run(hugepage->used, first + pages, more) != 0) {
        return false;
    }
    use(hugepage, first + pages, more, &zeroed);
    return true;
}

/* Purges the run's whole OS pages and marks what lies in them clean. */
static size_t
purge_run(struct tcm_hugepage *hugepage, size_t first, size_t count)
{
    size_t os_mask = pages_os_size() - 1;
    size_t begin = ((first << TCM_PAGE_SHIFT) + os_mask) & ~os_mask;
    size_t end = ((first + count) << TCM_PAGE_SHIFT) & ~os_mask;

    if (begin >= end || !pages_purge(hugepage->addr + begin, end - begin)) {
        return 0;
    }
    first = begin >> TCM_PAGE_SHIFT;
    count = (end - begin) >> TCM_PAGE_SHIFT;
    bitmap_set_run(hugepage->clean, first, count);
    return count;
}

size_t
tcm_hugepage_purge(struct tcm_hugepage *hugepage)
{
    uint64_t busy[BITMAP_WORDS(PAGES)]; /* used or clean: nothing to purge */
    size_t purged = 0;
    size_t first = 0;
    size_t count;

    for (size_t i = 0; i < BITMAP_WORDS(PAGES); i++) {
        busy[i] = hugepage->used[i] | hugepage->clean[i];
    }
    while (bitmap_next_run(busy, PAGES, &first, &count)) {
        purged += purge_run(hugepage, first, count);
        first += count;
    }
    hugepage->clean_pages += (uint16_t)purged;
    return purged;
}

void
tcm_hugepage_check(const struct tcm_hugepage *hugepage)
{
    CHECK(((uintptr_t)hugepage->addr & (TCM_HUGEPAGE - 1)) == 0);
    CHECK(bitmap_count(hugepage->used, PAGES) == hugepage->used_pages); /* I1 */
    CHECK(bitmap_count(hugepage->clean, PAGES) == hugepage->clean_pages);
    CHECK(bitmap_longest_run(hugepage->used, PAGES) == hugepage->longest);
    for (size_t i = 0; i < BITMAP_WORDS(PAGES); i++) {
        CHECK((hugepage->used[i] & hugepage->clean[i]) == 0); /* I2 */
    }
    CHECK((hugepage->span_count == 0) == (hugepage->used_pages == 0)); /* I3 */
}

void
tcm_hugepage_dump(const struct tcm_hugepage *hugepage, int fd)
{
    struct print print;

    print_init(&print, fd);
    print_format(&print,
        "hugepage %p: %u spans, %u pages used, %u clean, longest run %u\n",
        (void *)hugepage->addr, (unsigned)hugepage->span_count,
        (unsigned)hugepage->used_pages, (unsigned)hugepage->clean_pages,
        (unsigned)hugepage->longest);
    print_flush(&print);
}
