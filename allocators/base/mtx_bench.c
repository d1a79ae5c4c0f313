/*
 * mtx_bench.c - what struct mtx costs: alone, and as threads outnumber cores
 *
 *     mtx_bench [SECONDS]    a line for each number of threads, 1 to 64
 *
 * Each thread takes one lock, works a little inside, a little outside, and
 * counts. The lock must lose little from 2 threads to 64: a spinlock would fall
 * to a small part there, since the holder is often not running. Beside it stand
 * the lock that is patient, as dlmalloc's heap has it, and pthread's mutex, in
 * the same run, in turn. Each figure is the median of five: rounds by the second
 * of time, and by the second of CPU time, which a loaded machine disturbs less
 * and which shows wasted spinning.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/machine.h"
#include "base/sync.h"

#define THREADS_MAX  64
#define ROUNDS       5
#define WORK_INSIDE  20 /* steps of a multiply chain: about 20 ns */
#define WORK_OUTSIDE 80

static struct mtx mtx, patient;
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
run_on(struct mtx *lock, void *arg)
{
    static unsigned long shared;
    unsigned long own = (unsigned long)arg;
    unsigned long count = 0;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        mtx_lock(lock);
        shared = work(shared, WORK_INSIDE);
        mtx_unlock(lock);
        own = work(own, WORK_OUTSIDE);
        count++;
    }
    atomic_fetch_add_explicit(&ops, count + (own == 0), memory_order_relaxed);
    return NULL;
}

static void *
run_mtx(void *arg)
{
    return run_on(&mtx, arg);
}

static void *
run_patient(void *arg)
{
    return run_on(&patient, arg);
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

struct speed {
    double by_time, by_cpu; /* millions of rounds a second */
};

static double
cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct speed
measure_once(void *(*run)(void *), int thread_count, double seconds)
{
    pthread_t threads[THREADS_MAX];
    double cpu_start = cpu_seconds();

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
    double millions = (double)atomic_load(&ops) / 1e6;
    return (struct speed){
        millions / elapsed, millions / (cpu_seconds() - cpu_start)};
}

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void *(*const runs[])(void *) = {run_mtx, run_patient, run_pthread};

#define LOCKS (sizeof(runs) / sizeof(runs[0]))

/* One line: the locks in turn, ROUNDS times. */
static void
measure(int thread_count, double seconds)
{
    double figures[2 * LOCKS][ROUNDS]; /* of each lock by time, by CPU */

    for (int i = 0; i < ROUNDS; i++) {
        for (size_t lock = 0; lock < LOCKS; lock++) {
            struct speed speed =
                measure_once(runs[lock], thread_count, seconds);

            figures[2 * lock][i] = speed.by_time;
            figures[2 * lock + 1][i] = speed.by_cpu;
        }
    }
    printf("%7d", thread_count);
    for (size_t i = 0; i < 2 * LOCKS; i++) {
        qsort(figures[i], ROUNDS, sizeof(double), compare_doubles);
        printf("  %8.2f", figures[i][ROUNDS / 2]);
    }
    printf("\n");
    fflush(stdout);
}

/* Nanoseconds for a lock and an unlock that nobody else wants. */
static double
measure_pair(void)
{
    const int rounds = 20000000;
    uint64_t start = machine.clock_ns();

    for (int i = 0; i < rounds; i++) {
        mtx_lock(&mtx);
        mtx_unlock(&mtx);
    }
    return (double)(machine.clock_ns() - start) / rounds;
}

/* Stays until the process ends, so that it has more than one thread. */
static void *
sleep_on(void *arg)
{
    for (;;) {
        pause();
    }
    return arg;
}

int
main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0.2;

    mtx_init(&mtx, MTX_ARENA);
    mtx_init(&patient, MTX_ARENA);
    patient.is_patient = true;
    printf("alone: %.2f ns", measure_pair());
    pthread_t sleeper;
    if (pthread_create(&sleeper, NULL, sleep_on, NULL) != 0) {
        fprintf(stderr, "mtx_bench: cannot start a thread\n");
        return 3;
    }
    printf(", beside a thread that sleeps: %.2f ns\n", measure_pair());
    printf(
        "threads   mtx M/s  M/CPU s   patient   M/CPU s   pthread   M/CPU s\n");
    for (int count = 1; count <= THREADS_MAX; count *= 2) {
        measure(count, seconds);
    }
    mtx_fini(&patient);
    mtx_fini(&mtx);
    return 0;
}
