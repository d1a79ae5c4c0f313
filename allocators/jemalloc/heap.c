/*
 * heap.c - all the state of one heap (contract: heap.h)
 *
 * A heap stands at the start of one mapping; the rest of that mapping is the
 * first metadata memory, so that a small heap costs one mmap for itself and one
 * for its first region. A thread is bound to its arena when its cache is made,
 * and only then: base/local keeps who has one.
 *
 *   I1  arenas[i] is written once, with release, and not freed before the heap.
 *   I2  An arena's thread_count is the number of caches in use bound to it.
 */
#include "jemalloc/heap.h"

#include <stddef.h>

#include "base/check.h"
#include "base/env.h"
#include "base/fork.h"
#include "base/machine.h"
#include "base/pages.h"

#define SLACK 2
#define FIRST_META_SIZE ((size_t)512 << 10)

_Thread_local struct jem_tcache *jem_self TLS_INITIAL_EXEC = &jem_tcache_none;

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
        JEM_NAME, "JEM_OPTIONS", known, sizeof known / sizeof known[0]);
    /* Without caches every block passes block.c, and a slab's bits tell each
     * double free. */
    if (options->junk || options->zero || options->check_free) {
        options->tcache = false;
    }
}

/* ---- threads' caches */

static struct local **
main_place(void)
{
    return (struct local **)(void *)&jem_self;
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
        size_t pages = arena == NULL ? 0
                                     : jem_free_extents_pages(
                                           &arena->pages.free[JEM_DIRTY]);
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

void
jem_heap_settle(
    struct jem_heap *heap, struct jem_tcache *tcache, struct jem_arena *arena)
{
    unsigned least =
        thread_count(jem_heap_peek_arena(heap, least_used_arena(heap)));
    tcache->settled = true;
    if (arena->index < heap->auto_count &&
        thread_count(arena) <= least + SLACK) {
        unbind_tcache(tcache);
        bind_tcache(tcache, arena);
    }
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
    return heap->options.tcache ? jem_tcache_of(local_get(&heap->tcaches))
                                : NULL;
}

/* ---- life */

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
    meta_init(&heap->meta, heap + 1, own_size - sizeof *heap);
    mtx_init(&heap->arenas_lock, MTX_ARENA_LIST);
    local_set_init(&heap->tcaches, &tcache_kind, is_main ? main_place : NULL,
        is_main ? &jem_tcache_none.local : NULL);
    return heap;
}

static void
start(void)
{
    mtx_lock(&process.lock);
    if (!process.ready) {
        fork_init();
        jem_owner_init();
        read_options(&process.options);
        process.ready = true;
    }
    mtx_unlock(&process.lock);
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
    if (heap == NULL) {
        heap = new_heap(true);
        atomic_store_explicit(&process.main, heap, memory_order_release);
    }
    mtx_unlock(&process.lock);
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
    struct jem_arena *arena = meta_take(&heap->meta, sizeof *arena);
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

struct jem_arena *
jem_heap_any_arena(struct jem_heap *heap)
{
    return jem_heap_arena(heap, 0);
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
