/*
 * heap.h - all the state of one heap: arenas, caches, options
 *
 *     tcache (per thread, or explicit) --> heap --> arenas
 *
 * Automatic arenas, four a CPU, are made when first needed; a thread is bound
 * to the one that has fewest threads. Explicit arenas are made and destroyed on
 * request and serve only who names them; so do explicit caches, which belong to
 * no thread.
 *
 * Concurrency: any thread, but that new and delete want the heap to themselves.
 * An explicit cache is used by one thread at a time, and so is an explicit arena
 * that is reset or destroyed.
 * Failure: jem_heap_tcache returns NULL when this thread must do without a
 * cache: out of memory, or at its end. jem_heap_new returns NULL when out of
 * memory.
 * Design: jemalloc(3), "opt.narenas", "arenas.create"; Evans (BSDCan 2006).
 */
#pragma once

#include <stdatomic.h>

#include "base/local.h"
#include "base/meta.h"
#include "guarded.h"
#include "jemalloc/arena.h"
#include "jemalloc/options.h"
#include "jemalloc/tcache.h"
#include "sampled.h"

#define JEM_ARENAS_MAX      JEM_OWNER_ARENAS_MAX
#define JEM_AUTO_ARENAS_MAX (JEM_ARENAS_MAX / 2)
#define JEM_CACHES_MAX      4094u /* explicit caches; mallocx has 12 bits */
#define JEM_NO_INDEX        UINT32_MAX

struct jem_heap {
    struct meta meta;
    struct jem_options options;     /* the decay times: [arenas_lock] */
    struct sampled sampled;         /* off on all heaps but the process's */
    struct guarded guarded;         /* likewise: some of the sampled blocks */
    _Atomic bool samples;           /* ... and goes on taking samples */
    _Atomic uint64_t zero_reallocs; /* realloc(block, 0), ever */
    size_t own_size;                /* of the mapping that this stands in */
    struct jem_mapped mapped;       /* by all arenas */
    struct jem_stats stats;         /* of the last refresh */
    _Atomic bool has_background;    /* a thread purges what has decayed */
    struct mtx arenas_lock;         /* who walks the arenas, or destroys one */
    unsigned auto_count;            /* fixed at init */
    _Atomic unsigned arena_end;     /* indexes below may have an arena */
    _Atomic(struct jem_arena *) arenas[JEM_ARENAS_MAX];
    unsigned bound_count;     /* [tcaches.lock] threads bound, ever */
    struct local_set tcaches; /* each thread's struct jem_tcache */
    unsigned cache_end;       /* [tcaches.lock] indexes below may have one */
    struct jem_tcache *caches[JEM_CACHES_MAX]; /* [tcaches.lock] explicit */
    struct local spare_caches; /* [tcaches.lock] a list, by local.next */
};

/* The process's heap; made by the first call. NULL when out of memory. */
struct jem_heap *jem_heap_main(void);

/* What the process's heap began with. */
const struct jem_options *jem_heap_options(void);

struct jem_heap *jem_heap_new(void);
void jem_heap_delete(struct jem_heap *heap);

/* The calling thread's cache on that heap, made when there is none. It may be
 * off, and then only says which arena the thread is bound to. */
struct jem_tcache *jem_heap_tcache(struct jem_heap *heap);
/* A thread that begins by freeing a block of that arena, most likely handed on
 * by a thread that ends, joins the arena unless others have far fewer threads. */
void jem_heap_settle(
    struct jem_heap *heap, struct jem_tcache *tcache, struct jem_arena *arena);

/* The classes that caches of the heap hold by its options are below. */
unsigned jem_heap_class_limit(const struct jem_heap *heap);
/* Binds the calling thread to that arena. */
void jem_heap_bind(struct jem_tcache *tcache, struct jem_arena *arena);

/* An explicit cache: its index, or JEM_NO_INDEX when there is no memory, or too
 * many. False when there is none of that index. */
unsigned jem_heap_create_cache(struct jem_heap *heap, struct jem_arena *arena);
bool jem_heap_destroy_cache(struct jem_heap *heap, unsigned index);
struct jem_tcache *jem_heap_cache(struct jem_heap *heap, unsigned index);
/* From now on the explicit cache draws from that arena. */
void jem_heap_point_cache(
    struct jem_heap *heap, struct jem_tcache *cache, struct jem_arena *arena);

/* Every cache in use, threads' and explicit; with tcaches.lock held, or the heap
 * quiet. */
#define JEM_TCACHE_EACH(tcache, heap)                                          \
    for (tcache = jem_heap_next_tcache(heap, NULL); tcache != NULL;            \
         tcache = jem_heap_next_tcache(heap, tcache))

struct jem_tcache *jem_heap_next_tcache(
    struct jem_heap *heap, const struct jem_tcache *tcache);

/* The arena of that index, or NULL; automatic ones are made on demand. */
struct jem_arena *jem_heap_arena(struct jem_heap *heap, unsigned index);
/* An arena for a block of a thread without a cache. */
struct jem_arena *jem_heap_any_arena(struct jem_heap *heap);

/* A thread of that arena has been at work for a while: time does its work there,
 * and in one other arena, in turn, whose threads may sleep or be gone. */
void jem_heap_tick(
    struct jem_heap *heap, struct jem_arena *arena, unsigned turn);

/* An explicit arena: its index, or JEM_NO_INDEX when there is no memory. */
unsigned jem_heap_create_arena(struct jem_heap *heap);
/* Destroys an explicit arena. False when a thread is bound to it. */
bool jem_heap_destroy_arena(struct jem_heap *heap, struct jem_arena *arena);

static inline bool
jem_heap_has_background(const struct jem_heap *heap)
{
    return atomic_load_explicit(&heap->has_background, memory_order_relaxed);
}

static inline bool
jem_heap_samples(const struct jem_heap *heap)
{
    return atomic_load_explicit(&heap->samples, memory_order_relaxed);
}

/* Every arena that there is. A destroyed one is among them, and empty. With
 * arenas_lock held, or the heap quiet, none is destroyed meanwhile. */
#define JEM_ARENA_EACH(arena, i, heap)                                         \
    for (i = 0; i < jem_heap_arena_end(heap); i++)                             \
        if ((arena = jem_heap_peek_arena(heap, i)) != NULL)

static inline unsigned
jem_heap_arena_end(struct jem_heap *heap)
{
    return atomic_load_explicit(&heap->arena_end, memory_order_relaxed);
}

static inline struct jem_arena *
jem_heap_peek_arena(struct jem_heap *heap, unsigned index)
{
    /* Pairs with the release in make_arena_locked. */
    return atomic_load_explicit(&heap->arenas[index], memory_order_acquire);
}

/* The cache of the calling thread on the process's heap; jem_tcache_none
 * before its first call and at its end. */
extern _Thread_local struct jem_tcache *jem_self TLS_INITIAL_EXEC;
/* In its place where the profile is on: the fast paths are to see no cache, so
 * that every allocation comes the slow way and is counted. */
extern _Thread_local struct jem_tcache *jem_self_counted TLS_INITIAL_EXEC;

static inline struct jem_tcache *
jem_heap_self(const struct jem_heap *heap)
{
    return heap->sampled.on ? jem_self_counted : jem_self;
}

void jem_heap_check(struct jem_heap *heap); /* aborts if broken */
