/*
 * ck_weaken.h - takes one order away from Concurrency Kit, for a test
 *
 *     ck_race_test, CK's sources in it --> ck_weaken.h --> ck_pr.h
 *
 * Included before all else (-include) in each file of ck_race_test. Every fence,
 * and every order that ck_pr.h gives without one, asks whether it is to be left
 * out: weaken_set says which ones, weaken_roles in which threads. Then
 * ThreadSanitizer must report the race that the order was there for.
 *
 * Threads yield at each fence, so that they meet at every point even on one core.
 *
 * Concurrency: weaken_set and weaken_roles are set before threads start.
 * Failure: none.
 */
#pragma once

#include <sched.h>
#include <stdbool.h>

/* The fences by CK's names; consume, of operations that give back a pointer; and
 * of CK's .c files, what loads acquire and what stores release. */
#define WEAKEN_EACH(x)                                                         \
    x(load) x(store) x(atomic) x(load_atomic) x(store_atomic) x(atomic_load)   \
        x(memory) x(acquire) x(release) x(lock) x(unlock) x(consume)           \
            x(tso_acquire) x(tso_release)

#define WEAKEN_INDEX(name) weaken_index_##name,
#define WEAKEN_BIT(name)   WEAKEN_##name = 1 << weaken_index_##name,

enum weaken_index { WEAKEN_EACH(WEAKEN_INDEX) weaken_count };
enum weaken_order { WEAKEN_EACH(WEAKEN_BIT) };

extern unsigned weaken_orders;             /* what is left out ... */
extern unsigned weaken_roles;              /* ... by threads of which roles */
extern _Thread_local unsigned weaken_role; /* this thread's */

static inline bool
weakened(enum weaken_order order)
{
    return (order & weaken_orders) != 0 && (weaken_role & weaken_roles) != 0;
}

#ifdef CK_PORT_TSO
#    define CK_PORT_LOADS                                                      \
        (weakened(WEAKEN_tso_acquire) ? __ATOMIC_RELAXED : __ATOMIC_ACQUIRE)
#    define CK_PORT_STORES                                                     \
        (weakened(WEAKEN_tso_release) ? __ATOMIC_RELAXED : __ATOMIC_RELEASE)
#    define CK_PORT_UPDATES                                                    \
        (weakened(WEAKEN_tso_acquire)      ? CK_PORT_STORES                    \
            : weakened(WEAKEN_tso_release) ? __ATOMIC_ACQUIRE                  \
                                           : __ATOMIC_ACQ_REL)
#    define CK_PORT_POINTER_LOADS   CK_PORT_LOADS
#    define CK_PORT_POINTER_UPDATES CK_PORT_UPDATES
#else
#    define CK_PORT_LOADS   __ATOMIC_RELAXED
#    define CK_PORT_STORES  __ATOMIC_RELAXED
#    define CK_PORT_UPDATES __ATOMIC_RELAXED
#    define CK_PORT_POINTER_LOADS                                              \
        (weakened(WEAKEN_consume) ? __ATOMIC_RELAXED : __ATOMIC_CONSUME)
#    define CK_PORT_POINTER_UPDATES CK_PORT_POINTER_LOADS
#endif

#include <ck_pr.h>

#define WEAKEN_FENCE(name, fence)                                              \
    ((void)sched_yield(), weakened(WEAKEN_##name) ? ck_pr_barrier() : (fence)())

#define ck_pr_fence_load()    WEAKEN_FENCE(load, ck_pr_fence_load)
#define ck_pr_fence_store()   WEAKEN_FENCE(store, ck_pr_fence_store)
#define ck_pr_fence_atomic()  WEAKEN_FENCE(atomic, ck_pr_fence_atomic)
#define ck_pr_fence_memory()  WEAKEN_FENCE(memory, ck_pr_fence_memory)
#define ck_pr_fence_acquire() WEAKEN_FENCE(acquire, ck_pr_fence_acquire)
#define ck_pr_fence_release() WEAKEN_FENCE(release, ck_pr_fence_release)
#define ck_pr_fence_lock()    WEAKEN_FENCE(lock, ck_pr_fence_lock)
#define ck_pr_fence_unlock()  WEAKEN_FENCE(unlock, ck_pr_fence_unlock)
#define ck_pr_fence_load_atomic()                                              \
    WEAKEN_FENCE(load_atomic, ck_pr_fence_load_atomic)
#define ck_pr_fence_store_atomic()                                             \
    WEAKEN_FENCE(store_atomic, ck_pr_fence_store_atomic)
#define ck_pr_fence_atomic_load()                                              \
    WEAKEN_FENCE(atomic_load, ck_pr_fence_atomic_load)

/* A spin lets the thread run that it waits for. */
#define ck_pr_stall() ((void)sched_yield())
