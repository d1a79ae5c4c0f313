/*
 * crash.h - a signal in observed code becomes a verdict
 *
 *     SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT --> verdict "crash"
 *     no progress for seconds of CPU time --> verdict "hang"
 *
 * Concurrency: installed once; handlers run on the thread that runs fibers.
 * Failure: crash_init returns false when the handlers cannot be installed.
 */
#pragma once

#include <stdbool.h>

bool crash_init(void);

/* Starts the timer; again in a forked child, which does not inherit it. */
bool crash_watch(void);
