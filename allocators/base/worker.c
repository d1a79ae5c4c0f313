/*
 * worker.c - a thread of an allocator's own (contract: worker.h)
 *
 * The mask is set in the maker and inherited, so that no signal can come before
 * the new thread has set its own.
 */
#include "base/worker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>

static_assert(sizeof(pthread_t) == sizeof(uintptr_t), "kept as one");

static void *
run(void *arg)
{
    struct worker *worker = arg;

    worker->body(worker->arg);
    return NULL;
}

bool
worker_start(struct worker *worker, void (*body)(void *arg), void *arg)
{
    pthread_t thread;
    sigset_t all;
    sigset_t old;

    worker->body = body;
    worker->arg = arg;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &old) != 0) {
        return false;
    }
    bool started = pthread_create(&thread, NULL, run, worker) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (started) {
        (void)pthread_setname_np(thread, "malstrom");
        worker->id = (uintptr_t)thread;
    }
    return started;
}

void
worker_join(struct worker *worker)
{
    (void)pthread_join((pthread_t)worker->id, NULL);
}
