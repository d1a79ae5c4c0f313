/*
 * worker_test.c - worker.h: the body runs, with its argument, without signals
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/worker.h"

static bool blocked;
static int sum;

static void
body(void *arg)
{
    sigset_t now;

    pthread_sigmask(SIG_SETMASK, NULL, &now);
    blocked = sigismember(&now, SIGTERM) == 1 && sigismember(&now, SIGINT) == 1;
    sum += *(int *)arg;
}

static void
worker_runs_its_body_without_signals(void **state)
{
    struct worker worker;
    sigset_t now;
    int arg = 7;

    (void)state;
    for (int i = 1; i <= 3; i++) {
        blocked = false;
        assert_true(worker_start(&worker, body, &arg));
        worker_join(&worker);
        assert_true(blocked);
        assert_int_equal(sum, 7 * i);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    assert_int_equal(sigismember(&now, SIGTERM), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worker_runs_its_body_without_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
