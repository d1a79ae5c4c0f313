/*
 * claims_test.c - the map of owners: what it finds, and that it stays silent
 */
#include "oracle/claims.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static struct claims claims;
static struct claims_clash clash;

static int
set_up(void **state)
{
    (void)state;
    return claims_init(&claims) ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    claims_fini(&claims);
    return 0;
}

static bool
take(uintptr_t addr, size_t size, uint32_t id)
{
    return claims_take(&claims, (void *)addr, size, id, &clash);
}

static bool
give(uintptr_t addr, size_t size, uint32_t id)
{
    return claims_give(&claims, (void *)addr, size, id, &clash);
}

static void
claims_tells_owner_of_each_granule(void **state)
{
    (void)state;
    assert_true(take(0x10000010, 32, 7));
    assert_int_equal(claims_owner(&claims, (void *)0x10000010), 7);
    assert_int_equal(claims_owner(&claims, (void *)0x1000002f), 7);
    assert_int_equal(claims_owner(&claims, (void *)0x10000030), CLAIMS_NOBODY);
    assert_true(give(0x10000010, 32, 7));
    assert_int_equal(claims_owner(&claims, (void *)0x10000010), CLAIMS_NOBODY);
}

static void
claims_lets_neighbours_be(void **state)
{
    (void)state;
    assert_true(take(0x7f0000001000, 24, 1));
    assert_true(take(0x7f0000001018, 8, 2));
    assert_true(take(0x7f0000001020, 4, 3));
    assert_true(take(0x7f0000001024, 4, 4)); /* packed within a granule */
    assert_true(take(0x7f0000001028, 1 << 20, 5));
    assert_true(give(0x7f0000001020, 4, 3));
    assert_true(give(0x7f0000001024, 4, 4));
    assert_true(give(0x7f0000001028, 1 << 20, 5));
    assert_true(give(0x7f0000001018, 8, 2));
    assert_true(give(0x7f0000001000, 24, 1));
}

static void
claims_names_the_owner_of_a_clash(void **state)
{
    (void)state;
    assert_true(take(0x20000000, 4096, 11));
    assert_false(take(0x20000ff8, 64, 12));
    assert_int_equal(clash.owner, 11);
    assert_int_equal(clash.addr, 0x20000ff8);
}

static void
claims_finds_small_inside_huge_and_huge_around_small(void **state)
{
    (void)state;
    uintptr_t huge = 0x300000000000;
    size_t size = (size_t)200 << 30;
    assert_true(take(huge, size, 21));
    assert_false(take(huge + (size_t)77 * 1000 * 1000 * 1000, 16, 22));
    assert_int_equal(clash.owner, 21);
    claims_fini(&claims);
    assert_true(claims_init(&claims));
    assert_true(take(huge + ((size_t)5 << 20) + 4096 * 3 + 48, 16, 22));
    assert_false(take(huge, size, 21));
    assert_int_equal(clash.owner, 22);
}

static void
claims_finds_that_a_granule_was_taken_over(void **state)
{
    (void)state;
    assert_true(take(0x40000000, 256, 31));
    take(0x40000080, 16, 32);
    assert_false(give(0x40000000, 256, 31));
    assert_int_equal(clash.owner, 32);
}

static void
claims_finds_that_all_around_was_taken_over(void **state)
{
    (void)state;
    for (uintptr_t size = 256; size <= (uintptr_t)1 << 30; size *= 2) {
        uintptr_t base = 0x100000000000 + 4 * size;
        assert_true(take(base + size / 2, 16, 41));
        assert_false(take(base, size, 42));
        assert_int_equal(clash.owner, 41);
        assert_false(give(base + size / 2, 16, 41));
        assert_int_not_equal(clash.owner, 41);
    }
}

static void
claims_recycles_between_small_and_huge(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        uintptr_t base = 0x500000000000 + 64;
        for (uint32_t i = 0; i < 1000; i++) {
            assert_true(take(base + i * 5000, 5000, i + 1));
        }
        for (uint32_t i = 0; i < 1000; i++) {
            assert_true(give(base + i * 5000, 5000, i + 1));
        }
        assert_true(take(base, 5000 * 1000, 9));
        assert_true(give(base, 5000 * 1000, 9));
    }
}

/* A plain model: one byte of owner for each granule of a small arena. */
static void
claims_agrees_with_a_plain_model(void **state)
{
    (void)state;
    enum { GRANULES = 1 << 19, BLOCKS = 64 };
    static uint8_t model[GRANULES];
    struct {
        size_t from, count;
    } blocks[BLOCKS] = {{0, 0}};
    uintptr_t base = 0x600000000000 - 4096 * 8;
    struct random random;
    random_seed(&random, 1);
    for (int i = 0; i < 20000; i++) {
        uint32_t b = (uint32_t)random_below(&random, BLOCKS);
        size_t from = blocks[b].from, count = blocks[b].count;
        if (count > 0) {
            assert_true(give(base + from * 8, count * 8, b + 1));
            memset(model + from, 0, count);
            blocks[b].count = 0;
            continue;
        }
        count = random_log_between(&random, 1, GRANULES / 8);
        from = random_below(&random, GRANULES - count);
        bool is_free = true;
        for (size_t g = from; g < from + count; g++) {
            is_free = is_free && model[g] == 0;
        }
        if (!is_free) {
            continue;
        }
        assert_true(take(base + from * 8, count * 8, b + 1));
        memset(model + from, (int)b + 1, count);
        blocks[b].from = from;
        blocks[b].count = count;
        size_t probe = random_below(&random, GRANULES);
        assert_int_equal(
            claims_owner(&claims, (void *)(base + probe * 8)), model[probe]);
    }
}

static void *
claim_own_stretch(void *arg)
{
    uintptr_t base = 0x10000000 + (uintptr_t)arg * 40;
    bool clean = true;
    struct claims_clash mine;
    for (uint32_t i = 0; i < 100000; i++) {
        void *addr = (void *)(base + i % 64 * 160);
        uint32_t id = (uint32_t)(uintptr_t)arg + 1;
        clean = clean && claims_take(&claims, addr, 40, id, &mine);
        clean = clean && claims_give(&claims, addr, 40, id, &mine);
    }
    return (void *)clean;
}

static void
claims_is_silent_for_threads_side_by_side(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, claim_own_stretch, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        void *clean;
        pthread_join(threads[i], &clean);
        assert_true((bool)clean);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            claims_tells_owner_of_each_granule, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            claims_lets_neighbours_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            claims_names_the_owner_of_a_clash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            claims_finds_small_inside_huge_and_huge_around_small, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            claims_finds_that_a_granule_was_taken_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            claims_finds_that_all_around_was_taken_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            claims_recycles_between_small_and_huge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            claims_agrees_with_a_plain_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            claims_is_silent_for_threads_side_by_side, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
