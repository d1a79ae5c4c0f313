/*
 * thread.h - who the caller is, and what happens when it ends
 *
 *     a design's front tier --> thread_on_exit --> pthread_key destructors
 *
 * A thread id is small and dense: the lowest that no living thread has, from
 * 0, so that tables may be indexed by it. It is given at the first call and
 * freed after the thread's exit hooks.
 *
 * Exit hooks run in a pthread-key destructor, each pair once. Destructors of
 * others, which may free and even allocate, run before and after it. From that
 * moment on thread_exiting() is true: registering is refused, the id is the
 * shared one, and the design serves the thread without a cache.
 *
 * Concurrency: each call concerns the calling thread only.
 * Failure: thread_on_exit returns false when no key can be had, too late, or
 * beyond THREAD_HOOKS_MAX pairs: then the design serves that thread without a
 * cache. Without a key, or too late, or beyond THREAD_ID_MAX threads, thread_id
 * is the last one, THREAD_ID_MAX - 1, which all such threads share.
 */
#pragma once

#include <stdbool.h>

#include "base/sync.h"

#define THREAD_ID_MAX    32768 /* ids are below; more threads share the last */
#define THREAD_HOOKS_MAX 8

typedef void thread_exit_fn(void *arg);

/* The caller's id plus one, or 0 when it has none yet. */
extern _Thread_local unsigned thread_id_next TLS_INITIAL_EXEC;

unsigned thread_id_take(void); /* for thread_id() */

static inline unsigned
thread_id(void)
{
    unsigned next = thread_id_next;

    return __builtin_expect(next != 0, 1) ? next - 1 : thread_id_take();
}

/* Calls fn(arg) when the calling thread ends. A pair entered twice is called
 * once. Takes no memory from malloc as long as the process has few keys: the
 * 33rd key on, glibc allocates a thread's second table with calloc, once. */
bool thread_on_exit(thread_exit_fn *fn, void *arg);

/* True from the moment that the calling thread's exit hooks run. */
bool thread_exiting(void);
