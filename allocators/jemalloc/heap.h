/*
 * heap.h - all the state of one heap: arenas, threads' caches, options
 *
 *     tcache (per thread) --> heap --> arenas
 *
 * Automatic arenas, four a CPU, are made when first needed; a thread is bound
 * to the one that has fewest threads. Explicit arenas are made and destroyed on
 * request and serve only who names them.
 *
 * Concurrency: jem_heap_tcache and jem_heap_arena by any thread. init and fini
 * want the heap to themselves.
 * Failure: jem_heap_tcache returns NULL when this thread must do without a
 * cache: out of memory, or at its end. jem_heap_new returns NULL when out of
 * memory.
 * Design: jemalloc(3), "opt.narenas", "arenas.create"; Evans (BSDCan 2006).
 */
#pragma once

#include <stdatomic.h>

#include "base/local.h"
#include "base/meta.h"
#include "jemalloc/arena.h"
#include "jemalloc/tcache.h"

#define JEM_ARENAS_MAX      JEM_OWNER_ARENAS_MAX
#define JEM_AUTO_ARENAS_MAX (JEM_ARENAS_MAX / 2)

struct jem_options {
    int64_t arena_count; /* automatic arenas; 0: four a CPU */
    int64_t dirty_decay_ms;
    int64_t muzzy_decay_ms;
    int64_t shard_count; /* bins a small class in each arena */
    bool tcache;
    bool huge;
    bool junk;       /* fill new and freed blocks with a pattern */
    bool zero;       /* every block comes zeroed */
    bool check_free; /* find every double free at once */
};

struct jem_heap {
    struct meta meta;
    struct jem_options options;
    size_t own_size; /* of the mapping that this stands in */
    struct mtx arenas_lock;
    unsigned auto_count; /* fixed at init */
    _Atomic(struct jem_arena *) arenas[JEM_ARENAS_MAX];
    unsigned bound_count;     /* [tcaches.lock] threads bound, ever */
    struct local_set tcaches; /* each thread's struct jem_tcache */
};

/* The process's heap; made by the first call. NULL when out of memory. */
struct jem_heap *jem_heap_main(void);

struct jem_heap *jem_heap_new(void);
void jem_heap_delete(struct jem_heap *heap);

/* The calling thread's cache on that heap, made when there is none. */
struct jem_tcache *jem_heap_tcache(struct jem_heap *heap);
/* A thread that begins by freeing a block of that arena, most likely handed on
 * by a thread that ends, joins the arena unless others have fewer threads. */
void jem_heap_settle(
    struct jem_heap *heap, struct jem_tcache *tcache, struct jem_arena *arena);

/* Every tcache in use; with tcaches.lock held, or the heap quiet. */
#define JEM_TCACHE_EACH(tcache, heap)                                          \
    for (tcache = jem_tcache_of((heap)->tcaches.used.next);                    \
         &tcache->local != &(heap)->tcaches.used;                              \
         tcache = jem_tcache_of(tcache->local.next))

/* The arena of that index, or NULL; automatic ones are made on demand. */
struct jem_arena *jem_heap_arena(struct jem_heap *heap, unsigned index);
/* An arena for a block of a thread without a cache. */
struct jem_arena *jem_heap_any_arena(struct jem_heap *heap);

/* Every arena that exists. */
#define JEM_ARENA_EACH(arena, i, heap)                                         \
    for (i = 0; i < (heap)->auto_count; i++)                                   \
        if ((arena = jem_heap_peek_arena(heap, i)) != NULL)

static inline struct jem_arena *
jem_heap_peek_arena(struct jem_heap *heap, unsigned index)
{
    /* Pairs with the release in make_arena_locked. */
    return atomic_load_explicit(&heap->arenas[index], memory_order_acquire);
}

/* The cache of the calling thread on the process's heap; jem_tcache_none
 * before its first call and at its end. */
extern _Thread_local struct jem_tcache *jem_self TLS_INITIAL_EXEC;

void jem_heap_check(struct jem_heap *heap); /* aborts if broken */
