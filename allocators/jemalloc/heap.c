/*
 * heap.c - all the state of one heap (contract: heap.h)
 *
 * A heap stands at the start of one mapping; the rest of that mapping is the
 * first metadata memory, so that a small heap costs one mmap for itself and one
 * for its first region. All heaps are on one registry, which a thread's exit
 * hook walks: it gives up the thread's cache on each.
 *
 *   I1  A tcache on `tcaches` belongs to a living thread; fork's hook takes
 *       off those that the child has not.
 *   I2  arenas[i] is written once, with release, and not freed before the heap.
 */
#include "jemalloc/heap.h"

#include <stddef.h>

#include "base/check.h"
#include "base/env.h"
#include "base/fork.h"
#include "base/machine.h"
#include "base/pages.h"

#define FIRST_META_SIZE ((size_t)512 << 10)

_Thread_local struct jem_tcache *jem_self TLS_INITIAL_EXEC = &jem_tcache_none;

/* Every heap, and what they are made with. */
static struct {
    struct mtx once; /* guards the start-up of all else here */
    bool ready;      /* [once] */
    struct jem_options options;
    struct mtx lock;
    struct list heaps; /* [lock] */
    _Atomic(struct jem_heap *) main;
} registry;

/* ---- options */

static void
read_options(struct jem_options *options)
{
    *options = (struct jem_options){
        .dirty_decay_ms = 10000,
        .muzzy_decay_ms = 0,
        .shard_count = 1,
        .tcache = true,
    };
    const struct env_option known[] = {
        {"narenas", ENV_NUMBER, &options->arena_count, NULL, 1,
            JEM_AUTO_ARENAS_MAX},
        {"dirty_decay_ms", ENV_NUMBER, &options->dirty_decay_ms, NULL,
            (uint64_t)-1, INT64_MAX / 1000000},
        {"muzzy_decay_ms", ENV_NUMBER, &options->muzzy_decay_ms, NULL,
            (uint64_t)-1, INT64_MAX / 1000000},
        {"bin_shards", ENV_NUMBER, &options->shard_count, NULL, 1,
            JEM_SHARDS_MAX},
        {"tcache", ENV_FLAG, &options->tcache, NULL, 0, 0},
        {"thp", ENV_FLAG, &options->huge, NULL, 0, 0},
        {"junk", ENV_FLAG, &options->junk, NULL, 0, 0},
        {"zero", ENV_FLAG, &options->zero, NULL, 0, 0},
        {"check_free", ENV_FLAG, &options->check_free, NULL, 0, 0},
    };
    (void)env_read(
        "jemalloc", "JEM_OPTIONS", known, sizeof known / sizeof known[0]);
    /* Without caches every block passes block.c, and a slab's bits tell each
     * double free. */
    if (options->junk || options->zero || options->check_free) {
        options->tcache = false;
    }
}

/* ---- start-up */

static void abandon_dead_threads(void);

static void
start_locked(void) REQUIRES(registry.once)
{
    fork_init();
    fork_on_child(abandon_dead_threads);
    jem_owner_init();
    mtx_init(&registry.lock, MTX_OPTIONS);
    list_init(&registry.heaps);
    read_options(&registry.options);
    registry.ready = true;
}

static void
start(void)
{
    mtx_lock(&registry.once);
    if (!registry.ready) {
        start_locked();
    }
    mtx_unlock(&registry.once);
}

static struct jem_heap *
map_heap(void)
{
    size_t own_size = sizeof(struct jem_heap) + FIRST_META_SIZE;
    own_size = pages_round_up(own_size);
    struct jem_heap *heap = pages_map(own_size, pages_os_size());
    if (heap == NULL) {
        return NULL;
    }
    heap->own_size = own_size;
    heap->options = registry.options;
    heap->auto_count = (unsigned)heap->options.arena_count;
    if (heap->auto_count == 0) {
        heap->auto_count = 4 * machine.cpu_count();
    }
    if (heap->auto_count > JEM_AUTO_ARENAS_MAX) {
        heap->auto_count = JEM_AUTO_ARENAS_MAX;
    }
    heap->arena_count = heap->auto_count;
    jem_meta_init(&heap->meta, heap + 1, own_size - sizeof *heap);
    mtx_init(&heap->arenas_lock, MTX_ARENA_LIST);
    mtx_init(&heap->threads_lock, MTX_THREADS);
    list_init(&heap->tcaches);
    list_init(&heap->spare_tcaches);
    return heap;
}

static struct jem_heap *
new_heap_locked(void) REQUIRES(registry.lock)
{
    struct jem_heap *heap = map_heap();
    if (heap != NULL) {
        list_push(&registry.heaps, &heap->link);
    }
    return heap;
}

struct jem_heap *
jem_heap_new(void)
{
    start();
    mtx_lock(&registry.lock);
    struct jem_heap *heap = new_heap_locked();
    mtx_unlock(&registry.lock);
    return heap;
}

void
jem_heap_delete(struct jem_heap *heap)
{
    struct jem_arena *arena;
    unsigned i;
    mtx_lock(&registry.lock);
    list_remove(&heap->link);
    mtx_unlock(&registry.lock);
    JEM_ARENA_EACH(arena, i, heap)
    {
        jem_arena_fini(arena);
    }
    mtx_fini(&heap->arenas_lock);
    mtx_fini(&heap->threads_lock);
    jem_meta_fini(&heap->meta);
    (void)pages_unmap(heap, heap->own_size);
}

struct jem_heap *
jem_heap_main(void)
{
    /* Pairs with the release below. */
    struct jem_heap *heap =
        atomic_load_explicit(&registry.main, memory_order_acquire);
    if (__builtin_expect(heap != NULL, 1)) {
        return heap;
    }
    start();
    mtx_lock(&registry.lock);
    heap = atomic_load_explicit(&registry.main, memory_order_relaxed);
    if (heap == NULL) {
        heap = new_heap_locked();
        atomic_store_explicit(&registry.main, heap, memory_order_release);
    }
    mtx_unlock(&registry.lock);
    return heap;
}

/* ---- arenas */

static struct jem_arena *
make_arena_locked(struct jem_heap *heap, unsigned index)
    REQUIRES(heap->arenas_lock)
{
    const struct jem_options *options = &heap->options;
    const struct jem_arena_options arena_options = {
        .dirty_decay_ms = options->dirty_decay_ms,
        .muzzy_decay_ms = options->muzzy_decay_ms,
        .shard_count = (unsigned)options->shard_count,
        .huge = options->huge,
    };
    struct jem_arena *arena = jem_meta_take(&heap->meta, sizeof *arena);
    if (arena != NULL) {
        jem_arena_init(arena, heap, index, &heap->meta, &arena_options);
        /* Pairs with the acquire in jem_heap_peek_arena. */
        atomic_store_explicit(
            &heap->arenas[index], arena, memory_order_release);
    }
    return arena;
}

struct jem_arena *
jem_heap_arena(struct jem_heap *heap, unsigned index)
{
    if (index >= JEM_ARENAS_MAX) {
        return NULL;
    }
    struct jem_arena *arena = jem_heap_peek_arena(heap, index);
    if (arena != NULL || index >= heap->auto_count) {
        return arena;
    }
    mtx_lock(&heap->arenas_lock);
    arena = jem_heap_peek_arena(heap, index);
    if (arena == NULL) {
        arena = make_arena_locked(heap, index);
    }
    mtx_unlock(&heap->arenas_lock);
    return arena;
}

/* The automatic arena with fewest threads; one not yet made has none. */
static struct jem_arena *
choose_arena(struct jem_heap *heap)
{
    unsigned best_index = 0;
    unsigned best_count = UINT32_MAX;
    for (unsigned i = 0; i < heap->auto_count && best_count > 0; i++) {
        struct jem_arena *arena = jem_heap_peek_arena(heap, i);
        unsigned count = arena == NULL
                             ? 0
                             : atomic_load_explicit(
                                   &arena->thread_count, memory_order_relaxed);
        if (count < best_count) {
            best_count = count;
            best_index = i;
        }
    }
    return jem_heap_arena(heap, best_index);
}

struct jem_arena *
jem_heap_any_arena(struct jem_heap *heap)
{
    return jem_heap_arena(heap, 0);
}

/* ---- threads */

static void
unbind_locked(struct jem_heap *heap, struct jem_tcache *tcache)
    REQUIRES(heap->threads_lock)
{
    atomic_fetch_sub_explicit(
        &tcache->arena->thread_count, 1, memory_order_relaxed);
    list_remove(&tcache->link);
    list_push(&heap->spare_tcaches, &tcache->link);
}

/* Gives up a cache; its thread is the caller, or dead. */
static void
retire_tcache(struct jem_heap *heap, struct jem_tcache *tcache)
{
    jem_tcache_drain(tcache);
    mtx_lock(&heap->threads_lock);
    unbind_locked(heap, tcache);
    mtx_unlock(&heap->threads_lock);
}

static struct jem_tcache **
place_of_tcache(struct jem_heap *heap)
{
    /* Only the caller stores its own thread's place. */
    bool is_main =
        heap == atomic_load_explicit(&registry.main, memory_order_relaxed);
    return is_main ? &jem_self : &heap->by_thread[thread_id()];
}

void
jem_heap_thread_exit(struct jem_heap *heap)
{
    struct jem_tcache **place = place_of_tcache(heap);
    struct jem_tcache *tcache = *place;
    if (tcache != NULL && tcache != &jem_tcache_none) {
        *place = place == &jem_self ? &jem_tcache_none : NULL;
        retire_tcache(heap, tcache);
    }
}

/* The exit hook of every thread that has a cache somewhere. The process's heap
 * is never deleted, so it needs no lock; the others are few. */
static void
exit_all_heaps(void *unused)
{
    struct list *link;
    struct jem_heap *heap_main =
        atomic_load_explicit(&registry.main, memory_order_acquire);
    (void)unused;
    if (heap_main != NULL) {
        jem_heap_thread_exit(heap_main);
    }
    mtx_lock(&registry.lock);
    LIST_EACH (link, &registry.heaps) {
        jem_heap_thread_exit(LIST_OF(link, struct jem_heap, link));
    }
    mtx_unlock(&registry.lock);
}

static struct jem_tcache *
take_spare_locked(struct jem_heap *heap) REQUIRES(heap->threads_lock)
{
    struct list *link = list_pop(&heap->spare_tcaches);
    return link == NULL ? NULL : LIST_OF(link, struct jem_tcache, link);
}

static struct jem_tcache *
bind_locked(struct jem_heap *heap) REQUIRES(heap->threads_lock)
{
    struct jem_arena *arena = choose_arena(heap);
    struct jem_tcache *tcache = take_spare_locked(heap);
    if (arena != NULL && tcache == NULL) {
        tcache = jem_meta_take(&heap->meta, jem_tcache_size());
    }
    if (arena == NULL || tcache == NULL) {
        if (tcache != NULL) {
            list_push(&heap->spare_tcaches, &tcache->link);
        }
        return NULL;
    }
    jem_tcache_init(tcache, heap, arena, heap->bound_count++);
    atomic_fetch_add_explicit(&arena->thread_count, 1, memory_order_relaxed);
    list_push(&heap->tcaches, &tcache->link);
    return tcache;
}

struct jem_tcache *
jem_heap_tcache(struct jem_heap *heap)
{
    struct jem_tcache **place = place_of_tcache(heap);
    if (*place != NULL && *place != &jem_tcache_none) {
        return *place;
    }
    /* Ids of threads past the table's end are shared: no cache for them. */
    if (!heap->options.tcache || thread_id() >= THREAD_ID_MAX - 1 ||
        !thread_on_exit(exit_all_heaps, NULL)) {
        return NULL;
    }
    mtx_lock(&heap->threads_lock);
    struct jem_tcache *tcache = bind_locked(heap);
    if (heap->thread_id_end <= thread_id()) {
        heap->thread_id_end = thread_id() + 1;
    }
    mtx_unlock(&heap->threads_lock);
    if (tcache != NULL) {
        *place = tcache;
    }
    return tcache;
}

/* In a forked child: caches of threads that are no more. Fork may have caught
 * them in the middle of a change, so the blocks in them are lost; only the
 * structures are used again. */
static void
abandon_tcaches(struct jem_heap *heap)
{
    struct list *link, *following;
    struct jem_tcache *own = *place_of_tcache(heap);
    mtx_lock(&heap->threads_lock);
    LIST_EACH_SAFE (link, following, &heap->tcaches) {
        struct jem_tcache *tcache = LIST_OF(link, struct jem_tcache, link);
        if (tcache != own) {
            unbind_locked(heap, tcache);
        }
    }
    for (unsigned id = 0; id < heap->thread_id_end; id++) {
        if (heap->by_thread[id] != own) {
            heap->by_thread[id] = NULL;
        }
    }
    mtx_unlock(&heap->threads_lock);
}

static void
abandon_dead_threads(void)
{
    struct list *link;
    LIST_EACH (link, &registry.heaps) {
        abandon_tcaches(LIST_OF(link, struct jem_heap, link));
    }
}

/* ---- checking */

void
jem_heap_check(struct jem_heap *heap)
{
    struct jem_arena *arena;
    struct list *link;
    unsigned i;
    JEM_ARENA_EACH(arena, i, heap)
    {
        CHECK(arena->heap == heap && arena->index == i);
        jem_arena_check(arena);
    }
    mtx_lock(&heap->threads_lock);
    list_check(&heap->spare_tcaches);
    LIST_EACH (link, &heap->tcaches) {
        jem_tcache_check(LIST_OF(link, struct jem_tcache, link));
    }
    mtx_unlock(&heap->threads_lock);
}
