/*
 * stats.c - what an arena's structures say of themselves (contract: stats.h)
 *
 * Nothing is counted twice: the structures count what comes and goes under locks
 * that they hold anyway, and the sums are made here.
 *
 *   I1  curregs = nmalloc - ndalloc in every bin; curlextents likewise.
 */
#include "jemalloc/stats.h"

#include <string.h>

#include "base/check.h"
#include "base/machine.h"
#include "jemalloc/heap.h"
#include "jemalloc/inspect.h"

void
jem_stats_init(struct jem_stats *stats)
{
    mtx_init(&stats->lock, MTX_OPTIONS);
    stats->epoch = 0;
}

/* A struct of uint64_t is a vector. */
static void
add_numbers(void *sum, const void *more, size_t size)
{
    uint64_t *to = sum;
    const uint64_t *from = more;
    for (size_t i = 0; i < size / sizeof *to; i++) {
        to[i] += from[i];
    }
}

static void
add_bin(struct jem_bin_stats *stats, struct jem_bin *bin)
{
    mtx_lock(&bin->lock);
    const struct jem_bin_stats now = {
        .nmalloc = bin->taken_count,
        .ndalloc = bin->given_count,
        .nfills = bin->fill_count,
        .nflushes = bin->flush_count,
        .nslabs = bin->slabs_made_count,
        .nreslabs = bin->slabs_used_again,
        .curregs = bin->taken_count - bin->given_count,
        .curslabs = bin->slab_count,
        .nonfull_slabs = bin->nonfull.count,
        .num_ops = bin->fill_count + bin->flush_count,
        .num_wait = bin->contended_count,
    };
    mtx_unlock(&bin->lock);
    add_numbers(stats, &now, sizeof now);
}

static void
collect_bins(struct jem_arena *arena, struct jem_arena_stats *stats)
{
    for (unsigned class = 0; class < JEM_SMALL_COUNT; class ++) {
        struct jem_bin_stats *bin = &stats->bins[class];
        for (unsigned shard = 0; shard < arena->shard_count; shard++) {
            add_bin(bin, &arena->bins[shard][class]);
        }
        add_numbers(&stats->small, bin, sizeof *bin);
        stats->small_allocated += bin->curregs * jem_class_size(class);
    }
}

static void
collect_large_locked(
    const struct jem_pagecache *pages, struct jem_arena_stats *stats)
{
    for (unsigned i = 0; i < JEM_LARGE_COUNT; i++) {
        const struct jem_extent_use *use = &pages->large_uses[i];
        struct jem_lextent_stats *large = &stats->lextents[i];
        large->nmalloc = use->taken_count;
        large->ndalloc = use->given_count;
        large->curlextents = use->taken_count - use->given_count;
        add_numbers(&stats->large, large, sizeof *large);
    }
    stats->large_allocated = pages->large_size;
}

static void
collect_extents_locked(
    const struct jem_pagecache *pages, struct jem_arena_stats *stats)
{
    for (unsigned i = 0; i < JEM_PAGE_CLASS_COUNT; i++) {
        stats->extents[i] = (struct jem_extent_stats){
            .ndirty = pages->free[JEM_DIRTY].classes[i].count,
            .dirty_bytes = pages->free[JEM_DIRTY].classes[i].size,
            .nmuzzy = pages->free[JEM_MUZZY].classes[i].count,
            .muzzy_bytes = pages->free[JEM_MUZZY].classes[i].size,
            .nretained = pages->free[JEM_RETAINED].classes[i].count,
            .retained_bytes = pages->free[JEM_RETAINED].classes[i].size,
        };
    }
}

static struct jem_purge_stats
purge_stats(const struct jem_purge_use *use)
{
    return (struct jem_purge_stats){
        .npurge = use->sweep_count,
        .nmadvise = use->call_count,
        .purged = use->pages,
    };
}

static void
collect_pages(struct jem_pagecache *pages, struct jem_arena_stats *stats)
{
    mtx_lock(&pages->lock);
    size_t retained = jem_freeset_pages(&pages->free[JEM_RETAINED]);
    size_t unguarded =
        pages->regions.mapped_size / JEM_PAGE - pages->guard_count;
    stats->dirty_decay_ms = (uint64_t)pages->dirty_decay.time_ms;
    stats->muzzy_decay_ms = (uint64_t)pages->muzzy_decay.time_ms;
    stats->pdirty = jem_freeset_pages(&pages->free[JEM_DIRTY]);
    stats->pmuzzy = jem_freeset_pages(&pages->free[JEM_MUZZY]);
    stats->pactive = unguarded - retained - stats->pdirty - stats->pmuzzy;
    stats->mapped = pages->regions.mapped_size - retained * JEM_PAGE;
    stats->retained = retained * JEM_PAGE;
    stats->resident = (unguarded - retained) * JEM_PAGE;
    stats->extent_avail = pages->spare_count;
    stats->dirty = purge_stats(&pages->purges[JEM_DIRTY]);
    stats->muzzy = purge_stats(&pages->purges[JEM_MUZZY]);
    collect_large_locked(pages, stats);
    collect_extents_locked(pages, stats);
    mtx_unlock(&pages->lock);
}

static void
collect_arena(struct jem_arena *arena)
{
    struct jem_arena_stats *stats = &arena->stats;
    memset(stats, 0, sizeof *stats);
    stats->exists = jem_arena_exists(arena);
    stats->nthreads = atomic_load(&arena->thread_count);
    stats->uptime = machine.clock_ns() - arena->born_ns;
    collect_bins(arena, stats);
    collect_pages(&arena->pages, stats);
}

void
jem_stats_refresh_locked(struct jem_heap *heap)
{
    struct jem_stats *stats = &heap->stats;
    struct alloc_stats sums;
    struct jem_arena *arena;
    unsigned i;
    memset(&stats->all, 0, sizeof stats->all);
    mtx_lock(&heap->arenas_lock);
    JEM_ARENA_EACH (arena, i, heap) {
        collect_arena(arena);
        add_numbers(&stats->all, &arena->stats, sizeof arena->stats);
    }
    stats->all.dirty_decay_ms = (uint64_t)heap->options.dirty_decay_ms;
    stats->all.muzzy_decay_ms = (uint64_t)heap->options.muzzy_decay_ms;
    mtx_unlock(&heap->arenas_lock);
    stats->all.exists = true;
    jem_inspect_stats(heap, &sums);
    stats->heap = (struct jem_heap_stats){
        .allocated = sums.used_size,
        .active = stats->all.pactive * JEM_PAGE,
        .metadata = sums.meta_size,
        .resident = stats->all.resident + sums.meta_size,
        .mapped = stats->all.mapped + sums.meta_size,
        .retained = stats->all.retained,
        .zero_reallocs = atomic_load(&heap->zero_reallocs),
    };
    stats->epoch++;
}

void
jem_stats_retire_locked(struct jem_heap *heap, struct jem_arena *arena)
{
    struct jem_arena_stats *destroyed = &heap->stats.destroyed;
    collect_arena(arena);
    add_numbers(destroyed, &arena->stats, sizeof arena->stats);
    destroyed->exists = true;
    destroyed->dirty_decay_ms = arena->stats.dirty_decay_ms;
    destroyed->muzzy_decay_ms = arena->stats.muzzy_decay_ms;
}
