/*
 * background.c - a thread that purges what has decayed (contract: background.h)
 *
 * The thread sleeps on a futex between turns, so that it can be woken to end.
 * How long follows from the arenas: one decay step, while there are unused pages,
 * else a second. Only the process's heap has one. Rejected: a thread for each
 * few arenas; purging waits for the kernel, not for the processor.
 *
 *   I1  `state` is ON only while the worker runs or is about to.
 */
#include "jemalloc/background.h"

#include "base/fork.h"
#include "base/machine.h"
#include "base/worker.h"
#include "jemalloc/heap.h"

#define IDLE_NS     ((uint64_t)1000000000)
#define SHORTEST_NS ((uint64_t)10000000)

static struct {
    struct mtx lock;
    enum { OFF, ON, ENDING } state; /* [lock] */
    uint64_t turns;                 /* [lock] */
    uint64_t start_ns;              /* [lock] */
    _Atomic uint32_t wake; /* the futex; it changes when the thread must end */
    struct jem_heap *heap; /* [lock] while not OFF */
    struct worker worker;  /* of who made state what it is */
} background = {.lock = {.rank = MTX_BACKGROUND}};

/* ---- one turn */

static uint64_t
shorter(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How long the arena's unused pages can wait. */
static uint64_t
patience(struct jem_pagecache *pages)
{
    static const enum jem_extent_state states[] = {JEM_DIRTY, JEM_MUZZY};
    uint64_t wait_ns = IDLE_NS;
    for (unsigned i = 0; i < 2; i++) {
        int64_t decay_ms = jem_pagecache_decay_ms(pages, states[i]);
        if (decay_ms > 0 && jem_freeset_pages(&pages->free[states[i]]) != 0) {
            wait_ns = shorter(
                wait_ns, (uint64_t)decay_ms * 1000000 / JEM_DECAY_STEPS);
        }
    }
    return wait_ns < SHORTEST_NS ? SHORTEST_NS : wait_ns;
}

static uint64_t
serve_arena(struct jem_heap *heap, unsigned index, unsigned turn)
{
    struct jem_arena *arena = jem_heap_peek_arena(heap, index);
    if (arena == NULL || !jem_arena_exists(arena)) {
        return IDLE_NS;
    }
    jem_arena_tick(arena, turn);
    jem_arena_decay(arena);
    return patience(&arena->pages);
}

uint64_t
jem_background_turn(struct jem_heap *heap)
{
    static _Atomic unsigned turn; /* whose stash is drained */
    unsigned now = atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed);
    uint64_t wait_ns = IDLE_NS;
    for (unsigned i = 0; i < heap->auto_count; i++) {
        wait_ns = shorter(wait_ns, serve_arena(heap, i, now));
    }
    /* Explicit ones may be destroyed, but not with the lock held. */
    for (unsigned i = heap->auto_count; i < jem_heap_arena_end(heap); i++) {
        mtx_lock(&heap->arenas_lock);
        wait_ns = shorter(wait_ns, serve_arena(heap, i, now));
        mtx_unlock(&heap->arenas_lock);
    }
    return wait_ns;
}

/* ---- the thread */

static void
work(void *unused)
{
    (void)unused;
    mtx_lock(&background.lock);
    while (background.state == ON) {
        uint64_t wait_ns = jem_background_turn(background.heap);
        background.turns++;
        uint32_t seen =
            atomic_load_explicit(&background.wake, memory_order_relaxed);
        mtx_unlock(&background.lock);
        machine.futex_wait(&background.wake, seen, wait_ns);
        mtx_lock(&background.lock);
    }
    mtx_unlock(&background.lock);
}

static bool
start_locked(struct jem_heap *heap) REQUIRES(background.lock)
{
    if (background.state == OFF) {
        background.state = ON;
        background.turns = 0;
        background.start_ns = machine.clock_ns();
        background.heap = heap;
        if (!worker_start(&background.worker, work, NULL)) {
            background.state = OFF;
        }
    }
    bool runs = background.state == ON;
    atomic_store_explicit(&heap->has_background, runs, memory_order_relaxed);
    return runs;
}

static bool
start(struct jem_heap *heap)
{
    mtx_lock(&background.lock);
    bool runs = start_locked(heap);
    mtx_unlock(&background.lock);
    return runs;
}

static void
end(struct jem_heap *heap)
{
    mtx_lock(&background.lock);
    bool ended = background.state == ON;
    if (ended) {
        background.state = ENDING;
        atomic_fetch_add_explicit(&background.wake, 1, memory_order_relaxed);
        machine.futex_wake(&background.wake, 1);
    }
    atomic_store_explicit(&heap->has_background, false, memory_order_relaxed);
    mtx_unlock(&background.lock);
    if (ended) {
        worker_join(&background.worker);
        mtx_lock(&background.lock);
        background.state = OFF;
        mtx_unlock(&background.lock);
    }
}

bool
jem_background_set(struct jem_heap *heap, bool runs)
{
    if (runs) {
        return start(heap);
    }
    end(heap);
    return true;
}

bool
jem_background_runs(void)
{
    mtx_lock(&background.lock);
    bool runs = background.state == ON;
    mtx_unlock(&background.lock);
    return runs;
}

uint64_t
jem_background_turns(void)
{
    mtx_lock(&background.lock);
    uint64_t turns = background.turns;
    mtx_unlock(&background.lock);
    return turns;
}

uint64_t
jem_background_interval(void)
{
    mtx_lock(&background.lock);
    uint64_t passed_ns = machine.clock_ns() - background.start_ns;
    uint64_t interval_ns = background.state != ON || background.turns == 0
                               ? 0
                               : passed_ns / background.turns;
    mtx_unlock(&background.lock);
    return interval_ns;
}

/* ---- the process's life */

/* The thread is not in the child. */
static void
forget_in_child(void)
{
    if (background.state != OFF) {
        background.state = OFF;
        atomic_store_explicit(
            &background.heap->has_background, false, memory_order_relaxed);
    }
}

/* As the program is loaded: before it has threads that could fork. */
__attribute__((constructor(103))) static void
enter_lock(void)
{
    fork_init();
    fork_enter(&background.lock);
    fork_on_child(forget_in_child);
}

__attribute__((constructor)) static void
start_at_load(void)
{
    if (jem_heap_options()->background_thread) {
        struct jem_heap *heap = jem_heap_main();
        if (heap != NULL) {
            (void)start(heap);
        }
    }
}

__attribute__((destructor)) static void
end_at_exit(void)
{
    if (jem_background_runs()) {
        end(background.heap);
    }
}
