/*
 * heap.h - all the state of one heap: arenas, threads' caches, tuning
 *
 *     tcache (per thread) --> heap --> arenas, direct mappings
 *
 * Concurrency: any thread. ptm_heap_lock_arena takes the lock of the arena that
 * it returns; new arenas are made under arenas_lock, of rank MTX_ARENA_LIST.
 * Failure: NULL when out of memory, or for a thread that must do without a
 * cache.
 * Design: glibc manual, "Tunable Parameters", "Memory Allocation Tunables";
 * glibc wiki, "MallocInternals".
 */
#pragma once

#include <stdatomic.h>

#include "base/local.h"
#include "base/meta.h"
#include "ptmalloc/arena.h"
#include "ptmalloc/tcache.h"
#include "ptmalloc/tuning.h"

struct ptm_heap {
    struct meta meta;
    struct list link; /* [process.lock] in process.heaps: heap.c */
    struct ptm_tuning tuning;
    size_t own_size;
    uintptr_t key; /* marks cached chunks; random */

    struct mtx arenas_lock;
    _Atomic unsigned arena_count;
    unsigned cpu_count; /* for good */
    _Atomic(struct ptm_arena *) arenas[PTM_ARENAS_MAX];

    struct mtx direct_lock;
    struct list direct;          /* [direct_lock] every direct mapping */
    size_t direct_size;          /* [direct_lock] */
    size_t direct_peak;          /* [direct_lock] */
    size_t direct_count_peak;    /* [direct_lock] */
    _Atomic size_t direct_count; /* changed under direct_lock */

    struct local_set tcaches; /* each thread's struct ptm_tcache */
};

/* The process's heap; made by the first call. NULL when out of memory. */
struct ptm_heap *ptm_heap_main(void);
struct ptm_heap *ptm_heap_new(void);
void ptm_heap_delete(struct ptm_heap *heap);

/* The calling thread's cache; NULL when it must do without. */
struct ptm_tcache *ptm_heap_tcache(struct ptm_heap *heap);

/* Binds a thread that has allocated nothing to the arena of a block it frees:
 * it goes on with the work of another thread, whose blocks lie there. */
void ptm_heap_follow(struct ptm_tcache *tcache, struct ptm_arena *arena);

/* Before the thread's arena, locked, grows: unlocks it and locks one instead
 * that no thread is bound to and that has much free memory. The same one if
 * there is none. The thread's last arena is from now on the one returned. */
struct ptm_arena *ptm_heap_lock_richer_arena(
    struct ptm_heap *heap, struct ptm_tcache *tcache, struct ptm_arena *arena);

/* Locks an arena for the caller: the thread's last one; if that is busy, the
 * first that is free; else a new one, up to the limit; else it waits. tcache
 * may be NULL. */
struct ptm_arena *ptm_heap_lock_arena(
    struct ptm_heap *heap, struct ptm_tcache *tcache);
/* Another arena than that, locked, after it ran out of memory; or NULL. */
struct ptm_arena *ptm_heap_lock_other_arena(
    struct ptm_heap *heap, const struct ptm_arena *arena);

static inline struct ptm_arena *
ptm_heap_peek_arena(struct ptm_heap *heap, unsigned index)
{
    /* Pairs with the release in make_arena_locked. */
    return atomic_load_explicit(&heap->arenas[index], memory_order_acquire);
}

#define PTM_ARENA_EACH(arena, i, heap)                                         \
    for (i = 0;                                                                \
         i < PTM_ARENAS_MAX && (arena = ptm_heap_peek_arena(heap, i)) != NULL; \
         i++)

#define PTM_TCACHE_EACH(tcache, heap)                                          \
    for (tcache = ptm_tcache_of((heap)->tcaches.used.next);                    \
         &tcache->local != &(heap)->tcaches.used;                              \
         tcache = ptm_tcache_of(tcache->local.next))

/* The calling thread's cache on the process's heap, or ptm_tcache_none. */
extern _Thread_local struct ptm_tcache *ptm_self TLS_INITIAL_EXEC;

void ptm_heap_check(struct ptm_heap *heap); /* aborts if broken */
