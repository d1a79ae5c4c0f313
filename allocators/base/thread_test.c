/*
 * thread_test.c - ids are dense, and exit hooks outlive others' destructors
 *
 * The linker puts the functions below before pthread_setspecific, so that a
 * test can make it fail, or come back into thread.h as calloc may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/check.h"
#include "base/death.h"
#include "base/thread.h"

#define THREADS 16

/* The rounds of key destructors, PTHREAD_DESTRUCTOR_ITERATIONS. ThreadSanitizer
 * ends its own part of a thread in the last: no code of ours can run then. */
#define ROUNDS 4
#ifdef __has_feature
#    if __has_feature(thread_sanitizer)
#        undef ROUNDS
#        define ROUNDS 3
#    endif
#endif

static _Atomic unsigned hook_calls; /* of all threads */

static void
count_call(void *arg)
{
    atomic_fetch_add_explicit(
        &hook_calls, arg == NULL ? 1 : *(unsigned *)arg, memory_order_relaxed);
}

static void
ignore_call(void *arg)
{
    (void)arg;
}

static void
run_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* pthread_setspecific, as the linker's --wrap gives it. */
int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);

static _Thread_local enum { PLAIN, FAIL, COME_BACK, COME_BACK_FAIL } setting;

/* A sanitizer's own thread start comes by here, before it is ready. */
#if __has_attribute(disable_sanitizer_instrumentation)
__attribute__((disable_sanitizer_instrumentation))
#endif
int
__wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
    int mode = setting;

    setting = PLAIN;
    if (mode == COME_BACK || mode == COME_BACK_FAIL) {
        thread_id();
        thread_on_exit(count_call, NULL);
    }
    if (mode == FAIL || mode == COME_BACK_FAIL) {
        return ENOMEM;
    }
    return __real_pthread_setspecific(key, value);
}

static void *
take_id(void *arg)
{
    *(unsigned *)arg = thread_id();
    assert_int_equal(thread_id(), *(unsigned *)arg);
    return NULL;
}

/* The lowest id that a new thread gets: shows whether any was lost. */
static unsigned
next_id(void)
{
    unsigned id;

    run_thread(take_id, &id);
    return id;
}

static void
thread_id_is_the_lowest_free(void **state)
{
    (void)state;
    unsigned own = thread_id();
    assert_int_equal(own, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(next_id(), 1);
    }
    assert_int_equal(thread_id(), own);
}

struct meeting {
    pthread_barrier_t barrier;
    _Atomic unsigned next;
    unsigned ids[THREADS];
};

static void *
meet(void *arg)
{
    struct meeting *meeting = arg;
    unsigned place =
        atomic_fetch_add_explicit(&meeting->next, 1, memory_order_relaxed);

    meeting->ids[place] = thread_id();
    pthread_barrier_wait(&meeting->barrier); /* all live at once */
    return NULL;
}

static void
thread_ids_of_living_threads_differ_and_are_dense(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct meeting meeting = {.next = 0};
        pthread_t threads[THREADS];
        bool seen[THREADS + 1] = {false};

        pthread_barrier_init(&meeting.barrier, NULL, THREADS);
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(
                pthread_create(&threads[i], NULL, meet, &meeting), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        pthread_barrier_destroy(&meeting.barrier);
        for (int i = 0; i < THREADS; i++) {
            assert_in_range(meeting.ids[i], 1, THREADS);
            assert_false(seen[meeting.ids[i]]);
            seen[meeting.ids[i]] = true;
        }
    }
}

/* The order in which hooks ran, in decimal digits. */
static _Atomic unsigned trace;

static void
note_digit(void *arg)
{
    unsigned digit = *(unsigned *)arg;

    atomic_store_explicit(&trace,
        atomic_load_explicit(&trace, memory_order_relaxed) * 10 + digit,
        memory_order_relaxed);
}

static void *
register_three(void *arg)
{
    static unsigned digits[] = {1, 2, 3};

    for (int i = 0; i < 3; i++) {
        assert_true(thread_on_exit(note_digit, &digits[i]));
        assert_true(thread_on_exit(note_digit, &digits[0]));
    }
    assert_false(thread_exiting());
    return arg;
}

static void
thread_hooks_run_once_each_newest_first(void **state)
{
    (void)state;
    trace = 0;
    run_thread(register_three, NULL);
    assert_int_equal(trace, 321);
}

static void *
register_too_many(void *arg)
{
    static unsigned ones[THREAD_HOOKS_MAX + 1];

    for (int i = 0; i < THREAD_HOOKS_MAX; i++) {
        ones[i] = 1;
        assert_true(thread_on_exit(count_call, &ones[i]));
    }
    assert_false(thread_on_exit(count_call, &ones[THREAD_HOOKS_MAX]));
    assert_true(thread_on_exit(count_call, &ones[0])); /* has it already */
    return arg;
}

static void
thread_hooks_have_a_limit(void **state)
{
    (void)state;
    hook_calls = 0;
    run_thread(register_too_many, NULL);
    assert_int_equal(hook_calls, THREAD_HOOKS_MAX);
}

/* A destructor of somebody else, which uses the heap in chosen rounds. */
struct late {
    unsigned first_round, last_round; /* from 1 */
    unsigned round;
    unsigned accepted; /* how often thread_on_exit said yes */
};

static pthread_key_t late_key, after_key;

static void
use_late(struct late *late)
{
    late->accepted += thread_on_exit(count_call, NULL);
    thread_id();
}

static void
late_destructor(void *arg)
{
    struct late *late = arg;

    late->round++;
    if (late->round >= late->first_round && late->round <= late->last_round) {
        use_late(late);
    }
    if (late->round < ROUNDS) {
        pthread_setspecific(late_key, late);
    }
}

static void *
live_early(void *arg)
{
    pthread_setspecific(late_key, arg);
    use_late(arg);
    return NULL;
}

static void *
live_late_only(void *arg)
{
    pthread_setspecific(late_key, arg);
    return NULL;
}

static void
assert_no_hook_lost(void *(*life)(void *), struct late late)
{
    late.round = 0;
    late.accepted = 0;
    hook_calls = 0;
    run_thread(life, &late);
    assert_int_equal(late.round, ROUNDS);
    assert_true(late.accepted >= 1);
    assert_int_equal(hook_calls, 1);
    assert_int_equal(next_id(), 1);
}

/* Whatever rounds use the heap: the hook runs once, and no id is lost. */
static void
thread_hooks_survive_destructors_of_others(void **state)
{
    (void)state;
    for (unsigned first = 1; first <= ROUNDS; first++) {
        for (unsigned last = first; last <= ROUNDS; last++) {
            assert_no_hook_lost(live_early,
                (struct late){.first_round = first, .last_round = last});
        }
    }
}

/* The same for a thread that uses the heap in destructors only. In the last
 * round of all, behind our own destructor, nothing can be done. */
static void
thread_hooks_serve_a_thread_that_comes_late(void **state)
{
    (void)state;
    for (unsigned first = 1; first < ROUNDS; first++) {
        assert_no_hook_lost(live_late_only,
            (struct late){.first_round = first, .last_round = ROUNDS});
    }
}

static void
register_too_late(void *arg)
{
    count_call(NULL);
    assert_true(thread_exiting());
    assert_false(thread_on_exit(register_too_late, arg));
    assert_int_equal(thread_id(), 1); /* still the thread's own */
}

static void
look_after_hooks(void *arg)
{
    assert_true(thread_exiting());
    assert_false(thread_on_exit(count_call, arg));
    assert_int_equal(thread_id(), THREAD_ID_MAX - 1);
    count_call(NULL);
}

static void *
live_with_eager_hook(void *arg)
{
    assert_int_equal(thread_id(), 1);
    assert_true(thread_on_exit(register_too_late, arg));
    assert_false(thread_exiting());
    pthread_setspecific(after_key, arg);
    return NULL;
}

static void
thread_is_served_without_cache_after_its_hooks(void **state)
{
    (void)state;
    hook_calls = 0;
    run_thread(live_with_eager_hook, &hook_calls);
    assert_int_equal(hook_calls, 2);
    assert_false(thread_exiting());
    assert_int_equal(next_id(), 1);
}

static void *
live_with_setting(void *arg)
{
    setting = *(int *)arg;
    *(int *)arg = (int)thread_id();
    return NULL;
}

static void
thread_without_key_shares_the_last_id(void **state)
{
    int value = FAIL;

    (void)state;
    run_thread(live_with_setting, &value);
    assert_int_equal(value, THREAD_ID_MAX - 1);
    value = COME_BACK_FAIL;
    run_thread(live_with_setting, &value);
    assert_int_equal(value, THREAD_ID_MAX - 1);
    assert_int_equal(next_id(), 1);
}

static void *
register_without_key(void *arg)
{
    setting = FAIL;
    assert_false(thread_on_exit(ignore_call, NULL));
    assert_true(thread_on_exit(count_call, NULL)); /* there is memory again */
    return arg;
}

static void
thread_on_exit_fails_without_key_and_can_be_tried_again(void **state)
{
    (void)state;
    hook_calls = 0;
    run_thread(register_without_key, NULL);
    assert_int_equal(hook_calls, 1);
}

static void
thread_id_bears_coming_back_from_calloc(void **state)
{
    int value = COME_BACK;

    (void)state;
    hook_calls = 0;
    run_thread(live_with_setting, &value);
    assert_int_equal(value, 1);
    assert_int_equal(hook_calls, 1);
    assert_int_equal(next_id(), 1);
}

/* A table that ids index, each entry its owner's own: no atomics, no lock. */
static int by_id[THREADS];
static _Atomic bool owner_ends;

static void
note_end(void *arg)
{
    (void)arg;
    atomic_store_explicit(&owner_ends, true, memory_order_relaxed);
}

static void *
own_entry(void *arg)
{
    by_id[thread_id()] = 1;
    thread_on_exit(note_end, NULL);
    return arg;
}

static void *
inherit_entry(void *arg)
{
    struct timespec pause = {0, 5000000};

    while (!atomic_load_explicit(&owner_ends, memory_order_relaxed)) {
        nanosleep(&pause, NULL);
    }
    nanosleep(&pause, NULL); /* now the id should be free */
    *(bool *)arg = thread_id() == 1;
    if (*(bool *)arg) {
        by_id[thread_id()]++;
    }
    return NULL;
}

/* The next owner of an id sees what the last one did with its table entry. If
 * the owner was too slow and its id is still taken, once more. */
static void
thread_id_hands_its_tables_on(void **state)
{
    bool has_inherited = false;

    (void)state;
    for (int i = 0; i < 50 && !has_inherited; i++) {
        pthread_t owner, heir;

        owner_ends = false;
        assert_int_equal(pthread_create(&owner, NULL, own_entry, NULL), 0);
        assert_int_equal(
            pthread_create(&heir, NULL, inherit_entry, &has_inherited), 0);
        pthread_join(heir, NULL);
        pthread_join(owner, NULL);
    }
    assert_true(has_inherited);
    assert_int_equal(by_id[1], 2);
}

static pthread_barrier_t at_fork;

static void *
hold_id_during_fork(void *arg)
{
    thread_id();
    pthread_barrier_wait(&at_fork);
    pthread_barrier_wait(&at_fork);
    return arg;
}

static void *
take_id_in_child(void *arg)
{
    *(unsigned *)arg = thread_id();
    return NULL;
}

/* Status 0 if the ids of the threads that are not there are free again. */
static void
check_ids_in_child(void)
{
    unsigned id = 99;
    pthread_t thread;

    alarm(20);
    if (pthread_create(&thread, NULL, take_id_in_child, &id) != 0) {
        _exit(2);
    }
    pthread_join(thread, NULL);
    _exit(thread_id() == 0 && id == 1 ? 0 : 1);
}

static void
thread_ids_of_the_dead_are_free_in_a_forked_child(void **state)
{
    pthread_t thread;
    int status;

    (void)state;
    pthread_barrier_init(&at_fork, NULL, 2);
    assert_int_equal(
        pthread_create(&thread, NULL, hold_id_during_fork, NULL), 0);
    pthread_barrier_wait(&at_fork);
    pid_t child = fork();
    if (child == 0) {
        check_ids_in_child();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(next_id(), 2);
    pthread_barrier_wait(&at_fork);
    pthread_join(thread, NULL);
}

/* One thread takes one id after the other, by forgetting each. In a child,
 * where they are lost for nobody. */
static void
take_all_ids(void *arg)
{
    (void)arg;
    for (unsigned id = 1; id < THREAD_ID_MAX - 1; id++) {
        thread_id_next = 0;
        CHECK(thread_id() == id);
    }
    for (int i = 0; i < 3; i++) {
        thread_id_next = 0;
        CHECK(thread_id() == THREAD_ID_MAX - 1);
    }
    check_failed("all as it should be", "", 0);
}

static void
thread_ids_past_the_last_are_shared(void **state)
{
    (void)state;
    assert_dies(take_all_ids, NULL, "all as it should be");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thread_id_is_the_lowest_free),
        cmocka_unit_test(thread_ids_of_living_threads_differ_and_are_dense),
        cmocka_unit_test(thread_hooks_run_once_each_newest_first),
        cmocka_unit_test(thread_hooks_have_a_limit),
        cmocka_unit_test(thread_hooks_survive_destructors_of_others),
        cmocka_unit_test(thread_hooks_serve_a_thread_that_comes_late),
        cmocka_unit_test(thread_is_served_without_cache_after_its_hooks),
        cmocka_unit_test(thread_without_key_shares_the_last_id),
        cmocka_unit_test(
            thread_on_exit_fails_without_key_and_can_be_tried_again),
        cmocka_unit_test(thread_id_bears_coming_back_from_calloc),
        cmocka_unit_test(thread_id_hands_its_tables_on),
        cmocka_unit_test(thread_ids_of_the_dead_are_free_in_a_forked_child),
        cmocka_unit_test(thread_ids_past_the_last_are_shared),
    };

    assert_int_equal(pthread_key_create(&late_key, late_destructor), 0);
    assert_int_equal(pthread_key_create(&after_key, look_after_hooks), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
