/*
 * observe_bench.c - what an access and a switch cost
 *
 * Prints nanoseconds: a plain access repeated within one epoch, one that is new
 * to its epoch, an atomic operation with nobody to switch to, and a yield to
 * another thread (a schedule point, its choice and the switch).
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "observe/litmus.h"
#include "observe/observe.h"
#include "observe/strategy.h"

#define ROUNDS 2000

static double
now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double spent[4];

static void
measure(unsigned thread, void *arg)
{
    (void)thread;
    (void)arg;
    double start = now_ns();
    litmus_touch(ROUNDS, false);
    spent[0] = now_ns() - start;
    start = now_ns();
    litmus_touch(ROUNDS, true);
    spent[1] = now_ns() - start;
    start = now_ns();
    litmus_count(ROUNDS * LITMUS_TOUCHED);
    spent[2] = now_ns() - start;
}

static void
yield(unsigned thread, void *arg)
{
    (void)thread;
    (void)arg;
    for (int i = 0; i < ROUNDS * LITMUS_TOUCHED; i++) {
        observe_yield();
    }
}

int
main(void)
{
    const char *lack = observe_init();
    if (lack != NULL) {
        fprintf(stderr, "observe_bench: %s\n", lack);
        return 3;
    }
    struct strategy_replay plain;
    strategy_replay_init(&plain, NULL, 0);
    struct observe_plan plan = {
        .thread_count = 1,
        .body = measure,
        .strategy = &plain.base,
        .steps_max = 1u << 30,
    };
    observe_run(&plan);
    observe_run(&plan);
    plan.thread_count = 2;
    plan.body = yield;
    double start = now_ns();
    observe_run(&plan);
    spent[3] = now_ns() - start;
    uint64_t switches = observe_stats()->switches;
    double accesses = ROUNDS * LITMUS_TOUCHED;
    printf("access, repeated   %5.1f ns\n", spent[0] / accesses);
    printf("access, new epoch  %5.1f ns\n", spent[1] / accesses);
    printf("atomic add         %5.1f ns\n", spent[2] / accesses);
    printf("point and switch   %5.1f ns\n", spent[3] / (double)switches);
    return 0;
}
