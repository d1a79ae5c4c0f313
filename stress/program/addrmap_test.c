/*
 * addrmap_test.c - addrmap.h against an array, and its invariants broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/random.h"
#include "program/addrmap.h"

#define ADDRS 5000

static void
behaves_like_an_array(void **state)
{
    (void)state;
    static uint32_t model[ADDRS];
    struct addrmap map = {0};
    struct random random;

    random_seed(&random, 1);
    for (int i = 0; i < ADDRS; i++) {
        model[i] = ADDRMAP_NONE;
    }
    for (uint32_t i = 0; i < 200000; i++) {
        uint64_t number = random_below(&random, ADDRS);
        uint64_t addr = 0x7f0000001000 + 16 * number;
        if (random_one_in(&random, i / 50000 % 2 == 0 ? 3 : 2)) {
            assert_int_equal(addrmap_take(&map, addr), model[number]);
            model[number] = ADDRMAP_NONE;
        } else {
            assert_true(addrmap_put(&map, addr, i));
            model[number] = i;
        }
        if (i % 1000 == 0) {
            addrmap_check(&map);
        }
    }
    for (uint64_t number = 0; number < ADDRS; number++) {
        assert_int_equal(
            addrmap_take(&map, 0x7f0000001000 + 16 * number), model[number]);
    }
    assert_int_equal(map.count, 0);
    addrmap_fini(&map);
}

static void
is_empty_when_all_zero(void **state)
{
    (void)state;
    struct addrmap map = {0};

    assert_int_equal(addrmap_take(&map, 16), ADDRMAP_NONE);
    addrmap_check(&map);
    addrmap_fini(&map);
}

static void
check_map(void *arg)
{
    addrmap_check(arg);
}

static void
check_finds_broken_invariants(void **state)
{
    (void)state;
    struct addrmap map = {0};

    for (uint32_t i = 1; i <= 100; i++) {
        assert_true(addrmap_put(&map, i, i));
    }
    map.count++;
    assert_dies(check_map, &map, "count == map->count"); /* I1 */
    map.count--;
    size_t place = 0;
    while (map.entries[place].addr != 0) {
        place++;
    }
    map.entries[place].addr = 50; /* it is there already, elsewhere */
    map.count++;
    assert_dies(check_map, &map, "== i"); /* I2 */
    addrmap_fini(&map);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_like_an_array),
        cmocka_unit_test(is_empty_when_all_zero),
        cmocka_unit_test(check_finds_broken_invariants),
    };

    return cmocka_run_group_tests_name("addrmap", tests, NULL, NULL);
}
