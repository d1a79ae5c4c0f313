/*
 * threadcache.c - one thread's front cache (contract: threadcache.h)
 *
 * The memory of a cache whose thread has ended is used for the next: it is
 * never given back while the heap lives, and was touched where it will be used.
 */
#include "tcmalloc/threadcache.h"

#include <assert.h>

#include "tcmalloc/heap.h"

static_assert(offsetof(struct tcm_threadcache, local) == 0, "local is first");

struct tcm_slab tcm_slab_none;
_Thread_local struct local *tcm_self;
_Thread_local struct tcm_slab *tcm_self_slab = &tcm_slab_none;

size_t
tcm_threadcache_size(enum tcm_slab_shape shape)
{
    return offsetof(struct tcm_threadcache, slab) + tcm_slab_size(shape);
}

static struct local *
make(struct local_set *set, struct local *spare)
{
    struct tcm_heap *heap = LIST_OF(set, struct tcm_heap, threadcaches);
    struct tcm_threadcache *cache =
        spare != NULL
            ? tcm_threadcache_of(spare)
            : meta_take(&heap->meta, tcm_threadcache_size(heap->slab_shape));

    if (cache == NULL) {
        return NULL;
    }
    cache->heap = heap;
    atomic_fetch_add_explicit(&heap->own_count, 1, memory_order_relaxed);
    tcm_slab_init(&cache->slab, heap->slab_shape);
    tcm_front_init(&cache->front, &cache->slab, &tcm_front_owned,
        heap->transfers, &heap->front_pool, TCM_THREAD_ROOM);
    return &cache->local;
}

/* Where the profile is on the fast paths see no cache, so that every allocation
 * comes past the sampler. */
struct tcm_threadcache *
tcm_threadcache_get(struct tcm_heap *heap)
{
    struct local *local = local_get(&heap->threadcaches);

    if (local == NULL) {
        return NULL;
    }
    if (heap == &tcm_heap_process && !heap->sampled.on) {
        tcm_self_slab = &tcm_threadcache_of(local)->slab;
    }
    return tcm_threadcache_of(local);
}

static void
drain(struct local *local)
{
    struct tcm_threadcache *cache = tcm_threadcache_of(local);

    if (tcm_self_slab == &cache->slab) {
        tcm_self_slab = &tcm_slab_none;
    }
    tcm_front_drain(&cache->front);
}

/* In a child of fork the thread is gone and the slab may be half changed: what
 * it held is lost, what it had claimed is not. */
static void
leave(struct local *local)
{
    struct tcm_threadcache *cache = tcm_threadcache_of(local);

    tcm_front_fini(&cache->front);
    atomic_fetch_sub_explicit(&cache->heap->own_count, 1, memory_order_relaxed);
}

const struct local_kind tcm_threadcache_kind = {
    .make = make, .drain = drain, .leave = leave};
