/*
 * inspect.c - statistics, walks and dumps of a heap (contract: inspect.h)
 *
 * Nothing here is kept: a walk over the chunks tells all. A chunk in a thread's
 * cache or in a returned batch is used to its arena; it is known by the key in
 * its second word together with its place in a list, and the lists are counted
 * apart, so that a user's block that happens to hold the key is not miscounted.
 */
#include "ptmalloc/inspect.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/print.h"
#include "ptmalloc/direct.h"
#include "ptmalloc/ptmalloc.h"
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
    }
}

static void
count_direct(struct ptm_heap *heap, struct alloc_stats *stats)
{
    const struct list *link;
    mtx_lock(&heap->direct_lock);
    LIST_EACH (link, &heap->direct) {
        const struct ptm_direct *direct =
            LIST_OF(link, const struct ptm_direct, link);
        stats->used_size +=
            direct->map_size - sizeof *direct - CHUNK_BLOCK_OFFSET;
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
        ptm_arena_each_chunk_locked(arena, count_chunk, stats);
        ptm_returned_each_locked(arena, sum_cached, &sum);
        stats->mapped_size += arena->top.system_size;
        stats->mapped_peak += arena->top.system_peak;
        mtx_unlock(&arena->lock);
    }
    count_cached(&sum, stats);
    count_direct(heap, stats);
    size_t own_size = heap->own_size + meta_mapped_size(&heap->meta);
    stats->mapped_size += own_size;
    stats->mapped_peak += own_size;
    stats->meta_size =
        minus(stats->mapped_size, stats->used_size + stats->free_size);
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
        piece.owner = (chunk->head & PTM_IN_TREE) != 0    ? "large bins"
                      : chunk_size(chunk) > PTM_SMALL_MAX ? "unsorted bin"
                                                          : "small bin";
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
    print_format(&print, "  direct mappings %zu in %zu bytes\n",
        stats.direct_count, stats.direct_size);
    print_flush(&print);
    if (heap != NULL) {
        PTM_ARENA_EACH (arena, i, heap) {
            ptm_arena_dump(arena, fd);
        }
    }
}

void
ptm_malloc_stats(void)
{
    ptm_inspect_dump(ptm_heap_main(), 2);
}

struct mallinfo2
ptm_mallinfo2(void)
{
    struct ptm_heap *heap = ptm_heap_main();
    struct alloc_stats stats;
    struct ptm_arena *arena;
    size_t keepcost = 0;
    unsigned i;
    ptm_inspect_stats(heap, &stats);
    if (heap != NULL) {
        PTM_ARENA_EACH (arena, i, heap) {
            mtx_lock(&arena->lock);
            keepcost += chunk_size(arena->top.chunk);
            mtx_unlock(&arena->lock);
        }
    }
    return (struct mallinfo2){
        .arena = stats.mapped_size - stats.direct_size,
        .ordblks = stats.free_count,
        .hblks = stats.direct_count,
        .hblkhd = stats.direct_size,
        .fsmblks = stats.cached_size,
        .uordblks = stats.used_size,
        .fordblks = stats.free_size,
        .keepcost = keepcost,
    };
}

/* ---- malloc_info */

struct free_census {
    size_t count, size;
};

static void
count_free(struct ptm_arena *arena, struct chunk *chunk, bool used, void *arg)
{
    struct free_census *census = arg;
    if (!used && chunk != arena->top.chunk) {
        census->count++;
        census->size += chunk_size(chunk);
    }
}

static void
print_arena_info(FILE *stream, struct ptm_arena *arena)
{
    struct free_census census = {0};
    /* Numbers first: printing may allocate, which takes the lock. */
    mtx_lock(&arena->lock);
    ptm_arena_each_chunk_locked(arena, count_free, &census);
    size_t system_size = arena->top.system_size;
    size_t system_peak = arena->top.system_peak;
    mtx_unlock(&arena->lock);
    size_t returned_size = atomic_load(&arena->returned_size);
    fprintf(stream, "<heap nr=\"%u\">\n<sizes>\n</sizes>\n", arena->index);
    fprintf(stream, "<total type=\"fast\" count=\"0\" size=\"%zu\"/>\n",
        returned_size);
    fprintf(stream, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n",
        census.count, census.size);
    fprintf(stream, "<system type=\"current\" size=\"%zu\"/>\n", system_size);
    fprintf(stream, "<system type=\"max\" size=\"%zu\"/>\n", system_peak);
    fprintf(stream, "<aspace type=\"total\" size=\"%zu\"/>\n", system_size);
    fprintf(stream, "<aspace type=\"mprotect\" size=\"%zu\"/>\n</heap>\n",
        system_size);
}

int
ptm_malloc_info(int options, FILE *stream)
{
    struct ptm_heap *heap = ptm_heap_main();
    struct alloc_stats stats;
    struct ptm_arena *arena;
    unsigned i;
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    if (heap == NULL) {
        errno = ENOMEM;
        return -1;
    }
    fprintf(stream, "<malloc version=\"1\">\n");
    PTM_ARENA_EACH (arena, i, heap) {
        print_arena_info(stream, arena);
    }
    ptm_inspect_stats(heap, &stats);
    fprintf(stream, "<total type=\"fast\" count=\"0\" size=\"%zu\"/>\n",
        stats.cached_size);
    fprintf(stream, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n",
        stats.free_count, stats.free_size - stats.cached_size);
    fprintf(stream, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n",
        stats.direct_count, stats.direct_size);
    fprintf(
        stream, "<system type=\"current\" size=\"%zu\"/>\n", stats.mapped_size);
    fprintf(stream, "<system type=\"max\" size=\"%zu\"/>\n</malloc>\n",
        stats.mapped_peak);
    return ferror(stream) ? -1 : 0;
}
