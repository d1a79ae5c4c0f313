/*
 * mtx_bench.c - what struct mtx costs: alone, and as threads outnumber cores
 *
 *     mtx_bench [SECONDS]    a line for each number of threads, 1 to 64
 *
 * Each thread takes one lock, works a little inside, a little outside, and
 * counts. The lock must lose little from 2 threads to 64: a spinlock would fall
 * to a small part there, since the holder is often not running. pthread's
 * mutex stands beside it for comparison, in the same run, in turn.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/machine.h"
#include "base/sync.h"

#define THREADS_MAX  64
#define WORK_INSIDE  20 /* steps of a multiply chain: about 20 ns */
#define WORK_OUTSIDE 80

static struct mtx mtx;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool stop;
static _Atomic unsigned long ops;

static unsigned long
work(unsigned long value, int steps)
{
    for (int i = 0; i < steps; i++) {
        value = value * 6364136223846793005u + 1442695040888963407u;
    }
    return value;
}

static void *
run_mtx(void *arg)
{
    static unsigned long shared;
    unsigned long own = (unsigned long)arg;
    unsigned long count = 0;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        mtx_lock(&mtx);
        shared = work(shared, WORK_INSIDE);
        mtx_unlock(&mtx);
        own = work(own, WORK_OUTSIDE);
        count++;
    }
    atomic_fetch_add_explicit(&ops, count + (own == 0), memory_order_relaxed);
    return NULL;
}

static void *
run_pthread(void *arg)
{
    static unsigned long shared;
    unsigned long own = (unsigned long)arg;
    unsigned long count = 0;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        pthread_mutex_lock(&mutex);
        shared = work(shared, WORK_INSIDE);
        pthread_mutex_unlock(&mutex);
        own = work(own, WORK_OUTSIDE);
        count++;
    }
    atomic_fetch_add_explicit(&ops, count + (own == 0), memory_order_relaxed);
    return NULL;
}

/* Millions of rounds a second. */
static double
measure(void *(*run)(void *), int thread_count, double seconds)
{
    pthread_t threads[THREADS_MAX];

    atomic_store(&stop, false);
    atomic_store(&ops, 0);
    uint64_t start = machine.clock_ns();
    for (long i = 0; i < thread_count; i++) {
        if (pthread_create(&threads[i], NULL, run, (void *)(i + 1)) != 0) {
            perror("mtx_bench: pthread_create");
            exit(3);
        }
    }
    usleep((useconds_t)(seconds * 1e6));
    atomic_store(&stop, true);
    for (int i = 0; i < thread_count; i++) {
        pthread_join(threads[i], NULL);
    }
    double elapsed = (double)(machine.clock_ns() - start) / 1e9;
    return (double)atomic_load(&ops) / elapsed / 1e6;
}

/* Nanoseconds for a lock and an unlock with no other thread. */
static double
measure_alone(void)
{
    const int rounds = 20000000;
    uint64_t start = machine.clock_ns();

    for (int i = 0; i < rounds; i++) {
        mtx_lock(&mtx);
        mtx_unlock(&mtx);
    }
    return (double)(machine.clock_ns() - start) / rounds;
}

int
main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0.5;

    mtx_init(&mtx, MTX_ARENA);
    printf("alone: %.2f ns", measure_alone());
    sync_crowded = true;
    printf(", with compare-and-swap: %.2f ns\n", measure_alone());
    sync_crowded = false;
    printf("threads  mtx M/s  pthread M/s\n");
    for (int count = 1; count <= THREADS_MAX; count *= 2) {
        double ours = measure(run_mtx, count, seconds);
        printf("%7d  %7.2f  %11.2f\n", count, ours,
            measure(run_pthread, count, seconds));
    }
    mtx_fini(&mtx);
    return 0;
}
