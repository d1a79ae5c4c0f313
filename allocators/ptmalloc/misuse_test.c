/*
 * misuse_test.c - each mistake of a caller ends in its own line and abort
 *
 * Each is made in a child, whose heap is as its options say: without a cache,
 * blocks lie in a row from the arena's start, and each free reaches the arena.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/death.h"
#include "ptmalloc/ptmalloc.h"
#include "ptmalloc/subheap.h"

#define BARE   "tcache_count:0,mmap_max:0"
#define CACHED "tcache_count:7"
#define NARROW "tcache_count:2" /* the third block is one too many */

#define MIB ((size_t)1 << 20)

/* The words that a careless write reaches: the head before a block, and the
 * heads of the chunk behind it. */
#define HEAD(block)      (((size_t *)(void *)(block))[-1])
#define NEXT_HEAD(block) (*(size_t *)(void *)((block) + usable(block)))

static struct heap *heap; /* the child's */
static size_t forged[32]; /* memory that an overwritten link leads to */

static char *
take(size_t size)
{
    char *block = ptm_ops.malloc(heap, size);

    if (block == NULL) {
        _exit(1);
    }
    return block;
}

static void
give(void *block)
{
    ptm_ops.free(heap, block);
}

static size_t
usable(const void *block)
{
    return ptm_ops.usable_size(heap, block);
}

static size_t *
words(char *block)
{
    return (size_t *)(void *)block;
}

/* ---- blocks that are none, or no longer */

static void
free_twice(char *block)
{
    (void)take(100);
    give(block);
    give(block);
}

static void
free_twice_at_top(char *block)
{
    char *last = take(100);

    (void)block;
    give(last);
    give(last);
}

static void
realloc_freed(char *block)
{
    (void)take(100);
    give(block);
    (void)!ptm_ops.realloc(heap, block, 5000);
}

static void
free_misaligned(char *block)
{
    give(block + 8);
}

static void
free_inside(char *block)
{
    memset(block, 0, 64);
    give(block + 32);
}

static void
free_into_other_heap(char *block)
{
    ptm_ops.free(ptm_ops.open(), block);
}

static void
free_sized_wrong(char *block)
{
    ptm_ops.free_sized(heap, block, usable(block) + 1);
}

static void
free_sized_much_smaller(char *block)
{
    ptm_ops.free_sized(heap, block, usable(block) / 2);
}

static void
free_sized_of_overflow(char *block)
{
    ptm_ops.free_sized(heap, block, SIZE_MAX);
}

static void
free_aligned_wrong(char *block)
{
    size_t align = 32;

    while (((uintptr_t)block & (align - 1)) == 0) {
        align *= 2;
    }
    ptm_ops.free_aligned_sized(heap, block, align, 100);
}

static void
free_odd_alignment(char *block)
{
    ptm_ops.free_aligned_sized(heap, block, 24, 100);
}

static void
free_inside_mapping(char *block)
{
    size_t *mapped = words(take(100 * MIB));

    (void)block;
    mapped[100] = 0;
    mapped[101] = 0x1000 | PTM_MAPPED;
    give(&mapped[102]);
}

static void
realloc_broken_mapping(char *block)
{
    char *mapped = take(100 * MIB);

    (void)block;
    HEAD(mapped) += 4096;
    (void)!ptm_ops.realloc(heap, mapped, 200 * MIB);
}

/* ---- heads written over */

static void
write_head_small(char *block)
{
    HEAD(block) = 0x10;
    give(block);
}

static void
write_head_wildly(char *block)
{
    HEAD(block) = (size_t)0x4141414141414141;
    give(block);
}

static void
write_head_flag(char *block)
{
    HEAD(block) |= PTM_IN_TREE;
    give(block);
}

static void
write_head_large(char *block)
{
    HEAD(block) = PTM_SUBHEAP_SIZE | PTM_PREV_USED;
    give(block);
}

static void
write_next_head(char *block)
{
    (void)take(100);
    NEXT_HEAD(block) = PTM_PREV_USED;
    give(block);
}

static void
write_next_head_wildly(char *block)
{
    (void)take(100);
    NEXT_HEAD(block) = (size_t)0x4141414141414141;
    give(block);
}

static void
write_top_head(char *block)
{
    NEXT_HEAD(block) = SIZE_MAX;
    (void)take(1000);
}

static void
write_top_head_then_free(char *block)
{
    NEXT_HEAD(block) = 0x21;
    give(block);
}

/* ---- free chunks written over */

/* Found by whoever frees the block behind. */
static void
write_free_head(char *block)
{
    char *next = take(100);

    give(block);
    HEAD(block) += 16;
    give(next);
}

static void
write_foot(char *block)
{
    char *next = take(100);

    give(block);
    words(next)[-2] = 128; /* what lies there is no chunk */
    give(next);
}

static void
write_foot_wildly(char *block)
{
    char *next = take(100);

    give(block);
    words(next)[-2] = (size_t)1 << 40;
    give(next);
}

/* Found by whoever takes the chunk. */
static void
write_foot_then_take(char *block)
{
    char *next = take(100);

    give(block);
    words(next)[-2] = 32;
    (void)take(100);
}

static void
write_link(char *block)
{
    (void)take(100);
    give(block);
    words(block)[0] = (size_t)(uintptr_t)&forged[16];
    (void)take(100);
}

static void
write_back_link(char *block)
{
    (void)take(100);
    char *other = take(100);

    (void)take(100);
    give(block);
    words(block)[1] = (size_t)(uintptr_t)&forged[16];
    give(other);
}

static void
write_link_of_sorted(char *block)
{
    char *large = take(5000);

    (void)block;
    (void)take(100);
    give(large);
    (void)take(6000); /* large goes into the tree */
    words(large)[2] = (size_t)(uintptr_t)&forged[16];
    (void)take(5000);
}

static void
write_unsorted_size(char *block)
{
    (void)take(100);
    give(block);
    HEAD(block) = (size_t)1 << 30 | PTM_PREV_USED;
    (void)take(100);
}

static void
write_unsorted_next(char *block)
{
    char *next = take(100);

    give(block);
    HEAD(next) |= PTM_PREV_USED;
    (void)take(100);
}

static void
write_fence(char *block)
{
    for (unsigned i = 0; i < 3; i++) {
        (void)take(20 * MIB);
    }
    char *second = take(20 * MIB);
    char *end = ptm_subheap_end(ptm_subheap_of(block));

    words(end - 24)[0] = 0x51; /* the first fence's head */
    give(second);
}

/* ---- cached chunks written over */

static void
write_cached_link(char *block)
{
    give(block);
    words(block)[0] ^= 8;
    (void)take(100);
}

/* The first of three goes onto the returned stack. */
static void
return_block(char *block)
{
    char *others[] = {take(100), take(100)};

    give(block);
    give(others[0]);
    give(others[1]);
}

static void
write_returned_link(char *block)
{
    return_block(block);
    words(block)[0] ^= 8;
    (void)ptm_ops.trim(heap, 0);
}

static void
write_returned_size(char *block)
{
    return_block(block);
    HEAD(block) += 32;
    (void)ptm_ops.trim(heap, 0);
}

static const struct mistake {
    const char *line;
    const char *options;
    void (*act)(char *block); /* a block of 100 bytes, the first of the heap */
} mistakes[] = {
    {"double free detected in tcache", CACHED, free_twice},
    {"double free or corruption (!prev)", BARE, free_twice},
    {"double free or corruption (!prev)", BARE, realloc_freed},
    {"double free or corruption (top)", BARE, free_twice_at_top},
    {"invalid pointer", CACHED, free_misaligned},
    {"invalid size", CACHED, free_inside},
    {"invalid size", CACHED, write_head_small},
    {"invalid size or pointer in free", CACHED, write_head_wildly},
    {"invalid size", CACHED, write_head_flag},
    {"invalid size or pointer in free", BARE, write_head_large},
    {"invalid next size in free", BARE, write_next_head},
    {"invalid next size in free", BARE, write_next_head_wildly},
    {"corrupted top size", BARE, write_top_head},
    {"corrupted top size", BARE, write_top_head_then_free},
    {"corrupted size vs. prev_size", BARE, write_free_head},
    {"corrupted size vs. prev_size", BARE, write_foot},
    {"corrupted size vs. prev_size", BARE, write_foot_wildly},
    {"corrupted size vs. prev_size", BARE, write_foot_then_take},
    {"corrupted double-linked list", BARE, write_link},
    {"corrupted unsorted chunks", BARE, write_back_link},
    {"corrupted links of a large chunk", BARE, write_link_of_sorted},
    {"invalid size (unsorted)", BARE, write_unsorted_size},
    {"invalid next->prev_inuse (unsorted)", BARE, write_unsorted_next},
    {"corrupted fence", BARE, write_fence},
    {"corrupted link in the thread cache", CACHED, write_cached_link},
    {"corrupted link in a returned batch", NARROW, write_returned_link},
    {"corrupted size in a returned batch", NARROW, write_returned_size},
    {"block of another heap", CACHED, free_into_other_heap},
    {"block of another heap", BARE, free_into_other_heap},
    {"wrong size in free", CACHED, free_sized_wrong},
    {"wrong size in free", CACHED, free_sized_much_smaller},
    {"wrong size in free", CACHED, free_sized_of_overflow},
    {"wrong alignment in free", CACHED, free_aligned_wrong},
    {"wrong alignment in free", CACHED, free_odd_alignment},
    {"invalid pointer to a mapped chunk", CACHED, free_inside_mapping},
    {"invalid pointer to a mapped chunk", CACHED, realloc_broken_mapping},
};

static void
make_mistake(void *arg)
{
    const struct mistake *mistake = arg;

    setenv("PTM_OPTIONS", mistake->options, 1);
    heap = ptm_ops.open();
    mistake->act(take(100));
}

static void
misuse_has_its_own_line(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct mistake mistake = mistakes[i];
        char line[100];

        snprintf(line, sizeof line, "malstrom-ptmalloc: %s: 0x", mistake.line);
        assert_dies(make_mistake, &mistake, line);
    }
}

/* ---- the process's own heap, by its fast paths */

static void
free_twice_fast(void *unused)
{
    (void)unused;
    char *block = ptm_malloc(100);
    ptm_free(block);
    ptm_free(block);
}

static void
free_misaligned_fast(void *unused)
{
    (void)unused;
    ptm_free((char *)ptm_malloc(100) + 8);
}

static void
free_wild_fast(void *unused)
{
    (void)unused;
    char *block = ptm_malloc(100);
    HEAD(block) = 0x10;
    ptm_free(block);
}

static void
write_after_free_fast(void *unused)
{
    (void)unused;
    char *block = ptm_malloc(100);
    ptm_free(block);
    words(block)[0] ^= 8;
    (void)!ptm_malloc(100);
}

static void
fast_paths_find_the_same(void **state)
{
    (void)state;
    assert_dies(free_twice_fast, NULL,
        "malstrom-ptmalloc: double free detected in tcache: 0x");
    assert_dies(
        free_misaligned_fast, NULL, "malstrom-ptmalloc: invalid pointer: 0x");
    assert_dies(free_wild_fast, NULL, "malstrom-ptmalloc: invalid size: 0x");
    assert_dies(write_after_free_fast, NULL,
        "malstrom-ptmalloc: corrupted link in the thread cache: 0x");
}

/* A block that holds the key by chance is no double free. */
static void
a_block_that_holds_the_key_may_be_freed(void **state)
{
    (void)state;
    size_t *block = ptm_malloc(100);
    size_t *other = ptm_malloc(100);

    ptm_free(other);
    block[1] = other[1]; /* the key */
    ptm_free(block);
    ptm_ops.check(NULL);
}

/* The size that was asked for is never wrong, however the block was got. */
static void
the_right_size_is_never_misuse(void **state)
{
    (void)state;
    for (size_t size = 0; size < 300000; size += size / 50 + 1) {
        void *kept = ptm_malloc(size + 100); /* a cached chunk to fit */
        ptm_free(kept);
        ptm_free_sized(ptm_malloc(size), size);
        ptm_free_aligned_sized(ptm_aligned_alloc(64, size), 64, size);
        ptm_free_sized(ptm_realloc(ptm_malloc(2 * size), size + 1), size + 1);
        ptm_free_sized(ptm_calloc(1, size), size);
    }
    ptm_free_sized(NULL, 10);
    ptm_free_aligned_sized(NULL, 0, 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_has_its_own_line),
        cmocka_unit_test(fast_paths_find_the_same),
        cmocka_unit_test(a_block_that_holds_the_key_may_be_freed),
        cmocka_unit_test(the_right_size_is_never_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
