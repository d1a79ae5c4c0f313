/*
 * front.c - a front cache between its fast path and the transfer caches
 * (contract: front.h)
 *
 * Capacity starts at nothing and doubles each time that the class misses, up to
 * the room in its slab: a class that is used once costs little, one that is
 * used all the time misses a few times only. A refill and a spill each move
 * half the capacity, so that a cache that was just filled can take frees, and
 * one that was just emptied can serve.
 *
 * That is so where objects come and go. Where one thread takes and another gives
 * back, each misses all the time, whatever its capacity: what it holds is idle,
 * and only a batch saves locks. So a class whose misses are all of one kind has
 * room for four batches; its capacity doubles further when the kind changes.
 *
 * When there is no room left, the classes pay in turn, half of what they have.
 * One that needs it gets it back at its next miss; one that does not ends with
 * nothing. Rejected: counting misses a class and moving capacity to where most
 * are. It settles better, and needs a clock and a sort.
 *
 * Invariant, true whenever the lock is free:
 *   I1  room plus the capacity of all classes, in bytes, is own_room plus
 *       claimed.
 */
#include "tcmalloc/front.h"

#include <string.h>

#include "base/print.h"

#define MOVE_MAX        128u /* objects that one call moves at most */
#define FIRST_COUNT     8u   /* a class's first capacity */
#define ONE_WAY_BATCHES 4u   /* ... and its last, where all go one way */
#define CLAIM           ((size_t)64 << 10) /* bytes taken from the pool at once */

/* The slab was empty, or full. */
enum miss { MISS_EMPTY, MISS_FULL };

static void
need_no_stop(struct tcm_front *front)
{
    (void)front;
}

const struct tcm_front_moves tcm_front_owned = {.pop = tcm_slab_pop_many,
    .push = tcm_slab_push_many,
    .stop = need_no_stop,
    .go_on = need_no_stop};

void
tcm_front_init(struct tcm_front *front, struct tcm_slab *slab,
    const struct tcm_front_moves *moves, struct tcm_transfer *transfers,
    struct tcm_front_pool *pool, size_t room)
{
    mtx_init(&front->lock, MTX_FRONT);
    front->moves = moves;
    front->slab = slab;
    front->transfers = transfers;
    front->pool = pool;
    front->own_room = room;
    front->room = room;
    front->claimed = 0;
    front->hand = 1;
    front->miss_count = 0;
    memset(front->last_miss, MISS_EMPTY, sizeof front->last_miss);
}

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- capacity */

/* Takes room from the pool until there is enough or the pool is empty. */
static void
claim_locked(struct tcm_front *front, size_t size) REQUIRES(front->lock)
{
    if (front->pool == NULL || front->room >= size) {
        return;
    }
    _Atomic size_t *room = &front->pool->room;
    size_t seen = atomic_load_explicit(room, memory_order_relaxed);
    size_t part;

    /* Relaxed: a count, nothing is read through it. */
    do {
        part = size - front->room;
        part = smaller(part < CLAIM ? CLAIM : part, seen);
    } while (!atomic_compare_exchange_weak_explicit(
        room, &seen, seen - part, memory_order_relaxed, memory_order_relaxed));
    front->room += part;
    front->claimed += part;
}

/* Gives claimed room back. */
static void
unclaim_locked(struct tcm_front *front) REQUIRES(front->lock)
{
    if (front->pool != NULL) {
        /* Relaxed, as above. */
        atomic_fetch_add_explicit(
            &front->pool->room, front->claimed, memory_order_relaxed);
    }
    front->room -= smaller(front->room, front->claimed);
    front->claimed = 0;
}

/* Lowers a class's capacity to `count` and sends on what is above it. */
static void
shrink_locked(struct tcm_front *front, const struct tcm_front_moves *moves,
    unsigned size_class, uint32_t count) REQUIRES(front->lock)
{
    struct tcm_slab *slab = front->slab;
    uint32_t capacity = tcm_slab_capacity(slab, size_class);
    void *batch[MOVE_MAX];
    size_t popped;

    tcm_slab_store(
        &slab->heads[size_class].end, slab->runs[size_class].begin + count);
    front->room += (size_t)(capacity - count) * tcm_classes[size_class].size;
    while (tcm_slab_count(slab, size_class) > count) {
        popped = moves->pop(slab, size_class, batch,
            smaller(MOVE_MAX, tcm_slab_count(slab, size_class) - count));
        if (popped == 0) {
            break;
        }
        tcm_transfer_give(&front->transfers[size_class], batch, popped);
    }
}

/* Other classes give up half of their capacity until there is enough. */
static void
steal_locked(struct tcm_front *front, unsigned size_class, size_t size)
    REQUIRES(front->lock)
{
    for (unsigned tries = 1; tries < TCM_CLASS_COUNT && front->room < size;
         tries++) {
        unsigned victim = front->hand;
        uint32_t capacity = tcm_slab_capacity(front->slab, victim);

        front->hand = victim + 1 < TCM_CLASS_COUNT ? victim + 1 : 1;
        if (victim != size_class && capacity > 0) {
            shrink_locked(front, front->moves, victim, capacity / 2);
        }
    }
}

/* How much capacity the class may have, a miss of that kind being the newest. */
static size_t
most_locked(struct tcm_front *front, unsigned size_class, enum miss miss)
    REQUIRES(front->lock)
{
    const struct tcm_slab_run *run = &front->slab->runs[size_class];
    size_t most = run->limit - run->begin;
    bool turned = front->last_miss[size_class] != miss;

    front->last_miss[size_class] = (uint8_t)miss;
    return turned ? most
                  : smaller(most, ONE_WAY_BATCHES *
                                      (size_t)tcm_classes[size_class].batch);
}

/* Gives a class more capacity; false when it gets none. */
static bool
grow_locked(struct tcm_front *front, unsigned size_class, enum miss miss)
    REQUIRES(front->lock)
{
    const struct tcm_class *class = &tcm_classes[size_class];
    _Atomic uint32_t *end = &front->slab->heads[size_class].end;
    uint32_t capacity = tcm_slab_capacity(front->slab, size_class);
    size_t most = most_locked(front, size_class, miss);
    size_t wanted = capacity == 0 ? smaller(FIRST_COUNT, class->batch)
                                  : (size_t)2 * capacity;
    size_t more = smaller(wanted, most);

    if (more <= capacity) {
        return false;
    }
    more -= capacity;
    claim_locked(front, more * class->size);
    if (front->room < more * class->size) {
        steal_locked(front, size_class, more * class->size);
    }
    more = smaller(more, front->room / class->size);
    front->room -= more * class->size;
    tcm_slab_store(end, tcm_slab_load(end) + (uint32_t)more);
    return more > 0;
}

static bool
grow(struct tcm_front *front, unsigned size_class, enum miss miss)
{
    mtx_lock(&front->lock);
    front->miss_count++;
    bool grown = grow_locked(front, size_class, miss);
    mtx_unlock(&front->lock);
    return grown;
}

/* ---- misses */

/* How many objects a refill or a spill of the class moves. */
static size_t
move_count(const struct tcm_front *front, unsigned size_class)
{
    size_t half = tcm_slab_capacity(front->slab, size_class) / 2;

    return half == 0 ? 1 : smaller(half, MOVE_MAX);
}

void *
tcm_front_refill(struct tcm_front *front, unsigned size_class)
{
    struct tcm_transfer *transfer = &front->transfers[size_class];
    void *batch[MOVE_MAX];

    (void)grow(front, size_class, MISS_EMPTY);
    size_t wanted = move_count(front, size_class);
    size_t fresh = smaller(wanted, tcm_classes[size_class].batch);
    size_t taken = tcm_transfer_take(transfer, batch, wanted, fresh);
    if (taken == 0) {
        return NULL;
    }
    size_t rest = taken - 1;
    size_t pushed = front->moves->push(front->slab, size_class, batch, rest);
    if (pushed < rest) {
        tcm_transfer_give(transfer, batch + pushed, rest - pushed);
    }
    return batch[rest];
}

void
tcm_front_spill(struct tcm_front *front, unsigned size_class, void *object)
{
    struct tcm_transfer *transfer = &front->transfers[size_class];
    void *batch[MOVE_MAX];

    if (!grow(front, size_class, MISS_FULL)) {
        size_t popped = front->moves->pop(
            front->slab, size_class, batch, move_count(front, size_class));
        tcm_transfer_give(transfer, batch, popped);
    }
    if (front->moves->push(front->slab, size_class, &object, 1) == 0) {
        tcm_transfer_give(transfer, &object, 1);
    }
}

void
tcm_front_drain(struct tcm_front *front)
{
    mtx_lock(&front->lock);
    front->moves->stop(front);
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        if (tcm_slab_capacity(front->slab, i) > 0 ||
            tcm_slab_count(front->slab, i) > 0) {
            shrink_locked(front, &tcm_front_owned, i, 0);
        }
    }
    unclaim_locked(front);
    front->moves->go_on(front);
    mtx_unlock(&front->lock);
}

void
tcm_front_fini(struct tcm_front *front)
{
    mtx_lock(&front->lock);
    unclaim_locked(front);
    mtx_unlock(&front->lock);
    mtx_fini(&front->lock);
}

/* ---- looking */

size_t
tcm_front_cached_size(const struct tcm_front *front)
{
    size_t size = 0;

    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        size += (size_t)tcm_slab_count(front->slab, i) * tcm_classes[i].size;
    }
    return size;
}

/* Room and all capacities, in bytes. */
static size_t
sum_locked(const struct tcm_front *front) REQUIRES(front->lock)
{
    size_t sum = front->room;

    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        sum += (size_t)tcm_slab_capacity(front->slab, i) * tcm_classes[i].size;
    }
    return sum;
}

void
tcm_front_check(struct tcm_front *front)
{
    mtx_lock(&front->lock);
    CHECK(sum_locked(front) == front->own_room + front->claimed); /* I1 */
    tcm_slab_check(front->slab);
    mtx_unlock(&front->lock);
}

void
tcm_front_dump(struct tcm_front *front, int fd)
{
    struct print print;

    print_init(&print, fd);
    mtx_lock(&front->lock);
    print_format(&print, "front: %zu bytes cached, %zu of room, %lu misses\n",
        tcm_front_cached_size(front), front->room,
        (unsigned long)front->miss_count);
    print_flush(&print);
    tcm_slab_dump(front->slab, fd);
    mtx_unlock(&front->lock);
}
