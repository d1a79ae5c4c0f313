/*
 * pagemap_test.c - pagemap.h against a plain table, with threads, and broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/death.h"
#include "base/machine.h"
#include "base/pages.h"
#include "base/random.h"
#include "parts/pagemap.h"

#define MODEL_PAGES 512

/* The root is 2 MiB: not for the stack. */
static struct pagemap map;

static void *
at(uintptr_t addr)
{
    return (void *)addr;
}

/* Pages around a boundary between two leaves, so that ranges cross it. */
static uintptr_t
model_addr(size_t page, unsigned page_shift)
{
    uintptr_t middle = (uintptr_t)0x7f << 40;

    return middle + ((uintptr_t)page << page_shift) -
           ((uintptr_t)(MODEL_PAGES / 2) << page_shift);
}

static void
assert_same(void *const *model, unsigned page_shift)
{
    for (size_t page = 0; page < MODEL_PAGES; page++) {
        uintptr_t addr = model_addr(page, page_shift);
        uintptr_t last = addr + ((uintptr_t)1 << page_shift) - 1;

        assert_ptr_equal(pagemap_get(&map, at(addr)), model[page]);
        assert_ptr_equal(pagemap_get(&map, at(last)), model[page]);
    }
}

static void
pagemap_agrees_with_model_under_random_steps(void **state)
{
    (void)state;
    for (unsigned shift = 12; shift <= 16; shift++) {
        void *model[MODEL_PAGES] = {NULL};
        struct random random;

        random_seed(&random, shift);
        pagemap_init(&map, shift);
        assert_true(pagemap_reserve(
            &map, at(model_addr(0, shift)), (size_t)MODEL_PAGES << shift));
        for (uintptr_t step = 1; step < 300; step++) {
            size_t first = random_below(&random, MODEL_PAGES);
            size_t count = random_between(&random, 1, MODEL_PAGES - first);
            void *value = random_one_in(&random, 4) ? NULL : at(step * 16);

            pagemap_set(
                &map, at(model_addr(first, shift)), count << shift, value);
            for (size_t i = first; i < first + count; i++) {
                model[i] = value;
            }
            assert_same(model, shift);
        }
        pagemap_check(&map);
        assert_int_equal(pagemap_meta_size(&map),
            2 * pages_round_up(sizeof(struct pagemap_leaf) +
                               (sizeof(void *) << (30 - shift))));
        pagemap_fini(&map);
        assert_int_equal(pagemap_meta_size(&map), 0);
        assert_null(pagemap_get(&map, at(model_addr(0, shift))));
    }
}

static void
pagemap_get_is_null_for_any_unknown_address(void **state)
{
    struct random random;

    (void)state;
    random_seed(&random, 1);
    pagemap_init(&map, 12);
    assert_true(pagemap_reserve(&map, at(0x10000), 4096));
    pagemap_set(&map, at(0x10000), 1, &map);
    assert_ptr_equal(pagemap_get(&map, at(0x10fff)), &map);
    assert_null(pagemap_get(&map, at(0x11000)));
    assert_null(pagemap_get(&map, NULL));
    assert_null(pagemap_get(&map, at(UINTPTR_MAX)));
    for (int i = 0; i < 100000; i++) {
        uintptr_t addr = random_log_between(&random, 0x20000, UINTPTR_MAX);
        assert_null(pagemap_get(&map, at(addr)));
    }
    pagemap_fini(&map);
}

static void
pagemap_sets_every_page_that_a_range_touches(void **state)
{
    (void)state;
    pagemap_init(&map, 12);
    assert_true(pagemap_reserve(&map, at(0), 0x10000));
    pagemap_set(&map, at(0x1fff), 2, &map);
    assert_null(pagemap_get(&map, at(0xfff)));
    assert_ptr_equal(pagemap_get(&map, at(0x1000)), &map);
    assert_ptr_equal(pagemap_get(&map, at(0x2fff)), &map);
    assert_null(pagemap_get(&map, at(0x3000)));
    pagemap_fini(&map);
}

static void
pagemap_reserve_fails_past_the_end_and_without_memory(void **state)
{
    (void)state;
    pagemap_init(&map, 12);
    assert_false(pagemap_reserve(&map, at((uintptr_t)1 << 48), 1));
    assert_false(pagemap_reserve(&map, at(((uintptr_t)1 << 48) - 1), 2));
    assert_false(pagemap_reserve(&map, at(4096), SIZE_MAX));
    assert_true(pagemap_reserve(&map, at(((uintptr_t)1 << 48) - 1), 1));
    assert_true(pagemap_reserve(&map, at(0), 0));

    pages_fail_at(1, false);
    assert_false(pagemap_reserve(&map, at(4096), 1));
    assert_true(pagemap_reserve(&map, at(4096), 1));
    pages_fail_at(0, false);
    pagemap_check(&map);
    pagemap_fini(&map);
}

#define THREADS     4
#define GIBIBYTE    ((uintptr_t)1 << 30)
#define LEAVES_EACH 16

static _Atomic uintptr_t published;

/* Reserves leaves that the others want at the same time, sets a page of its
 * own in each, and lets the others see the last one. */
static void *
grow_and_look(void *arg)
{
    uintptr_t own = (uintptr_t)arg * 4096;

    for (uintptr_t i = 1; i <= LEAVES_EACH; i++) {
        uintptr_t addr = i * GIBIBYTE + own;

        assert_true(pagemap_reserve(&map, at(addr), 4096));
        pagemap_set(&map, at(addr), 4096, at(addr));
        assert_ptr_equal(pagemap_get(&map, at(addr)), at(addr));
        uintptr_t seen =
            atomic_exchange_explicit(&published, addr, memory_order_acq_rel);
        if (seen != 0) {
            assert_ptr_equal(pagemap_get(&map, at(seen)), at(seen));
        }
    }
    return NULL;
}

static void
pagemap_grows_under_many_threads(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    pagemap_init(&map, 12);
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, grow_and_look, at(i)), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pagemap_check(&map);
    for (uintptr_t i = 1; i <= LEAVES_EACH; i++) {
        for (uintptr_t thread = 0; thread < THREADS; thread++) {
            uintptr_t addr = i * GIBIBYTE + thread * 4096;
            assert_ptr_equal(pagemap_get(&map, at(addr)), at(addr));
        }
    }
    pagemap_fini(&map);
}

static int plain; /* written before the page is set, read after it is seen */

static void *
set_page(void *arg)
{
    plain = 42;
    pagemap_set(&map, at(GIBIBYTE), 1, arg);
    return NULL;
}

/* The map alone tells the reader: nothing else orders the two threads. */
static void
pagemap_get_sees_what_came_before_the_set(void **state)
{
    pthread_t setter;

    (void)state;
    pagemap_init(&map, 12);
    assert_true(pagemap_reserve(&map, at(GIBIBYTE), 1));
    assert_int_equal(pthread_create(&setter, NULL, set_page, &plain), 0);
    while (pagemap_get(&map, at(GIBIBYTE)) == NULL) {
        machine.yield();
    }
    assert_int_equal(plain, 42);
    pthread_join(setter, NULL);
    pagemap_fini(&map);
}

static int64_t mapped_size;

/* Another thread is faster: the leaf is there when this mapping comes back. */
static void *
map_after_another(void *hint, size_t size, bool usable)
{
    static bool is_inside;

    if (!is_inside) {
        is_inside = true;
        assert_true(pagemap_reserve(&map, at(GIBIBYTE), 1));
        is_inside = false;
    }
    mapped_size += (int64_t)size;
    return machine_kernel.map(hint, size, usable);
}

static bool
count_unmap(void *addr, size_t size)
{
    mapped_size -= (int64_t)size;
    return machine_kernel.unmap(addr, size);
}

static void
pagemap_gives_a_second_leaf_back(void **state)
{
    (void)state;
    pagemap_init(&map, 12);
    machine.map = map_after_another;
    machine.unmap = count_unmap;
    mapped_size = 0;
    assert_true(pagemap_reserve(&map, at(GIBIBYTE), 1));
    assert_int_equal(mapped_size, pagemap_meta_size(&map));
    pagemap_check(&map);
    pagemap_fini(&map);
    assert_int_equal(mapped_size, 0);
    machine = machine_kernel;
}

static void
check_broken(void *arg)
{
    struct pagemap_leaf *leaf;

    pagemap_init(&map, 12);
    pagemap_reserve(&map, at(0), 1);
    pagemap_reserve(&map, at(GIBIBYTE), 1);
    leaf = atomic_load_explicit(&map.leaves, memory_order_relaxed);
    if (*(int *)arg == 1) { /* a leaf that is on no list */
        atomic_store_explicit(&map.root[7], leaf, memory_order_relaxed);
    } else { /* a leaf that is not in the root */
        leaf->root_index = 7;
    }
    pagemap_check(&map);
}

static void
pagemap_check_finds_each_broken_invariant(void **state)
{
    int way = 1;

    (void)state;
    assert_dies(check_broken, &way, "check failed: leaf_count == 0");
    way = 2;
    assert_dies(check_broken, &way, "== leaf");
}

static void
set_unreserved(void *arg)
{
    (void)arg;
    pagemap_init(&map, 12);
    pagemap_set(&map, at(GIBIBYTE), 1, &map);
}

static void
pagemap_refuses_to_set_what_is_not_reserved(void **state)
{
    (void)state;
    assert_dies(set_unreserved, NULL, "check failed: leaf != NULL");
}

static void
dump_map(void *arg)
{
    pagemap_dump(arg, STDERR_FILENO);
}

static void
pagemap_dump_shows_runs_of_one_value(void **state)
{
    char said[DEATH_TEXT_MAX];

    (void)state;
    pagemap_init(&map, 12);
    assert_true(pagemap_reserve(&map, at(GIBIBYTE), 1));
    pagemap_set(&map, at(GIBIBYTE + 0x1000), 0x2000, at(0xabc0));
    pagemap_set(&map, at(2 * GIBIBYTE - 1), 1, at(0xdef0));
    death_capture(dump_map, &map, said);
    assert_non_null(strstr(said, ": pages of 4096 bytes, "));
    assert_non_null(strstr(said, " bytes of leaves\n"
                                 "  0x40001000-0x40003000: 0xabc0\n"
                                 "  0x7ffff000-0x80000000: 0xdef0\n"));
    pagemap_fini(&map);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pagemap_agrees_with_model_under_random_steps),
        cmocka_unit_test(pagemap_get_is_null_for_any_unknown_address),
        cmocka_unit_test(pagemap_sets_every_page_that_a_range_touches),
        cmocka_unit_test(pagemap_reserve_fails_past_the_end_and_without_memory),
        cmocka_unit_test(pagemap_grows_under_many_threads),
        cmocka_unit_test(pagemap_get_sees_what_came_before_the_set),
        cmocka_unit_test(pagemap_gives_a_second_leaf_back),
        cmocka_unit_test(pagemap_check_finds_each_broken_invariant),
        cmocka_unit_test(pagemap_refuses_to_set_what_is_not_reserved),
        cmocka_unit_test(pagemap_dump_shows_runs_of_one_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
