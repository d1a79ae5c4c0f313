/*
 * arena_test.c - the fuzzers' machine: zeroes, states, addresses that repeat
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/machine.h"
#include "base/poison.h"
#include "fuzz/arena.h"

#define PAGE ((size_t)4096)
#define MIB  ((size_t)1 << 20)

static int
begin(void **state)
{
    (void)state;
    arena_begin();
    return 0;
}

/* Each test ends with nothing mapped and a sound arena. */
static int
end(void **state)
{
    (void)state;
    (void)arena_rewind();
    arena_check();
    return 0;
}

static bool
is_zero(const char *addr, size_t size)
{
    return addr[0] == 0 && memcmp(addr, addr + 1, size - 1) == 0;
}

static void
arena_hands_out_zeroes_again(void **state)
{
    static const size_t sizes[] = {PAGE, 7 * PAGE, 8 * PAGE, MIB, 9 * MIB};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *first = machine.map(NULL, sizes[i], true);

        assert_non_null(first);
        memset(first, 1, PAGE);
        memset(first + sizes[i] - PAGE, 2, PAGE);
        assert_true(machine.unmap(first, sizes[i]));
        char *again = machine.map(NULL, sizes[i], true);
        assert_ptr_equal(again, first);
        assert_true(is_zero(again, sizes[i]));
        memset(again, 3, sizes[i]);
        assert_true(machine.unmap(again, sizes[i]));
        again = machine.map(NULL, sizes[i], true);
        assert_true(is_zero(again, sizes[i]));
    }
}

static void
arena_zeroes_what_the_kernel_may_take(void **state)
{
    char *addr = machine.map(NULL, MIB, true);

    (void)state;
    memset(addr, 1, MIB);
    poison_free(addr + PAGE, 64);
    assert_true(machine.advise(addr, MIB, MADV_FREE));
    assert_true(poison_is(addr + PAGE) == poison_active());
    poison_use(addr + PAGE, 64);
    assert_true(is_zero(addr, MIB));
}

static void
arena_poisons_what_is_not_usable(void **state)
{
    char *addr = machine.map(NULL, 2 * PAGE, true);

    (void)state;
    memset(addr, 1, 2 * PAGE);
    assert_true(machine.protect(addr + PAGE, PAGE, false));
    assert_false(poison_is(addr));
    assert_true(poison_is(addr + PAGE) == poison_active());
    assert_true(machine.protect(addr + PAGE, PAGE, true));
    assert_true(is_zero(addr + PAGE, PAGE));
}

static void
arena_moves_contents(void **state)
{
    char *addr = machine.map(NULL, PAGE, true);
    char *behind = machine.map(NULL, PAGE, true);

    (void)state;
    memset(addr, 7, PAGE);
    assert_ptr_equal(behind, addr + PAGE);
    assert_null(machine.remap(addr, PAGE, 2 * PAGE, false));
    char *moved = machine.remap(addr, PAGE, 2 * PAGE, true);
    assert_non_null(moved);
    assert_int_equal(moved[PAGE - 1], 7);
    assert_true(is_zero(moved + PAGE, PAGE));
    assert_ptr_equal(machine.map(NULL, PAGE, true), addr);
    assert_true(is_zero(addr, PAGE));
}

static void
arena_refuses_much_and_keeps_errno(void **state)
{
    (void)state;
    errno = 77;
    assert_null(machine.map(NULL, ARENA_USABLE_MAX + PAGE, true));
    assert_null(machine.map(NULL, ARENA_SIZE + PAGE, false));
    assert_non_null(machine.map(NULL, ARENA_SIZE / 2, false));
    assert_int_equal(errno, 77);
}

static void
arena_repeats_addresses_and_time(void **state)
{
    void *small[2], *large[2];
    uint64_t time[2], bits[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        arena_begin();
        small[i] = machine.map(NULL, PAGE, true);
        large[i] = machine.map(NULL, 2 * MIB, true);
        time[i] = machine.clock_ns();
        bits[i] = machine.random();
        assert_int_equal((uintptr_t)large[i] % (2 * MIB), 0);
        assert_int_equal(arena_rewind(), PAGE + 2 * MIB);
    }
    assert_ptr_equal(small[0], small[1]);
    assert_ptr_equal(large[0], large[1]);
    assert_int_equal(time[0], time[1]);
    assert_int_equal(bits[0], bits[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            arena_hands_out_zeroes_again, begin, end),
        cmocka_unit_test_setup_teardown(
            arena_zeroes_what_the_kernel_may_take, begin, end),
        cmocka_unit_test_setup_teardown(
            arena_poisons_what_is_not_usable, begin, end),
        cmocka_unit_test_setup_teardown(arena_moves_contents, begin, end),
        cmocka_unit_test_setup_teardown(
            arena_refuses_much_and_keeps_errno, begin, end),
        cmocka_unit_test_setup_teardown(
            arena_repeats_addresses_and_time, begin, end),
    };

    if (!arena_init()) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
