/*
 * thread.h - who the caller is, and what happens when it ends
 *
 *     a design's front tier --> thread_on_exit --> pthread_key destructors
 *
 * A thread id is small and dense: the lowest that no living thread has, from
 * 0, so that tables may be indexed by it. It is given at the first call and
 * freed after the thread's last exit hook.
 *
 * Exit hooks run in the last round of pthread-key destructors, so that
 * destructors of others, which may free and even allocate, come first. A thread
 * that allocates after its hooks ran registers again and is called again if a
 * round is left; the design must otherwise serve it without a cache
 * (thread_exiting() says so).
 *
 * Concurrency: each call concerns the calling thread only. Hooks are entered
 * at start-up, before threads run, at most THREAD_HOOKS_MAX of them.
 * Failure: thread_on_exit returns false when no key can be had: then the
 * design serves that thread without a cache.
 */
#pragma once

#include <stdbool.h>

#define THREAD_ID_MAX    32768 /* ids are below; more threads share the last */
#define THREAD_HOOKS_MAX 8

typedef void thread_exit_fn(void *arg);

unsigned thread_id(void);

/* Calls fn(arg) when the calling thread ends. A pair entered twice is called
 * once. Takes no memory from malloc. */
bool thread_on_exit(thread_exit_fn *fn, void *arg);

/* True once the calling thread's exit hooks have run for the last time. */
bool thread_exiting(void);
