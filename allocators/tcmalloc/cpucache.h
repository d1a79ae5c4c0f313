/*
 * cpucache.h - the front caches of the CPUs, on the process's heap
 *
 *     fast path --> slab of the CPU <--> its front --> transfer caches
 *
 *     struct tcm_cpucache: | front | slab: heads, slots ... |
 *
 * One for each CPU that the process has run on, made at its first miss there.
 * However many threads there are, they hold as many caches as there are CPUs,
 * and what one leaves behind the next one on that CPU takes. A cache that has not
 * moved for a while, since nobody runs on its CPU, is emptied by whoever misses.
 *
 * Concurrency: any thread, any time. tcm_cpucache_drain takes the front's lock,
 * of rank MTX_FRONT; making takes tcm_cpucaches.lock, of rank MTX_THREADS.
 * After fork the child has all caches with what they held: a sequence changes a
 * slab by one store, so a copy of memory always shows it whole.
 * Failure: tcm_cpucache_front returns NULL when out of memory, and for a thread
 * that the kernel does not know (base/rseq.h). A child of vfork is such a
 * thread without showing it; POSIX allows it no call.
 * Design: google/tcmalloc's docs/design.md, "Per-CPU Mode", docs/rseq.md; Zhou
 * et al., "Characterizing a Memory Allocator at Warehouse Scale" (ASPLOS 2024).
 */
#pragma once

#include "base/meta.h"
#include "tcmalloc/cpuslab.h"
#include "tcmalloc/front.h"

#define TCM_CPU_ROOM ((size_t)256 << 10) /* bytes that each cache has */

struct tcm_cpucache {
    struct tcm_front front;
    unsigned cpu;
    _Atomic uint32_t miss_count; /* about */
    uint64_t last_sum; /* [front.lock] of the slab's heads, at the last look */
    _Alignas(CACHE_LINE) struct tcm_slab slab; /* last */
};

struct tcm_cpucaches {
    struct mtx lock;
    bool on;           /* fixed at start */
    _Atomic bool seen; /* ... by the fast paths too */
    struct meta *meta;
    struct tcm_transfer *transfers;
    struct tcm_front_pool *pool;
    _Atomic uint64_t last_look; /* ns */
    _Atomic unsigned cpu_end;   /* CPUs below may have one */
    struct tcm_cpucache *_Atomic caches[RSEQ_CPU_MAX]; /* or NULL */
};

extern struct tcm_cpucaches tcm_cpucaches;

/* For the fast paths, which may run beside the start. Pairs with the release in
 * tcm_cpucache_start. */
static inline bool
tcm_cpucaches_seen(void)
{
    return atomic_load_explicit(&tcm_cpucaches.seen, memory_order_acquire);
}

/* Turns them on, where there are restartable sequences; seen: for the fast paths
 * too. */
bool tcm_cpucache_start(struct meta *meta, struct tcm_transfer *transfers,
    struct tcm_front_pool *pool, bool seen);

/* The front of the caller's CPU, made when there is none. Now and then drains
 * what is idle. */
struct tcm_front *tcm_cpucache_front(void);

/* Empties the caches of all CPUs, whoever runs there. */
void tcm_cpucache_drain_all(void);
/* Empties those that have not moved since the call before; calls less than a
 * second after one that did this do nothing. */
void tcm_cpucache_drain_idle(void);

/* Every CPU's front. */
void tcm_cpucache_each(tcm_front_fn *visit, void *arg);
