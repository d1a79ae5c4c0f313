/*
 * litmus.h - small programs whose outcomes C11 decides
 *
 *     litmus.c, observed --> each run's outcome --> litmus_test.c
 *
 * Concurrency: bodies run as logical threads. Failure: none.
 */
#pragma once

#include <stdbool.h>

#define LITMUS_RESULTS 4

struct litmus {
    const char *name;
    unsigned thread_count;
    void (*body)(unsigned thread);
};

extern const struct litmus litmus_all[];

/* What the threads saw in the run that has just ended. */
extern int litmus_results[LITMUS_RESULTS];

/* For the benchmark: writes that many plain words, rounds times, each round in
 * an epoch of its own when `anew`; and that many atomic additions. */
#define LITMUS_TOUCHED 1000
extern long litmus_words[LITMUS_TOUCHED];
void litmus_touch(int rounds, bool anew);
void litmus_count(int count);
