/*
 * tcache.h - one thread's cache: a stack of free blocks a size class
 *
 *     malloc, free --> tcache --(fill, flush: batches)--> arenas
 *
 *     struct jem_tbin:   empty      floor      top        full       end
 *                          | block .. | block .. | (room) .. | (spare) |
 *
 * malloc pops at top while top != floor; free pushes while top != full. Both
 * borders are the slow path's business. Between two collections the floor
 * stands at half of what the bin held: if top never came down to it, what is
 * below was not needed, and three quarters of it are flushed. A bin that runs
 * both full and empty between two collections is given twice the room.
 * The bins of classes that are not cached are both empty and full at once.
 *
 * Concurrency: a tcache belongs to one thread. fill, flush and drain take the
 * locks of bins and page caches. Any thread may ask for a bin's count: top is an
 * atomic word that only the owner writes, and empty never changes in use.
 * Failure: fill returns NULL when out of memory.
 * Design: jemalloc(3), "opt.tcache", "opt.tcache_max"; Evans, "Scalable memory
 * allocation using jemalloc" (2011), section on thread caching.
 */
#pragma once

#include "base/local.h"
#include "jemalloc/arena.h"

/* Classes up to this size are cached. */
#define JEM_TCACHE_SIZE_MAX ((size_t)128 << 10)
#define JEM_TCACHE_CLASSES  49u

struct jem_tbin {
    _Atomic(void **) top; /* its thread writes, statistics read */
    void **floor;
    void **full;
    void **empty;
};

/* What the slow path alone needs to know of a bin. */
struct jem_tbin_use {
    uint8_t fill_shift; /* a fill takes capacity >> fill_shift */
    bool floor_hit;     /* since the last collection: it ran empty */
    bool full_hit;      /* ... and full */
};

struct jem_tcache {
    struct local local;
    /* The part of the owner map that this thread used last: almost always the
     * right one for free, which so saves a dependent load. */
    uintptr_t leaf_index;
    const struct pagemap_leaf *leaf;
    struct jem_heap *heap;
    struct jem_arena *arena;
    struct jem_tbin bins[JEM_TCACHE_CLASSES];
    struct jem_tbin_use uses[JEM_TCACHE_CLASSES];
    unsigned class_limit; /* classes below are cached; 0: the cache is off */
    unsigned shard;
    bool is_explicit; /* of no thread */
    unsigned index;   /* explicit: its place in the heap's table */
    bool counting;    /* its thread's blocks are counted, and so it is off */
    uint64_t allocated_size;   /* [its thread] since counting */
    uint64_t deallocated_size; /* [its thread] */
    uint64_t peak_size; /* [its thread] most of their difference above ... */
    uint64_t peak_base; /* ... this, which it was when the peak began anew */
    bool settled; /* it stays with its arena: it has taken or given a block */
    unsigned event_count;   /* fills and flushes: the clock of collection */
    unsigned collect_class; /* whose turn it is */
    void *slots[];          /* the stacks, one behind the other */
};

static inline struct jem_tcache *
jem_tcache_of(struct local *local)
{
    return (struct jem_tcache *)(void *)local;
}

/* Without room or blocks: every call on it goes the slow path. */
extern struct jem_tcache jem_tcache_none;

/* Bytes of a tcache with its stacks. */
size_t jem_tcache_size(void);
/* In zeroed memory of that size. It is off at first. */
void jem_tcache_init(
    struct jem_tcache *tcache, struct jem_heap *heap, unsigned shard);
/* From now on it caches the classes below the limit. What is cached above goes
 * back to the arenas. */
void jem_tcache_limit(struct jem_tcache *tcache, unsigned class_limit);

/* A block of that class; the bin had none above its floor. *zeroed only for
 * large classes. */
void *jem_tcache_refill(
    struct jem_tcache *tcache, unsigned size_class, bool *zeroed);
/* Makes room in a full bin, then pushes. */
void jem_tcache_spill(
    struct jem_tcache *tcache, unsigned size_class, void *block);
/* Makes leaf the one of block, an address of ours. */
void jem_tcache_move_leaf(struct jem_tcache *tcache, const void *block);
/* The peak of what its thread has is from now on. */
void jem_tcache_reset_peak(struct jem_tcache *tcache);
/* Empties all bins. */
void jem_tcache_drain(struct jem_tcache *tcache);

static inline void **
jem_tbin_top(const struct jem_tbin *bin)
{
    return atomic_load_explicit(&bin->top, memory_order_relaxed);
}

static inline void
jem_tbin_set_top(struct jem_tbin *bin, void **top)
{
    atomic_store_explicit(&bin->top, top, memory_order_relaxed);
}

/* Takes the newest block of a bin that has one; top is the bin's. */
static inline void *
jem_tbin_pop(struct jem_tbin *bin, void **top)
{
    jem_tbin_set_top(bin, top - 1);
    return top[-1];
}

/* Puts a block into a bin that has room; top is the bin's. */
static inline void
jem_tbin_push(struct jem_tbin *bin, void **top, void *block)
{
    *top = block;
    jem_tbin_set_top(bin, top + 1);
}

static inline size_t
jem_tbin_count(const struct jem_tbin *bin)
{
    return (size_t)(jem_tbin_top(bin) - bin->empty);
}

static inline size_t
jem_tbin_capacity(const struct jem_tbin *bin)
{
    return (size_t)(bin->full - bin->empty);
}

void jem_tcache_check(const struct jem_tcache *tcache);
