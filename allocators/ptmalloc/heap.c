/*
 * heap.c - all the state of one heap (contract: heap.h)
 *
 *   I1  arenas[0 .. arena_count - 1] are there, each stored once, with release,
 *       and not freed before the heap.
 *   I2  An arena's thread_count is the number of caches in use bound to it.
 */
#include "ptmalloc/heap.h"

#include "base/check.h"
#include "base/fork.h"
#include "base/machine.h"
#include "base/pages.h"
#include "ptmalloc/direct.h"
#include "ptmalloc/returned.h"

#define FIRST_META_SIZE ((size_t)64 << 10)
#define RICH_SIZE       ((size_t)256 << 10) /* free: worth moving to */

_Thread_local struct ptm_tcache *ptm_self TLS_INITIAL_EXEC = &ptm_tcache_none;

/* The process's heap, and what all are made with. */
static struct {
    struct mtx lock;
    bool ready;               /* [lock] the environment is read */
    struct ptm_tuning tuning; /* [lock] fixed when ready */
    struct list heaps;        /* [lock] all there are */
    _Atomic(struct ptm_heap *) main;
} process = {.lock = {.rank = MTX_PROCESS}};

/* As the program is loaded, before it has threads: a fork beside the first call
 * would else leave the lock held in the child. */
__attribute__((constructor(102))) static void
enter_process_lock(void)
{
    fork_init();
    fork_enter(&process.lock);
}

/* ---- arenas */

static struct ptm_arena *
make_arena_locked(struct ptm_heap *heap) REQUIRES(heap->arenas_lock)
{
    unsigned index =
        atomic_load_explicit(&heap->arena_count, memory_order_relaxed);
    if (index >= ptm_tuning_arena_limit(&heap->tuning, heap->cpu_count)) {
        return NULL;
    }
    struct ptm_arena *arena = ptm_arena_new(heap, index);
    if (arena != NULL) {
        /* Pairs with the acquire in ptm_heap_peek_arena. */
        atomic_store_explicit(
            &heap->arenas[index], arena, memory_order_release);
        atomic_store_explicit(
            &heap->arena_count, index + 1, memory_order_relaxed);
    }
    return arena;
}

static struct ptm_arena *
make_arena(struct ptm_heap *heap)
{
    mtx_lock(&heap->arenas_lock);
    struct ptm_arena *arena = make_arena_locked(heap);
    mtx_unlock(&heap->arenas_lock);
    return arena;
}

/* For a thread that comes: an arena without one, else a new one, else the one
 * with fewest. Arenas of dead threads are so used again. */
static struct ptm_arena *
choose_arena(struct ptm_heap *heap)
{
    struct ptm_arena *arena, *best = NULL;
    unsigned best_count = UINT32_MAX;
    unsigned i;
    PTM_ARENA_EACH (arena, i, heap) {
        unsigned count =
            atomic_load_explicit(&arena->thread_count, memory_order_relaxed);
        if (count < best_count) {
            best_count = count;
            best = arena;
        }
    }
    if (best_count > 0) {
        arena = make_arena(heap);
        best = arena != NULL ? arena : best;
    }
    return best;
}

static void
bind_arena(struct ptm_tcache *tcache, struct ptm_arena *arena)
{
    atomic_fetch_sub_explicit(
        &tcache->arena->thread_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&arena->thread_count, 1, memory_order_relaxed);
    tcache->arena = arena;
}

void
ptm_heap_follow(struct ptm_tcache *tcache, struct ptm_arena *arena)
{
    tcache->fresh = false;
    bind_arena(tcache, arena);
}

/* Any arena whose lock is free, locked. */
static struct ptm_arena *
trylock_any(struct ptm_heap *heap, const struct ptm_arena *but) NO_LOCK_ANALYSIS
{
    struct ptm_arena *arena;
    unsigned i;
    PTM_ARENA_EACH (arena, i, heap) {
        if (arena != but && mtx_trylock(&arena->lock)) {
            return arena;
        }
    }
    return NULL;
}

struct ptm_arena *
ptm_heap_lock_arena(
    struct ptm_heap *heap, struct ptm_tcache *tcache) NO_LOCK_ANALYSIS
{
    struct ptm_arena *last =
        tcache != NULL ? tcache->arena : ptm_heap_peek_arena(heap, 0);
    if (mtx_trylock(&last->lock)) {
        return last;
    }
    struct ptm_arena *arena = trylock_any(heap, last);
    if (arena == NULL) {
        arena = make_arena(heap);
        if (arena == NULL) {
            arena = last;
        }
        mtx_lock(&arena->lock);
    }
    if (tcache != NULL && arena != last) {
        bind_arena(tcache, arena);
    }
    return arena;
}

static bool
is_rich_locked(const struct ptm_arena *arena)
{
    return arena->bins.free_size + atomic_load_explicit(&arena->returned_size,
                                       memory_order_relaxed) >=
           RICH_SIZE;
}

static bool
is_idle(const struct ptm_arena *arena)
{
    return atomic_load_explicit(&arena->thread_count, memory_order_relaxed) ==
           0;
}

static bool
lock_if_rich(struct ptm_arena *arena) TRY_ACQUIRES(true, arena->lock)
{
    if (!mtx_trylock(&arena->lock)) {
        return false;
    }
    if (is_rich_locked(arena)) {
        return true;
    }
    mtx_unlock(&arena->lock);
    return false;
}

/* Another arena worth moving to, locked, or NULL. */
static struct ptm_arena *
lock_rich_arena(struct ptm_heap *heap, const struct ptm_tcache *tcache,
    const struct ptm_arena *but) NO_LOCK_ANALYSIS
{
    struct ptm_arena *arena = tcache->returned_to;
    unsigned i;
    if (arena != but && lock_if_rich(arena)) {
        return arena;
    }
    PTM_ARENA_EACH (arena, i, heap) {
        if (arena != but && is_idle(arena) && lock_if_rich(arena)) {
            return arena;
        }
    }
    return NULL;
}

struct ptm_arena *
ptm_heap_lock_richer_arena(struct ptm_heap *heap, struct ptm_tcache *tcache,
    struct ptm_arena *arena) NO_LOCK_ANALYSIS
{
    struct ptm_arena *rich = lock_rich_arena(heap, tcache, arena);
    if (rich == NULL) {
        return arena;
    }
    mtx_unlock(&arena->lock);
    bind_arena(tcache, rich);
    return rich;
}

struct ptm_arena *
ptm_heap_lock_other_arena(
    struct ptm_heap *heap, const struct ptm_arena *arena) NO_LOCK_ANALYSIS
{
    return trylock_any(heap, arena);
}

/* ---- threads' caches */

static struct local **
main_place(void)
{
    return (struct local **)(void *)&ptm_self;
}

static struct local *
make_tcache(struct local_set *set, struct local *spare)
{
    struct ptm_heap *heap =
        (struct ptm_heap *)(void *)((char *)set -
                                    offsetof(struct ptm_heap, tcaches));
    struct ptm_arena *arena = choose_arena(heap);
    struct ptm_tcache *tcache = ptm_tcache_of(spare);
    if (tcache == NULL) {
        tcache = meta_take(&heap->meta, sizeof *tcache);
    }
    if (tcache == NULL) {
        return NULL;
    }
    ptm_tcache_init(tcache, heap, arena);
    atomic_fetch_add_explicit(&arena->thread_count, 1, memory_order_relaxed);
    return &tcache->local;
}

static void
drain_tcache(struct local *local)
{
    ptm_tcache_drain(ptm_tcache_of(local));
}

static void
leave_tcache(struct local *local)
{
    atomic_fetch_sub_explicit(
        &ptm_tcache_of(local)->arena->thread_count, 1, memory_order_relaxed);
}

static const struct local_kind tcache_kind = {
    make_tcache, drain_tcache, leave_tcache};

struct ptm_tcache *
ptm_heap_tcache(struct ptm_heap *heap)
{
    return ptm_tuning_caches(&heap->tuning)
               ? ptm_tcache_of(local_get(&heap->tcaches))
               : NULL;
}

/* ---- fork */

static unsigned
count_bound(struct ptm_heap *heap, const struct ptm_arena *arena)
{
    const struct ptm_tcache *tcache;
    unsigned count = 0;
    PTM_TCACHE_EACH (tcache, heap) {
        count += tcache->arena == arena;
    }
    return count;
}

/* Fork holds all locks, but what threads count without one it may have caught
 * half done. In the child, which has one thread, they are counted afresh;
 * whether before or after the caches of the others are left is the same. */
static void
mend_in_child(void)
{
    const struct list *link;
    struct ptm_arena *arena;
    unsigned i;
    LIST_EACH (link, &process.heaps) {
        struct ptm_heap *heap = LIST_OF(link, struct ptm_heap, link);
        PTM_ARENA_EACH (arena, i, heap) {
            ptm_returned_recount(arena);
            atomic_store_explicit(&arena->thread_count,
                count_bound(heap, arena), memory_order_relaxed);
        }
    }
}

/* ---- life */

static void
init_heap(struct ptm_heap *heap, size_t own_size, bool is_main)
{
    heap->own_size = own_size;
    heap->tuning = process.tuning;
    heap->key = (uintptr_t)machine.random() | 1;
    heap->cpu_count = machine.cpu_count();
    meta_init(&heap->meta, heap + 1, own_size - sizeof *heap);
    mtx_init(&heap->arenas_lock, MTX_ARENA_LIST);
    mtx_init(&heap->direct_lock, MTX_ARENA_LIST);
    list_init(&heap->direct);
    local_set_init(&heap->tcaches, &tcache_kind, is_main ? main_place : NULL,
        is_main ? &ptm_tcache_none.local : NULL);
}

static void
delete_heap(struct ptm_heap *heap)
{
    struct ptm_arena *arena;
    unsigned i;
    local_set_fini(&heap->tcaches);
    PTM_ARENA_EACH (arena, i, heap) {
        ptm_arena_delete(arena);
    }
    ptm_direct_unmap_all(heap);
    mtx_fini(&heap->direct_lock);
    mtx_fini(&heap->arenas_lock);
    meta_fini(&heap->meta);
    (void)pages_unmap(heap, heap->own_size);
}

static struct ptm_heap *
new_heap(bool is_main)
{
    size_t own_size = pages_round_up(sizeof(struct ptm_heap) + FIRST_META_SIZE);
    struct ptm_heap *heap = pages_map(own_size, pages_os_size());
    if (heap == NULL) {
        return NULL;
    }
    init_heap(heap, own_size, is_main);
    if (make_arena(heap) == NULL) {
        delete_heap(heap);
        return NULL;
    }
    return heap;
}

static void
start_locked(void) REQUIRES(process.lock)
{
    if (!process.ready) {
        fork_init();
        fork_on_child(mend_in_child);
        list_init(&process.heaps);
        ptm_tuning_read(&process.tuning);
        process.ready = true;
    }
}

struct ptm_heap *
ptm_heap_new(void)
{
    mtx_lock(&process.lock);
    start_locked();
    mtx_unlock(&process.lock);
    struct ptm_heap *heap = new_heap(false);
    if (heap != NULL) {
        mtx_lock(&process.lock);
        list_push(&process.heaps, &heap->link);
        mtx_unlock(&process.lock);
    }
    return heap;
}

void
ptm_heap_delete(struct ptm_heap *heap)
{
    mtx_lock(&process.lock);
    list_remove(&heap->link);
    mtx_unlock(&process.lock);
    delete_heap(heap);
}

struct ptm_heap *
ptm_heap_main(void)
{
    /* Pairs with the release below. */
    struct ptm_heap *heap =
        atomic_load_explicit(&process.main, memory_order_acquire);
    if (__builtin_expect(heap != NULL, 1)) {
        return heap;
    }
    mtx_lock(&process.lock);
    start_locked();
    heap = atomic_load_explicit(&process.main, memory_order_relaxed);
    if (heap == NULL) {
        heap = new_heap(true);
        if (heap != NULL) {
            list_push(&process.heaps, &heap->link);
        }
        atomic_store_explicit(&process.main, heap, memory_order_release);
    }
    mtx_unlock(&process.lock);
    return heap;
}

void
ptm_heap_check(struct ptm_heap *heap)
{
    struct ptm_arena *arena;
    const struct ptm_tcache *tcache;
    unsigned i;
    PTM_ARENA_EACH (arena, i, heap) {
        CHECK(arena->heap == heap && arena->index == i); /* I1 */
        CHECK(count_bound(heap, arena) ==
              atomic_load(&arena->thread_count)); /* I2 */
        ptm_arena_check(arena);
    }
    CHECK(i == atomic_load(&heap->arena_count)); /* I1 */
    PTM_TCACHE_EACH (tcache, heap) {
        ptm_tcache_check(tcache);
    }
    ptm_direct_check(heap);
}
