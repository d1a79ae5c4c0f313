/*
 * ptmalloc_test.c - what ptmalloc finds amiss, and the line that it ends in
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/death.h"
#include "ptmalloc/ptmalloc.h"

/* ---- misuse: what glibc checks, each ends in its line */

static void
free_twice(void *unused)
{
    (void)unused;
    void *block = ptm_malloc(100);
    ptm_free(block);
    ptm_free(block);
}

static void
free_unaligned(void *unused)
{
    (void)unused;
    ptm_free((char *)ptm_malloc(100) + 8);
}

static void
free_overwritten_head(void *unused)
{
    (void)unused;
    size_t *block = ptm_malloc(100);
    block[-1] = 0x10;
    ptm_free(block);
}

static void
write_link_after_free(void *unused)
{
    (void)unused;
    size_t *block = ptm_malloc(100);
    ptm_free(block);
    block[0] ^= 0x8;
    (void)ptm_malloc(100);
}

static void
free_large_twice(void *unused)
{
    (void)unused;
    struct heap *heap = ptm_ops.open();
    char *block = ptm_ops.malloc(heap, 400000 / 8 * 2);
    (void)ptm_ops.malloc(heap, 100);
    ptm_ops.free(heap, block);
    ptm_ops.thread_exit(heap);
    (void)ptm_ops.trim(heap, 0);
    ptm_ops.free(heap, block);
    ptm_ops.thread_exit(heap);
    (void)ptm_ops.trim(heap, 0);
}

static void
overwrite_foot(void *unused)
{
    (void)unused;
    struct heap *heap = ptm_ops.open();
    char *block = ptm_ops.malloc(heap, 2000);
    (void)ptm_ops.malloc(heap, 2000);
    ptm_ops.free(heap, block);
    ptm_ops.thread_exit(heap);
    (void)ptm_ops.trim(heap, 0);
    memset(block + ptm_ops.usable_size(heap, block) - 8, 0x7f, 8);
    (void)ptm_ops.malloc(heap, 1990);
}

static void
free_other_heap(void *unused)
{
    (void)unused;
    struct heap *one = ptm_ops.open();
    struct heap *other = ptm_ops.open();
    ptm_ops.free(other, ptm_ops.malloc(one, 10));
}

static void
free_too_large(void *unused)
{
    (void)unused;
    ptm_free_sized(ptm_malloc(100), 1000);
}

static void
free_inside_mapping(void *unused)
{
    (void)unused;
    size_t *block = ptm_malloc((size_t)100 << 20);
    block[100] = 0;
    block[101] = 0x1002;
    ptm_free(&block[102]);
}

static void
ptmalloc_names_misuse(void **state)
{
    (void)state;
    assert_dies(free_twice, NULL,
        "malstrom-ptmalloc: double free detected in tcache: 0x");
    assert_dies(free_unaligned, NULL, "malstrom-ptmalloc: invalid pointer: 0x");
    assert_dies(
        free_overwritten_head, NULL, "malstrom-ptmalloc: invalid size: 0x");
    assert_dies(write_link_after_free, NULL,
        "malstrom-ptmalloc: corrupted link in the thread cache: 0x");
    assert_dies(free_large_twice, NULL, "malstrom-ptmalloc: double free");
    assert_dies(overwrite_foot, NULL,
        "malstrom-ptmalloc: corrupted size vs. prev_size: 0x");
    assert_dies(
        free_other_heap, NULL, "malstrom-ptmalloc: block of another heap: 0x");
    assert_dies(
        free_too_large, NULL, "malstrom-ptmalloc: wrong size in free: 0x");
    assert_dies(free_inside_mapping, NULL,
        "malstrom-ptmalloc: invalid pointer to a mapped chunk: 0x");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ptmalloc_names_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
