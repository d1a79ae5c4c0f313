/*
 * fork.c - fork as one loop over the ranked locks (contract: fork.h)
 *
 * The child has one thread, and every lock that another thread held at that
 * moment would be held for ever. So fork holds all of them while the child is
 * made. They stand in one list for each rank, under list_lock.
 *
 * list_lock comes last in the order: a thread may make or end a lock with any
 * other lock held. So prepare must not wait for a ranked lock with list_lock
 * held. It lets go of list_lock, and meanwhile the lock that it waits for could
 * be ended and its memory reused. Therefore `wanted` pins it: mtx_fini waits
 * until prepare looks elsewhere.
 *
 * A lock made while prepare is under way is born forked if its rank is already
 * passed, else free. Neither can deadlock: who locks a lock of a passed rank
 * holds none that prepare still needs, since ranks rise; and a lock of a rank
 * not yet passed is found when prepare comes to it.
 *
 * The alternative, to let the child repair what other threads were changing,
 * would have to know every half-made change of every design.
 *
 * Invariants:
 *   I1  A lock of a rank below `reached` is forked; `reached` is 0 outside fork.
 *   I2  From the end of prepare to the parent's or child's handler list_lock is
 *       forked too, so that nobody is inside the lists when the child is made.
 *   I3  A lock is not ended while `wanted` names it.
 *   I4  A lock is in one place of one list. Whoever makes one a second time bends
 *       the list into a ring, which fork would follow for ever.
 */
#include "base/fork.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/machine.h"
#include "base/sync.h"

#define CHILD_HOOKS_MAX 8

static struct mtx one_fork; /* held while a fork is under way */
static struct mtx list_lock;
static struct mtx *lists[MTX_RANK_COUNT]; /* [list_lock] newest first */
static unsigned reached;                  /* [list_lock] I1 */
static struct mtx *wanted;                /* [list_lock] I3 */
static _Atomic uint32_t wanted_turn;      /* a futex: `wanted` has changed */

static void (*child_hooks[CHILD_HOOKS_MAX])(void); /* start-up */
static unsigned child_hook_count;

void
fork_enter(struct mtx *mtx)
{
    mtx_lock(&list_lock);
    if (mtx->rank < reached) {
        atomic_store_explicit(&mtx->state, MTX_FORKED, memory_order_relaxed);
    }
    CHECK(mtx != lists[mtx->rank]); /* I4 */
    mtx->next = lists[mtx->rank];
    if (mtx->next != NULL) {
        mtx->next->prev = mtx;
    }
    lists[mtx->rank] = mtx;
    mtx_unlock(&list_lock);
}

static void
wait_while_wanted(const struct mtx *mtx) REQUIRES(list_lock)
{
    while (wanted == mtx) {
        uint32_t turn =
            atomic_load_explicit(&wanted_turn, memory_order_relaxed);

        mtx_unlock(&list_lock);
        machine.futex_wait(&wanted_turn, turn, 0);
        mtx_lock(&list_lock);
    }
}

void
fork_leave(struct mtx *mtx)
{
    mtx_lock(&list_lock);
    if (mtx->prev != NULL) {
        mtx->prev->next = mtx->next;
    } else {
        CHECK(lists[mtx->rank] == mtx);
        lists[mtx->rank] = mtx->next;
    }
    if (mtx->next != NULL) {
        mtx->next->prev = mtx->prev;
    }
    wait_while_wanted(mtx); /* I3 */
    mtx_unlock(&list_lock);
}

/* Free to forked. */
static bool
claim(struct mtx *mtx)
{
    uint32_t seen = MTX_FREE;

    /* The acquire pairs with the release in mtx_unlock. */
    return atomic_compare_exchange_strong_explicit(&mtx->state, &seen,
        MTX_FORKED, memory_order_acquire, memory_order_relaxed);
}

/* Parks until the holder of mtx unlocks it; the wake may have been meant for
 * another that is parked, so the mark is set again. Lets go of list_lock
 * meanwhile: the lists may have changed, and mtx may be gone, when it returns. */
static void
wait_for_holder(struct mtx *mtx, unsigned turn) REQUIRES(list_lock)
{
    wanted = mtx;
    mtx_unlock(&list_lock);
    mtx_park(mtx, turn);
    atomic_store(&mtx->waited, 1);
    mtx_lock(&list_lock);
    wanted = NULL;
    atomic_fetch_add_explicit(&wanted_turn, 1, memory_order_relaxed);
    machine.futex_wake(&wanted_turn, INT_MAX);
}

static void
take_rank(unsigned rank) REQUIRES(list_lock)
{
    struct mtx *mtx = lists[rank];
    unsigned turn = 0;

    while (mtx != NULL) {
        if (atomic_load_explicit(&mtx->state, memory_order_relaxed) ==
                MTX_FORKED ||
            claim(mtx)) {
            CHECK(mtx->next == NULL || mtx->next->prev == mtx); /* I4 */
            mtx = mtx->next;
        } else {
            wait_for_holder(mtx, turn++);
            mtx = lists[rank];
        }
    }
}

static void
prepare(void) NO_LOCK_ANALYSIS
{
    mtx_lock(&one_fork);
    mtx_lock(&list_lock);
    for (unsigned rank = MTX_NONE + 1; rank < MTX_RANK_COUNT; rank++) {
        reached = rank;
        take_rank(rank);
    }
    reached = MTX_RANK_COUNT;
    MTX_WITNESS(witness_unlock(&list_lock));
    atomic_store_explicit(&list_lock.state, MTX_FORKED, memory_order_relaxed);
    sync_forking = true;
}

/* Forked to free; pairs with the acquire in mtx_lock. Who waits may have parked
 * before fork came or after, so all are woken. */
static void
release(struct mtx *mtx)
{
    atomic_exchange(&mtx->state, MTX_FREE);
    if (atomic_exchange(&mtx->waited, 0) != 0) {
        machine.futex_wake(&mtx->waited, INT_MAX);
    }
}

static void
release_all(void) NO_LOCK_ANALYSIS
{
    for (unsigned rank = MTX_RANK_COUNT - 1; rank > MTX_NONE; rank--) {
        for (struct mtx *mtx = lists[rank]; mtx != NULL; mtx = mtx->next) {
            release(mtx);
        }
    }
    reached = MTX_NONE;
    sync_forking = false;
    release(&list_lock);
    mtx_unlock(&one_fork);
}

/* The other threads, and with them all that were parked, are not in the
 * child: releasing wakes nobody there, and that is all the difference. */
static void
release_all_in_child(void)
{
    release_all();
    for (unsigned i = 0; i < child_hook_count; i++) {
        child_hooks[i]();
    }
}

void
fork_on_child(void (*fn)(void))
{
    for (unsigned i = 0; i < child_hook_count; i++) {
        if (child_hooks[i] == fn) {
            return;
        }
    }
    CHECK(child_hook_count < CHILD_HOOKS_MAX);
    child_hooks[child_hook_count++] = fn;
}

/* Registered as early as can be: prepare handlers run in reverse order, so
 * ours runs last, and its counterparts first. pthread_atfork may allocate, and
 * so come back here. */
void
fork_init(void)
{
    static _Atomic bool begun;

    if (!atomic_exchange_explicit(&begun, true, memory_order_relaxed)) {
        CHECK(pthread_atfork(prepare, release_all, release_all_in_child) == 0);
    }
}

__attribute__((constructor)) static void
init_at_load(void)
{
    fork_init();
}
