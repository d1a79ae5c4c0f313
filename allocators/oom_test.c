/*
 * oom_test.c - whichever call to the OS fails, a design's heap is whole and goes
 * on
 *
 * One script of calls is run again and again. In run n the n-th call to the OS
 * fails, or every one from the n-th on, until the script needs fewer than n.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/pages.h"

#define BLOCKS 12
#define MIB    ((size_t)1 << 20)

/* The script makes about so many calls to the OS; where a mapping comes to lie
 * decides on some. */
#define CALLS_MIN 5

static const struct alloc_ops *ops;

/* The heap under test, and what it is believed to hold. */
struct script {
    struct heap *heap;
    unsigned char *blocks[BLOCKS];
    size_t sizes[BLOCKS];
    unsigned refused; /* calls that got no memory */
};

/* The bytes that are written and looked at: the first, the last, some between.
 * Few, since the script runs often and the first touch of a page is slow. */
static size_t
next_byte(size_t at, size_t size)
{
    size_t next = at < 64 ? at + 1 : at + size / 16;

    return next < size || at + 1 == size ? next : size - 1;
}

static void
fill(const struct script *script, unsigned i)
{
    for (size_t at = 0; at < script->sizes[i];
         at = next_byte(at, script->sizes[i])) {
        script->blocks[i][at] = (unsigned char)(i + 1);
    }
}

static void
assert_holds(const struct script *script, unsigned i, size_t size)
{
    for (size_t at = 0; at < size; at = next_byte(at, script->sizes[i])) {
        assert_int_equal(script->blocks[i][at], i + 1);
    }
}

/* What a call returned for slot i. */
static void
keep(struct script *script, unsigned i, void *block, size_t size)
{
    if (block == NULL) {
        assert_int_equal(errno, ENOMEM);
        script->refused++;
        return;
    }
    script->blocks[i] = block;
    script->sizes[i] = size;
    fill(script, i);
}

static void
take(struct script *script, unsigned i, size_t align, size_t size)
{
    errno = 0;
    void *block = align == 0 ? ops->malloc(script->heap, size)
                             : ops->memalign(script->heap, align, size);

    if (align != 0) {
        assert_int_equal((uintptr_t)block % align, 0);
    }
    keep(script, i, block, size);
    ops->check(script->heap);
}

static void
take_zeroed(struct script *script, unsigned i, size_t size)
{
    errno = 0;
    unsigned char *block = ops->calloc(script->heap, 1, size);

    for (size_t at = 0; block != NULL && at < size; at += 8191) {
        assert_int_equal(block[at], 0);
    }
    keep(script, i, block, size);
    ops->check(script->heap);
}

/* Refused, the block is as it was. */
static void
resize(struct script *script, unsigned i, size_t size)
{
    size_t old_size = script->sizes[i];

    if (script->blocks[i] == NULL) {
        return;
    }
    errno = 0;
    unsigned char *block = ops->realloc(script->heap, script->blocks[i], size);
    if (block != NULL) {
        script->blocks[i] = block;
        old_size = size < old_size ? size : old_size;
    }
    assert_holds(script, i, old_size);
    keep(script, i, block, size);
    ops->check(script->heap);
}

static void
give(struct script *script, unsigned i)
{
    if (script->blocks[i] != NULL) {
        errno = 1234;
        assert_holds(script, i, script->sizes[i]);
        ops->free(script->heap, script->blocks[i]);
        script->blocks[i] = NULL;
        assert_int_equal(errno, 1234);
        ops->check(script->heap);
    }
}

/* Reaches every call to the OS: segments made, grown, trimmed, released and
 * purged; mappings made, cut, moved and given back. */
static void
play(struct script *script)
{
    take(script, 0, 0, 100);
    take(script, 1, 0, 300000);
    take_zeroed(script, 2, 700000);
    take(script, 3, 65536, 5 * MIB);
    take(script, 4, 4096, 100000);
    resize(script, 1, 3 * MIB);
    take(script, 5, 0, 200000);
    resize(script, 5, 240000);
    take(script, 6, 0, 200000);
    take(script, 7, 0, 100);
    resize(script, 2, 100000);
    resize(script, 2, 100);
    give(script, 3);
    give(script, 6);
    (void)ops->trim(script->heap, 0);
    ops->check(script->heap);
    take(script, 8, 0, 30 * MIB);
    take(script, 9, 0, 200000);
    give(script, 8);
    give(script, 1);
    take_zeroed(script, 10, 4 * MIB);
    take(script, 11, 0, 4 * MIB);
    for (unsigned i = 0; i < BLOCKS; i++) {
        give(script, i);
    }
    (void)ops->trim(script->heap, 0);
    ops->check(script->heap);
}

static void
assert_balanced(struct heap *heap)
{
    struct alloc_stats stats;

    ops->stats(heap, &stats);
    assert_int_equal(stats.used_count, 0);
    assert_int_equal(stats.mapped_size, stats.free_size + stats.meta_size);
}

/* Run n; returns whether the script came so far. */
static bool
play_with_fault(uint64_t n, bool every, unsigned *refused)
{
    struct script script = {.heap = ops->open()};

    assert_non_null(script.heap);
    pages_fail_at(n, every);
    play(&script);
    bool is_reached = pages_call_count() >= n;
    pages_fail_at(0, false);
    assert_balanced(script.heap);
    *refused += script.refused;
    script.refused = 0;
    play(&script); /* Memory is back: so is the heap. */
    assert_int_equal(script.refused, 0);
    assert_balanced(script.heap);
    ops->close(script.heap);
    return is_reached;
}

static void
heap_survives_each_single_fault(void **state)
{
    (void)state;
    unsigned refused = 0;
    uint64_t n = 1;

    while (play_with_fault(n, false, &refused)) {
        n++;
    }
    assert_true(n > CALLS_MIN);
}

static void
heap_survives_when_memory_runs_out(void **state)
{
    (void)state;
    unsigned refused = 0;
    uint64_t n = 1;

    while (play_with_fault(n, true, &refused)) {
        n++;
    }
    assert_true(n > CALLS_MIN);
    assert_true(refused > n);
}

static void
open_fails_cleanly(void **state)
{
    (void)state;
    pages_fail_at(1, true);
    assert_null(ops->open());
    pages_fail_at(0, false);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_survives_each_single_fault),
        cmocka_unit_test(heap_survives_when_memory_runs_out),
        cmocka_unit_test(open_fails_cleanly),
    };
    ops = argc == 2 ? alloc_find(argv[1]) : NULL;
    if (ops == NULL) {
        fputs("oom_test: wants the name of a design\n", stderr);
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
