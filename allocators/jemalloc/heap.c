/*
 * heap.c - all the state of one heap (contract: heap.h)
 *
 * A heap stands at the start of one mapping; the rest of that mapping is the
 * first metadata memory, so that a small heap costs one mmap for itself and one
 * for its first region. A thread is bound to its arena when its cache is made,
 * and only then: base/local keeps who has one.
 *
 *   I1  arenas[i] is written once, with release, and not freed before the heap:
 *       a destroyed arena's structures wait there for the next of its index.
 *   I2  An arena's thread_count is the number of threads' caches bound to it.
 *   I3  Whoever walks over explicit arenas without being told to by their user
 *       holds arenas_lock, which destroying takes.
 */
#include "jemalloc/heap.h"

#include <stddef.h>

#include "base/check.h"
#include "base/fork.h"
#include "base/machine.h"
#include "base/pages.h"
#include "base/stack.h"
#include "parts/pprof.h"

#define FIRST_META_SIZE ((size_t)512 << 10)

_Thread_local struct jem_tcache *jem_self TLS_INITIAL_EXEC = &jem_tcache_none;
_Thread_local struct jem_tcache *jem_self_counted TLS_INITIAL_EXEC =
    &jem_tcache_none;

/* The process's heap, and what all are made with. */
static struct {
    struct mtx lock;
    bool ready;                 /* [lock] options are read */
    struct jem_options options; /* [lock] fixed when ready */
    _Atomic(struct jem_heap *) main;
} process = {.lock = {.rank = MTX_PROCESS}};

/* As the program is loaded, before it has threads: a fork beside the first call
 * would else leave the lock held in the child. */
__attribute__((constructor(102))) static void
enter_process_lock(void)
{
    fork_init();
    fork_enter(&process.lock);
}

/* ---- threads' caches */

static struct local **
main_place(void)
{
    /* Relaxed: the caller has the heap. */
    const struct jem_heap *heap =
        atomic_load_explicit(&process.main, memory_order_relaxed);

    return (struct local **)(void *)(heap->sampled.on ? &jem_self_counted
                                                      : &jem_self);
}

static unsigned
thread_count(const struct jem_arena *arena)
{
    return arena == NULL ? 0
                         : atomic_load_explicit(
                               &arena->thread_count, memory_order_relaxed);
}

/* The index of the automatic arena with fewest threads; one not yet made has
 * none. Of arenas alike, the one with most dirty pages. */
static unsigned
least_used_arena(struct jem_heap *heap)
{
    unsigned best_index = 0;
    unsigned best_count = UINT32_MAX;
    size_t best_pages = 0;
    for (unsigned i = 0; i < heap->auto_count; i++) {
        struct jem_arena *arena = jem_heap_peek_arena(heap, i);
        unsigned count = thread_count(arena);
        size_t pages = arena == NULL
                           ? 0
                           : jem_freeset_pages(&arena->pages.free[JEM_DIRTY]);
        if (count < best_count || (count == best_count && pages > best_pages)) {
            best_count = count;
            best_pages = pages;
            best_index = i;
        }
    }
    return best_index;
}

static void
bind_tcache(struct jem_tcache *tcache, struct jem_arena *arena)
{
    tcache->arena = arena;
    atomic_fetch_add_explicit(&arena->thread_count, 1, memory_order_relaxed);
}

static void
unbind_tcache(struct jem_tcache *tcache)
{
    atomic_fetch_sub_explicit(
        &tcache->arena->thread_count, 1, memory_order_relaxed);
}

/* What a thread finds in the arena that its first block is of, memory that is
 * about to be free and its last user's, is worth so many threads beside it. */
#define SETTLE_SLACK 4

void
jem_heap_settle(
    struct jem_heap *heap, struct jem_tcache *tcache, struct jem_arena *arena)
{
    unsigned least =
        thread_count(jem_heap_peek_arena(heap, least_used_arena(heap)));
    tcache->settled = true;
    if (arena->index < heap->auto_count &&
        thread_count(arena) <= least + SETTLE_SLACK) {
        unbind_tcache(tcache);
        bind_tcache(tcache, arena);
    }
}

void
jem_heap_bind(struct jem_tcache *tcache, struct jem_arena *arena)
{
    tcache->settled = true;
    unbind_tcache(tcache);
    bind_tcache(tcache, arena);
}

unsigned
jem_heap_class_limit(const struct jem_heap *heap)
{
    unsigned limit = jem_size_class(heap->options.tcache_max);
    if (jem_class_size(limit) <= heap->options.tcache_max) {
        limit++;
    }
    return jem_options_cached(&heap->options) ? limit : 0;
}

static struct local *
make_tcache(struct local_set *set, struct local *spare)
{
    struct jem_heap *heap =
        (struct jem_heap *)(void *)((char *)set -
                                    offsetof(struct jem_heap, tcaches));
    struct jem_arena *arena = jem_heap_arena(heap, least_used_arena(heap));
    struct jem_tcache *tcache = jem_tcache_of(spare);
    if (arena != NULL && tcache == NULL) {
        tcache = meta_take(&heap->meta, jem_tcache_size());
    }
    if (arena == NULL || tcache == NULL) {
        return NULL;
    }
    jem_tcache_init(tcache, heap, heap->bound_count++);
    jem_tcache_limit(tcache, jem_heap_class_limit(heap));
    bind_tcache(tcache, arena);
    return &tcache->local;
}

static void
drain_tcache(struct local *local)
{
    jem_tcache_drain(jem_tcache_of(local));
}

static void
leave_tcache(struct local *local)
{
    unbind_tcache(jem_tcache_of(local));
}

static const struct local_kind tcache_kind = {
    make_tcache, drain_tcache, leave_tcache};

struct jem_tcache *
jem_heap_tcache(struct jem_heap *heap)
{
    return jem_tcache_of(local_get(&heap->tcaches));
}

/* ---- explicit caches */

static unsigned
free_cache_index_locked(const struct jem_heap *heap)
    REQUIRES(heap->tcaches.lock)
{
    for (unsigned i = 0; i < heap->cache_end; i++) {
        if (heap->caches[i] == NULL) {
            return i;
        }
    }
    return heap->cache_end < JEM_CACHES_MAX ? heap->cache_end : JEM_NO_INDEX;
}

static struct jem_tcache *
new_cache_locked(struct jem_heap *heap) REQUIRES(heap->tcaches.lock)
{
    struct local *spare = heap->spare_caches.next;
    if (spare == NULL) {
        return meta_take(&heap->meta, jem_tcache_size());
    }
    heap->spare_caches.next = spare->next;
    return jem_tcache_of(spare);
}

static void
init_cache(struct jem_heap *heap, struct jem_tcache *cache,
    struct jem_arena *arena, unsigned index)
{
    jem_tcache_init(cache, heap, 0);
    jem_tcache_limit(cache, jem_heap_class_limit(heap));
    cache->arena = arena;
    cache->settled = true;
    cache->is_explicit = true;
    cache->index = index;
}

static unsigned
create_cache_locked(struct jem_heap *heap, struct jem_arena *arena)
    REQUIRES(heap->tcaches.lock)
{
    unsigned index = free_cache_index_locked(heap);
    struct jem_tcache *cache =
        index == JEM_NO_INDEX ? NULL : new_cache_locked(heap);
    if (cache == NULL) {
        return JEM_NO_INDEX;
    }
    init_cache(heap, cache, arena, index);
    heap->caches[index] = cache;
    if (index == heap->cache_end) {
        heap->cache_end++;
    }
    return index;
}

unsigned
jem_heap_create_cache(struct jem_heap *heap, struct jem_arena *arena)
{
    mtx_lock(&heap->tcaches.lock);
    unsigned index = create_cache_locked(heap, arena);
    mtx_unlock(&heap->tcaches.lock);
    return index;
}

bool
jem_heap_destroy_cache(struct jem_heap *heap, unsigned index)
{
    struct jem_tcache *cache = jem_heap_cache(heap, index);
    if (cache == NULL) {
        return false;
    }
    jem_tcache_limit(cache, 0);
    mtx_lock(&heap->tcaches.lock);
    heap->caches[index] = NULL;
    cache->local.next = heap->spare_caches.next;
    heap->spare_caches.next = &cache->local;
    mtx_unlock(&heap->tcaches.lock);
    return true;
}

struct jem_tcache *
jem_heap_cache(struct jem_heap *heap, unsigned index)
{
    mtx_lock(&heap->tcaches.lock);
    struct jem_tcache *cache =
        index < heap->cache_end ? heap->caches[index] : NULL;
    mtx_unlock(&heap->tcaches.lock);
    return cache;
}

void
jem_heap_point_cache(
    struct jem_heap *heap, struct jem_tcache *cache, struct jem_arena *arena)
{
    if (cache->arena == arena) {
        return; /* Its user alone changes it, unless the arena is destroyed. */
    }
    mtx_lock(&heap->tcaches.lock); /* Who destroys an arena reads it. */
    cache->arena = arena;
    mtx_unlock(&heap->tcaches.lock);
}

/* The first explicit cache from that index on. */
static struct jem_tcache *
explicit_from(const struct jem_heap *heap, unsigned index)
{
    for (; index < heap->cache_end; index++) {
        if (heap->caches[index] != NULL) {
            return heap->caches[index];
        }
    }
    return NULL;
}

struct jem_tcache *
jem_heap_next_tcache(struct jem_heap *heap, const struct jem_tcache *tcache)
{
    if (tcache != NULL && tcache->is_explicit) {
        return explicit_from(heap, tcache->index + 1);
    }
    struct local *next =
        tcache == NULL ? heap->tcaches.used.next : tcache->local.next;
    return next != &heap->tcaches.used ? jem_tcache_of(next)
                                       : explicit_from(heap, 0);
}

/* ---- life */

/* ---- the profile */

static const struct sampled_form sampled_form = {
    .design = JEM_NAME, .suffix = ".heap", .write = pprof_write_text};

static void
init_profile(struct jem_heap *heap)
{
    const struct jem_options *options = &heap->options;
    const struct sampled_options sampled_options = {
        .mean = options->prof ? (uint64_t)1 << options->lg_prof_sample : 0,
        .prefix = options->prof_prefix,
        .prefix_size = options->prof_prefix_size,
        .final = options->prof_final,
        .interval = options->lg_prof_interval < 0
                        ? 0
                        : (uint64_t)1 << options->lg_prof_interval,
    };

    sampled_init(&heap->sampled, &heap->meta, &sampled_form, &sampled_options);
    guarded_init(&heap->guarded, &heap->meta, JEM_NAME, options->guarded,
        options->guarded_slots);
}

__attribute__((destructor)) static void
end_profile(void)
{
    /* Pairs with the release in jem_heap_main. */
    struct jem_heap *heap =
        atomic_load_explicit(&process.main, memory_order_acquire);

    if (heap != NULL) {
        sampled_end(&heap->sampled);
    }
}

static struct jem_heap *
new_heap(bool is_main)
{
    size_t own_size = sizeof(struct jem_heap) + FIRST_META_SIZE;
    own_size = pages_round_up(own_size);
    struct jem_heap *heap = pages_map(own_size, pages_os_size());
    if (heap == NULL) {
        return NULL;
    }
    heap->own_size = own_size;
    heap->options = process.options;
    heap->auto_count = (unsigned)heap->options.arena_count;
    if (heap->auto_count == 0) {
        heap->auto_count = 4 * machine.cpu_count();
    }
    if (heap->auto_count > JEM_AUTO_ARENAS_MAX) {
        heap->auto_count = JEM_AUTO_ARENAS_MAX;
    }
    atomic_init(&heap->arena_end, heap->auto_count);
    meta_init(&heap->meta, heap + 1, own_size - sizeof *heap);
    jem_stats_init(&heap->stats);
    atomic_init(&heap->samples, heap->options.prof_active);
    atomic_init(&heap->has_background, false);
    mtx_init(&heap->arenas_lock, MTX_ARENA_LIST);
    local_set_init(&heap->tcaches, &tcache_kind, is_main ? main_place : NULL,
        is_main ? &jem_tcache_none.local : NULL);
    if (is_main) {
        init_profile(heap);
    }
    return heap;
}

/* In the child of fork an explicit cache may be half changed, if a thread that
 * is no more was using it: all begin anew, and what they held is lost. */
static void
renew_caches_in_child(void)
{
    struct jem_heap *heap =
        atomic_load_explicit(&process.main, memory_order_relaxed);
    for (unsigned i = 0; heap != NULL && i < heap->cache_end; i++) {
        struct jem_tcache *cache = heap->caches[i];
        if (cache != NULL) {
            init_cache(heap, cache, cache->arena, i);
        }
    }
}

static void
start(void)
{
    mtx_lock(&process.lock);
    if (!process.ready) {
        fork_init();
        fork_on_child(renew_caches_in_child);
        jem_owner_init();
        jem_options_read(&process.options);
        process.ready = true;
    }
    mtx_unlock(&process.lock);
}

const struct jem_options *
jem_heap_options(void)
{
    start();
    return &process.options;
}

struct jem_heap *
jem_heap_new(void)
{
    start();
    return new_heap(false);
}

void
jem_heap_delete(struct jem_heap *heap)
{
    struct jem_arena *arena;
    unsigned i;
    local_set_fini(&heap->tcaches);
    JEM_ARENA_EACH (arena, i, heap) {
        jem_arena_fini(arena);
    }
    mtx_fini(&heap->arenas_lock);
    mtx_fini(&heap->stats.lock);
    meta_fini(&heap->meta);
    (void)pages_unmap(heap, heap->own_size);
}

struct jem_heap *
jem_heap_main(void)
{
    /* Pairs with the release below. */
    struct jem_heap *heap =
        atomic_load_explicit(&process.main, memory_order_acquire);
    if (__builtin_expect(heap != NULL, 1)) {
        return heap;
    }
    start();
    mtx_lock(&process.lock);
    heap = atomic_load_explicit(&process.main, memory_order_relaxed);
    bool first = heap == NULL;
    if (first) {
        heap = new_heap(true);
        atomic_store_explicit(&process.main, heap, memory_order_release);
    }
    mtx_unlock(&process.lock);
    if (first && heap != NULL && heap->sampled.on) {
        stack_start(); /* It allocates. */
    }
    return heap;
}

/* ---- arenas */

static struct jem_arena *
make_arena_locked(struct jem_heap *heap, unsigned index)
    REQUIRES(heap->arenas_lock)
{
    struct jem_arena *arena = meta_take(&heap->meta, sizeof *arena);
    if (arena != NULL) {
        jem_arena_init(
            arena, heap, index, &heap->meta, &heap->mapped, &heap->options);
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

struct jem_arena *
jem_heap_any_arena(struct jem_heap *heap)
{
    return jem_heap_arena(heap, 0);
}

static void
visit_arena(struct jem_heap *heap, unsigned index, unsigned turn)
{
    struct jem_arena *arena = jem_heap_peek_arena(heap, index);
    if (arena == NULL) {
        return;
    }
    if (index < heap->auto_count) {
        jem_arena_visit(arena, turn);
    } else if (mtx_trylock(&heap->arenas_lock)) { /* I3 */
        if (jem_arena_exists(arena)) {
            jem_arena_visit(arena, turn);
        }
        mtx_unlock(&heap->arenas_lock);
    }
}

void
jem_heap_tick(struct jem_heap *heap, struct jem_arena *arena, unsigned turn)
{
    unsigned end = jem_heap_arena_end(heap);
    jem_arena_tick(arena, turn);
    if (turn % end != arena->index && !jem_heap_has_background(heap)) {
        visit_arena(heap, turn % end, turn / end);
    }
}

static unsigned
create_arena_locked(struct jem_heap *heap) REQUIRES(heap->arenas_lock)
{
    unsigned end = jem_heap_arena_end(heap);
    for (unsigned i = heap->auto_count; i < end; i++) {
        struct jem_arena *arena = jem_heap_peek_arena(heap, i);
        if (!jem_arena_exists(arena)) {
            jem_arena_revive(arena, &heap->options);
            return i;
        }
    }
    if (end == JEM_ARENAS_MAX - 1 || make_arena_locked(heap, end) == NULL) {
        return JEM_NO_INDEX;
    }
    /* Who reads it finds the arena by an acquire of its own. */
    atomic_store_explicit(&heap->arena_end, end + 1, memory_order_relaxed);
    return end;
}

unsigned
jem_heap_create_arena(struct jem_heap *heap)
{
    mtx_lock(&heap->arenas_lock);
    unsigned index = create_arena_locked(heap);
    mtx_unlock(&heap->arenas_lock);
    return index;
}

/* Explicit caches that draw from the arena are to draw from another. */
static void
leave_arena(struct jem_heap *heap, const struct jem_arena *arena,
    struct jem_arena *other)
{
    mtx_lock(&heap->tcaches.lock);
    for (unsigned i = 0; i < heap->cache_end; i++) {
        if (heap->caches[i] != NULL && heap->caches[i]->arena == arena) {
            heap->caches[i]->arena = other;
        }
    }
    mtx_unlock(&heap->tcaches.lock);
}

bool
jem_heap_destroy_arena(struct jem_heap *heap, struct jem_arena *arena)
{
    struct jem_arena *other = jem_heap_any_arena(heap);
    ASSERT(arena->index >= heap->auto_count);
    if (other == NULL) {
        return false;
    }
    leave_arena(heap, arena, other);
    mtx_lock(&heap->stats.lock);
    mtx_lock(&heap->arenas_lock);
    bool unused = thread_count(arena) == 0;
    if (unused) {
        jem_arena_destroy(arena);
        jem_stats_retire_locked(heap, arena);
    }
    mtx_unlock(&heap->arenas_lock);
    mtx_unlock(&heap->stats.lock);
    return unused;
}

/* ---- checking */

void
jem_heap_check(struct jem_heap *heap)
{
    struct jem_arena *arena;
    struct jem_tcache *tcache;
    unsigned i;
    JEM_ARENA_EACH (arena, i, heap) {
        CHECK(arena->heap == heap && arena->index == i);
        jem_arena_check(arena);
    }
    mtx_lock(&heap->tcaches.lock);
    JEM_TCACHE_EACH (tcache, heap) {
        jem_tcache_check(tcache);
    }
    mtx_unlock(&heap->tcaches.lock);
}
