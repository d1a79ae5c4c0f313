/*
 * sync.h - the lock that blocks, and its order
 *
 *     a design's shared tiers --> mtx --> machine.futex_wait / futex_wake
 *
 * A pure spinlock collapses when threads outnumber cores, so this lock spins
 * briefly, then parks on a futex. While the process has one thread it costs no
 * atomic instruction. Each lock has a rank (ranks.h). mtx_init enters it in the
 * list that fork walks, mtx_fini takes it out.
 *
 * Concurrency: any thread. mtx_init and mtx_fini may run beside calls on other
 * locks. The thread that locks unlocks. A thread that is inside fork (an
 * atfork handler that allocates) passes through the locks that fork holds.
 * Failure: none. A wrong order or a foreign unlock aborts in debug builds.
 * Design: Drepper, "Futexes Are Tricky" (2011), mutex 2.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ranks.h"

#ifdef __clang__
#    define CAPABILITY(name)  __attribute__((capability(name)))
#    define REQUIRES(...)     __attribute__((requires_capability(__VA_ARGS__)))
#    define ACQUIRES(...)     __attribute__((acquire_capability(__VA_ARGS__)))
#    define RELEASES(...)     __attribute__((release_capability(__VA_ARGS__)))
#    define TRY_ACQUIRES(...) __attribute__((try_acquire_capability(__VA_ARGS__)))
#    define NO_LOCK_ANALYSIS  __attribute__((no_thread_safety_analysis))
#else
#    define CAPABILITY(name)
#    define REQUIRES(...)
#    define ACQUIRES(...)
#    define RELEASES(...)
#    define TRY_ACQUIRES(...)
#    define NO_LOCK_ANALYSIS
#endif

#define CACHE_LINE 64

struct CAPABILITY("mutex") mtx {
    _Atomic uint32_t state; /* 0 free, 1 held, 2 held and waited for, 3 fork's */
    enum mtx_rank rank;
    struct mtx *next, *prev; /* [the fork list's lock] in order of rank */
};

void mtx_init(struct mtx *mtx, enum mtx_rank rank);
void mtx_fini(struct mtx *mtx);

void mtx_lock(struct mtx *mtx) ACQUIRES(*mtx);
bool mtx_trylock(struct mtx *mtx) TRY_ACQUIRES(true, *mtx);
void mtx_unlock(struct mtx *mtx) RELEASES(*mtx);

/* True when somebody holds it: for assertions, where the caller must. */
bool mtx_held(struct mtx *mtx);

/* Tells the processor that this is a spin. */
void sync_pause(void);
