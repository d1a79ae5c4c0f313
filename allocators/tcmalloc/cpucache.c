/*
 * cpucache.c - the front caches of the CPUs (contract: cpucache.h)
 *
 * A cache is never given back: a CPU that was used will be again.
 *
 * To look into another CPU's slab while it runs needs no care, since its fields
 * are read one by one; to take from it does. stop() leads the CPU's sequences
 * to the empty slab and aborts those under way; then the slab belongs to whoever
 * holds the front's lock, and is emptied as a thread's own would be. Meanwhile
 * threads on that CPU miss, and wait for the lock.
 *
 * Idle is a cache whose heads have the same sum as at the last look. Rejected:
 * to count operations, on the fast path; to ask the kernel which CPUs run.
 *
 *   I1  offsets[cpu] leads to the cache's slab, or is 0 while the front's lock
 *       is held for a drain.
 */
#include "tcmalloc/cpucache.h"

#include <assert.h>

#include "base/machine.h"

#define LOOK_NS     ((uint64_t)1000000000)
#define LOOK_MISSES 256u /* misses of a CPU between looks at the clock */

static_assert(offsetof(struct tcm_cpuslabs, none) == 0, "an offset of 0");

struct tcm_cpuslabs tcm_cpuslabs;
struct tcm_cpucaches tcm_cpucaches;

static struct tcm_cpucache *
cache_of(struct tcm_front *front)
{
    return (struct tcm_cpucache *)(void *)front;
}

/* Pairs with nothing: sequences read it as they go, and rseq_restart orders it
 * before what follows. Release, for those that find the slab by it. */
static void
set_offset(const struct tcm_cpucache *cache, uintptr_t offset)
{
    atomic_store_explicit(
        &tcm_cpuslabs.offsets[cache->cpu], offset, memory_order_release);
}

static void
stop(struct tcm_front *front)
{
    set_offset(cache_of(front), 0);
    rseq_restart(cache_of(front)->cpu);
}

static void
go_on(struct tcm_front *front)
{
    set_offset(
        cache_of(front), (uintptr_t)front->slab - (uintptr_t)&tcm_cpuslabs);
}

static size_t
pop(struct tcm_slab *slab, unsigned size_class, void **batch, size_t count)
{
    return tcm_cpuslab_pop_many(slab, size_class, batch, count);
}

static size_t
push(struct tcm_slab *slab, unsigned size_class, void *const *batch,
    size_t count)
{
    return tcm_cpuslab_push_many(slab, size_class, batch, count);
}

static const struct tcm_front_moves moves = {
    .pop = pop, .push = push, .stop = stop, .go_on = go_on};

bool
tcm_cpucache_start(struct meta *meta, struct tcm_transfer *transfers,
    struct tcm_front_pool *pool, bool seen)
{
    struct tcm_cpucaches *all = &tcm_cpucaches;

    if (!rseq_start()) {
        return false;
    }
    mtx_init(&all->lock, MTX_THREADS);
    all->meta = meta;
    all->transfers = transfers;
    all->pool = pool;
    all->on = true;
    /* Pairs with the acquire in tcm_cpucaches_seen. */
    atomic_store_explicit(&all->seen, seen, memory_order_release);
    return true;
}

/* ---- one CPU's */

static struct tcm_cpucache *
make_locked(unsigned cpu) REQUIRES(tcm_cpucaches.lock)
{
    struct tcm_cpucaches *all = &tcm_cpucaches;
    struct tcm_cpucache *cache = meta_take(all->meta,
        offsetof(struct tcm_cpucache, slab) + tcm_slab_size(TCM_SLAB_FULL));

    if (cache == NULL) {
        return NULL;
    }
    cache->cpu = cpu;
    tcm_slab_init(&cache->slab, TCM_SLAB_FULL);
    tcm_front_init(&cache->front, &cache->slab, &moves, all->transfers,
        all->pool, TCM_CPU_ROOM);
    go_on(&cache->front);
    /* Pairs with the acquire in load_cache. */
    atomic_store_explicit(&all->caches[cpu], cache, memory_order_release);
    if (atomic_load_explicit(&all->cpu_end, memory_order_relaxed) <= cpu) {
        /* Pairs with the acquire in tcm_cpucache_each. */
        atomic_store_explicit(&all->cpu_end, cpu + 1, memory_order_release);
    }
    return cache;
}

static struct tcm_cpucache *
load_cache(unsigned cpu)
{
    return atomic_load_explicit(
        &tcm_cpucaches.caches[cpu], memory_order_acquire);
}

/* Counts a miss; some are lost, since others count too. */
static void
count_miss(struct tcm_cpucache *cache)
{
    uint32_t count =
        atomic_load_explicit(&cache->miss_count, memory_order_relaxed) + 1;

    atomic_store_explicit(&cache->miss_count, count, memory_order_relaxed);
    if (count % LOOK_MISSES == 0) {
        tcm_cpucache_drain_idle();
    }
}

struct tcm_front *
tcm_cpucache_front(void)
{
    int cpu = rseq_cpu();
    struct tcm_cpucache *cache;

    if (cpu < 0 || cpu >= RSEQ_CPU_MAX) {
        return NULL;
    }
    cache = load_cache((unsigned)cpu);
    if (cache == NULL) {
        mtx_lock(&tcm_cpucaches.lock);
        cache = load_cache((unsigned)cpu);
        cache = cache != NULL ? cache : make_locked((unsigned)cpu);
        mtx_unlock(&tcm_cpucaches.lock);
    }
    if (cache == NULL) {
        return NULL;
    }
    count_miss(cache);
    return &cache->front;
}

/* ---- all CPUs' */

void
tcm_cpucache_each(tcm_front_fn *visit, void *arg)
{
    unsigned end =
        atomic_load_explicit(&tcm_cpucaches.cpu_end, memory_order_acquire);

    for (unsigned cpu = 0; cpu < end; cpu++) {
        struct tcm_cpucache *cache = load_cache(cpu);

        if (cache != NULL) {
            visit(&cache->front, arg);
        }
    }
}

static void
drain(struct tcm_front *front, void *unused)
{
    (void)unused;
    tcm_front_drain(front);
}

void
tcm_cpucache_drain_all(void)
{
    tcm_cpucache_each(drain, NULL);
}

/* Drains what has not moved since the last look, if there is anything. */
static void
drain_idle(struct tcm_front *front, void *unused)
{
    struct tcm_cpucache *cache = cache_of(front);
    uint64_t sum = 0;

    (void)unused;
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        sum = sum * 31 + tcm_slab_count(&cache->slab, i);
    }
    mtx_lock(&front->lock);
    bool idle = sum != 0 && cache->last_sum == sum;
    cache->last_sum = sum;
    mtx_unlock(&front->lock);
    if (idle) {
        tcm_front_drain(front);
    }
}

void
tcm_cpucache_drain_idle(void)
{
    uint64_t now = machine.clock_ns();
    /* Relaxed: who wins looks, nothing is read through it. */
    uint64_t last =
        atomic_load_explicit(&tcm_cpucaches.last_look, memory_order_relaxed);

    if (now - last >= LOOK_NS &&
        atomic_compare_exchange_strong_explicit(&tcm_cpucaches.last_look, &last,
            now, memory_order_relaxed, memory_order_relaxed)) {
        tcm_cpucache_each(drain_idle, NULL);
    }
}
