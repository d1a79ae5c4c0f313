/*
 * stack_test.c - the callers are found, and nothing else
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>

#include "base/stack.h"

/* How deep the call stood, and where its callers were to go on. */
struct call {
    unsigned depth;
    size_t count;
    uintptr_t frames[STACK_DEPTH_MAX];
    uintptr_t expected[2];
};

/* The store after the call keeps it from being the last thing done. */
static __attribute__((noinline)) void
capture(struct call *call)
{
    call->expected[0] = (uintptr_t)__builtin_return_address(0);
    call->count = stack_capture(call->frames);
    call->depth = 0;
}

static __attribute__((noinline)) void
descend(struct call *call)
{
    if (call->depth == 0) {
        call->expected[1] = (uintptr_t)__builtin_return_address(0);
        capture(call);
    } else {
        call->depth--;
        descend(call);
    }
    call->depth++;
}

/* The callers are there, one behind the other, below capture's own frame and
 * what a sanitizer puts around the unwinder. */
static void
require_callers(const struct call *call, size_t count)
{
    size_t first = 0;

    while (first < 4 && call->frames[first] != call->expected[0]) {
        first++;
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(call->frames[first + i], call->expected[i]);
    }
}

static void
stack_knows_nothing_before_it_is_started(void **state)
{
    struct call call = {0};

    (void)state;
    descend(&call);
    assert_int_equal(call.count, 0);
}

static void
stack_shows_callers_innermost_first(void **state)
{
    struct call call = {0};

    (void)state;
    stack_start();
    errno = 4711;
    descend(&call);
    assert_int_equal(errno, 4711);
    assert_in_range(call.count, 4, STACK_DEPTH_MAX);
    require_callers(&call, 2);
}

static void
stack_is_cut_where_it_is_too_deep(void **state)
{
    struct call call = {.depth = 500};

    (void)state;
    descend(&call);
    assert_int_equal(call.count, STACK_DEPTH_MAX);
}

static void *
capture_in_thread(void *arg)
{
    descend(arg);
    return NULL;
}

static void
stack_ends_where_a_thread_begins(void **state)
{
    struct call call = {0};
    pthread_t thread;

    (void)state;
    assert_int_equal(
        pthread_create(&thread, NULL, capture_in_thread, &call), 0);
    pthread_join(thread, NULL);
    assert_in_range(call.count, 3, STACK_DEPTH_MAX - 1);
    require_callers(&call, 1);
}

static void
stack_leaves_the_allocators_own_code_out(void **state)
{
    struct call call = {0};
    uintptr_t own = (uintptr_t)capture;

    (void)state;
    stack_own_code((const void *)own, (const char *)own + 1000);
    descend(&call);
    stack_own_code(NULL, NULL);
    assert_true(call.count > 0);
    assert_false(call.frames[0] >= own && call.frames[0] < own + 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stack_knows_nothing_before_it_is_started),
        cmocka_unit_test(stack_shows_callers_innermost_first),
        cmocka_unit_test(stack_is_cut_where_it_is_too_deep),
        cmocka_unit_test(stack_ends_where_a_thread_begins),
        cmocka_unit_test(stack_leaves_the_allocators_own_code_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
