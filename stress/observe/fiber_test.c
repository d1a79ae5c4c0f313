/*
 * fiber_test.c - each fiber has its own variables, errno and stack
 *
 * Run twice: switching in user space, and with the baton (argument "baton").
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "observe/fiber.h"
#include "observe/region.h"

#define FIBERS 3
#define ROUNDS 4

static __thread int counted = 7;
static __thread int zeroed;

static struct fiber main_fiber, fibers[FIBERS];
static int seen_counts[FIBERS], seen_errors[FIBERS], seen_zeroes[FIBERS];
static uintptr_t places[FIBERS];

static void
back_to_main(struct fiber *self)
{
    fiber_switch(self, &main_fiber);
}

static void
count(void *arg)
{
    struct fiber *self = arg;
    unsigned me = self->slot;
    char on_stack[256];
    for (;;) {
        counted += (int)me;
        zeroed++;
        errno = 100 + (int)me;
        memset(on_stack, (int)me, sizeof(on_stack));
        places[me] = (uintptr_t)&counted;
        back_to_main(self);
        seen_counts[me] = counted;
        seen_zeroes[me] = zeroed;
        seen_errors[me] = errno;
        assert_int_equal(on_stack[0], me);
        assert_int_equal(on_stack[255], me);
    }
}

static int
open_fibers(void **state)
{
    (void)state;
    assert_true(region_init());
    fiber_adopt_main(&main_fiber);
    for (unsigned i = 0; i < FIBERS; i++) {
        assert_true(fiber_open(&fibers[i], i));
    }
    return 0;
}

static void
fibers_have_their_own_tls(void **state)
{
    (void)state;
    counted = 1000;
    errno = 5;
    for (unsigned i = 0; i < FIBERS; i++) {
        fiber_start(&fibers[i], count, &fibers[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < FIBERS; i++) {
            fiber_switch(&main_fiber, &fibers[i]);
        }
    }
    for (unsigned i = 0; i < FIBERS; i++) {
        assert_int_equal(seen_counts[i], 7 + (ROUNDS - 1) * (int)i);
        assert_int_equal(seen_zeroes[i], ROUNDS - 1);
        assert_int_equal(seen_errors[i], 100 + (int)i);
    }
    assert_int_equal(counted, 1000);
    assert_int_equal(errno, 5);
}

/* Its TLS lies where its slot says, so addresses repeat in each process. */
static void
fibers_live_in_their_slots(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FIBERS; i++) {
        uintptr_t slot = fiber_slot_addr(i);
        assert_true(fibers[i].tp > slot);
        assert_true(fibers[i].tp < slot + FIBER_SLOT_SIZE);
        assert_true(places[i] > slot);
        assert_true(places[i] < slot + FIBER_SLOT_SIZE);
    }
}

static void
fiber_started_anew_forgets(void **state)
{
    (void)state;
    fiber_start(&fibers[1], count, &fibers[1]);
    fiber_switch(&main_fiber, &fibers[1]);
    fiber_start(&fibers[1], count, &fibers[1]);
    fiber_switch(&main_fiber, &fibers[1]);
    fiber_switch(&main_fiber, &fibers[1]);
    assert_int_equal(seen_counts[1], 8);
    assert_int_equal(seen_zeroes[1], 1);
}

int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "baton") == 0) {
        fiber_use_baton();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fibers_have_their_own_tls),
        cmocka_unit_test(fibers_live_in_their_slots),
        cmocka_unit_test(fiber_started_anew_forgets),
    };
    return cmocka_run_group_tests(tests, open_fibers, NULL);
}
