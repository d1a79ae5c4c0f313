/*
 * threadcache.h - one thread's front cache
 *
 *     struct tcm_threadcache: | local | front | slab: heads, slots ... |
 *
 * The front tier where there are no restartable sequences, in sanitizer and
 * observed builds, and on every heap but the process's own.
 *
 * Concurrency: a cache belongs to one thread.
 * Failure: see front.h; making one needs memory, see base/local.h.
 * Design: Ghemawat and Menage, "TCMalloc: Thread-Caching Malloc".
 */
#pragma once

#include "base/local.h"
#include "tcmalloc/front.h"

struct tcm_heap;

struct tcm_threadcache {
    struct local local; /* first */
    struct tcm_heap *heap;
    struct tcm_front front;
    _Alignas(CACHE_LINE) struct tcm_slab slab; /* last */
};

/* The calling thread's cache on the process's heap; NULL when it has none. */
extern _Thread_local struct local *tcm_self TLS_INITIAL_EXEC;
/* What the fast paths see: its slab, or one without room or objects. */
extern struct tcm_slab tcm_slab_none;
extern _Thread_local struct tcm_slab *tcm_self_slab TLS_INITIAL_EXEC;

/* The calling thread's cache on that heap, made when there is none; NULL when
 * the thread must do without. */
struct tcm_threadcache *tcm_threadcache_get(struct tcm_heap *heap);

/* Bytes of a cache. */
size_t tcm_threadcache_size(enum tcm_slab_shape shape);

static inline struct tcm_threadcache *
tcm_threadcache_of(struct local *local)
{
    return (struct tcm_threadcache *)(void *)local;
}

/* What heap.c gives to local_set_init. */
extern const struct local_kind tcm_threadcache_kind;
