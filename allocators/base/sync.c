/*
 * sync.c - the lock that blocks: the ways past its fast path (contract: sync.h)
 *
 * The state says free, held, or held by fork. Who is about to park marks the
 * lock as waited for; an unlock that finds the mark takes it away and wakes one.
 * Whoever has been parked and gets the lock marks it again, since others may
 * still be parked; at worst one wake finds nobody.
 *
 * An unlock stores "free", then looks at the mark. Without a full fence between
 * the two it can miss a mark that is made just then, while its store is still on
 * its way; who made the mark would see "held" and park for good. A fence costs
 * as much as the rest of lock and unlock together, at each unlock. So there is
 * none: a store is on its way for less time than it takes to park, and the
 * parked look again after a while, in case that time was not enough. Rejected:
 * membarrier(2) by who parks, which interrupts every CPU of the process.
 *
 * Spinning is worth while only as long as the holder runs, and never happens on
 * one CPU. A queue lock (MCS) would be fair, but with more threads than cores it
 * hands the lock to threads that do not run; here the thread that runs gets it.
 *
 * Fork sets a lock's word to "forked" when it takes it (fork.c). The thread
 * that is inside fork sees that word and passes; others wait until it changes.
 *
 * Invariants:
 *   I1  While a thread is parked on a lock, the lock is marked as waited for,
 *       or one woken thread is on its way to mark it, or a time-out runs.
 *   I2  "forked" is set and cleared by fork.c only.
 */
#include "base/sync.h"

#include "base/fork.h"
#include "base/machine.h"

/* Pauses before the second look, then twice as many each time. All looks together
 * take about as long as parking and being woken, some microseconds: so the wait
 * costs at most twice what the better choice would have cost (Karlin et al.,
 * "Competitive randomized algorithms for nonuniform problems", 1990). The first
 * are many because the holder, left alone, does much before it is disturbed. */
#define SPIN_PAUSES 64
#define SPIN_LOOKS  5

/* At a lock that its holder takes again at once, who gets it pulls all that it
 * guards into another cache, and soon the loser pulls it back. The work between
 * is quick only if it is much. So this wait is longer than parking would be, up
 * to a tenth of a millisecond: it leaves the holder alone, which pays. */
#define SPIN_PAUSES_PATIENT 384

/* The first time-out of who parks; each is twice the one before it. */
#define PARK_NS        ((uint64_t)1000000)
#define PARK_TURNS_MAX 6

bool sync_crowded;
_Thread_local bool sync_forking;

void
mtx_init(struct mtx *mtx, enum mtx_rank rank)
{
    atomic_init(&mtx->waited, 0);
    atomic_init(&mtx->state, MTX_FREE);
    mtx->rank = rank;
    mtx->is_patient = false;
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
looks_max(void)
{
    static _Atomic unsigned cpu_count;
    unsigned count = atomic_load_explicit(&cpu_count, memory_order_relaxed);

    if (count == 0) {
        count = machine.cpu_count();
        atomic_store_explicit(&cpu_count, count, memory_order_relaxed);
    }
    return count > 1 ? SPIN_LOOKS : 1;
}

/* Looks less and less often. Each look takes the cache line away from the
 * holder, who needs it to unlock, and to lock again: what it does meanwhile
 * undisturbed, it does many times faster. */
static bool
spin(struct mtx *mtx)
{
    unsigned look_count = looks_max();
    unsigned pause_count = mtx->is_patient ? SPIN_PAUSES_PATIENT : SPIN_PAUSES;

    for (;;) {
        uint32_t seen = MTX_FREE;

        /* The acquire pairs with the release in mtx_unlock. */
        if (atomic_load_explicit(&mtx->state, memory_order_relaxed) == seen &&
            atomic_compare_exchange_strong_explicit(&mtx->state, &seen,
                MTX_HELD, memory_order_acquire, memory_order_relaxed)) {
            return true;
        }
        if (seen == MTX_FORKED || --look_count == 0) {
            return false;
        }
        for (unsigned i = 0; i < pause_count; i++) {
            sync_pause();
        }
        pause_count *= 2;
    }
}

/* Waits until the lock may be free. Strict order on both sides, as in a runner
 * that sees all, needs no time-out. */
void
mtx_park(struct mtx *mtx, unsigned turn)
{
    unsigned shift = turn < PARK_TURNS_MAX ? turn : PARK_TURNS_MAX;

    atomic_exchange(&mtx->waited, 1);
    if (atomic_load(&mtx->state) != MTX_FREE) {
        machine.futex_wait(
            &mtx->waited, 1, sync_crowded ? 0 : PARK_NS << shift);
    }
}

/* A lock in brisk use changes faster than the kernel can put a thread to sleep
 * on it, and each try makes the holder call the kernel to wake somebody: so the
 * thread spins again between two tries. */
void
mtx_lock_slowly(struct mtx *mtx)
{
    unsigned turn = 0;

    if (passes_through(mtx)) {
        return;
    }
    while (!spin(mtx)) {
        mtx_park(mtx, turn++);
    }
    if (turn > 0) {
        atomic_store_explicit(&mtx->waited, 1, memory_order_relaxed); /* I1 */
    }
}

bool
mtx_trylock_slowly(struct mtx *mtx)
{
    return passes_through(mtx);
}

void
mtx_unlock_slowly(struct mtx *mtx)
{
    if (passes_through(mtx)) {
        return;
    }
    if (atomic_exchange(&mtx->waited, 0) != 0) {
        machine.futex_wake(&mtx->waited, 1);
    }
}
