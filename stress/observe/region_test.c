/*
 * region_test.c - mappings in the region against a plain model
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "observe/region.h"

#define MODEL_PAGES 256
#define STEPS       20000

enum model_state { FREE, USABLE, SHUT };

static uint8_t model[MODEL_PAGES];    /* of the arena's first pages */
static uint8_t contents[MODEL_PAGES]; /* first byte of each page */

static uint8_t *
page_at(size_t page)
{
    return (uint8_t *)(REGION_ARENA + page * REGION_PAGE);
}

static void
check_model(void)
{
    region_check();
    size_t mapped = 0;
    for (size_t i = 0; i < MODEL_PAGES; i++) {
        enum page_state state =
            region_pages[(uintptr_t)page_at(i) >> REGION_PAGE_SHIFT];
        assert_int_equal(model[i] == USABLE, state < PAGE_SHUT);
        assert_int_equal(page_at(i)[0], contents[i]);
        mapped += model[i] != FREE;
    }
    assert_int_equal(region_mapped_size(), mapped * REGION_PAGE);
}

static size_t
lowest_gap(size_t count)
{
    size_t run = 0;
    for (size_t i = 0; i < MODEL_PAGES; i++) {
        run = model[i] == FREE ? run + 1 : 0;
        if (run == count) {
            return i + 1 - count;
        }
    }
    return MODEL_PAGES;
}

static void
set_model(size_t first, size_t count, uint8_t state)
{
    for (size_t i = first; i < first + count; i++) {
        model[i] = state;
    }
}

static bool
is_whole(size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        if (model[i] == FREE) {
            return false;
        }
    }
    return true;
}

static void
step(struct random *random)
{
    size_t count = (size_t)random_between(random, 1, 12);
    size_t first = (size_t)random_below(random, MODEL_PAGES - count);
    uintptr_t addr = (uintptr_t)page_at(first);
    size_t size = count * REGION_PAGE;
    switch (random_below(random, 5)) {
    case 0: {
        size_t gap = lowest_gap(count);
        if (gap + count <= MODEL_PAGES) {
            assert_ptr_equal(region_map(0, size, true), page_at(gap));
            set_model(gap, count, USABLE);
        }
        break;
    }
    case 1:
        assert_true(region_unmap(addr, size));
        set_model(first, count, FREE);
        memset(&contents[first], 0, count);
        break;
    case 2:
        assert_int_equal(
            region_protect(addr, size, false), is_whole(first, count));
        if (is_whole(first, count)) {
            set_model(first, count, SHUT);
        }
        break;
    case 3:
        assert_int_equal(
            region_protect(addr, size, true), is_whole(first, count));
        if (is_whole(first, count)) {
            set_model(first, count, USABLE);
        }
        break;
    default:
        if (model[first] == USABLE) {
            region_touch(addr, 1);
            contents[first] = (uint8_t)random_next(random);
            page_at(first)[0] = contents[first];
        }
        break;
    }
}

static void
region_follows_the_model(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 1);
    for (int i = 0; i < STEPS; i++) {
        step(&random);
        if (i % 16 == 0) {
            check_model();
        }
    }
}

static void
rewinding_gives_zeroes_and_the_first_addresses(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        region_rewind();
        memset(model, FREE, sizeof(model));
        memset(contents, 0, sizeof(contents));
        check_model();
        uint8_t *block = region_map(0, 3 * REGION_PAGE, true);
        assert_ptr_equal(block, page_at(0));
        region_touch((uintptr_t)block, 3 * REGION_PAGE);
        memset(block, 0xff, 3 * REGION_PAGE);
        region_protect((uintptr_t)block, REGION_PAGE, false);
    }
    region_rewind();
}

static void
remap_grows_in_place_or_moves(void **state)
{
    (void)state;
    region_rewind();
    uintptr_t first = (uintptr_t)region_map(0, REGION_PAGE, true);
    region_touch(first, 1);
    *(uint8_t *)first = 42;
    assert_int_equal(
        region_remap(first, REGION_PAGE, 2 * REGION_PAGE, false), first);
    uintptr_t behind = (uintptr_t)region_map(0, REGION_PAGE, true);
    assert_int_equal(behind, first + 2 * REGION_PAGE);
    assert_int_equal(
        region_remap(first, 2 * REGION_PAGE, 3 * REGION_PAGE, false), 0);
    uintptr_t moved =
        region_remap(first, 2 * REGION_PAGE, 3 * REGION_PAGE, true);
    assert_int_equal(moved, behind + REGION_PAGE);
    assert_int_equal(*(uint8_t *)moved, 42);
    assert_int_equal(
        region_remap(moved, 3 * REGION_PAGE, REGION_PAGE, false), moved);
    assert_int_equal(region_mapped_size(), 2 * REGION_PAGE);
    region_check();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(region_follows_the_model),
        cmocka_unit_test(rewinding_gives_zeroes_and_the_first_addresses),
        cmocka_unit_test(remap_grows_in_place_or_moves),
    };
    if (!region_init()) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
