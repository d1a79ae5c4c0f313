/*
 * testheap.h - for tests of a heap's parts: each test has a heap of its own
 *
 *     HEAP_TEST(name, open_heap) --> the test, on `heap` --> close_heap
 *
 * Include it after cmocka.h. A set-up that does more calls open_heap first.
 *
 * Concurrency: one thread opens and closes. Failure: the test fails.
 */
#pragma once

#include <string.h>
#include <unistd.h>

#include "base/death.h"
#include "base/pages.h"
#include "ptmalloc/heap.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

#define HEAP_TEST(name, open)                                                  \
    cmocka_unit_test_setup_teardown(name, open, close_heap)

static struct ptm_heap *heap;

static int
open_heap(void **state)
{
    (void)state;
    heap = ptm_heap_new();
    return heap == NULL;
}

static int
close_heap(void **state)
{
    (void)state;
    ptm_heap_delete(heap);
    return 0;
}

/* break_one(&i) breaks a heap, and its check finds it, for each i below
 * count. */
static inline void
assert_all_found(void (*break_one)(void *index), unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_dies(break_one, &i, "check failed: ");
    }
}
