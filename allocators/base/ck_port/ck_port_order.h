/*
 * ck_port_order.h - how the ck_pr port's operations and fences order memory
 *
 *     ck_pr.h --> before(addr), an atomic, after(addr); fence(order)
 *
 * In C11 a release fence gives later relaxed stores what the thread had done
 * before the fence, and an acquire fence takes over what earlier relaxed loads
 * found. Compilers do that for the machine, and the observed runner's own
 * runtime models it, so there before() and after() are empty and fence() is
 * C11's. ThreadSanitizer up to 19 at least does not: its fence orders the
 * machine and leaves the vector clocks alone, so that a correct program on
 * fences and relaxed atomics is reported.
 *
 * Here its clocks are moved by hand. Each thread has two clocks beside its own,
 * each held by a ThreadSanitizer fiber, which never runs code of the program:
 *
 *     thread's clock --- release fence --> released --- before a store --> addr
 *     thread's clock <-- acquire fence --- observed <-- after a load ----- addr
 *
 * What it can see: a missing fence, a fence on the wrong side of the access, a
 * fence too weak (release where acquire is due). Nothing that a thread does after
 * its release fence is published by it, and no load acquires by itself, but for
 * the consume order that ck_pr.h explains.
 *
 * What it cannot see, each a race that goes unreported and never a false report:
 *   - A plain access to the very word that ck_pr operations work on. They are
 *     hidden from the tool, since CK counts on coherence there, which C11 does
 *     not: its queue locks and its fifo give a node back to use with plain
 *     stores, to words that another thread has stored atomically and published
 *     with a fence before that store. The observed runner sees them.
 *   - What is published at an address stays there: C11 lets a relaxed store by
 *     another thread end a release sequence, ThreadSanitizer does not.
 *   - A clock is published just before its store and picked up just after its
 *     load, so that a load may be given that of a store next to the one it read.
 *   - A sequentially consistent fence orders as an acquire and release fence.
 *     That all such fences have one order is nothing happens-before can show.
 *
 * A signal that arrives while a fiber is switched in (some ten nanoseconds) is
 * delivered late. Processes with fibers of their own are not served.
 *
 * Concurrency: any thread, any time. A thread's two fibers are made at its first
 * operation and destroyed at its exit.
 * Failure: none; ThreadSanitizer itself stops when it runs out of threads.
 * Design: C11 7.17.4; the fiber interface of sanitizer/tsan_interface.h.
 */
#pragma once

#if defined(__SANITIZE_THREAD__)
#    define CK_PORT_TSAN
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define CK_PORT_TSAN
#    endif
#endif

#if !defined(CK_PORT_TSAN) || defined(MALSTROM_OBSERVE)

#    define CK_PORT_INLINE static inline

static inline void
ck_port_before(const void *addr, int order)
{
    (void)addr;
    (void)order;
}

static inline void
ck_port_after(const void *addr, int order)
{
    (void)addr;
    (void)order;
}

static inline void
ck_port_fence(int order)
{
    __atomic_thread_fence(order);
}

#else

#    include <pthread.h>
#    include <stddef.h>
#    include <stdint.h>

void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);

/* A switch hands the clock over, or does not. */
#    define CK_PORT_SYNC    0
#    define CK_PORT_NO_SYNC 1

/* No access in the port's functions is shown to the tool. Clang also needs to be
 * told that its atomics are no exception. */
#    ifdef __clang__
#        define CK_PORT_HIDDEN                                                 \
            __attribute__((                                                    \
                no_sanitize_thread, disable_sanitizer_instrumentation))
#    else
#        define CK_PORT_HIDDEN __attribute__((no_sanitize_thread))
#    endif
#    define CK_PORT_INLINE CK_PORT_HIDDEN static inline

/* One of each in a library or program, whatever the number of files. */
#    define CK_PORT_SHARED __attribute__((weak, visibility("hidden")))

struct ck_port_thread {
    void *self;     /* the thread's own context; NULL before its first use */
    void *released; /* its clock at its last release fence */
    void *observed; /* what the addresses that it loaded had been given */
};

struct ck_port_process {
    void *origin; /* a fiber that has seen nothing but the start of main */
    pthread_key_t at_exit;
    int making; /* a lock that no clock goes through */
};

extern _Thread_local struct ck_port_thread ck_port_thread CK_PORT_SHARED;
extern struct ck_port_process ck_port_process CK_PORT_SHARED;
_Thread_local struct ck_port_thread ck_port_thread;
struct ck_port_process ck_port_process;

CK_PORT_INLINE void
ck_port_end_thread(void *arg)
{
    struct ck_port_thread *thread = (struct ck_port_thread *)arg;

    __tsan_destroy_fiber(thread->released);
    __tsan_destroy_fiber(thread->observed);
    thread->self = NULL;
}

/* As early as can be, so that the origin has seen nothing. A constructor that
 * runs before this one comes here by way of its first operation. */
__attribute__((constructor)) CK_PORT_INLINE void
ck_port_start(void)
{
    if (ck_port_process.origin == NULL) {
        ck_port_process.origin = __tsan_create_fiber(0);
        (void)pthread_key_create(&ck_port_process.at_exit, ck_port_end_thread);
    }
}

/* A fiber starts with its maker's clock. The maker is the origin, so that the
 * thread's past is in neither of its fibers. The lock that gives the origin to
 * one thread at a time is of relaxed operations and machine fences, which leave
 * the clocks alone. */
CK_PORT_INLINE void
ck_port_start_thread(struct ck_port_thread *thread)
{
    struct ck_port_process *process = &ck_port_process;
    void *self = __tsan_get_current_fiber();

    while (__atomic_exchange_n(&process->making, 1, __ATOMIC_RELAXED) != 0) {
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    ck_port_start();
    __tsan_switch_to_fiber(process->origin, CK_PORT_NO_SYNC);
    thread->released = __tsan_create_fiber(0);
    thread->observed = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(self, CK_PORT_NO_SYNC);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&process->making, 0, __ATOMIC_RELAXED);
    thread->self = self;
    (void)pthread_setspecific(process->at_exit, thread);
}

CK_PORT_INLINE struct ck_port_thread *
ck_port_get_thread(void)
{
    if (ck_port_thread.self == NULL) {
        ck_port_start_thread(&ck_port_thread);
    }
    return &ck_port_thread;
}

/* Publishes at addr what the thread's last release fence covers, or all. */
CK_PORT_INLINE void
ck_port_before(const void *addr, int order)
{
    struct ck_port_thread *thread = ck_port_get_thread();

    if (order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL) {
        __tsan_release((void *)(uintptr_t)addr);
        return;
    }
    __tsan_switch_to_fiber(thread->released, CK_PORT_NO_SYNC);
    __tsan_release((void *)(uintptr_t)addr);
    __tsan_switch_to_fiber(thread->self, CK_PORT_NO_SYNC);
}

/* Notes what has been published at addr for the next acquire fence, or takes it
 * over at once. */
CK_PORT_INLINE void
ck_port_after(const void *addr, int order)
{
    struct ck_port_thread *thread = ck_port_get_thread();

    if (order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE) {
        __tsan_acquire((void *)(uintptr_t)addr);
        return;
    }
    __tsan_switch_to_fiber(thread->observed, CK_PORT_NO_SYNC);
    __tsan_acquire((void *)(uintptr_t)addr);
    __tsan_switch_to_fiber(thread->self, CK_PORT_NO_SYNC);
}

CK_PORT_INLINE void
ck_port_fence(int order)
{
    struct ck_port_thread *thread = ck_port_get_thread();

    __atomic_thread_fence(order);
    if (order != __ATOMIC_RELEASE) {
        __tsan_switch_to_fiber(thread->observed, CK_PORT_NO_SYNC);
        __tsan_switch_to_fiber(thread->self, CK_PORT_SYNC);
    }
    if (order != __ATOMIC_ACQUIRE) {
        __tsan_switch_to_fiber(thread->released, CK_PORT_SYNC);
        __tsan_switch_to_fiber(thread->self, CK_PORT_NO_SYNC);
    }
}

#endif
