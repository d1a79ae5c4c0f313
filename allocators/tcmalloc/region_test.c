/*
 * region_test.c - large spans end to end
 *
 * First the regions alone against a table of pages, on real memory: a page is
 * written when it is taken, so one that is said to read as zero can be asked.
 * Then the page heap, which takes them when there is too much slack.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/meta.h"
#include "base/pages.h"
#include "base/random.h"
#include "tcmalloc/heap.h"
#include "tcmalloc/inspect.h"
#include "tcmalloc/region.h"
#include "tcmalloc/tcmalloc.h"

#define SPANS 64
#define PAGES TCM_REGION_PAGES
#define BLOCK ((size_t)17 << 17) /* 2.125 MiB */

static struct meta meta;
static _Alignas(64) char first_meta[65536];
static struct tcm_regions regions;

static struct model_span {
    char *addr; /* NULL: none */
    size_t pages;
    struct tcm_region *region;
} spans[SPANS];

static char *
map_region(void)
{
    char *addr = pages_map(TCM_REGION_SIZE, TCM_HUGEPAGE);

    assert_non_null(addr);
    return addr;
}

static void
add_region(char *addr)
{
    struct tcm_region *region = tcm_regions_new(&regions);

    assert_non_null(region);
    tcm_regions_add(&regions, region, addr, NULL, true);
}

static int
setup(void **state)
{
    (void)state;
    tcm_regions_init(&regions, &meta);
    memset(spans, 0, sizeof spans);
    return 0;
}

static int
setup_all(void **state)
{
    (void)state;
    meta_init(&meta, first_meta, sizeof first_meta);
    return 0;
}

static void
overlaps_none(const char *addr, size_t pages)
{
    for (unsigned i = 0; i < SPANS; i++) {
        const struct model_span *span = &spans[i];

        assert_true(span->addr == NULL ||
                    span->addr + (span->pages << TCM_PAGE_SHIFT) <= addr ||
                    addr + (pages << TCM_PAGE_SHIFT) <= span->addr);
    }
}

/* Pages from addr on come into use: nobody's, and zero if it was said. */
static void
touch(char *addr, size_t pages, bool zeroed)
{
    overlaps_none(addr, pages);
    for (size_t i = 0; i < pages; i++) {
        assert_true(!zeroed || addr[i << TCM_PAGE_SHIFT] == 0);
        addr[i << TCM_PAGE_SHIFT] = 'x';
    }
}

static void
take(struct model_span *span, size_t pages)
{
    struct tcm_region *region = NULL;
    bool zeroed;
    char *addr = tcm_regions_take(&regions, pages, &region, &zeroed);

    if (addr != NULL) {
        touch(addr, pages, zeroed);
        *span = (struct model_span){addr, pages, region};
    }
}

/* True: the region is gone. */
static bool
give(struct model_span *span)
{
    bool gone =
        tcm_regions_give(&regions, span->region, span->addr, span->pages);

    span->addr = NULL;
    return gone;
}

static void
region_agrees_with_a_table_of_pages(void **state)
{
    char *addr = map_region();
    struct random random;

    (void)state;
    random_seed(&random, 5);
    for (unsigned step = 0; step < 300; step++) {
        struct model_span *span = &spans[random_below(&random, SPANS)];
        size_t pages = 1 + random_below(&random, 900);

        if (regions.region_count == 0) {
            assert_true(pages_purge(addr, TCM_REGION_SIZE));
            add_region(addr);
        }
        if (span->addr == NULL) {
            take(span, pages);
        } else if (random_below(&random, 4) == 0) {
            char *end = span->addr + (span->pages << TCM_PAGE_SHIFT);
            if (tcm_regions_extend(
                    &regions, span->region, span->addr, span->pages, pages)) {
                touch(end, pages, false);
                span->pages += pages;
            }
        } else if (give(span)) {
            tcm_regions_drop(&regions, span->region);
        }
        if (step % 50 == 0) {
            (void)tcm_regions_release(&regions, 3);
        }
        if (regions.used_pages == 0 && regions.region_count > 0) {
            continue; /* Added, and no span fits: none is too long for it. */
        }
        tcm_regions_check(&regions);
    }
    (void)pages_unmap(addr, TCM_REGION_SIZE);
}

static void
region_packs_spans_across_hugepages(void **state)
{
    char *addr = map_region();

    (void)state;
    add_region(addr);
    for (unsigned i = 0; i < 50; i++) {
        take(&spans[i], 300);
        assert_ptr_equal(
            spans[i].addr, addr + ((size_t)i * 300 << TCM_PAGE_SHIFT));
    }
    assert_int_equal(regions.clean_count, 64 - 59);
    /* Pages 3000 to 3599: two whole hugepages, and parts of two. */
    assert_false(give(&spans[10]));
    assert_false(give(&spans[11]));
    assert_int_equal(regions.loose_count, 2);
    assert_int_equal(tcm_regions_release(&regions, 9), 2);
    assert_int_equal(regions.clean_count, 64 - 57);
    tcm_regions_check(&regions);
    (void)pages_unmap(addr, TCM_REGION_SIZE);
}

static void
break_regions(void *index)
{
    struct tcm_region *region = spans[0].region;

    switch (*(unsigned *)index) {
    case 0:
        region->used_pages++; /* I1 */
        break;
    case 1:
        region->longest--; /* I1 */
        break;
    case 2:
        region->idle ^= 1; /* I2 */
        break;
    case 3:
        region->dirty &= ~(uint64_t)1; /* I2: of pages in use */
        break;
    case 4:
        regions.used_pages--; /* I3 */
        break;
    case 5:
        regions.clean_count--; /* I3 */
        break;
    case 6:
        regions.loose_count++; /* I3 */
        break;
    case 7:
        regions.region_count++; /* I3 */
        break;
    default: /* I4 */
        add_region(region->addr);
    }
    tcm_regions_check(&regions);
}

static void
region_check_finds_each_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "== region->used_pages",
        "== region->longest",
        "== idle",
        "~region->dirty & ~region->idle",
        "sums.used_pages == ",
        "sums.clean_count == ",
        "sums.loose_count == ",
        "sums.region_count == ",
        "region->used_pages > 0",
    };
    char *addr = map_region();

    (void)state;
    add_region(addr);
    take(&spans[0], 300);
    assert_each_dies(break_regions, messages, 9);
    (void)pages_unmap(addr, TCM_REGION_SIZE);
}

/* Blocks of 2.125 MiB: two hugepages each, or little more than one. */
static void
pageheap_takes_a_region_when_there_is_slack(void **state)
{
    enum { COUNT = 200 };
    static char *blocks[COUNT];
    struct tcm_pageheap *pageheap = &tcm_heap_process.pageheap;

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = tcm_malloc(BLOCK);
        assert_non_null(blocks[i]);
        blocks[i][0] = (char)i;
        blocks[i][BLOCK - 1] = (char)i;
    }
    assert_true(pageheap->regions.region_count > 0);
    assert_true(pageheap->slack_pages < 16 * TCM_HUGEPAGE_PAGES);
    struct tcm_pageheap_stats stats;
    tcm_pageheap_stats(pageheap, &stats);
    assert_true((stats.mapped_pages - stats.free_pages) << TCM_PAGE_SHIFT <=
                COUNT * BLOCK + BLOCK);
    tcm_inspect_check(&tcm_heap_process);
    for (unsigned i = 0; i < COUNT; i += 2) {
        assert_true(blocks[i][0] == (char)i);
        tcm_free(blocks[i]);
    }
    tcm_inspect_check(&tcm_heap_process);
    /* One keeps its place, as its neighbour has gone. */
    blocks[199] = tcm_realloc(blocks[199], BLOCK + 4 * TCM_PAGE);
    assert_true(blocks[199][BLOCK - 1] == (char)199);
    for (unsigned i = 1; i < COUNT; i += 2) {
        assert_true(blocks[i][0] == (char)i);
        tcm_free(blocks[i]);
    }
    assert_int_equal(pageheap->regions.region_count, 0);
    assert_int_equal(pageheap->slack_pages, 0);
    (void)tcm_malloc_trim(0);
    tcm_inspect_check(&tcm_heap_process);
}

/* Zeroed memory from regions, too, is zero. */
static void
pageheap_clears_what_was_used_in_a_region(void **state)
{
    enum { COUNT = 40 };
    char *blocks[COUNT];

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            blocks[i] = tcm_calloc(1, BLOCK);
            assert_non_null(blocks[i]);
            for (size_t at = 0; at < BLOCK; at += TCM_PAGE / 2) {
                assert_int_equal(blocks[i][at], 0);
                blocks[i][at] = 1;
            }
        }
        assert_true(tcm_heap_process.pageheap.regions.region_count > 0);
        for (unsigned i = round % 2; i < COUNT; i++) {
            tcm_free(blocks[i]);
        }
        if (round % 2 != 0) {
            tcm_free(blocks[0]);
        }
    }
    tcm_inspect_check(&tcm_heap_process);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(region_packs_spans_across_hugepages, setup),
        cmocka_unit_test_setup(region_agrees_with_a_table_of_pages, setup),
        cmocka_unit_test_setup(region_check_finds_each_broken_invariant, setup),
        cmocka_unit_test(pageheap_takes_a_region_when_there_is_slack),
        cmocka_unit_test(pageheap_clears_what_was_used_in_a_region),
    };

    return cmocka_run_group_tests(tests, setup_all, NULL);
}
