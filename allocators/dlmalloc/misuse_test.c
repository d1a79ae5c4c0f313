/*
 * misuse_test.c - each mistake of a caller ends in its own line and abort
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/death.h"
#include "dlmalloc/dlmalloc.h"

/* The words that a careless write reaches: the head before a block, and the
 * footer behind it. */
#define HEAD(block) (((size_t *)(void *)(block))[-1])
#define FOOT(block)                                                            \
    (*(size_t *)(void *)((char *)(block) + dlm_malloc_usable_size(block)))

#define LARGE ((size_t)40 << 20) /* always has a mapping of its own */

/* One mistake. act makes it with `block`, of `size` bytes, which lies between
 * two others. */
struct mistake {
    const char *what;
    size_t size;
    void (*act)(char *block);
    bool elsewhere; /* reported for another address than block's */
};

static void
free_twice(char *block)
{
    dlm_free(block);
    dlm_free(block);
}

/* The second free finds the block inside a larger free chunk. */
static void
free_twice_joined(char *block)
{
    void *next = dlm_malloc(100);
    void *barrier = dlm_malloc(100);

    dlm_free(next);
    dlm_free(block);
    dlm_free(block);
    dlm_free(barrier);
}

static void
free_all_then_again(char *block)
{
    char *before = dlm_malloc(100);
    char *after = dlm_malloc(100);

    dlm_free(before);
    dlm_free(block);
    dlm_free(after);
    dlm_free(block);
}

static void
realloc_freed(char *block)
{
    dlm_free(block);
    (void)!dlm_realloc(block, 1000);
}

static void
usable_size_of_freed(char *block)
{
    dlm_free(block);
    (void)dlm_malloc_usable_size(block);
}

static void
free_sized_twice(char *block)
{
    dlm_free(block);
    dlm_free_sized(block, 100);
}

static void
bulk_free_twice(char *block)
{
    void *blocks[] = {block, NULL, block};

    dlm_bulk_free(blocks, 3);
}

static void
write_head(char *block)
{
    HEAD(block) += 16;
    dlm_free(block);
}

static void
write_head_wildly(char *block)
{
    HEAD(block) = (size_t)0x4141414141414141;
    dlm_free(block);
}

/* The classic attack: the size covers the next block too, whose footer is
 * whole. */
static void
enlarge_over_next(char *block)
{
    char *next = dlm_malloc(100);

    HEAD(block) += (size_t)(next - block);
    dlm_free(block);
}

static void
write_one_beyond(char *block)
{
    block[dlm_malloc_usable_size(block)] ^= 1;
    dlm_free(block);
}

static void
realloc_overflowed(char *block)
{
    FOOT(block) = 0;
    (void)!dlm_realloc(block, 1000);
}

static void
clear_flag_behind(char *block)
{
    *(&FOOT(block) + 1) &= ~(size_t)1;
    dlm_free(block);
}

static void
free_inside(char *block)
{
    memset(block, 0, 100);
    dlm_free(block + 32);
}

static void
free_misaligned(char *block)
{
    dlm_free(block + 1);
}

static void
free_sized_wrong(char *block)
{
    dlm_free_sized(block, dlm_malloc_usable_size(block) + 1);
}

static void
free_sized_much_smaller(char *block)
{
    dlm_free_sized(block, dlm_malloc_usable_size(block) / 2);
}

static void
free_sized_of_overflow(char *block)
{
    dlm_free_sized(block, SIZE_MAX);
}

static void
free_misaligned_sized(char *block)
{
    size_t align = 32;

    while (((uintptr_t)block & (align - 1)) == 0) {
        align *= 2;
    }
    dlm_free_aligned_sized(block, align, 100);
}

static void
free_odd_alignment(char *block)
{
    dlm_free_aligned_sized(block, 24, 100);
}

static const struct mistake mistakes[] = {
    {"double free", 100, free_twice, false},
    {"double free", 5000, free_twice, false},
    {"double free", 100, free_twice_joined, false},
    {"double free", 100, free_all_then_again, false},
    {"double free", 100, realloc_freed, false},
    {"double free", 100, usable_size_of_freed, false},
    {"double free", 100, free_sized_twice, false},
    {"double free", 100, bulk_free_twice, false},
    {"invalid pointer", LARGE, free_twice, false},
    {"invalid pointer", LARGE, realloc_freed, false},
    {"corrupted size", 100, write_head, false},
    {"corrupted size", 100, write_head_wildly, false},
    {"corrupted size", 100, enlarge_over_next, false},
    {"corrupted size", LARGE, write_head, false},
    {"corrupted footer", 100, write_one_beyond, false},
    {"corrupted footer", LARGE, write_one_beyond, false},
    {"corrupted footer", 100, realloc_overflowed, false},
    {"corrupted footer", 100, clear_flag_behind, false},
    {"invalid pointer", 100, free_inside, true},
    {"invalid pointer", LARGE, free_inside, true},
    {"invalid pointer", 100, free_misaligned, true},
    {"wrong size in free", 100, free_sized_wrong, false},
    {"wrong size in free", 100, free_sized_much_smaller, false},
    {"wrong size in free", 100, free_sized_of_overflow, false},
    {"wrong size in free", LARGE, free_sized_wrong, false},
    {"wrong size in free", LARGE, free_sized_much_smaller, false},
    {"wrong alignment in free", 100, free_misaligned_sized, false},
    {"wrong alignment in free", 100, free_odd_alignment, false},
};

/* The child's block has the address that the parent's would have: both heaps
 * are equal at the fork. So the parent knows the whole line. */
static void
make_mistake(void *arg)
{
    const struct mistake *mistake = arg;
    char *block = dlm_malloc(mistake->size);
    void *barrier = dlm_malloc(100);

    mistake->act(block);
    dlm_free(barrier);
}

static void
misuse_has_its_own_line(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct mistake mistake = mistakes[i];
        char line[100];
        void *block = dlm_malloc(mistake.size);

        if (mistake.elsewhere || mistake.size == LARGE) {
            snprintf(
                line, sizeof(line), "malstrom-dlmalloc: %s: 0x", mistake.what);
        } else {
            snprintf(line, sizeof(line), "malstrom-dlmalloc: %s: %p\n",
                mistake.what, block);
        }
        dlm_free(block);
        assert_dies(make_mistake, &mistake, line);
    }
}

static void
free_of_stack(void *unused)
{
    _Alignas(16) char block[64] = {0};

    (void)unused;
    dlm_free(block + 16);
}

static void
free_of_nothing(void *unused)
{
    (void)unused;
    dlm_free((void *)0x10);
}

static void
free_of_other_heap(void *size)
{
    struct dlm_heap *heap = dlm_open();

    (void)dlm_mspace_malloc(heap, 10);
    dlm_free(dlm_mspace_malloc(heap, *(size_t *)size));
}

static void
free_into_other_heap(void *size)
{
    struct dlm_heap *heap = dlm_open();

    dlm_mspace_free(heap, dlm_malloc(*(size_t *)size));
}

static void
misuse_knows_what_is_not_its_own(void **state)
{
    (void)state;
    const char *other = "malstrom-dlmalloc: block of another heap: 0x";
    size_t sizes[] = {100, LARGE};

    assert_dies(free_of_stack, NULL, "malstrom-dlmalloc: invalid pointer: 0x7");
    assert_dies(
        free_of_nothing, NULL, "malstrom-dlmalloc: invalid pointer: 0x10\n");
    for (unsigned i = 0; i < 2; i++) {
        assert_dies(free_of_other_heap, &sizes[i], other);
        assert_dies(free_into_other_heap, &sizes[i], other);
    }
}

/* A write to a free block, which the calls after it must find. */
struct scribble {
    int word;       /* of the block: 0 and 1 are the links; -1 the head */
    bool by_taking; /* found by malloc, else by freeing the block before */
    const char *line;
};

static void
scribble_on_free(void *arg)
{
    const struct scribble *scribble = arg;
    char *before = dlm_malloc(200);
    size_t *block = dlm_malloc(100);
    char *barrier = dlm_malloc(200);
    static size_t forged[16];

    dlm_free(block);
    block[scribble->word] = (size_t)(uintptr_t)&forged[8];
    if (scribble->by_taking) {
        (void)!dlm_malloc(100);
    } else {
        dlm_free(before);
    }
    dlm_free(barrier);
}

static void
writes_to_free_chunks_are_found(void **state)
{
    (void)state;
    struct scribble scribbles[] = {
        {-1, true, "malstrom-dlmalloc: corrupted free chunk: 0x"},
        {0, true, "malstrom-dlmalloc: corrupted free chunk: 0x"},
        {1, true, "malstrom-dlmalloc: corrupted free chunk: 0x"},
        {-1, false, "malstrom-dlmalloc: corrupted footer: 0x"},
        {0, false, "malstrom-dlmalloc: corrupted free chunk: 0x"},
        {1, false, "malstrom-dlmalloc: corrupted free chunk: 0x"},
    };

    for (unsigned i = 0; i < sizeof(scribbles) / sizeof(scribbles[0]); i++) {
        assert_dies(scribble_on_free, &scribbles[i], scribbles[i].line);
    }
}

/* Writes beyond a block reach the foot of the free chunk before the next. */
static void
scribble_on_foot(void *unused)
{
    (void)unused;
    char *before = dlm_malloc(200);
    size_t *block = dlm_malloc(100);
    char *barrier = dlm_malloc(200);
    size_t usable = dlm_malloc_usable_size(block);

    dlm_free(block);
    *(size_t *)(void *)((char *)block + usable) = 0x40;
    dlm_free(before);
    dlm_free(barrier);
}

static void
a_broken_foot_is_found(void **state)
{
    (void)state;
    assert_dies(
        scribble_on_foot, NULL, "malstrom-dlmalloc: corrupted free chunk: 0x");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_has_its_own_line),
        cmocka_unit_test(misuse_knows_what_is_not_its_own),
        cmocka_unit_test(writes_to_free_chunks_are_found),
        cmocka_unit_test(a_broken_foot_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
