/*
 * classmap_test.c - the window of classes, and free() in it and outside
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/death.h"
#include "tcmalloc/heap.h"
#include "tcmalloc/inspect.h"
#include "tcmalloc/tcmalloc.h"

#define FIRST ((char *)((uintptr_t)0x7f << 40))
#define SIZE  ((size_t)64)

static struct tcm_classmap map;

static void
setup_map(void)
{
    map.begin = 0;
    tcm_classmap_cover(&map, FIRST);
}

static void
classmap_without_a_window_knows_no_class(void **state)
{
    static struct tcm_classmap none;

    (void)state;
    assert_int_equal(tcm_classmap_get(&none, NULL), 0);
    assert_int_equal(tcm_classmap_get(&none, FIRST), 0);
    assert_int_equal(tcm_classmap_get(&none, (void *)UINTPTR_MAX), 0);
}

static void
classmap_gives_what_was_set(void **state)
{
    (void)state;
    setup_map();
    tcm_classmap_set(&map, FIRST, 3 * TCM_PAGE, 7);
    assert_int_equal(tcm_classmap_get(&map, FIRST - 1), 0);
    assert_int_equal(tcm_classmap_get(&map, FIRST), 7);
    assert_int_equal(tcm_classmap_get(&map, FIRST + 3 * TCM_PAGE - 1), 7);
    assert_int_equal(tcm_classmap_get(&map, FIRST + 3 * TCM_PAGE), 0);
    tcm_classmap_set(&map, FIRST, 3 * TCM_PAGE, 0);
    assert_int_equal(tcm_classmap_get(&map, FIRST), 0);
}

static void
classmap_window_stays_and_ends(void **state)
{
    uintptr_t size = (uintptr_t)1 << TCM_CLASSMAP_SHIFT;

    (void)state;
    setup_map();
    tcm_classmap_cover(&map, FIRST + 4 * size);
    char *begin = (char *)map.begin;
    assert_true(begin < FIRST && FIRST < begin + size);
    /* What is outside is not kept, and does not wrap round. */
    tcm_classmap_set(&map, begin - TCM_PAGE, 2 * TCM_PAGE, 5);
    tcm_classmap_set(&map, begin + size - TCM_PAGE, 2 * TCM_PAGE, 6);
    assert_int_equal(tcm_classmap_get(&map, begin - 1), 0);
    assert_int_equal(tcm_classmap_get(&map, begin), 5);
    assert_int_equal(tcm_classmap_get(&map, begin + size - 1), 6);
    assert_int_equal(tcm_classmap_get(&map, begin + size), 0);
    assert_int_equal(tcm_classmap_get(&map, begin + TCM_PAGE), 0);
}

/* Hides the page of a block, as if it lay outside of the window. */
static void
hide(const void *block)
{
    const char *page =
        (const char *)block - ((uintptr_t)block & (TCM_PAGE - 1));

    tcm_classmap_set(&tcm_classmap, page, TCM_PAGE, 0);
}

static void
free_serves_blocks_outside_of_the_window(void **state)
{
    void *block = tcm_malloc(SIZE);

    (void)state;
    assert_int_equal(
        tcm_classmap_get(&tcm_classmap, block), tcm_sizemap_class(SIZE));
    hide(block);
    tcm_free(block);
    assert_ptr_equal(tcm_malloc(SIZE), block);
    tcm_free(block);
    tcm_inspect_check(&tcm_heap_process);
}

static void
free_twice(void *block)
{
    tcm_free(block);
    tcm_free(block);
}

static void
free_twice_outside(void *block)
{
    hide(block);
    free_twice(block);
}

static void
free_twice_is_found_in_and_outside_of_the_window(void **state)
{
    void *block = tcm_malloc(SIZE);

    (void)state;
    assert_dies(free_twice, block, "double free");
    assert_dies(free_twice_outside, block, "double free");
    tcm_free(block);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classmap_without_a_window_knows_no_class),
        cmocka_unit_test(classmap_gives_what_was_set),
        cmocka_unit_test(classmap_window_stays_and_ends),
        cmocka_unit_test(free_serves_blocks_outside_of_the_window),
        cmocka_unit_test(free_twice_is_found_in_and_outside_of_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
