/*
 * inspect_test.c - walks, statistics and the forms of glibc agree
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/random.h"
#include "ptmalloc/block.h"
#include "ptmalloc/inspect.h"
#include "ptmalloc/ptmalloc.h"

#define BLOCKS 500

/* The process's heap with everything that there can be: bins of each kind,
 * chunks in caches and on stacks, mappings, aligned ones among them. */
static int
fill_heap(void **state)
{
    static void *blocks[BLOCKS];
    struct random random;

    (void)state;
    random_seed(&random, 5);
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t align = (size_t)1 << random_below(&random, 14);
        size_t size = random_one_in(&random, 20)
                          ? (size_t)40 << 20
                          : random_log_between(&random, 1, 100000);
        blocks[i] = ptm_memalign(align, size);
    }
    for (unsigned i = 0; i < BLOCKS; i += 2) {
        ptm_free(blocks[i]);
    }
    for (unsigned i = 0; i < 300; i++) {
        blocks[0] = ptm_malloc(64);
        blocks[1] = ptm_malloc(64);
        ptm_free(blocks[0]);
    }
    return 0;
}

struct seen {
    size_t sizes[ALLOC_PIECE_META + 1];
    size_t counts[ALLOC_PIECE_META + 1];
    size_t mappings, fences;
};

static void
see(const struct alloc_piece *piece, void *arg)
{
    struct seen *seen = arg;

    assert_non_null(piece->owner);
    seen->sizes[piece->kind] += piece->size;
    seen->counts[piece->kind]++;
    seen->mappings += strcmp(piece->owner, "direct mapping") == 0;
    seen->fences += strcmp(piece->owner, "fence") == 0;
}

static void
walk_and_statistics_agree(void **state)
{
    (void)state;
    struct alloc_stats stats;
    struct seen seen = {{0}, {0}, 0, 0};

    ptm_ops.check(NULL);
    ptm_ops.stats(NULL, &stats);
    ptm_ops.walk(NULL, see, &seen);
    assert_int_equal(
        stats.mapped_size, stats.used_size + stats.free_size + stats.meta_size);
    assert_int_equal(seen.counts[ALLOC_PIECE_USED], stats.used_count);
    assert_int_equal(seen.sizes[ALLOC_PIECE_CACHED], stats.cached_size);
    assert_int_equal(
        seen.counts[ALLOC_PIECE_CACHED] + seen.counts[ALLOC_PIECE_FREE],
        stats.free_count);
    assert_int_equal(
        seen.sizes[ALLOC_PIECE_CACHED] + seen.sizes[ALLOC_PIECE_FREE],
        stats.free_size);
    assert_int_equal(seen.mappings, stats.direct_count);
    assert_true(stats.direct_count > 5);
    assert_true(seen.counts[ALLOC_PIECE_CACHED] > 100);
    assert_true(seen.counts[ALLOC_PIECE_FREE] > 10);
}

static void
every_block_counts_once(void **state)
{
    (void)state;
    struct alloc_stats before, after;
    const size_t sizes[] = {1, 100, 5000, 100000, (size_t)50 << 20};

    for (unsigned i = 0; i < 5; i++) {
        ptm_ops.stats(NULL, &before);
        void *block = ptm_malloc(sizes[i]);
        ptm_ops.stats(NULL, &after);
        assert_int_equal(after.used_count, before.used_count + 1);
        assert_int_equal(
            after.used_size, before.used_size + ptm_malloc_usable_size(block));
        ptm_free(block);
        ptm_ops.stats(NULL, &after);
        assert_int_equal(after.used_count, before.used_count);
        assert_int_equal(after.used_size, before.used_size);
        ptm_ops.check(NULL);
    }
}

static void
mallinfo2_adds_up(void **state)
{
    (void)state;
    struct mallinfo2 info = ptm_mallinfo2();
    struct alloc_stats stats;

    ptm_ops.stats(NULL, &stats);
    assert_int_equal(info.arena, info.uordblks + info.fordblks);
    assert_int_equal(info.hblks, stats.direct_count);
    assert_int_equal(info.hblkhd, stats.direct_size);
    assert_int_equal(info.fsmblks, stats.cached_size);
    assert_int_equal(info.ordblks + info.smblks, stats.free_count);
    assert_int_equal(info.fordblks, stats.free_size);
    assert_true(info.arena + info.hblkhd < stats.mapped_size);
    assert_in_range(info.keepcost, 1, info.fordblks);
    assert_int_equal(info.usmblks, 0);
}

static void
print_stats(void *unused)
{
    (void)unused;
    ptm_malloc_stats();
}

static void
malloc_stats_tells_of_each_arena_and_all(void **state)
{
    (void)state;
    char text[DEATH_TEXT_MAX];
    struct mallinfo2 info = ptm_mallinfo2();
    char line[100];

    (void)death_capture(print_stats, NULL, text);
    assert_ptr_equal(strstr(text, "Arena 0:\nsystem bytes     = "), text);
    snprintf(line, sizeof line, "Total (incl. mmap):\nsystem bytes     = %zu\n",
        info.arena + info.hblkhd);
    assert_non_null(strstr(text, line));
    snprintf(line, sizeof line, "max mmap regions = ");
    assert_non_null(strstr(text, line));
    assert_non_null(strstr(text, "max mmap bytes   = "));
}

/* ---- malloc_info */

static char *
info_text(void)
{
    static char text[1 << 20];
    FILE *stream = tmpfile();

    assert_int_equal(ptm_malloc_info(0, stream), 0);
    rewind(stream);
    text[fread(text, 1, sizeof text - 1, stream)] = '\0';
    fclose(stream);
    return text;
}

/* Each element is closed by its own name, in order. */
static void
assert_well_formed(const char *text)
{
    char open[8][20];
    unsigned depth = 0;

    for (const char *at = strchr(text, '<'); at != NULL;
         at = strchr(at + 1, '<')) {
        const char *end = strchr(at, '>');
        char name[20] = "";
        assert_non_null(end);
        assert_int_equal(
            sscanf(at, at[1] == '/' ? "</%19[a-z]" : "<%19[a-z]", name), 1);
        if (at[1] == '/') {
            assert_true(depth > 0);
            assert_string_equal(open[--depth], name);
        } else if (end[-1] != '/') {
            assert_true(depth < 8);
            strcpy(open[depth++], name);
        }
    }
    assert_int_equal(depth, 0);
}

/* The sum of one number over all elements that begin so. */
static size_t
sum_of(const char *text, const char *begin, const char *attribute)
{
    size_t sum = 0, value;

    for (const char *at = text; (at = strstr(at, begin)) != NULL; at++) {
        const char *number = strstr(at, attribute);
        assert_non_null(number);
        assert_int_equal(
            sscanf(number + strlen(attribute), "=\"%zu\"", &value), 1);
        sum += value;
    }
    return sum;
}

static void
malloc_info_is_the_xml_of_glibc(void **state)
{
    (void)state;
    char *text = info_text();
    char *after = strstr(text, "</heap>\n<total");
    struct alloc_stats stats;

    ptm_ops.stats(NULL, &stats);
    assert_ptr_equal(
        strstr(text, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n"),
        text);
    assert_well_formed(text);
    assert_non_null(after);
    const char *totals = after + 7;
    assert_int_equal(
        sum_of(totals, "<total type=\"mmap\"", "size"), stats.direct_size);
    assert_int_equal(sum_of(totals, "<total type=\"fast\"", "size") +
                         sum_of(totals, "<total type=\"rest\"", "size"),
        stats.free_size);
    assert_true(sum_of(totals, "<aspace type=\"mprotect\"", "size") > 0);
    *after = '\0'; /* The arenas: their parts are their totals. */
    size_t top = ptm_mallinfo2().keepcost;
    assert_int_equal(sum_of(text, "<size ", "total") +
                         sum_of(text, "<unsorted ", "total") + top,
        sum_of(text, "<total type=\"fast\"", "size") +
            sum_of(text, "<total type=\"rest\"", "size"));
}

static void
malloc_info_refuses_options(void **state)
{
    (void)state;
    errno = 0;
    assert_int_equal(ptm_malloc_info(1, stderr), -1);
    assert_int_equal(errno, EINVAL);
}

/* ---- broken and printed */

static void
break_statistics(void *unused)
{
    (void)unused;
    ptm_heap_main()->own_size += 16; /* I1: mapped and meta, but not a byte */
    ptm_heap_peek_arena(ptm_heap_main(), 0)->top.system_size += 16;
    ptm_inspect_check(ptm_heap_main());
}

static void
check_finds_statistics_that_do_not_balance(void **state)
{
    (void)state;
    assert_dies(break_statistics, NULL, "check failed: stats.mapped_size ==");
}

static void
dump(void *unused)
{
    (void)unused;
    ptm_ops.dump(NULL, STDERR_FILENO);
}

static void
dump_names_each_part(void **state)
{
    (void)state;
    const char *const parts[] = {"ptmalloc: system ", "in use ", "free ",
        "arena 0: ", "top: ", "subheap 0x",
        "bins: ", "tcache of arena 0: ", "direct mappings: "};
    static char text[DEATH_TEXT_MAX];

    (void)death_capture(dump, NULL, text);
    for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        assert_non_null(strstr(text, parts[i]));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walk_and_statistics_agree),
        cmocka_unit_test(every_block_counts_once),
        cmocka_unit_test(mallinfo2_adds_up),
        cmocka_unit_test(malloc_stats_tells_of_each_arena_and_all),
        cmocka_unit_test(malloc_info_is_the_xml_of_glibc),
        cmocka_unit_test(malloc_info_refuses_options),
        cmocka_unit_test(check_finds_statistics_that_do_not_balance),
        cmocka_unit_test(dump_names_each_part),
    };
    return cmocka_run_group_tests(tests, fill_heap, NULL);
}
