/*
 * testheap.h - for tests of a heap's parts: each test has a heap of its own
 *
 *     HEAP_TEST(name) --> set_up --> the test, on `heap` --> tear_down
 *
 * Include it after cmocka.h.
 *
 * Concurrency: one thread. Failure: the test fails.
 */
#pragma once

#include <unistd.h>

#include "base/death.h"
#include "base/pages.h"
#include "tcmalloc/heap.h"

#define HEAP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static struct tcm_heap *heap;

static int
set_up(void **state)
{
    (void)state;
    heap = tcm_heap_new();
    return heap == NULL;
}

static int
tear_down(void **state)
{
    (void)state;
    pages_fail_at(0, false);
    tcm_heap_delete(heap);
    return 0;
}
