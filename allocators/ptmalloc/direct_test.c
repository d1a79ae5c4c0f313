/*
 * direct_test.c - blocks with mappings of their own
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ptmalloc/block.h"
#include "ptmalloc/direct.h"
#include "ptmalloc/testheap.h"

static struct chunk *
map(size_t size, size_t align)
{
    struct chunk *chunk = ptm_direct_map(heap, size, align);

    assert_non_null(chunk);
    assert_true(ptm_direct_usable_size(chunk) >= size);
    assert_int_equal((uintptr_t)chunk_block(chunk) % align, 0);
    ptm_direct_check(heap);
    return chunk;
}

static void
mapping_has_every_alignment(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 4 * MIB; align *= 2) {
        struct chunk *chunk = map(200 * KIB, align);
        memset(chunk_block(chunk), 1, ptm_direct_usable_size(chunk));
        ptm_direct_unmap(heap, chunk);
        ptm_direct_check(heap);
    }
    assert_int_equal(heap->direct_size, 0);
    assert_int_equal(heap->direct_count_peak, 1);
    assert_null(ptm_direct_map(heap, SIZE_MAX - 4096, 16));
    assert_null(ptm_direct_map(heap, PTRDIFF_MAX, 16));
}

static void
mapping_grows_and_shrinks_with_its_contents(void **state)
{
    (void)state;
    struct chunk *chunk = map(200 * KIB, 64);
    char *block = chunk_block(chunk);

    memset(block, 7, 200 * KIB);
    chunk = ptm_direct_resize(heap, chunk, 40 * MIB);
    assert_non_null(chunk);
    block = chunk_block(chunk);
    assert_int_equal(block[200 * KIB - 1], 7);
    assert_int_equal(block[40 * MIB - 1], 0);
    ptm_direct_check(heap);
    chunk = ptm_direct_resize(heap, chunk, 150 * KIB);
    block = chunk_block(chunk);
    assert_int_equal(block[150 * KIB - 1], 7);
    assert_true(heap->direct_size < 160 * KIB);
    assert_true(heap->direct_peak > 40 * MIB);
    ptm_direct_check(heap);
}

static void
refusals_change_nothing(void **state)
{
    (void)state;
    struct chunk *chunk = map(200 * KIB, 64);
    size_t size = heap->direct_size;

    pages_fail_at(1, true);
    assert_null(ptm_direct_map(heap, 200 * KIB, 16));
    assert_null(ptm_direct_resize(heap, chunk, 40 * MIB));
    pages_fail_at(0, false);
    assert_null(ptm_direct_resize(heap, chunk, PTRDIFF_MAX));
    assert_int_equal(heap->direct_size, size);
    ptm_direct_check(heap);
    ptm_direct_unmap(heap, chunk);
}

/* The like of a freed mapping comes from an arena. */
static void
threshold_follows_use(void **state)
{
    (void)state;
    void *block = ptm_block_take(heap, NULL, 1 * MIB, 1, false);

    assert_int_equal(heap->direct_count, 1);
    ptm_block_give(heap, NULL, block);
    assert_true(ptm_tuning_get(&heap->tuning.mmap_threshold) > 1 * MIB);
    assert_true(ptm_tuning_get(&heap->tuning.trim_threshold) > 2 * MIB);
    block = ptm_block_take(heap, NULL, 1 * MIB, 1, false);
    assert_int_equal(heap->direct_count, 0);
    ptm_block_give(heap, NULL, block);
}

static void
no_more_mappings_than_allowed(void **state)
{
    (void)state;
    heap->tuning.mmap_max = 3;
    for (unsigned i = 0; i < 5; i++) {
        assert_non_null(ptm_block_take(heap, NULL, 1 * MIB, 1, false));
    }
    assert_int_equal(heap->direct_count, 3);
}

/* ---- what is broken */

static void
break_direct(void *which)
{
    struct chunk *chunk = map(200 * KIB, 64);

    (void)chunk;
    switch (*(unsigned *)which) {
    case 0:
        heap->direct_size++; /* I1 */
        break;
    default:
        heap->direct_count++; /* I1 */
    }
    ptm_direct_check(heap);
}

static void
check_finds_each_broken_invariant(void **state)
{
    (void)state;
    assert_all_found(break_direct, 2);
}

static void
dump(void *unused)
{
    (void)unused;
    (void)map(200 * KIB, 16);
    ptm_direct_dump(heap, STDERR_FILENO);
}

static void
dump_tells_each_mapping(void **state)
{
    (void)state;
    char text[DEATH_TEXT_MAX];

    (void)death_capture(dump, NULL, text);
    assert_non_null(strstr(
        text, "direct mappings: 208896 in 1, at most 208896 in 1\n    0x"));
    assert_non_null(strstr(text, ": 208896\n"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(mapping_has_every_alignment, open_heap),
        HEAP_TEST(mapping_grows_and_shrinks_with_its_contents, open_heap),
        HEAP_TEST(refusals_change_nothing, open_heap),
        HEAP_TEST(threshold_follows_use, open_heap),
        HEAP_TEST(no_more_mappings_than_allowed, open_heap),
        HEAP_TEST(check_finds_each_broken_invariant, open_heap),
        HEAP_TEST(dump_tells_each_mapping, open_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
