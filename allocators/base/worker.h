/*
 * worker.h - a thread of an allocator's own
 *
 *     a design's background work --> worker --> pthread_create
 *
 * Signals are the program's: a worker has all of them blocked.
 *
 * Concurrency: start and join by one thread at a time. No lock may be held that
 * malloc takes below it in the order of ranks, since making a thread allocates.
 * Failure: start returns false when there can be no thread.
 * Design: POSIX.1-2017, pthread_create, pthread_sigmask.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct worker {
    void (*body)(void *arg);
    void *arg;
    uintptr_t id; /* a pthread_t */
};

/* body(arg) in a thread. */
bool worker_start(struct worker *worker, void (*body)(void *arg), void *arg);
void worker_join(struct worker *worker); /* when body has returned or will */
