/*
 * litmus.h - small programs whose outcomes C11 decides
 *
 *     litmus.c, observed --> each run's outcome --> litmus_test.c
 *
 * Concurrency: bodies run as logical threads. Failure: none.
 */
#pragma once

#define LITMUS_RESULTS 4

struct litmus {
    const char *name;
    unsigned thread_count;
    void (*body)(unsigned thread);
};

extern const struct litmus litmus_all[];

/* What the threads saw in the run that has just ended. */
extern int litmus_results[LITMUS_RESULTS];
