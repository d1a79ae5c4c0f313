/*
 * front.h - a front cache between its fast path and the transfer caches
 *
 *     fast path: pop, push --> slab <--> front: refill, spill --> transfer
 *
 * A front is one thread's or one CPU's. The fast path pops and pushes on the
 * slab; when the slab is empty or full it comes here. Capacity follows demand:
 * a class that runs empty or full gets more, paid from the front's room, a
 * number of bytes; when there is none, other classes give theirs up in turn.
 *
 * The two kinds of front differ in how objects are moved in and out of a slab:
 * a thread's own needs no care, a CPU's is moved by restartable sequences.
 *
 * Concurrency: a thread's front is its thread's alone; a CPU's is anybody's who
 * runs there. Capacity is guarded by front.lock, of rank MTX_FRONT, and locks
 * of the middle tier are taken inside it.
 * Failure: tcm_front_refill returns NULL when out of memory.
 * Design: google/tcmalloc's docs/design.md, "Per-Thread Mode" and "Per-CPU
 * Mode"; Ghemawat and Menage, "Sizing Thread Cache Free Lists".
 */
#pragma once

#include "base/sync.h"
#include "tcmalloc/slab.h"
#include "tcmalloc/transfer.h"

struct tcm_front;

/* How objects move in and out of a slab: how many of count were moved. Fewer,
 * even none, is no error. Between stop and go_on, with the front's lock held,
 * the slab is the caller's own. */
struct tcm_front_moves {
    size_t (*pop)(
        struct tcm_slab *slab, unsigned size_class, void **batch, size_t count);
    size_t (*push)(struct tcm_slab *slab, unsigned size_class,
        void *const *batch, size_t count);
    void (*stop)(struct tcm_front *front);
    void (*go_on)(struct tcm_front *front);
};

extern const struct tcm_front_moves tcm_front_owned; /* a thread's own slab */

/* Room that several fronts share. */
struct tcm_front_pool {
    _Atomic size_t room; /* bytes that no front has claimed */
};

struct tcm_front {
    struct mtx lock;
    const struct tcm_front_moves *moves;
    struct tcm_slab *slab;
    struct tcm_transfer *transfers; /* by class */
    struct tcm_front_pool *pool;    /* or NULL */
    size_t own_room;                /* fixed at init */
    size_t room;    /* [lock] bytes of capacity that no class has */
    size_t claimed; /* [lock] bytes from the pool */
    unsigned hand;  /* [lock] the class that gives up capacity next */
    uint8_t last_miss[TCM_CLASS_COUNT]; /* [lock] the kind of the newest */
    uint64_t miss_count;                /* [lock] refills and spills */
};

/* In zeroed memory; room is what the front has of its own. */
void tcm_front_init(struct tcm_front *front, struct tcm_slab *slab,
    const struct tcm_front_moves *moves, struct tcm_transfer *transfers,
    struct tcm_front_pool *pool, size_t room);

/* An object for the caller, and more for the slab. */
void *tcm_front_refill(struct tcm_front *front, unsigned size_class);
/* Takes an object that the slab has no room for. */
void tcm_front_spill(
    struct tcm_front *front, unsigned size_class, void *object);

/* Moves all objects to the transfer caches, takes all capacity away, and gives
 * claimed room back. */
void tcm_front_drain(struct tcm_front *front);
/* Ends a front. What its slab holds is forgotten. */
void tcm_front_fini(struct tcm_front *front);

size_t tcm_front_cached_size(const struct tcm_front *front);

typedef void tcm_front_fn(struct tcm_front *front, void *arg);

void tcm_front_check(struct tcm_front *front);
void tcm_front_dump(struct tcm_front *front, int fd);
