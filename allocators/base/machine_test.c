/*
 * machine_test.c - the kernel's table keeps machine.h's promises
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/machine.h"

#define PAGE ((size_t)4096)
#define MS   ((uint64_t)1000000)

static void
machine_memory_is_zero_and_writable(void **state)
{
    (void)state;
    unsigned char *memory = machine.map(NULL, 4 * PAGE, true);

    assert_non_null(memory);
    for (size_t i = 0; i < 4 * PAGE; i++) {
        assert_int_equal(memory[i], 0);
        memory[i] = 1;
    }
    assert_true(machine.advise(memory, 2 * PAGE, MADV_DONTNEED));
    assert_int_equal(memory[0], 0);
    assert_int_equal(memory[2 * PAGE], 1);
    assert_true(machine.protect(memory, PAGE, false));
    assert_true(machine.protect(memory, PAGE, true));
    memory[0] = 2;

    unsigned char *moved = machine.remap(memory, 4 * PAGE, 64 * PAGE, true);
    assert_non_null(moved);
    assert_int_equal(moved[0], 2);
    assert_int_equal(moved[3 * PAGE], 1);
    moved[63 * PAGE] = 1;
    assert_true(machine.unmap(moved, 64 * PAGE));
}

static void
machine_failures_keep_errno(void **state)
{
    void *odd = (void *)1;

    (void)state;
    errno = 99;
    assert_null(machine.map(NULL, SIZE_MAX - PAGE, true));
    assert_false(machine.unmap(odd, PAGE));
    assert_false(machine.protect(odd, PAGE, true));
    assert_false(machine.advise(odd, PAGE, MADV_DONTNEED));
    assert_null(machine.remap(odd, PAGE, 2 * PAGE, true));
    assert_int_equal(errno, 99);
}

static void
machine_futex_wait_returns_on_change_and_timeout(void **state)
{
    _Atomic uint32_t word = 5;

    (void)state;
    errno = 99;
    machine.futex_wait(&word, 4, 0); /* has changed already */
    uint64_t start = machine.clock_ns();
    machine.futex_wait(&word, 5, 20 * MS);
    assert_true(machine.clock_ns() - start >= 19 * MS);
    machine.futex_wake(&word, 1);
    machine.yield();
    assert_int_equal(errno, 99);
}

static _Atomic uint32_t gate;

static void *
wait_at_gate(void *arg)
{
    while (atomic_load_explicit(&gate, memory_order_acquire) == 0) {
        machine.futex_wait(&gate, 0, 0);
    }
    return arg;
}

static void
machine_futex_wake_wakes(void **state)
{
    pthread_t waiter;

    (void)state;
    assert_int_equal(pthread_create(&waiter, NULL, wait_at_gate, NULL), 0);
    uint64_t start = machine.clock_ns();
    while (machine.clock_ns() - start < 5 * MS) {
        machine.yield();
    }
    atomic_store_explicit(&gate, 1, memory_order_release);
    machine.futex_wake(&gate, 1);
    pthread_join(waiter, NULL); /* or the test's time runs out */
}

static void
machine_knows_time_and_place(void **state)
{
    cpu_set_t set;
    uint64_t last = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = machine.clock_ns();
        assert_true(now >= last);
        last = now;
    }
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    assert_int_equal(machine.cpu_count(), CPU_COUNT(&set));
    assert_true(CPU_ISSET(machine.cpu(), &set));
}

/* Locks spin for threads that run elsewhere, wherever the first to ask runs. */
static void
machine_counts_the_cpus_of_the_process(void **state)
{
    cpu_set_t all, one;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    CPU_SET(machine.cpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    unsigned count = machine.cpu_count();
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
    assert_int_equal(count, CPU_COUNT(&all));
}

static void
machine_random_does_not_repeat(void **state)
{
    uint64_t seen[64];

    (void)state;
    for (int i = 0; i < 64; i++) {
        seen[i] = machine.random();
        for (int j = 0; j < i; j++) {
            assert_true(seen[i] != seen[j]);
        }
    }
}

static void
machine_starts_as_the_kernel_and_can_be_put_back(void **state)
{
    (void)state;
    assert_memory_equal(&machine, &machine_kernel, sizeof(machine));
    machine.random = NULL;
    machine = machine_kernel;
    assert_memory_equal(&machine, &machine_kernel, sizeof(machine));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machine_memory_is_zero_and_writable),
        cmocka_unit_test(machine_failures_keep_errno),
        cmocka_unit_test(machine_futex_wait_returns_on_change_and_timeout),
        cmocka_unit_test(machine_futex_wake_wakes),
        cmocka_unit_test(machine_knows_time_and_place),
        cmocka_unit_test(machine_counts_the_cpus_of_the_process),
        cmocka_unit_test(machine_random_does_not_repeat),
        cmocka_unit_test(machine_starts_as_the_kernel_and_can_be_put_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
