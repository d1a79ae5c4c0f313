/*
 * storm_test.c - restartable sequences that are interrupted all the time
 *
 *     storm_test SECONDS OWN_CACHES
 *
 * More threads than CPUs take and free blocks of few sizes, so that nearly all
 * their time goes by in sequences. Each has a timer that signals it every 50
 * microseconds of real time. One thread moves the others from CPU to CPU; another
 * drains all caches, which stops CPUs. Whoever frees a block finds its own words
 * in it, or two threads have had it at once; at the end the heap is checked.
 *
 * A signal that arrives inside a sequence finds the thread at an abort handler.
 * So aborts can be counted, and the test says how many there were.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/random.h"
#include "tcmalloc/heap.h"
#include "tcmalloc/inspect.h"
#include "tcmalloc/tcmalloc.h"

#define WORKERS   6
#define SLOTS     64
#define SHARED    32
#define WORDS_MAX 32u
#define PERIOD    50000 /* ns */
#define CPUS_MAX  1024

/* The bounds of the abort handlers' section, by the linker. */
extern const char __start___rseq_abort[] __attribute__((weak));
extern const char __stop___rseq_abort[] __attribute__((weak));

static unsigned seconds = 1;
static _Atomic bool stop;
static _Atomic unsigned long signal_count, abort_count, pair_count;
static _Atomic pid_t ids[WORKERS];
static _Atomic(uint64_t *) shared[SHARED];

static uintptr_t
interrupted_at(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

static void
on_signal(int number, siginfo_t *info, void *context)
{
    uintptr_t at = interrupted_at(context);

    (void)number;
    (void)info;
    atomic_fetch_add_explicit(&signal_count, 1, memory_order_relaxed);
    if (at >= (uintptr_t)__start___rseq_abort &&
        at < (uintptr_t)__stop___rseq_abort) {
        atomic_fetch_add_explicit(&abort_count, 1, memory_order_relaxed);
    }
}

static timer_t
start_timer(void)
{
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
    const struct itimerspec period = {{0, PERIOD}, {0, PERIOD}};
    timer_t timer;

    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &period, NULL) == 0);
    return timer;
}

/* A block that holds its own address and its length. */
static uint64_t *
take(size_t words)
{
    uint64_t *block = tcm_malloc(words * sizeof *block);

    CHECK(block != NULL);
    block[words - 1] = words;
    block[0] = (uint64_t)(uintptr_t)block ^ words;
    return block;
}

static void
give(uint64_t *block)
{
    if (block != NULL) {
        uint64_t words = (uint64_t)(uintptr_t)block ^ block[0];

        CHECK(words >= 1 && words <= WORDS_MAX);
        CHECK(words == 1 || block[words - 1] == words);
        block[0] = 0; /* Another who holds it too will not find it. */
        tcm_free(block);
    }
}

static void *
work(void *arg)
{
    _Atomic pid_t *id = arg;
    uint64_t seed = (uint64_t)(id - ids) + 1;
    uint64_t *slots[SLOTS] = {NULL};
    timer_t timer = start_timer();
    unsigned long pairs = 0;

    atomic_store_explicit(id, (pid_t)syscall(SYS_gettid), memory_order_relaxed);
    for (; !atomic_load_explicit(&stop, memory_order_relaxed); pairs++) {
        uint64_t bits = random_mix(seed++);
        uint64_t **slot = &slots[bits % SLOTS];

        give(*slot);
        *slot = take(1 + (bits >> 8) % WORDS_MAX);
        if ((bits >> 16) % 64 == 0) {
            /* One for another thread to free, on some other CPU. */
            *slot = atomic_exchange_explicit(
                &shared[(bits >> 24) % SHARED], *slot, memory_order_acq_rel);
        }
    }
    timer_delete(timer);
    for (unsigned i = 0; i < SLOTS; i++) {
        give(slots[i]);
    }
    atomic_fetch_add_explicit(&pair_count, pairs, memory_order_relaxed);
    return NULL;
}

/* Sends each worker to one CPU after another. */
static void *
migrate(void *arg)
{
    const cpu_set_t *allowed = arg;
    const struct timespec pause = {0, 200000};
    unsigned worker = 0, cpu = 0;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        pid_t id = atomic_load_explicit(
            &ids[worker++ % WORKERS], memory_order_relaxed);
        cpu_set_t one;

        do {
            cpu = (cpu + 1) % CPUS_MAX;
        } while (!CPU_ISSET(cpu, allowed));
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (id != 0) {
            (void)sched_setaffinity(id, sizeof one, &one);
        }
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void *
drain(void *arg)
{
    const struct timespec pause = {0, 3000000};

    (void)arg;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        (void)tcm_malloc_trim(0);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void
storm_leaves_every_block_with_one_owner(void **state)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART};
    pthread_t workers[WORKERS], migrator, drainer;
    cpu_set_t allowed;

    (void)state;
    action.sa_sigaction = on_signal;
    assert_return_code(sigaction(SIGRTMIN, &action, NULL), 0);
    assert_return_code(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_create(&workers[i], NULL, work, &ids[i]), 0);
    }
    assert_int_equal(pthread_create(&migrator, NULL, migrate, &allowed), 0);
    assert_int_equal(pthread_create(&drainer, NULL, drain, NULL), 0);
    sleep(seconds);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    pthread_join(drainer, NULL);
    pthread_join(migrator, NULL);
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(workers[i], NULL);
    }
    for (unsigned i = 0; i < SHARED; i++) {
        give(shared[i]);
    }
    tcm_inspect_check(&tcm_heap_process);
    printf("%lu pairs, %lu signals, %lu of them in a sequence; %s\n",
        pair_count, signal_count, abort_count,
        tcm_heap_process.has_cpu_caches ? "CPU caches" : "thread caches");
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storm_leaves_every_block_with_one_owner),
    };
    char options[64];

    if (argc != 3) {
        fprintf(stderr, "usage: %s SECONDS OWN_CACHES\n", argv[0]);
        return 2;
    }
    seconds = (unsigned)strtoul(argv[1], NULL, 10);
    snprintf(options, sizeof options, "own_caches:%s", argv[2]);
    setenv("TCM_OPTIONS", options, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
