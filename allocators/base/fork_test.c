/*
 * fork_test.c - a child finds every lock free and everything it guards whole
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/death.h"
#include "base/fork.h"
#include "base/machine.h"
#include "base/sync.h"

#define RANKS   4 /* how many ranks are in use, each with two locks */
#define THREADS 4
#define FORKS   60

/* Two counters under one lock, equal while it is free. */
struct pair {
    struct mtx mtx;
    unsigned long first, second;
};

static const enum mtx_rank ranks[RANKS] = {
    MTX_OPTIONS, MTX_ARENA, MTX_BIN, MTX_BASE};
static struct pair pairs[RANKS][2];
static _Atomic bool stop;

static void
touch_pair(struct pair *pair)
{
    CHECK(pair->first == pair->second);
    pair->first++;
    machine.cpu(); /* some time in between */
    pair->second++;
}

/* Locks one of each rank, in order, and lets go. */
static void *
work(void *arg) NO_LOCK_ANALYSIS
{
    unsigned turn = (unsigned)(uintptr_t)arg;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        turn = turn * 5 + 3;
        for (int i = 0; i < RANKS; i++) {
            mtx_lock(&pairs[i][turn >> i & 1].mtx);
        }
        for (int i = 0; i < RANKS; i++) {
            touch_pair(&pairs[i][turn >> i & 1]);
            mtx_unlock(&pairs[i][turn >> i & 1].mtx);
        }
    }
    return NULL;
}

/*
 * Makes locks, uses them and ends them, while it holds one of a low rank. Each
 * lock's page goes back to the kernel, so that one look too late is a crash.
 */
static void *
make_and_end_locks(void *arg)
{
    unsigned turn = 0;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        struct pair *outer = &pairs[0][0];
        struct pair *pair = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        CHECK(pair != MAP_FAILED);
        mtx_lock(&outer->mtx);
        mtx_init(&pair->mtx, ranks[1 + turn++ % (RANKS - 1)]);
        mtx_lock(&pair->mtx);
        touch_pair(pair);
        touch_pair(outer);
        mtx_unlock(&pair->mtx);
        mtx_fini(&pair->mtx);
        munmap(pair, 4096);
        mtx_unlock(&outer->mtx);
    }
    return arg;
}

/* All locks are free, all pairs whole; the child's status says so. */
static void
check_child(void)
{
    alarm(20);
    for (int i = 0; i < RANKS; i++) {
        for (int j = 0; j < 2; j++) {
            CHECK(!mtx_held(&pairs[i][j].mtx));
            mtx_lock(&pairs[i][j].mtx);
            touch_pair(&pairs[i][j]);
            mtx_unlock(&pairs[i][j].mtx);
        }
    }
    struct mtx fresh;
    mtx_init(&fresh, MTX_PAGEMAP);
    CHECK(!mtx_held(&fresh));
    mtx_lock(&fresh);
    mtx_unlock(&fresh);
    mtx_fini(&fresh);
    _exit(0);
}

static void
fork_and_check(void)
{
    int status;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        check_child();
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

static int
set_up(void **state)
{
    (void)state;
    for (int i = 0; i < RANKS; i++) {
        for (int j = 0; j < 2; j++) {
            pairs[i][j].first = pairs[i][j].second = 0;
            mtx_init(&pairs[i][j].mtx, ranks[i]);
        }
    }
    atomic_store(&stop, false);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < RANKS; i++) {
        for (int j = 0; j < 2; j++) {
            assert_false(mtx_held(&pairs[i][j].mtx));
            assert_int_equal(pairs[i][j].first, pairs[i][j].second);
            mtx_fini(&pairs[i][j].mtx);
        }
    }
    return 0;
}

/* Forks while threads run fn. */
static void
fork_beside(void *(*fn)(void *), int thread_count)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < thread_count; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, fn, (void *)(uintptr_t)i), 0);
    }
    for (int i = 0; i < FORKS; i++) {
        fork_and_check();
    }
    atomic_store(&stop, true);
    for (int i = 0; i < thread_count; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void
fork_alone_frees_all_locks(void **state)
{
    (void)state;
    fork_and_check();
    fork_and_check();
}

static void
fork_beside_busy_threads_gives_a_whole_child(void **state)
{
    (void)state;
    fork_beside(work, THREADS);
}

static void
fork_bears_locks_that_come_and_go(void **state)
{
    (void)state;
    fork_beside(make_and_end_locks, THREADS);
}

static pthread_barrier_t all_forked;

/* No thread ends while another still forks: its child would hold a thread that
 * has ended and that nobody joins, which ThreadSanitizer calls a leak. */
static void *
fork_often(void *arg)
{
    for (int i = 0; i < FORKS / 2; i++) {
        fork_and_check();
    }
    pthread_barrier_wait(&all_forked);
    return arg;
}

static void
fork_on_two_threads_at_once(void **state)
{
    pthread_t threads[2];

    (void)state;
    pthread_barrier_init(&all_forked, NULL, 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, fork_often, NULL), 0);
    }
    fork_often(NULL);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&all_forked);
}

/*
 * Two threads in step: `other` holds a lock that fork wants, and moves when the
 * forking thread is about to park for it, inside machine.futex_wait.
 */
static struct mtx wanted_lock; /* held by other until fork waits for it */
static _Thread_local bool is_other;
static _Atomic bool other_holds, fork_waits, other_waits, other_is_done;

static void
wait_for(_Atomic bool *flag)
{
    while (!atomic_load_explicit(flag, memory_order_acquire)) {
        machine.yield();
    }
}

static void
set(_Atomic bool *flag)
{
    atomic_store_explicit(flag, true, memory_order_release);
}

static void
step_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    if (is_other) {
        set(&other_waits);
    } else if (word == &wanted_lock.waited) {
        set(&fork_waits);
        while (!atomic_load_explicit(&other_waits, memory_order_acquire) &&
               !atomic_load_explicit(&other_is_done, memory_order_acquire)) {
            machine.yield();
        }
    }
    machine_kernel.futex_wait(word, expected, timeout_ns);
}

/* Forks while fn runs in the other thread and holds wanted_lock. */
static void
fork_in_step(void *(*fn)(void *))
{
    pthread_t other;

    other_holds = fork_waits = other_waits = other_is_done = false;
    mtx_init(&wanted_lock, MTX_BIN);
    assert_int_equal(pthread_create(&other, NULL, fn, NULL), 0);
    wait_for(&other_holds);
    machine.futex_wait = step_futex_wait;
    fork_and_check();
    pthread_join(other, NULL);
    machine = machine_kernel;
}

/* Fork has passed the rank of the first lock, and not that of the second. */
static void *
make_locks_in_step(void *arg) NO_LOCK_ANALYSIS
{
    static struct mtx low, high;

    is_other = true;
    mtx_lock(&wanted_lock);
    set(&other_holds);
    wait_for(&fork_waits);
    mtx_init(&low, MTX_ARENA);
    mtx_init(&high, MTX_BASE);
    CHECK(!mtx_trylock(&low));
    mtx_lock(&high);
    set(&other_is_done);
    mtx_unlock(&high);
    mtx_unlock(&wanted_lock);
    mtx_lock(&low); /* once fork is over */
    mtx_unlock(&low);
    mtx_fini(&low);
    mtx_fini(&high);
    mtx_fini(&wanted_lock);
    return arg;
}

static void
fork_holds_a_new_lock_whose_rank_it_has_passed(void **state)
{
    (void)state;
    fork_in_step(make_locks_in_step);
}

/* mtx_fini must wait until fork no longer looks at the lock. */
static void *
end_lock_in_step(void *arg)
{
    is_other = true;
    mtx_lock(&wanted_lock);
    set(&other_holds);
    wait_for(&fork_waits);
    mtx_unlock(&wanted_lock);
    mtx_fini(&wanted_lock);
    CHECK(atomic_load_explicit(&other_waits, memory_order_relaxed));
    set(&other_is_done);
    return arg;
}

static void
fork_pins_the_lock_that_it_waits_for(void **state)
{
    (void)state;
    fork_in_step(end_lock_in_step);
}

/*
 * Handlers of others, which use the locks as an allocating handler would. One
 * set is registered before ours, so that its prepare runs with all locks held
 * by fork; the other after it.
 */
static bool handlers_on;
static unsigned handler_calls;
static struct mtx made_in_handler;

static void
use_locks_in_handler(void) NO_LOCK_ANALYSIS
{
    if (!handlers_on) {
        return;
    }
    handler_calls++;
    for (int i = 0; i < RANKS; i++) {
        mtx_lock(&pairs[i][0].mtx);
        if (mtx_trylock(&pairs[i][1].mtx)) {
            touch_pair(&pairs[i][1]);
            mtx_unlock(&pairs[i][1].mtx);
        }
        touch_pair(&pairs[i][0]);
        mtx_unlock(&pairs[i][0].mtx);
    }
    struct mtx brief;
    mtx_init(&brief, MTX_CENTRAL);
    mtx_lock(&brief);
    mtx_unlock(&brief);
    mtx_fini(&brief);
}

static void
make_lock_in_prepare(void)
{
    use_locks_in_handler();
    if (handlers_on) {
        mtx_init(&made_in_handler, MTX_PAGEHEAP);
    }
}

static void
end_lock_after(void)
{
    use_locks_in_handler();
    if (handlers_on) {
        CHECK(!mtx_held(&made_in_handler));
        mtx_lock(&made_in_handler);
        mtx_unlock(&made_in_handler);
        mtx_fini(&made_in_handler);
    }
}

/* Before base's constructors, which have no priority. */
__attribute__((constructor(101))) static void
register_before(void)
{
    CHECK(pthread_atfork(make_lock_in_prepare, use_locks_in_handler,
              use_locks_in_handler) == 0);
}

static void
fork_lets_handlers_of_others_through(void **state)
{
    (void)state;
    assert_int_equal(
        pthread_atfork(use_locks_in_handler, end_lock_after, end_lock_after),
        0);
    handlers_on = true;
    handler_calls = 0;
    fork_beside(work, THREADS);
    handlers_on = false;
    assert_int_equal(handler_calls, 4 * FORKS);
}

static _Atomic unsigned child_calls, other_calls;

static void
count_child(void)
{
    CHECK(!mtx_held(&pairs[0][0].mtx));
    child_calls++;
}

static void
count_other(void)
{
    other_calls++;
}

static void
fork_runs_child_hooks_once_and_in_the_child_only(void **state)
{
    int status;

    (void)state;
    fork_init();
    fork_init();
    fork_on_child(count_child);
    fork_on_child(count_other);
    fork_on_child(count_child);
    pid_t child = fork();
    if (child == 0) {
        _exit(child_calls == 1 && other_calls == 1 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(child_calls + other_calls, 0);
}

/* With a lock of its rank made since, or none. */
static void
make_a_lock_twice(void *between)
{
    static struct mtx mtx, other;

    mtx_init(&mtx, MTX_BASE);
    if (between != NULL) {
        mtx_init(&other, MTX_BASE);
    }
    mtx_init(&mtx, MTX_BASE);
    fork_and_check();
}

static void
fork_does_not_follow_a_lock_made_twice(void **state)
{
    (void)state;
    assert_dies(make_a_lock_twice, NULL, "mtx != lists[mtx->rank]");
    assert_dies(make_a_lock_twice, state, "mtx->next->prev == mtx");
}

#define FORK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FORK_TEST(fork_alone_frees_all_locks),
        FORK_TEST(fork_beside_busy_threads_gives_a_whole_child),
        FORK_TEST(fork_bears_locks_that_come_and_go),
        FORK_TEST(fork_on_two_threads_at_once),
        FORK_TEST(fork_holds_a_new_lock_whose_rank_it_has_passed),
        FORK_TEST(fork_pins_the_lock_that_it_waits_for),
        FORK_TEST(fork_lets_handlers_of_others_through),
        FORK_TEST(fork_runs_child_hooks_once_and_in_the_child_only),
        FORK_TEST(fork_does_not_follow_a_lock_made_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
