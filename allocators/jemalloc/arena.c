/*
 * arena.c - what a few threads share (contract: arena.h)
 *
 * An arena adds nothing to its parts but their being together: threads of one
 * arena meet at its locks and nowhere else.
 */
#include "jemalloc/arena.h"

#include "base/check.h"
#include "base/machine.h"
#include "base/print.h"
#include "jemalloc/heap.h"

void
jem_arena_init(struct jem_arena *arena, struct jem_heap *heap, unsigned index,
    struct meta *meta, struct jem_mapped *mapped,
    const struct jem_options *options)
{
    arena->heap = heap;
    arena->index = index;
    arena->shard_count = (unsigned)options->shard_count;
    arena->born_ns = machine.clock_ns();
    atomic_init(&arena->exists, true);
    atomic_init(&arena->thread_count, 0);
    jem_pagecache_init(&arena->pages, arena, index, meta, mapped, options);
    for (unsigned class = 0; class < JEM_SMALL_COUNT; class ++) {
        for (unsigned shard = 0; shard < arena->shard_count; shard++) {
            jem_bin_init(&arena->bins[shard][class], class, shard);
        }
    }
}

static void
act_on_bins(struct jem_arena *arena, void (*act)(struct jem_bin *bin))
{
    for (unsigned class = 0; class < JEM_SMALL_COUNT; class ++) {
        for (unsigned shard = 0; shard < arena->shard_count; shard++) {
            act(&arena->bins[shard][class]);
        }
    }
}

void
jem_arena_fini(struct jem_arena *arena)
{
    act_on_bins(arena, jem_bin_fini);
    jem_pagecache_fini(&arena->pages);
}

static void
leave_profile(struct jem_extent *extent, void *arg)
{
    if (extent->sample != NULL) {
        sampled_remove(arg, extent->sample);
        extent->sample = NULL;
    }
}

void
jem_arena_reset(struct jem_arena *arena)
{
    if (arena->heap->sampled.on) {
        jem_pagecache_each_large(
            &arena->pages, leave_profile, &arena->heap->sampled);
    }
    act_on_bins(arena, jem_bin_reset);
    jem_pagecache_reset(&arena->pages);
}

void
jem_arena_destroy(struct jem_arena *arena)
{
    jem_arena_reset(arena);
    jem_pagecache_unmap(&arena->pages);
    atomic_store(&arena->exists, false);
}

void
jem_arena_revive(struct jem_arena *arena, const struct jem_options *options)
{
    act_on_bins(arena, jem_bin_clear_counts);
    jem_pagecache_clear_counts(&arena->pages);
    jem_pagecache_set_decay(&arena->pages, JEM_DIRTY, options->dirty_decay_ms);
    jem_pagecache_set_decay(&arena->pages, JEM_MUZZY, options->muzzy_decay_ms);
    arena->born_ns = machine.clock_ns();
    atomic_store(&arena->exists, true);
}

/* ---- small */

size_t
jem_arena_take_small(struct jem_arena *arena, unsigned shard,
    unsigned size_class, void **batch, size_t count)
{
    struct jem_bin *bin = &arena->bins[shard % arena->shard_count][size_class];
    return jem_bin_take(bin, &arena->pages, batch, count);
}

void
jem_arena_give_small(struct jem_heap *heap, void **batch, size_t count)
{
    while (count > 0) {
        struct jem_owner owner = jem_owner_get(batch[0]);
        struct jem_arena *arena =
            jem_heap_peek_arena(heap, jem_owner_arena(owner));
        struct jem_bin *bin =
            &arena->bins[jem_owner_shard(owner)][jem_owner_class(owner)];
        count = jem_bin_give(bin, &arena->pages, batch, count);
    }
}

/* ---- large */

void *
jem_arena_take_large(
    struct jem_arena *arena, unsigned size_class, size_t align, bool *zeroed)
{
    struct jem_extent *extent = jem_pagecache_take(
        &arena->pages, jem_class_size(size_class), align, size_class, 0);
    if (extent == NULL) {
        return NULL;
    }
    *zeroed = extent->zeroed;
    extent->sample = NULL;
    return extent->addr;
}

void
jem_arena_give_large(struct jem_extent *extent)
{
    jem_pagecache_give(&extent->arena->pages, extent);
}

bool
jem_arena_resize_large(struct jem_extent *extent, unsigned size_class)
{
    return extent->size_class == size_class ||
           jem_pagecache_resize(&extent->arena->pages, extent, size_class);
}

/* ---- upkeep */

static void
drain_class(struct jem_arena *arena, unsigned size_class, bool all)
{
    for (unsigned shard = 0; shard < arena->shard_count; shard++) {
        jem_bin_drain(&arena->bins[shard][size_class], &arena->pages, all);
    }
}

void
jem_arena_tick(struct jem_arena *arena, unsigned turn)
{
    drain_class(arena, turn % JEM_SMALL_COUNT, false);
    if (!jem_heap_has_background(arena->heap)) {
        jem_pagecache_tick(&arena->pages);
    }
}

void
jem_arena_visit(struct jem_arena *arena, unsigned turn)
{
    if (atomic_load_explicit(&arena->thread_count, memory_order_relaxed) == 0) {
        drain_class(arena, turn % JEM_SMALL_COUNT, false);
    }
    jem_pagecache_tick(&arena->pages);
}

void
jem_arena_decay(struct jem_arena *arena)
{
    jem_pagecache_decay(&arena->pages);
}

bool
jem_arena_purge(struct jem_arena *arena)
{
    for (unsigned class = 0; class < JEM_SMALL_COUNT; class ++) {
        drain_class(arena, class, true);
    }
    return jem_pagecache_purge(&arena->pages);
}

/* ---- checking */

void
jem_arena_check(struct jem_arena *arena)
{
    act_on_bins(arena, jem_bin_check);
    jem_pagecache_check(&arena->pages);
}

void
jem_arena_dump(struct jem_arena *arena, int fd)
{
    struct print print;
    print_init(&print, fd);
    print_format(&print, "  arena %u: threads %u\n", arena->index,
        atomic_load(&arena->thread_count));
    print_flush(&print);
    for (unsigned class = 0; class < JEM_SMALL_COUNT; class ++) {
        for (unsigned shard = 0; shard < arena->shard_count; shard++) {
            if (arena->bins[shard][class].slab_count != 0) {
                jem_bin_dump(&arena->bins[shard][class], fd);
            }
        }
    }
    jem_pagecache_dump(&arena->pages, fd);
}
