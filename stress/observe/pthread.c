/*
 * pthread.c - threads and their locks, for logical threads
 * (contract: intercept.h)
 *
 * The objects are the target's own pthread_mutex_t and so on, in its memory,
 * which a run rewinds, so a statically initialized one is free at the start of
 * each run. Only fields that glibc's static initializers leave zero are used.
 * Happens-before goes by the object's address (weak_release, weak_acquire).
 *
 * Keys and fork handlers that the target makes before the first run (static
 * constructors) are kept for every run, as its static data is; libc is not told.
 *
 * A woken thread competes for the mutex again; a new one may be faster. That is
 * what POSIX allows and what glibc does.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "observe/intercept.h"
#include "observe/region.h"
#include "observe/runtime.h"
#include "observe/weak.h"

#define KEYS_MAX          128
#define FORK_HANDLERS_MAX 32
#define DESTRUCTOR_ROUNDS 4 /* PTHREAD_DESTRUCTOR_ITERATIONS */

struct key {
    bool is_used, is_kept;
    void (*destructor)(void *);
    void *values[OBSERVE_THREADS_MAX + 1]; /* the last: outside of runs */
};

struct fork_handlers {
    void (*fn[3])(void); /* by enum fork_moment */
};

static struct key keys[KEYS_MAX];
static struct fork_handlers fork_handlers[FORK_HANDLERS_MAX];
static unsigned fork_handler_count;
static unsigned fork_handlers_kept;
static unsigned fork_generation; /* how many forks lie above this process */
static unsigned key_count;       /* keys ever used in this run */

void
intercept_begin(void)
{
    for (unsigned i = 0; i < key_count; i++) {
        keys[i].is_used = keys[i].is_kept;
        memset(keys[i].values, 0, sizeof(keys[i].values));
    }
    fork_handler_count = fork_handlers_kept;
    locks_begin();
    os_begin();
}

static bool
is_observed(void)
{
    return hot.current != NULL;
}

/*
 * Mutexes.
 */

int observe_pthread_mutex_init(
    pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int
observe_pthread_mutex_init(
    pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    region_touch((uintptr_t)mutex, sizeof(*mutex));
    return pthread_mutex_init(mutex, attributes);
}

int observe_pthread_mutex_destroy(pthread_mutex_t *mutex);
int
observe_pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    return mutex->__data.__lock != 0 ? EBUSY : 0;
}

static bool
is_mine(const pthread_mutex_t *mutex)
{
    return mutex->__data.__lock != 0 &&
           mutex->__data.__owner == (int)hot.current->id + 1;
}

static bool
try_mutex(pthread_mutex_t *mutex, uintptr_t pc)
{
    region_touch((uintptr_t)mutex, sizeof(*mutex));
    if (mutex->__data.__lock != 0) {
        return false;
    }
    mutex->__data.__lock = 1;
    mutex->__data.__owner = (int)hot.current->id + 1;
    mutex->__data.__count = 1;
    weak_acquire((uintptr_t)mutex);
    locks_taken((uintptr_t)mutex, 0, false);
    trace_event(EVENT_LOCK, pc, (uintptr_t)mutex, 0, 0);
    return true;
}

/* 0, or the error of a second lock by the same thread; -1 to go on. */
static int
relock_mutex(pthread_mutex_t *mutex)
{
    if (!is_mine(mutex)) {
        return -1;
    }
    if (mutex->__data.__kind == PTHREAD_MUTEX_RECURSIVE) {
        mutex->__data.__count++;
        return 0;
    }
    return mutex->__data.__kind == PTHREAD_MUTEX_ERRORCHECK ? EDEADLK : -1;
}

static int
lock_mutex(pthread_mutex_t *mutex, uint64_t until, uintptr_t pc)
{
    sched_point(EVENT_LOCK, (uintptr_t)mutex, true);
    int relocked = relock_mutex(mutex);
    if (relocked >= 0) {
        return relocked;
    }
    while (!try_mutex(mutex, pc)) {
        if (!sched_block(WAIT_LOCK, (uintptr_t)mutex, until)) {
            return ETIMEDOUT;
        }
    }
    return 0;
}

static int
unlock_mutex(pthread_mutex_t *mutex, uintptr_t pc)
{
    if (!is_mine(mutex)) {
        verdict_raise(VERDICT_MISUSE, pc, (uintptr_t)mutex, 0, true, false,
            "thread %u unlocks a mutex that it does not hold", hot.current->id);
    }
    if (--mutex->__data.__count > 0) {
        return 0;
    }
    trace_event(EVENT_UNLOCK, pc, (uintptr_t)mutex, 0, 0);
    weak_release((uintptr_t)mutex);
    locks_dropped((uintptr_t)mutex);
    mutex->__data.__lock = 0;
    mutex->__data.__owner = 0;
    sched_wake(WAIT_LOCK, (uintptr_t)mutex, 1);
    return 0;
}

int observe_pthread_mutex_lock(pthread_mutex_t *mutex);
int
observe_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    return is_observed() ? lock_mutex(mutex, 0, CALLER_PC)
                         : pthread_mutex_lock(mutex);
}

int observe_pthread_mutex_trylock(pthread_mutex_t *mutex);
int
observe_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    if (!is_observed()) {
        return pthread_mutex_trylock(mutex);
    }
    sched_point(EVENT_LOCK, (uintptr_t)mutex, true);
    if (relock_mutex(mutex) == 0 || try_mutex(mutex, CALLER_PC)) {
        return 0;
    }
    sched_note_idle(hot.current);
    return EBUSY;
}

/* Virtual time of a deadline by CLOCK_REALTIME or CLOCK_MONOTONIC, which are
 * the same here. */
static uint64_t
deadline_ns(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
}

int observe_pthread_mutex_timedlock(
    pthread_mutex_t *mutex, const struct timespec *time);
int
observe_pthread_mutex_timedlock(
    pthread_mutex_t *mutex, const struct timespec *time)
{
    return is_observed() ? lock_mutex(mutex, deadline_ns(time), CALLER_PC)
                         : pthread_mutex_timedlock(mutex, time);
}

int observe_pthread_mutex_unlock(pthread_mutex_t *mutex);
int
observe_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (!is_observed()) {
        return pthread_mutex_unlock(mutex);
    }
    sched_point(EVENT_UNLOCK, (uintptr_t)mutex, true);
    return unlock_mutex(mutex, CALLER_PC);
}

/*
 * Conditions.
 */

static int
wait_cond(
    pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t until, uintptr_t pc)
{
    sched_point(EVENT_WAIT, (uintptr_t)cond, true);
    trace_event(EVENT_WAIT, pc, (uintptr_t)cond, 0, 0);
    unlock_mutex(mutex, pc);
    bool in_time = sched_block(WAIT_COND, (uintptr_t)cond, until);
    while (!try_mutex(mutex, pc)) {
        sched_block(WAIT_LOCK, (uintptr_t)mutex, 0);
    }
    return in_time ? 0 : ETIMEDOUT;
}

int observe_pthread_cond_init(
    pthread_cond_t *cond, const pthread_condattr_t *attributes);
int
observe_pthread_cond_init(
    pthread_cond_t *cond, const pthread_condattr_t *attributes)
{
    region_touch((uintptr_t)cond, sizeof(*cond));
    return pthread_cond_init(cond, attributes);
}

int observe_pthread_cond_destroy(pthread_cond_t *cond);
int
observe_pthread_cond_destroy(pthread_cond_t *cond)
{
    (void)cond;
    return 0;
}

int observe_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int
observe_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    return is_observed() ? wait_cond(cond, mutex, 0, CALLER_PC)
                         : pthread_cond_wait(cond, mutex);
}

int observe_pthread_cond_timedwait(
    pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *time);
int
observe_pthread_cond_timedwait(
    pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *time)
{
    return is_observed() ? wait_cond(cond, mutex, deadline_ns(time), CALLER_PC)
                         : pthread_cond_timedwait(cond, mutex, time);
}

static void
wake_cond(pthread_cond_t *cond, unsigned count, uintptr_t pc)
{
    sched_point(EVENT_WAKE, (uintptr_t)cond, true);
    trace_event(EVENT_WAKE, pc, (uintptr_t)cond, 0, count);
    sched_wake(WAIT_COND, (uintptr_t)cond, count);
}

int observe_pthread_cond_signal(pthread_cond_t *cond);
int
observe_pthread_cond_signal(pthread_cond_t *cond)
{
    if (!is_observed()) {
        return pthread_cond_signal(cond);
    }
    wake_cond(cond, 1, CALLER_PC);
    return 0;
}

int observe_pthread_cond_broadcast(pthread_cond_t *cond);
int
observe_pthread_cond_broadcast(pthread_cond_t *cond)
{
    if (!is_observed()) {
        return pthread_cond_broadcast(cond);
    }
    wake_cond(cond, OBSERVE_THREADS_MAX, CALLER_PC);
    return 0;
}

/*
 * Once. The word is 0 first, 2 when the function has run, and while it runs
 * what once_running says: a forked child begins again what its parent was at.
 */

#define ONCE_DONE 2

static int
once_running(void)
{
    return (int)(fork_generation << 2 | 1);
}

int observe_pthread_once(pthread_once_t *once, void (*fn)(void));
int
observe_pthread_once(pthread_once_t *once, void (*fn)(void))
{
    if (!is_observed()) {
        return pthread_once(once, fn);
    }
    sched_point(EVENT_LOCK, (uintptr_t)once, true);
    region_touch((uintptr_t)once, sizeof(*once));
    while (*once == once_running()) {
        sched_block(WAIT_LOCK, (uintptr_t)once, 0);
    }
    if (*once != ONCE_DONE) {
        *once = once_running();
        locks_taken((uintptr_t)once, 0, false);
        fn();
        locks_dropped((uintptr_t)once);
        weak_release((uintptr_t)once);
        *once = ONCE_DONE;
        sched_wake(WAIT_LOCK, (uintptr_t)once, OBSERVE_THREADS_MAX);
    }
    weak_acquire((uintptr_t)once);
    return 0;
}

/*
 * Keys.
 */

static unsigned
caller(void)
{
    return is_observed() ? hot.current->id : OBSERVE_THREADS_MAX;
}

int observe_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int
observe_pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    for (unsigned i = 0; i < KEYS_MAX; i++) {
        if (!keys[i].is_used) {
            memset(&keys[i], 0, sizeof(keys[i]));
            keys[i].is_used = true;
            keys[i].is_kept = !is_observed();
            keys[i].destructor = destructor;
            key_count = key_count > i + 1 ? key_count : i + 1;
            *key = i;
            return 0;
        }
    }
    return EAGAIN;
}

int observe_pthread_key_delete(pthread_key_t key);
int
observe_pthread_key_delete(pthread_key_t key)
{
    if (key >= KEYS_MAX || !keys[key].is_used) {
        return EINVAL;
    }
    keys[key].is_used = false;
    return 0;
}

int observe_pthread_setspecific(pthread_key_t key, const void *value);
int
observe_pthread_setspecific(pthread_key_t key, const void *value)
{
    if (key >= KEYS_MAX || !keys[key].is_used) {
        return EINVAL;
    }
    memcpy(&keys[key].values[caller()], &value, sizeof(value));
    return 0;
}

void *observe_pthread_getspecific(pthread_key_t key);
void *
observe_pthread_getspecific(pthread_key_t key)
{
    return key < KEYS_MAX && keys[key].is_used ? keys[key].values[caller()]
                                               : NULL;
}

/* One round; true when a destructor ran. */
static bool
run_destructors(unsigned thread)
{
    bool any = false;
    for (unsigned i = 0; i < key_count; i++) {
        struct key *key = &keys[i];
        void *value = key->values[thread];
        key->values[thread] = NULL;
        if (key->is_used && value != NULL && key->destructor != NULL) {
            key->destructor(value);
            any = true;
        }
    }
    return any;
}

void
intercept_thread_end(void)
{
    unsigned thread = hot.current->id;
    for (unsigned round = 0; round < DESTRUCTOR_ROUNDS; round++) {
        if (!run_destructors(thread)) {
            break;
        }
    }
    for (unsigned i = 0; i < key_count; i++) {
        keys[i].values[thread] = NULL;
    }
}

/*
 * Threads. A pthread_t is the address of the logical thread.
 */

int observe_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
    void *(*start)(void *), void *arg);
int
observe_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
    void *(*start)(void *), void *arg)
{
    if (!is_observed()) {
        return pthread_create(thread, attributes, start, arg);
    }
    struct thread *child = sched_spawn(start, arg);
    if (child == NULL) {
        return EAGAIN;
    }
    *thread = (pthread_t)child;
    sched_point(EVENT_OP, 0, false);
    return 0;
}

pthread_t observe_pthread_self(void);
pthread_t
observe_pthread_self(void)
{
    return hot.current != NULL ? (pthread_t)hot.current : pthread_self();
}

int observe_pthread_join(pthread_t thread, void **result);
int
observe_pthread_join(pthread_t thread, void **result)
{
    if (!is_observed()) {
        return pthread_join(thread, result);
    }
    struct thread *other = (struct thread *)thread;
    while (other->state != THREAD_DONE) {
        sched_block(WAIT_JOIN, (uintptr_t)other, 0);
    }
    weak_acquire((uintptr_t)other);
    if (result != NULL) {
        *result = other->result;
    }
    return 0;
}

int observe_pthread_detach(pthread_t thread);
int
observe_pthread_detach(pthread_t thread)
{
    return is_observed() ? 0 : pthread_detach(thread);
}

_Noreturn void observe_pthread_exit(void *result);
_Noreturn void
observe_pthread_exit(void *result)
{
    if (!is_observed()) {
        pthread_exit(result);
    }
    hot.current->result = result;
    sched_exit();
}

/*
 * Fork handlers: prepare in reverse order, the others in order.
 */

static void
run_fork_handler(unsigned index, enum fork_moment moment)
{
    if (fork_handlers[index].fn[moment] != NULL) {
        fork_handlers[index].fn[moment]();
    }
}

int observe_pthread_atfork(
    void (*prepare)(void), void (*parent)(void), void (*child)(void));
int
observe_pthread_atfork(
    void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    if (fork_handler_count == FORK_HANDLERS_MAX) {
        return ENOMEM;
    }
    fork_handlers[fork_handler_count++] =
        (struct fork_handlers){{prepare, parent, child}};
    if (!is_observed()) {
        fork_handlers_kept = fork_handler_count;
    }
    return 0;
}

unsigned
pthread_prepare_fork(void)
{
    unsigned count = fork_handler_count;
    for (unsigned i = count; i > 0; i--) {
        run_fork_handler(i - 1, FORK_PREPARE);
    }
    return count;
}

void
pthread_finish_fork(unsigned count, enum fork_moment moment)
{
    fork_generation += moment == FORK_CHILD;
    for (unsigned i = 0; i < count; i++) {
        run_fork_handler(i, moment);
    }
}
