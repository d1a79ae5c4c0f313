/*
 * inspect.c - statistics, walks and dumps of a heap (contract: inspect.h)
 *
 * Nothing here is kept: all is read off the structures. A region's extents are
 * met one behind the other through the owner map. What the caches hold counts
 * as used to the arenas, so it is taken off there and added to what is free.
 */
#include "jemalloc/inspect.h"

#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/print.h"
#include "jemalloc/jemalloc.h"

/* ---- statistics */

static void
add_bins(struct jem_arena *arena, struct alloc_stats *stats)
{
    for (unsigned class = 0; class < JEM_SMALL_COUNT; class ++) {
        const struct jem_slab_shape *shape = &jem_slab_shapes[class];
        for (unsigned shard = 0; shard < arena->shard_count; shard++) {
            struct jem_bin *bin = &arena->bins[shard][class];
            mtx_lock(&bin->lock);
            size_t stashed = bin->stash_count;
            size_t used = bin->slab_count * shape->region_count -
                          bin->free_count - stashed;
            stats->cached_size += stashed * shape->region_size;
            stats->free_size += stashed * shape->region_size;
            stats->free_count += stashed;
            stats->used_count += used;
            stats->used_size += used * shape->region_size;
            stats->free_count += bin->free_count;
            stats->free_size += bin->free_count * shape->region_size;
            mtx_unlock(&bin->lock);
        }
    }
}

static void
add_pages(struct jem_arena *arena, struct alloc_stats *stats)
{
    struct jem_pagecache *pages = &arena->pages;
    mtx_lock(&pages->lock);
    for (unsigned s = JEM_DIRTY; s <= JEM_RETAINED; s++) {
        stats->free_size += pages->free[s].pages * JEM_PAGE;
        stats->free_count += pages->free[s].by_size.count;
    }
    stats->purged_size += pages->free[JEM_RETAINED].pages * JEM_PAGE;
    stats->mapped_size += pages->regions.mapped_size;
    stats->meta_size += pages->guard_count * JEM_PAGE;
    stats->used_size += pages->large_size;
    stats->used_count += pages->large_count;
    mtx_unlock(&pages->lock);
}

static size_t
minus(size_t from, size_t size)
{
    return from > size ? from - size : 0;
}

/* Moves what the threads' caches hold from used to free. While threads work
 * the sums are of no one moment; none falls below 0. */
static void
move_cached(struct jem_heap *heap, struct alloc_stats *stats)
{
    struct jem_tcache *tcache;
    size_t cached_size = 0;
    size_t cached_count = 0;
    mtx_lock(&heap->tcaches.lock);
    JEM_TCACHE_EACH (tcache, heap) {
        for (unsigned class = 0; class < JEM_TCACHE_CLASSES; class ++) {
            size_t count = jem_tbin_count(&tcache->bins[class]);
            cached_size += count * jem_class_size(class);
            cached_count += count;
        }
    }
    mtx_unlock(&heap->tcaches.lock);
    stats->cached_size += cached_size;
    stats->used_size = minus(stats->used_size, cached_size);
    stats->used_count = minus(stats->used_count, cached_count);
    stats->free_count += cached_count;
    stats->free_size += cached_size;
}

void
jem_inspect_stats(struct jem_heap *heap, struct alloc_stats *stats)
{
    struct jem_arena *arena;
    unsigned i;
    memset(stats, 0, sizeof *stats);
    if (heap == NULL) {
        return;
    }
    mtx_lock(&heap->arenas_lock);
    JEM_ARENA_EACH (arena, i, heap) {
        add_bins(arena, stats);
        add_pages(arena, stats);
    }
    mtx_unlock(&heap->arenas_lock);
    move_cached(heap, stats);
    size_t own_size = heap->own_size + meta_mapped_size(&heap->meta);
    stats->meta_size += own_size;
    stats->mapped_size += own_size;
    stats->mapped_peak = atomic_load(&heap->mapped.peak) + own_size;
}

/* ---- walking */

/* Sets a bit for each of these blocks that is a region of the slab. */
static void
mark_regions(const struct jem_extent *slab, void *const *blocks, size_t count,
    uint64_t *bits)
{
    const struct jem_slab_shape *shape = &jem_slab_shapes[slab->size_class];
    for (size_t i = 0; i < count; i++) {
        size_t offset = (size_t)((char *)blocks[i] - slab->addr);
        if ((char *)blocks[i] >= slab->addr && offset < slab->size) {
            unsigned region = jem_slab_region(shape, offset);
            bits[region / 64] |= (uint64_t)1 << (region % 64);
        }
    }
}

/* Sets a bit for each region of the slab that lies in a stash or a cache. */
static void
find_cached(
    struct jem_heap *heap, const struct jem_extent *slab, uint64_t *cached_bits)
{
    struct jem_bin *bin = &slab->arena->bins[slab->shard][slab->size_class];
    struct jem_tcache *tcache;
    memset(cached_bits, 0, sizeof slab->free_bits);
    mark_regions(slab, bin->stash, bin->stash_count, cached_bits);
    JEM_TCACHE_EACH (tcache, heap) {
        struct jem_tbin *tbin = &tcache->bins[slab->size_class];
        mark_regions(slab, tbin->empty, jem_tbin_count(tbin), cached_bits);
    }
}

static void
walk_slab(struct jem_heap *heap, const struct jem_extent *slab,
    alloc_walk_fn *visit, void *arg)
{
    const struct jem_slab_shape *shape = &jem_slab_shapes[slab->size_class];
    uint64_t cached_bits[JEM_REGIONS_MAX / 64];
    find_cached(heap, slab, cached_bits);
    for (unsigned r = 0; r < shape->region_count; r++) {
        bool is_free = (slab->free_bits[r / 64] >> (r % 64) & 1) != 0;
        bool is_cached = (cached_bits[r / 64] >> (r % 64) & 1) != 0;
        const struct alloc_piece piece = {
            .kind = is_free     ? ALLOC_PIECE_FREE
                    : is_cached ? ALLOC_PIECE_CACHED
                                : ALLOC_PIECE_USED,
            .addr = slab->addr + (size_t)r * shape->region_size,
            .size = shape->region_size,
            .owner = is_free     ? "slab"
                     : is_cached ? "tcache"
                                 : "small",
        };
        visit(&piece, arg);
    }
}

/* A large block in a tcache is not told apart from one in use by its extent. */
static bool
is_cached_large(struct jem_heap *heap, const struct jem_extent *extent)
{
    struct jem_tcache *tcache;
    if (extent->size_class >= JEM_TCACHE_CLASSES) {
        return false;
    }
    JEM_TCACHE_EACH (tcache, heap) {
        struct jem_tbin *bin = &tcache->bins[extent->size_class];
        for (size_t i = 0; i < jem_tbin_count(bin); i++) {
            if (bin->empty[i] == extent->addr) {
                return true;
            }
        }
    }
    return false;
}

static void
walk_extent(struct jem_heap *heap, const struct jem_extent *extent,
    alloc_walk_fn *visit, void *arg)
{
    static const char *const free_names[] = {
        "active", "dirty", "muzzy", "retained"};
    if (extent->state == JEM_ACTIVE && jem_extent_is_slab(extent)) {
        walk_slab(heap, extent, visit, arg);
        return;
    }
    struct alloc_piece piece = {
        .kind = ALLOC_PIECE_FREE,
        .addr = extent->addr,
        .size = extent->size,
        .owner = free_names[extent->state],
    };
    if (extent->size_class == JEM_CLASS_GUARD) {
        piece.kind = ALLOC_PIECE_META;
        piece.owner = "guard";
    } else if (extent->state == JEM_ACTIVE) {
        bool is_cached = is_cached_large(heap, extent);
        piece.kind = is_cached ? ALLOC_PIECE_CACHED : ALLOC_PIECE_USED;
        piece.owner = is_cached ? "tcache" : "large";
    }
    visit(&piece, arg);
}

static void
walk_region(struct jem_heap *heap, const struct jem_region *region,
    alloc_walk_fn *visit, void *arg)
{
    const struct alloc_piece piece = {
        ALLOC_PIECE_REGION, region->addr, region->size, "region"};
    visit(&piece, arg);
    const struct jem_extent *extent;
    JEM_REGION_EACH (extent, region) {
        walk_extent(heap, extent, visit, arg);
    }
}

void
jem_inspect_walk(struct jem_heap *heap, alloc_walk_fn *visit, void *arg)
{
    struct jem_arena *arena;
    unsigned i;
    const struct alloc_piece own = {
        ALLOC_PIECE_META, heap, heap->own_size, "heap"};
    visit(&own, arg);
    JEM_ARENA_EACH (arena, i, heap) {
        for (struct jem_region *region = arena->pages.regions.first;
             region != NULL; region = region->next) {
            walk_region(heap, region, visit, arg);
        }
    }
}

/* ---- printing */

void
jem_inspect_dump(struct jem_heap *heap, int fd)
{
    struct alloc_stats stats;
    struct print print;
    struct jem_arena *arena;
    unsigned i;
    jem_inspect_stats(heap, &stats);
    print_init(&print, fd);
    print_format(&print, "jemalloc: mapped %zu\n", stats.mapped_size);
    print_format(&print, "  used %zu in %zu blocks\n", stats.used_size,
        stats.used_count);
    print_format(&print, "  free %zu, of it cached %zu, purged %zu\n",
        stats.free_size, stats.cached_size, stats.purged_size);
    print_format(&print, "  metadata %zu\n", stats.meta_size);
    print_flush(&print);
    JEM_ARENA_EACH (arena, i, heap) {
        jem_arena_dump(arena, fd);
    }
}

void
jem_malloc_stats(void)
{
    struct jem_heap *heap = jem_heap_main();
    if (heap != NULL) {
        jem_inspect_dump(heap, STDERR_FILENO);
    }
}

struct mallinfo2
jem_mallinfo2(void)
{
    struct alloc_stats stats;
    jem_inspect_stats(jem_heap_main(), &stats);
    return (struct mallinfo2){
        .arena = stats.mapped_size,
        .ordblks = stats.free_count,
        .fsmblks = stats.cached_size,
        .uordblks = stats.used_size,
        .fordblks = stats.free_size,
        .keepcost = stats.free_size - stats.purged_size - stats.cached_size,
    };
}

int
jem_mallopt(int parameter, int value)
{
    /* glibc's parameters speak of structures that this design has not. */
    (void)parameter;
    (void)value;
    return 0;
}
