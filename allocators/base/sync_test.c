/*
 * sync_test.c - the lock excludes, parks, wakes, and its witness watches
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <time.h>

#include "base/death.h"
#include "base/machine.h"
#include "base/sync.h"

#define THREADS 8
#define ROUNDS  20000
#define MS      ((uint64_t)1000000)

static struct mtx mtx;
static _Atomic uint64_t wait_count, wake_count;

static void
count_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    atomic_fetch_add_explicit(&wait_count, 1, memory_order_relaxed);
    machine_kernel.futex_wait(word, expected, timeout_ns);
}

static void
count_futex_wake(_Atomic uint32_t *word, int count)
{
    atomic_fetch_add_explicit(&wake_count, 1, memory_order_relaxed);
    machine_kernel.futex_wake(word, count);
}

/* A kernel that wakes at once, without cause. */
static void
never_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    (void)word;
    (void)expected;
    (void)timeout_ns;
    machine_kernel.yield();
}

static int
set_up(void **state)
{
    (void)state;
    machine.futex_wait = count_futex_wait;
    machine.futex_wake = count_futex_wake;
    wait_count = 0;
    wake_count = 0;
    mtx_init(&mtx, MTX_ARENA);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    assert_false(mtx_held(&mtx));
    mtx_fini(&mtx);
    machine = machine_kernel;
    sync_crowded = false;
    return 0;
}

static void
mtx_alone_calls_no_kernel(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    for (int crowded = 0; crowded < 2; crowded++) {
        sync_crowded = crowded == 1;
        mtx_lock(&mtx);
        assert_true(mtx_held(&mtx));
        mtx_unlock(&mtx);
        assert_false(mtx_held(&mtx));
        assert_true(mtx_trylock(&mtx));
        mtx_unlock(&mtx);
    }
    assert_int_equal(wait_count + wake_count, 0);
}

static void
sync_alone_is_false_in_a_crowd(void **state)
{
    (void)state;
    sync_crowded = true;
    assert_false(sync_alone());
    sync_crowded = false;
    assert_int_equal(sync_alone(), __libc_single_threaded != 0);
}

static unsigned long shared[2]; /* [mtx] equal while it is free */

static void *
count_rounds(void *arg) NO_LOCK_ANALYSIS
{
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 8 == 0) {
            while (!mtx_trylock(&mtx)) {
                machine.yield();
            }
        } else {
            mtx_lock(&mtx);
        }
        assert_int_equal(shared[0], shared[1]);
        shared[0]++;
        shared[1]++;
        mtx_unlock(&mtx);
    }
    return arg;
}

static void
assert_excludes(void)
{
    pthread_t threads[THREADS];

    shared[0] = shared[1] = 0;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, count_rounds, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(shared[0], THREADS * ROUNDS);
    assert_int_equal(shared[1], THREADS * ROUNDS);
}

static void
mtx_excludes_many_threads(void **state)
{
    (void)state;
    assert_excludes();
}

static void
mtx_excludes_when_patient(void **state)
{
    (void)state;
    mtx.is_patient = true;
    assert_excludes();
}

static void
mtx_excludes_though_the_kernel_wakes_without_cause(void **state)
{
    (void)state;
    machine.futex_wait = never_wait;
    assert_excludes();
}

static _Atomic bool is_locked;

/* Returns its own CPU time, in ns, spent waiting for the lock. */
static void *
lock_once(void *arg)
{
    struct timespec time;

    mtx_lock(&mtx);
    atomic_store_explicit(&is_locked, true, memory_order_relaxed);
    mtx_unlock(&mtx);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    *(uint64_t *)arg =
        (uint64_t)time.tv_sec * 1000 * MS + (uint64_t)time.tv_nsec;
    return NULL;
}

/* The holder sleeps: who waits must sleep too, and be woken. */
static void
mtx_parks_behind_a_holder_that_sleeps(void **state)
{
    struct timespec pause = {0, 50 * (long)MS};
    pthread_t waiter;
    uint64_t cpu_ns;

    (void)state;
    atomic_store_explicit(&is_locked, false, memory_order_relaxed);
    mtx_lock(&mtx);
    assert_int_equal(pthread_create(&waiter, NULL, lock_once, &cpu_ns), 0);
    while (atomic_load_explicit(&wait_count, memory_order_relaxed) == 0) {
        machine.yield();
    }
    nanosleep(&pause, NULL);
    assert_false(atomic_load_explicit(&is_locked, memory_order_relaxed));
    mtx_unlock(&mtx);
    pthread_join(waiter, NULL);
    assert_true(atomic_load_explicit(&is_locked, memory_order_relaxed));
    assert_true(cpu_ns < 40 * MS);
    assert_true(wake_count >= 1);
    assert_true(wait_count < 20);
}

static void *
lock_and_let_go(void *arg)
{
    mtx_lock(&mtx);
    mtx_unlock(&mtx);
    return arg;
}

/* Several are parked, and only the first unlock comes from outside: each that
 * is woken must wake the next. */
static void
mtx_wakes_all_that_are_parked(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    mtx_lock(&mtx);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, lock_and_let_go, NULL), 0);
    }
    while (atomic_load_explicit(&wait_count, memory_order_relaxed) < THREADS) {
        machine.yield();
    }
    mtx_unlock(&mtx);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void
never_wake(_Atomic uint32_t *word, int count)
{
    (void)word;
    (void)count;
}

/* An unlock can miss the mark of a thread that parks just then. */
static void
mtx_looks_again_when_a_wake_is_missed(void **state)
{
    machine.futex_wake = never_wake;
    mtx_wakes_all_that_are_parked(state);
}

static void
note_timeout(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    assert_int_equal(timeout_ns, 0);
    count_futex_wait(word, expected, timeout_ns);
}

/* Where unlock is strictly ordered, no mark is missed: a wait has no end of its
 * own, so that a runner sees a deadlock. */
static void
mtx_in_a_crowd_waits_for_the_wake_alone(void **state)
{
    sync_crowded = true;
    machine.futex_wait = note_timeout;
    mtx_wakes_all_that_are_parked(state);
    assert_excludes();
}

static void *
try_once(void *arg) NO_LOCK_ANALYSIS
{
    *(bool *)arg = mtx_trylock(&mtx);
    if (*(bool *)arg) {
        mtx_unlock(&mtx);
    }
    return NULL;
}

static void
mtx_trylock_does_not_wait(void **state)
{
    pthread_t other;
    bool taken = true;

    (void)state;
    mtx_lock(&mtx);
    assert_int_equal(pthread_create(&other, NULL, try_once, &taken), 0);
    pthread_join(other, NULL);
    assert_false(taken);
    mtx_unlock(&mtx);
    assert_int_equal(pthread_create(&other, NULL, try_once, &taken), 0);
    pthread_join(other, NULL);
    assert_true(taken);
    assert_int_equal(wait_count, 0);
}

/* The ways to break the order; each runs in a child. */
struct wrong {
    void (*fn)(void *arg);
    const char *message;
};

static void
lock_downwards(void *arg) NO_LOCK_ANALYSIS
{
    struct mtx low, high;

    (void)arg;
    mtx_init(&low, MTX_ARENA);
    mtx_init(&high, MTX_PAGEMAP);
    mtx_lock(&high);
    mtx_lock(&low);
}

static void
lock_two_of_a_rank(void *arg) NO_LOCK_ANALYSIS
{
    struct mtx one, two;

    (void)arg;
    mtx_init(&one, MTX_BIN);
    mtx_init(&two, MTX_BIN);
    mtx_lock(&one);
    mtx_lock(&two);
}

static void
lock_below_what_trylock_took(void *arg) NO_LOCK_ANALYSIS
{
    struct mtx low, middle, high;

    (void)arg;
    mtx_init(&low, MTX_OPTIONS);
    mtx_init(&middle, MTX_BIN);
    mtx_init(&high, MTX_BASE);
    mtx_lock(&middle);
    if (mtx_trylock(&low)) { /* does not wait: allowed */
        mtx_lock(&high);
        mtx_unlock(&middle);
        mtx_lock(&middle);
    }
}

static void
lock_twice(void *arg) NO_LOCK_ANALYSIS
{
    mtx_lock(arg);
    mtx_lock(arg);
}

static void
unlock_what_is_free(void *arg) NO_LOCK_ANALYSIS
{
    mtx_unlock(arg);
}

static void
witness_aborts_on_each_wrong_order(void **state)
{
    static const struct wrong wrongs[] = {
        {lock_downwards,
            "malstrom: lock order: MTX_ARENA while MTX_PAGEMAP is held\n"},
        {lock_two_of_a_rank,
            "malstrom: lock order: MTX_BIN while MTX_BIN is held\n"},
        {lock_below_what_trylock_took,
            "malstrom: lock order: MTX_BIN while MTX_BASE is held\n"},
        {lock_twice,
            "malstrom: lock order: MTX_ARENA locked twice by one thread\n"},
        {unlock_what_is_free,
            "malstrom: lock order: MTX_ARENA unlocked, but not held\n"},
    };

    (void)state;
#ifdef MALSTROM_ASSERT
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        assert_dies(wrongs[i].fn, &mtx, wrongs[i].message);
    }
#else
    (void)wrongs;
    skip();
#endif
}

static void
witness_is_silent_on_right_orders(void **state) NO_LOCK_ANALYSIS
{
    struct mtx locks[MTX_RANK_COUNT], plain[2] = {0};

    (void)state;
    for (int rank = MTX_NONE + 1; rank < MTX_RANK_COUNT; rank++) {
        mtx_init(&locks[rank], (enum mtx_rank)rank);
    }
    for (int round = 0; round < 3; round++) {
        for (int rank = MTX_NONE + 1; rank < MTX_RANK_COUNT; rank++) {
            mtx_lock(&locks[rank]);
        }
        mtx_lock(&plain[1]); /* not ordered */
        mtx_lock(&plain[0]);
        for (int rank = MTX_NONE + 1; rank < MTX_RANK_COUNT; rank++) {
            mtx_unlock(&locks[rank]); /* in any order */
        }
        mtx_unlock(&plain[1]);
        mtx_unlock(&plain[0]);
    }
    for (int rank = MTX_NONE + 1; rank < MTX_RANK_COUNT; rank++) {
        mtx_fini(&locks[rank]);
    }
}

#define SYNC_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    /* Those that want one thread come first. */
    const struct CMUnitTest tests[] = {
        SYNC_TEST(mtx_alone_calls_no_kernel),
        SYNC_TEST(sync_alone_is_false_in_a_crowd),
        SYNC_TEST(witness_aborts_on_each_wrong_order),
        SYNC_TEST(witness_is_silent_on_right_orders),
        SYNC_TEST(mtx_trylock_does_not_wait),
        SYNC_TEST(mtx_parks_behind_a_holder_that_sleeps),
        SYNC_TEST(mtx_wakes_all_that_are_parked),
        SYNC_TEST(mtx_looks_again_when_a_wake_is_missed),
        SYNC_TEST(mtx_in_a_crowd_waits_for_the_wake_alone),
        SYNC_TEST(mtx_excludes_many_threads),
        SYNC_TEST(mtx_excludes_when_patient),
        SYNC_TEST(mtx_excludes_though_the_kernel_wakes_without_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
