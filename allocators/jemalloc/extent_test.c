/*
 * extent_test.c - the owner map: what it says of each page of an extent
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pages.h"
#include "jemalloc/extent.h"
#include "jemalloc/heap.h"

#define PAGES 8

static char *base;
static _Alignas(64) struct jem_extent extent;

static void
enter(unsigned size_class, unsigned shard, unsigned arena_index)
{
    extent = (struct jem_extent){
        .addr = base,
        .size = PAGES * JEM_PAGE,
        .arena_index = (uint16_t)arena_index,
    };
    jem_owner_set(&extent, size_class, shard);
}

/* How many of the pages lead to the extent. */
static unsigned
known_pages(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < PAGES; i++) {
        struct jem_owner owner = jem_owner_get(base + i * JEM_PAGE + 77);
        count += owner.word != 0 && jem_owner_extent(owner) == &extent;
    }
    return count;
}

static void
owner_packs_all_that_free_needs(void **state)
{
    static const unsigned arenas[] = {0, 1, 15, 16, 255, 4095};
    (void)state;
    for (unsigned a = 0; a < sizeof arenas / sizeof arenas[0]; a++) {
        for (unsigned class = 0; class < JEM_CLASS_COUNT; class ++) {
            unsigned shard = class < JEM_SMALL_COUNT ? class % 4 : 0;
            enter(class, shard, arenas[a]);
            struct jem_owner owner = jem_owner_get(base);
            assert_int_equal(jem_owner_class(owner), class);
            assert_int_equal(jem_owner_arena(owner), arenas[a]);
            assert_int_equal(jem_owner_shard(owner), shard);
            assert_ptr_equal(jem_owner_extent(owner), &extent);
            jem_owner_clear(&extent);
            assert_int_equal(known_pages(), 0);
        }
    }
}

static void
owner_knows_the_pages_that_are_asked_for(void **state)
{
    static const struct {
        unsigned class, pages;
    } cases[] = {{3, PAGES}, {JEM_SMALL_COUNT, 1}, {JEM_CLASS_NONE, 2},
        {JEM_CLASS_GUARD, 1}};
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enter(cases[i].class, 0, 5);
        assert_int_equal(known_pages(), cases[i].pages);
        assert_int_equal(jem_class_is_block(cases[i].class),
            cases[i].class < JEM_CLASS_COUNT);
        jem_owner_clear(&extent);
        assert_int_equal(known_pages(), 0);
    }
    enter(3, 0, 5);
    jem_owner_forget(base, PAGES * JEM_PAGE);
    assert_int_equal(known_pages(), 0);
}

static void
owner_of_a_foreign_address_is_nobody(void **state)
{
    int local = 0;
    (void)state;
    assert_int_equal(jem_owner_get(&local).word, 0);
    assert_int_equal(jem_owner_get(NULL).word, 0);
    assert_int_equal(jem_owner_get((void *)UINTPTR_MAX).word, 0);
    assert_int_equal(jem_owner_class(jem_owner_get(&local)), UINT32_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owner_packs_all_that_free_needs),
        cmocka_unit_test(owner_knows_the_pages_that_are_asked_for),
        cmocka_unit_test(owner_of_a_foreign_address_is_nobody),
    };
    (void)jem_heap_options(); /* makes the map ready */
    base = pages_map(PAGES * JEM_PAGE, JEM_PAGE);
    if (base == NULL || !jem_owner_reserve(base, PAGES * JEM_PAGE)) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
