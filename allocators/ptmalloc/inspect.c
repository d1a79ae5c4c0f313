/*
 * inspect.c - statistics, walks and dumps of a heap (contract: inspect.h)
 *
 * Nothing here is kept: a walk over the chunks tells all. A chunk in a thread's
 * cache or in a returned batch is used to its arena; it is known by the key in
 * its second word together with its place in a list, and the lists are counted
 * apart, so that a user's block that happens to hold the key is not miscounted.
 *
 *   I1  When the heap is quiet, what is mapped is used, free or meta, each byte
 *       counted once where it stands.
 */
#include "ptmalloc/inspect.h"

#include <string.h>

#include "base/check.h"
#include "base/print.h"
#include "ptmalloc/direct.h"
#include "ptmalloc/returned.h"

/* ---- what lies in caches */

/* In the threads' caches. Wants the heap quiet. */
static void
each_cached(struct ptm_heap *heap, ptm_cached_fn *visit, void *arg)
{
    const struct ptm_tcache *tcache;
    PTM_TCACHE_EACH (tcache, heap) {
        ptm_tcache_each(tcache, visit, arg);
    }
}

/* ---- statistics */

struct cached_sum {
    size_t count, size;
};

static void
sum_cached(const struct ptm_cached *cached, void *arg)
{
    struct cached_sum *sum = arg;
    sum->size += ptm_head_size(chunk_of_block(cached));
    sum->count++;
}

static void
sum_tcaches(struct ptm_heap *heap, struct cached_sum *sum)
{
    struct ptm_tcache *tcache;
    size_t count, size;
    mtx_lock(&heap->tcaches.lock);
    PTM_TCACHE_EACH (tcache, heap) {
        ptm_tcache_count(tcache, &count, &size);
        sum->count += count;
        sum->size += size;
    }
    mtx_unlock(&heap->tcaches.lock);
}

static size_t
minus(size_t from, size_t size)
{
    return from > size ? from - size : 0;
}

/* What is cached was counted as used. Other threads may have used it or freed
 * it since: then the sums are of no one moment, but none falls below 0. */
static void
count_cached(const struct cached_sum *sum, struct alloc_stats *stats)
{
    stats->cached_size = sum->size;
    stats->free_size += sum->size;
    stats->free_count += sum->count;
    stats->used_size =
        minus(stats->used_size, sum->size - sum->count * CHUNK_HEAD_SIZE);
    stats->used_count = minus(stats->used_count, sum->count);
    stats->meta_size = minus(stats->meta_size, sum->count * CHUNK_HEAD_SIZE);
}

static void
count_chunk(struct ptm_arena *arena, struct chunk *chunk, bool used, void *arg)
{
    struct alloc_stats *stats = arg;
    (void)arena;
    if (!used) {
        stats->free_size += chunk_size(chunk);
        stats->free_count++;
    } else if (chunk_size(chunk) >= CHUNK_MIN_SIZE) {
        stats->used_size += chunk_size(chunk) - CHUNK_HEAD_SIZE;
        stats->used_count++;
        stats->meta_size += CHUNK_HEAD_SIZE;
    } else {
        stats->meta_size += chunk_size(chunk); /* a fence */
    }
}

static void
count_arena_locked(struct ptm_arena *arena, struct alloc_stats *stats)
    REQUIRES(arena->lock)
{
    ptm_arena_each_chunk_locked(arena, count_chunk, stats);
    for (const struct ptm_subheap *subheap = arena->top.newest; subheap != NULL;
         subheap = subheap->older) {
        stats->meta_size += subheap->lead_size;
    }
    stats->mapped_size += arena->top.system_size;
    stats->mapped_peak += arena->top.system_peak;
}

static void
count_direct(struct ptm_heap *heap, struct alloc_stats *stats)
{
    const struct list *link;
    mtx_lock(&heap->direct_lock);
    LIST_EACH (link, &heap->direct) {
        const struct ptm_direct *direct =
            LIST_OF(link, const struct ptm_direct, link);
        size_t lead_size = direct->offset + CHUNK_BLOCK_OFFSET;
        stats->used_size += direct->map_size - lead_size;
        stats->meta_size += lead_size;
        stats->used_count++;
    }
    stats->direct_size = heap->direct_size;
    stats->direct_count = heap->direct_count;
    stats->mapped_size += heap->direct_size;
    stats->mapped_peak += heap->direct_peak;
    mtx_unlock(&heap->direct_lock);
}

void
ptm_inspect_stats(struct ptm_heap *heap, struct alloc_stats *stats)
{
    struct cached_sum sum = {0};
    struct ptm_arena *arena;
    unsigned i;
    memset(stats, 0, sizeof *stats);
    if (heap == NULL) {
        return;
    }
    sum_tcaches(heap, &sum);
    PTM_ARENA_EACH (arena, i, heap) {
        mtx_lock(&arena->lock);
        count_arena_locked(arena, stats);
        ptm_returned_each_locked(arena, sum_cached, &sum);
        mtx_unlock(&arena->lock);
    }
    count_cached(&sum, stats);
    count_direct(heap, stats);
    size_t own_size = heap->own_size + meta_mapped_size(&heap->meta);
    stats->mapped_size += own_size;
    stats->mapped_peak += own_size;
    stats->meta_size += own_size;
}

void
ptm_inspect_check(struct ptm_heap *heap)
{
    struct alloc_stats stats;
    ptm_inspect_stats(heap, &stats);
    CHECK(stats.mapped_size ==
          stats.used_size + stats.free_size + stats.meta_size); /* I1 */
}

/* ---- walking */

struct walk {
    struct ptm_heap *heap;
    alloc_walk_fn *visit;
    void *arg;
    const void *sought; /* is this block cached? */
    bool found;
};

static void
compare_cached(const struct ptm_cached *cached, void *arg)
{
    struct walk *walk = arg;
    walk->found |= (const void *)cached == walk->sought;
}

/* Only a block with the key can be cached, so the long way is rare. */
static bool
is_cached_locked(struct ptm_arena *arena, struct walk *walk,
    struct chunk *chunk) REQUIRES(arena->lock)
{
    const struct ptm_cached *cached = chunk_block(chunk);
    if (cached->key != walk->heap->key) {
        return false;
    }
    walk->sought = cached;
    walk->found = false;
    each_cached(walk->heap, compare_cached, walk);
    ptm_returned_each_locked(arena, compare_cached, walk);
    return walk->found;
}

static void
walk_chunk(struct ptm_arena *arena, struct chunk *chunk, bool used, void *arg)
    REQUIRES(arena->lock)
{
    struct walk *walk = arg;
    struct alloc_piece piece = {
        ALLOC_PIECE_USED, chunk, chunk_size(chunk), "arena"};
    if (chunk == arena->top.chunk) {
        piece.kind = ALLOC_PIECE_FREE;
        piece.owner = "top";
    } else if (!used) {
        piece.kind = ALLOC_PIECE_FREE;
        piece.owner = (chunk->head & PTM_IN_TREE) != 0 ? "large bins" : "bins";
    } else if (chunk_size(chunk) < CHUNK_MIN_SIZE) {
        piece.kind = ALLOC_PIECE_META;
        piece.owner = "fence";
    } else if (is_cached_locked(arena, walk, chunk)) {
        piece.kind = ALLOC_PIECE_CACHED;
        piece.owner = "tcache";
    }
    walk->visit(&piece, walk->arg);
}

static void
walk_arena(struct ptm_arena *arena, struct walk *walk)
{
    for (struct ptm_subheap *subheap = arena->top.newest; subheap != NULL;
         subheap = subheap->older) {
        const struct alloc_piece piece = {
            ALLOC_PIECE_REGION, subheap, subheap->usable_size, "subheap"};
        walk->visit(&piece, walk->arg);
    }
    mtx_lock(&arena->lock);
    ptm_arena_each_chunk_locked(arena, walk_chunk, walk);
    mtx_unlock(&arena->lock);
}

void
ptm_inspect_walk(struct ptm_heap *heap, alloc_walk_fn *visit, void *arg)
{
    struct walk walk = {heap, visit, arg, NULL, false};
    struct ptm_arena *arena;
    const struct list *link;
    unsigned i;
    PTM_ARENA_EACH (arena, i, heap) {
        walk_arena(arena, &walk);
    }
    LIST_EACH (link, &heap->direct) {
        const struct ptm_direct *direct =
            LIST_OF(link, const struct ptm_direct, link);
        const struct alloc_piece piece = {
            ALLOC_PIECE_USED, direct, direct->map_size, "direct mapping"};
        visit(&piece, arg);
    }
}

/* ---- printing */

void
ptm_inspect_dump(struct ptm_heap *heap, int fd)
{
    struct alloc_stats stats;
    struct print print;
    const struct ptm_tcache *tcache;
    struct ptm_arena *arena;
    unsigned i;
    ptm_inspect_stats(heap, &stats);
    print_init(&print, fd);
    print_format(&print, "ptmalloc: system %zu, at most %zu\n",
        stats.mapped_size, stats.mapped_peak);
    print_format(&print, "  in use %zu in %zu blocks\n", stats.used_size,
        stats.used_count);
    print_format(&print, "  free %zu, of it in caches %zu\n", stats.free_size,
        stats.cached_size);
    print_flush(&print);
    if (heap == NULL) {
        return;
    }
    PTM_ARENA_EACH (arena, i, heap) {
        ptm_arena_dump(arena, fd);
    }
    PTM_TCACHE_EACH (tcache, heap) {
        ptm_tcache_dump(tcache, fd);
    }
    ptm_direct_dump(heap, fd);
}
