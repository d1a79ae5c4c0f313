/*
 * slab.h - the arrays of free objects that a front cache is made of
 *
 *     heads:   class 1 | class 2 | ...          struct tcm_slab_head
 *     slots:   | - o o o . . . | - o o . . | ...    one run for each class
 *                ^     ^   ^  ^
 *            begin current end limit
 *
 * malloc pops the object at current, free pushes one past it while current is
 * below end. The slot at begin is always NULL: a pop that finds NULL is at the
 * end of its run, and needs no comparison. The run's room ends at limit; end
 * moves between begin and limit as the class earns or loses capacity. A head of
 * all zeroes can neither pop nor push: so is memory that nobody has made a slab
 * of yet. It points at slot 0, which is the head of class 0, no class: NULL.
 *
 * Counted in slots from the slab's own address. 32-bit fields, since a processor
 * passes what it has just stored on to a load of the same 32 or 64 bits at no
 * cost, and of 16 bits at seven cycles.
 *
 * Concurrency: current has one writer, the cache's owner. end may be read while
 * another thread, which holds the cache's lock, writes it.
 * Failure: pop returns NULL when empty, push false when full.
 * Design: google/tcmalloc's docs/rseq.md and docs/design.md, "Per-CPU Mode".
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "tcmalloc/sizemap.h"

/* What the fast path reads: eight bytes, which an index addresses at no cost. */
struct tcm_slab_head {
    _Atomic uint32_t current, end;
};

/* Fixed at init. */
struct tcm_slab_run {
    uint32_t begin, limit;
};

struct tcm_slab {
    struct tcm_slab_head heads[TCM_CLASS_COUNT]; /* first; [0] stays zero */
    struct tcm_slab_run runs[TCM_CLASS_COUNT];
    /* the slots follow */
};

/* How much room each class has: all of front_max, or little, for heaps that
 * are opened and closed often. */
enum tcm_slab_shape { TCM_SLAB_FULL, TCM_SLAB_SMALL };

size_t tcm_slab_size(enum tcm_slab_shape shape); /* in bytes */
/* Empty, without capacity; in zeroed memory. */
void tcm_slab_init(struct tcm_slab *slab, enum tcm_slab_shape shape);

static inline uint32_t
tcm_slab_load(const _Atomic uint32_t *field)
{
    return atomic_load_explicit(field, memory_order_relaxed);
}

static inline void
tcm_slab_store(_Atomic uint32_t *field, uint32_t value)
{
    atomic_store_explicit(field, value, memory_order_relaxed);
}

static inline void **
tcm_slab_slot(struct tcm_slab *slab, uint32_t index)
{
    return (void **)slab + index;
}

static inline uint32_t
tcm_slab_count(const struct tcm_slab *slab, unsigned size_class)
{
    return tcm_slab_load(&slab->heads[size_class].current) -
           slab->runs[size_class].begin;
}

static inline uint32_t
tcm_slab_capacity(const struct tcm_slab *slab, unsigned size_class)
{
    return tcm_slab_load(&slab->heads[size_class].end) -
           slab->runs[size_class].begin;
}

/* The newest object, or NULL. The acquire pairs with the commit of a push on
 * another CPU: what is in the slot is no older than current. */
static inline void *
tcm_slab_newest(struct tcm_slab *slab, unsigned size_class)
{
    return *tcm_slab_slot(
        slab, atomic_load_explicit(
                  &slab->heads[size_class].current, memory_order_acquire));
}

/* For the owner alone. */
static inline void *
tcm_slab_pop(struct tcm_slab *slab, unsigned size_class)
{
    struct tcm_slab_head *head = &slab->heads[size_class];
    uint32_t current = tcm_slab_load(&head->current);
    void *object = *tcm_slab_slot(slab, current);

    if (__builtin_expect(object != NULL, 1)) {
        tcm_slab_store(&head->current, current - 1);
    }
    return object;
}

/* For the owner alone. An object that is the newest already is not pushed: it
 * is a double free, for the slow path to name. */
static inline bool
tcm_slab_push(struct tcm_slab *slab, unsigned size_class, void *object)
{
    struct tcm_slab_head *head = &slab->heads[size_class];
    uint32_t current = tcm_slab_load(&head->current);

    if (__builtin_expect(current >= tcm_slab_load(&head->end), 0) ||
        __builtin_expect(*tcm_slab_slot(slab, current) == object, 0)) {
        return false;
    }
    *tcm_slab_slot(slab, current + 1) = object;
    tcm_slab_store(&head->current, current + 1);
    return true;
}

/* For the owner alone: how many of count were moved. */
size_t tcm_slab_pop_many(
    struct tcm_slab *slab, unsigned size_class, void **batch, size_t count);
size_t tcm_slab_push_many(struct tcm_slab *slab, unsigned size_class,
    void *const *batch, size_t count);

/* True when the object is among the slab's of that class. */
bool tcm_slab_holds(
    struct tcm_slab *slab, unsigned size_class, const void *object);

void tcm_slab_check(struct tcm_slab *slab);
void tcm_slab_dump(struct tcm_slab *slab, int fd); /* classes in use */
