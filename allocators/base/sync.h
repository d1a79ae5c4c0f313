/*
 * sync.h - the lock that blocks, and its order
 *
 *     a design's shared tiers --> mtx --> machine.futex_wait / futex_wake
 *
 * A pure spinlock collapses when threads outnumber cores, so this lock spins
 * briefly, then parks on a futex. Taking it costs one locked instruction, none
 * while the process has one thread; giving it back costs none. Each lock has a
 * rank (ranks.h). mtx_init enters it in the list that fork walks, mtx_fini takes
 * it out.
 *
 * Concurrency: any thread. mtx_init and mtx_fini may run beside calls on other
 * locks, and with other locks held. mtx_fini wants no call on its own lock still
 * under way, the last unlock included: it looks at the lock once more when
 * another thread may have it. The thread that locks unlocks. A thread
 * that is inside fork (an atfork handler that allocates) passes through the
 * locks that fork holds.
 * Failure: none. A wrong order or a foreign unlock aborts in debug builds.
 * Design: Drepper, "Futexes Are Tricky" (2011), mutex 2, with the mark of the
 * parked in a word of its own.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/single_threaded.h>

#include "base/ranks.h"

#ifdef __clang__
#    define CAPABILITY(name) __attribute__((capability(name)))
#    define REQUIRES(...)    __attribute__((requires_capability(__VA_ARGS__)))
#    define ACQUIRES(...)    __attribute__((acquire_capability(__VA_ARGS__)))
#    define RELEASES(...)    __attribute__((release_capability(__VA_ARGS__)))
#    define TRY_ACQUIRES(...)                                                  \
        __attribute__((try_acquire_capability(__VA_ARGS__)))
#    define NO_LOCK_ANALYSIS __attribute__((no_thread_safety_analysis))
#else
#    define CAPABILITY(name)
#    define REQUIRES(...)
#    define ACQUIRES(...)
#    define RELEASES(...)
#    define TRY_ACQUIRES(...)
#    define NO_LOCK_ANALYSIS
#endif

#define CACHE_LINE 64

/* A TLS variable of base/ takes one load, and no call that may allocate. */
#define TLS_INITIAL_EXEC __attribute__((tls_model("initial-exec")))

enum mtx_state {
    MTX_FREE,
    MTX_HELD,
    MTX_FORKED /* held by fork */
};

struct CAPABILITY("mutex") mtx {
    _Atomic uint32_t waited; /* the futex: 1 while somebody may be parked */
    _Atomic uint32_t state;  /* enum mtx_state */
    enum mtx_rank rank;
    bool is_patient; /* set before use: its holder takes it again at once */
    struct mtx *next, *prev; /* [the fork list's lock] locks of this rank */
};

/* A lock of rank MTX_NONE may also be made by zeroing it. */
void mtx_init(struct mtx *mtx, enum mtx_rank rank);
void mtx_fini(struct mtx *mtx);

static inline void mtx_lock(struct mtx *mtx) ACQUIRES(*mtx);
static inline bool mtx_trylock(struct mtx *mtx) TRY_ACQUIRES(true, *mtx);
static inline void mtx_unlock(struct mtx *mtx) RELEASES(*mtx);

/*
 * The lock by being alone: true when no other thread can be running and nobody
 * holds it. Nothing is written, so a few steps cost no more than without a
 * lock. Until mtx_unlock_alone the caller may not fork, make a thread or take
 * this lock. False: use mtx_lock.
 */
static inline bool mtx_lock_alone(struct mtx *mtx) TRY_ACQUIRES(true, *mtx);
static inline void mtx_unlock_alone(struct mtx *mtx) RELEASES(*mtx);

/* True when somebody holds it: for assertions, where the caller must. */
static inline bool mtx_held(struct mtx *mtx);

/* Tells the processor that this is a spin. */
static inline void sync_pause(void);

/* For a runner of threads that the C library does not count, and that sees each
 * order that C11 allows: set before they start, it makes sync_alone() say no,
 * and mtx_unlock look at `waited` strictly after its store. */
extern bool sync_crowded;

/* True when no other thread can be running, so that a lock needs no locked
 * instruction. It turns false when this thread makes another, be it between
 * lock and unlock, and true again at most when the others are gone. */
static inline bool
sync_alone(void)
{
    return __libc_single_threaded != 0 && !sync_crowded;
}

/* True in the thread that is inside fork, while fork holds the locks. */
extern _Thread_local bool sync_forking TLS_INITIAL_EXEC;

/* What the inline calls below are made of; not for others. */
void mtx_lock_slowly(struct mtx *mtx);
void mtx_park(struct mtx *mtx, unsigned turn); /* fork's too */
bool mtx_trylock_slowly(struct mtx *mtx);
void mtx_unlock_slowly(struct mtx *mtx);

#ifdef MALSTROM_ASSERT
#    include "base/witness.h"
#    define MTX_WITNESS(call) (call)
#else
#    define MTX_WITNESS(call) ((void)0)
#endif

/* Free to held. The acquire pairs with the release in mtx_unlock. */
static inline bool
mtx_take(struct mtx *mtx)
{
    uint32_t seen = MTX_FREE;

    if (!sync_alone()) {
        return atomic_compare_exchange_strong_explicit(&mtx->state, &seen,
            MTX_HELD, memory_order_acquire, memory_order_relaxed);
    }
    if (atomic_load_explicit(&mtx->state, memory_order_acquire) != MTX_FREE) {
        return false;
    }
    atomic_store_explicit(&mtx->state, MTX_HELD, memory_order_relaxed);
    return true;
}

/* Held to free; false when there is more to do. The store pairs with the
 * acquire of whoever takes the lock next. */
static inline bool
mtx_drop(struct mtx *mtx)
{
    if (atomic_load_explicit(&mtx->state, memory_order_relaxed) != MTX_HELD) {
        return false;
    }
    if (__builtin_expect(sync_crowded, 0)) {
        atomic_exchange(&mtx->state, MTX_FREE);
        return atomic_load(&mtx->waited) == 0;
    }
    atomic_store_explicit(&mtx->state, MTX_FREE, memory_order_release);
    return atomic_load_explicit(&mtx->waited, memory_order_relaxed) == 0;
}

static inline void
mtx_lock(struct mtx *mtx) NO_LOCK_ANALYSIS
{
    MTX_WITNESS(witness_lock(mtx));
    if (__builtin_expect(!mtx_take(mtx), 0)) {
        mtx_lock_slowly(mtx);
    }
}

static inline bool
mtx_trylock(struct mtx *mtx) NO_LOCK_ANALYSIS
{
    bool taken = mtx_take(mtx) || mtx_trylock_slowly(mtx);

    if (taken) {
        MTX_WITNESS(witness_trylock(mtx));
    }
    return taken;
}

static inline void
mtx_unlock(struct mtx *mtx) NO_LOCK_ANALYSIS
{
    MTX_WITNESS(witness_unlock(mtx));
    if (__builtin_expect(!mtx_drop(mtx), 0)) {
        mtx_unlock_slowly(mtx);
    }
}

/* The acquire pairs with the release in mtx_unlock of threads that ended. */
static inline bool
mtx_lock_alone(struct mtx *mtx) NO_LOCK_ANALYSIS
{
    bool taken = sync_alone() && atomic_load_explicit(&mtx->state,
                                     memory_order_acquire) == MTX_FREE;

    if (taken) {
        MTX_WITNESS(witness_trylock(mtx));
    }
    return taken;
}

static inline void
mtx_unlock_alone(struct mtx *mtx) NO_LOCK_ANALYSIS
{
    MTX_WITNESS(witness_unlock(mtx));
    (void)mtx;
}

static inline bool
mtx_held(struct mtx *mtx)
{
    return atomic_load_explicit(&mtx->state, memory_order_relaxed) != MTX_FREE;
}

static inline void
sync_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ __volatile__("yield");
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}
