/*
 * fault.h - touching memory that may not be touched, told to who can explain it
 *
 *     SIGSEGV, SIGBUS --> fault --> whoever watches --> the handler before ours
 *
 * The handler is installed by the first fault_watch, so a program that wants no
 * explanations keeps its signals as they are. A program that installs its own
 * later takes ours away, and may call it.
 *
 * Concurrency: fault_watch at start-up. A watcher runs in the signal handler of
 * the thread that faulted.
 * Failure: false when there are too many watchers or the kernel refuses.
 * Design: sigaction(2), signal-safety(7).
 */
#pragma once

#include <stdbool.h>

/* Called with the address that was touched. Returns when it is none of its. */
typedef void fault_fn(const void *addr, void *arg);

bool fault_watch(fault_fn *watch, void *arg);
