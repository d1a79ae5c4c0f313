/*
 * rseq_test.c - restartable sequences: who is registered, and pretended CPUs
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/machine.h"
#include "base/rseq.h"

static unsigned restarted_cpu;
static unsigned restart_count;

static bool
count_restart(unsigned cpu)
{
    restarted_cpu = cpu;
    restart_count++;
    return true;
}

static bool
refuse_restart(unsigned cpu)
{
    (void)cpu;
    return false;
}

static void
rseq_needs_the_kernel_to_restart(void **state)
{
    (void)state;
    machine.restart_cpu = refuse_restart;
    assert_false(rseq_start());
    machine = machine_kernel;
}

static void
rseq_tells_the_cpu_where_there_are_sequences(void **state)
{
    (void)state;
    if (!rseq_start()) {
        skip();
    }
    assert_in_range(rseq_cpu(), 0, RSEQ_CPU_MAX - 1);
    rseq_restart((unsigned)rseq_cpu());
}

static void
rseq_restart_asks_the_kernel(void **state)
{
    (void)state;
    machine.restart_cpu = count_restart;
    rseq_restart(5);
    machine = machine_kernel;
    assert_int_equal(restart_count, 1);
    assert_int_equal(restarted_cpu, 5);
}

static void
rseq_pretends_any_cpu_without_the_kernel(void **state)
{
    (void)state;
    machine.restart_cpu = refuse_restart;
    rseq_pretend(7);
    assert_true(rseq_start());
    assert_int_equal(rseq_cpu(), 7);
    rseq_restart(7);
    rseq_pretend(0);
    assert_int_equal(rseq_cpu(), 0);
    rseq_pretend_no_more();
    assert_false(rseq_start());
    machine = machine_kernel;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rseq_needs_the_kernel_to_restart),
        cmocka_unit_test(rseq_tells_the_cpu_where_there_are_sequences),
        cmocka_unit_test(rseq_restart_asks_the_kernel),
        cmocka_unit_test(rseq_pretends_any_cpu_without_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
