/*
 * sync.c - the lock that blocks: the ways past its fast path (contract: sync.h)
 *
 * The word says free, held, held and waited for, or held by fork. Only an
 * unlock that finds "waited for" calls the kernel, to wake one. Whoever has
 * been parked takes the lock as "waited for", since others may still be parked;
 * at worst one wake finds nobody.
 *
 * Spinning is worth while only as long as the holder runs, and never happens on
 * one CPU. A queue lock (MCS) would be fair, but with more threads than cores it
 * hands the lock to threads that do not run; here the thread that runs gets it.
 *
 * Fork sets a lock's word to "forked" when it takes it (fork.c). The thread
 * that is inside fork sees that word and passes; others wait until it changes.
 *
 * Invariants:
 *   I1  While a thread is parked on a lock, the word is "waited for" or
 *       "forked", or one woken thread is on its way to set it so.
 *   I2  "forked" is set and cleared by fork.c only.
 */
#include "base/sync.h"

#include "base/fork.h"
#include "base/machine.h"

/* Pauses between the first two looks, and between the last two. In all they take
 * about as long as parking and being woken, some microseconds: so the wait costs
 * at most twice what the better choice would have cost (Karlin et al.,
 * "Competitive randomized algorithms for nonuniform problems", 1990). The first
 * are many because the holder, left alone, does much before it is disturbed. */
#define SPIN_PAUSES_MIN 64
#define SPIN_PAUSES_MAX 512

bool sync_crowded;
_Thread_local bool sync_forking;

void
mtx_init(struct mtx *mtx, enum mtx_rank rank)
{
    atomic_init(&mtx->state, MTX_FREE);
    mtx->rank = rank;
    mtx->next = NULL;
    mtx->prev = NULL;
    if (rank != MTX_NONE) {
        fork_enter(mtx);
    }
}

void
mtx_fini(struct mtx *mtx)
{
    if (mtx->rank != MTX_NONE) {
        fork_leave(mtx);
    }
}

/* True for the forking thread at a lock that fork holds. */
static bool
passes_through(struct mtx *mtx)
{
    return sync_forking && atomic_load_explicit(
                               &mtx->state, memory_order_relaxed) == MTX_FORKED;
}

static unsigned
pauses_max(void)
{
    static _Atomic unsigned cpu_count;
    unsigned count = atomic_load_explicit(&cpu_count, memory_order_relaxed);

    if (count == 0) {
        count = machine.cpu_count();
        atomic_store_explicit(&cpu_count, count, memory_order_relaxed);
    }
    return count > 1 ? SPIN_PAUSES_MAX : 0;
}

/* Looks less and less often. Each look takes the cache line away from the
 * holder, who needs it to unlock, and to lock again: what it does meanwhile
 * undisturbed, it does many times faster. */
static bool
spin(struct mtx *mtx, uint32_t held)
{
    unsigned max = pauses_max();
    unsigned pause_count = SPIN_PAUSES_MIN;

    for (;;) {
        uint32_t seen = MTX_FREE;

        /* The acquire pairs with the release in mtx_unlock. */
        if (atomic_load_explicit(&mtx->state, memory_order_relaxed) == seen &&
            atomic_compare_exchange_strong_explicit(&mtx->state, &seen, held,
                memory_order_acquire, memory_order_relaxed)) {
            return true;
        }
        if (seen == MTX_FORKED || pause_count > max) {
            return false;
        }
        for (unsigned i = 0; i < pause_count; i++) {
            sync_pause();
        }
        pause_count *= 2;
    }
}

/* Waits until the word may have changed from what the parked must see; false
 * when the lock was free. */
static bool
park(struct mtx *mtx)
{
    uint32_t seen = MTX_HELD;

    if (atomic_compare_exchange_strong_explicit(&mtx->state, &seen, MTX_WAITED,
            memory_order_relaxed, memory_order_relaxed)) {
        seen = MTX_WAITED;
    }
    if (seen == MTX_FREE) {
        return false;
    }
    machine.futex_wait(&mtx->state, seen, 0);
    return true;
}

/* A lock in brisk use changes faster than the kernel can put a thread to sleep
 * on it, and each try makes the holder call the kernel to wake somebody: so the
 * thread spins again between two tries. */
void
mtx_lock_slowly(struct mtx *mtx)
{
    uint32_t held = MTX_HELD;

    if (passes_through(mtx)) {
        return;
    }
    while (!spin(mtx, held)) {
        if (park(mtx)) {
            held = MTX_WAITED; /* I1 */
        }
    }
}

bool
mtx_trylock_slowly(struct mtx *mtx)
{
    return passes_through(mtx);
}

/* After the exchange the lock may be taken, freed and its memory gone: the
 * wake then finds nobody, or wakes a stranger's waiter, who looks again. */
void
mtx_unlock_slowly(struct mtx *mtx)
{
    if (passes_through(mtx)) {
        return;
    }
    atomic_exchange_explicit(&mtx->state, MTX_FREE, memory_order_release);
    machine.futex_wake(&mtx->state, 1);
}
