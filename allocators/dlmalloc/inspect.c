/*
 * inspect.c - checks, walks, statistics and dumps (contract: inspect.h)
 *
 * The check meets every free chunk twice: in its segment, end to end, and in
 * its bin. Equal counts, with the checks of either side, mean that each is in
 * exactly one bin.
 */
#include "dlmalloc/inspect.h"

#include <string.h>

#include "base/check.h"
#include "base/pages.h"
#include "base/print.h"
#include "dlmalloc/bins.h"
#include "dlmalloc/direct.h"
#include "dlmalloc/segment.h"

static bool
is_used(const struct chunk *chunk)
{
    return (chunk->head & DLM_USED) != 0;
}

/* ---- checking */

static void
check_used(const struct dlm_heap *heap, const struct chunk *chunk)
{
    size_t size = chunk_size(chunk);

    CHECK((chunk->head & DLM_DIRECT) == 0);
    CHECK(*chunk_foot(chunk, size) == dlm_footer(heap, size));
}

/* What a check has met. */
struct census {
    size_t chunk_count;
    size_t free_count; /* without top */
    size_t mapped_size;
};

static void
check_segment(const struct dlm_heap *heap, const struct dlm_segment *segment,
    struct census *census) REQUIRES(heap->lock)
{
    const struct chunk *end = dlm_segment_end(segment);
    bool has_top = segment == heap->top_segment;
    const struct chunk *run_end = has_top ? heap->top : end;
    const struct chunk *chunk = dlm_segment_first(segment);

    CHECK(segment->committed_size <= segment->reserved_size);
    CHECK((uintptr_t)segment >= heap->low);
    CHECK((uintptr_t)end <= heap->low + heap->span);
    CHECK((end->head & ~CHUNK_PREV_USED) == ((uintptr_t)segment | DLM_END));
    census->mapped_size += segment->committed_size;
    bool last_used = true;
    for (; chunk != run_end; chunk = chunk_next(chunk)) {
        bool used = is_used(chunk);

        chunk_check(chunk, run_end, used, last_used);
        if (used) {
            check_used(heap, chunk);
        }
        census->free_count += !used;
        census->chunk_count++;
        last_used = used;
    }
    if (has_top) {
        CHECK(last_used); /* bins.c, I1 */
        CHECK(chunk_next(heap->top) == end);
        CHECK(heap->top->head == (heap->top_size | CHUNK_PREV_USED));
        CHECK(heap->top_size >= CHUNK_MIN_SIZE); /* bins.c, I3 */
    } else {
        CHECK(((end->head & CHUNK_PREV_USED) != 0) == last_used);
    }
}

static void
check_directs(const struct dlm_heap *heap, struct census *census)
    REQUIRES(heap->lock)
{
    struct tree_node *node;
    size_t size = 0;

    tree_check(&heap->directs);
    TREE_EACH (node, &heap->directs) {
        const struct dlm_direct *direct = dlm_direct_of(node);

        CHECK(dlm_direct_is_sound(heap, direct));
        size += direct->mapped_size;
    }
    CHECK(size == heap->direct_size);
    census->mapped_size += size;
}

static void
check_victim(const struct dlm_heap *heap) REQUIRES(heap->lock)
{
    const struct chunk *victim = heap->victim;

    CHECK((victim == NULL) == (heap->victim_size == 0));
    if (victim != NULL) {
        CHECK(victim->head == (heap->victim_size | CHUNK_PREV_USED));
        CHECK(chunk_foot_matches(victim));
        CHECK(heap->victim_size >= CHUNK_MIN_SIZE);
    }
}

static size_t
check_locked(struct dlm_heap *heap) REQUIRES(heap->lock)
{
    struct census census = {.mapped_size = heap->own_size};
    struct list *link;

    if (heap->cookie == 0) {
        return 0;
    }
    list_check(&heap->segments);
    LIST_EACH (link, &heap->segments) {
        check_segment(heap, dlm_segment_of(link), &census);
    }
    check_directs(heap, &census);
    check_victim(heap);
    size_t in_bins =
        dlm_smallbin_check(&heap->small) + dlm_treebin_check(&heap->trees);
    CHECK(in_bins + (heap->victim != NULL) == census.free_count);
    CHECK((heap->top == NULL) == (heap->top_segment == NULL));
    CHECK(heap->mapped_size == census.mapped_size);
    CHECK(heap->mapped_size <= heap->mapped_peak);
    return census.chunk_count + heap->directs.count;
}

void
dlm_inspect_check(struct dlm_heap *heap)
{
    mtx_lock(&heap->lock);
    (void)check_locked(heap);
    mtx_unlock(&heap->lock);
}

void
dlm_inspect_sometimes(struct dlm_heap *heap)
{
    if (heap->check_countdown == 0) {
        heap->check_countdown = (unsigned)check_locked(heap);
    } else {
        heap->check_countdown--;
    }
}

/* ---- walking */

static const char *
owner_of(const struct dlm_heap *heap, const struct chunk *chunk)
{
    if (chunk == heap->top) {
        return "top";
    }
    if (chunk == heap->victim) {
        return "victim";
    }
    return chunk_size(chunk) < DLM_SMALL_MAX ? "small bin" : "tree bin";
}

static void
show(alloc_walk_fn *visit, void *arg, enum alloc_piece_kind kind,
    const void *addr, size_t size, const char *owner)
{
    const struct alloc_piece piece = {kind, addr, size, owner};

    visit(&piece, arg);
}

static void
show_chunk(const struct dlm_heap *heap, const struct chunk *chunk,
    alloc_walk_fn *visit, void *arg)
{
    size_t size = chunk_size(chunk);

    if (is_used(chunk)) {
        show(visit, arg, ALLOC_PIECE_USED, chunk_block(chunk),
            size - DLM_OVERHEAD, "chunk");
    } else {
        show(visit, arg, ALLOC_PIECE_FREE, chunk, size, owner_of(heap, chunk));
    }
}

static void
walk_segment(const struct dlm_heap *heap, const struct dlm_segment *segment,
    alloc_walk_fn *visit, void *arg)
{
    const struct chunk *end = dlm_segment_end(segment);

    show(visit, arg, ALLOC_PIECE_REGION, segment, segment->committed_size,
        "segment");
    show(visit, arg, ALLOC_PIECE_META, segment, sizeof(*segment), "segment");
    for (const struct chunk *chunk = dlm_segment_first(segment); chunk != end;
         chunk = chunk_next(chunk)) {
        show_chunk(heap, chunk, visit, arg);
    }
    show(visit, arg, ALLOC_PIECE_META, end, CHUNK_BLOCK_OFFSET, "end mark");
}

static void
walk_direct(const struct dlm_direct *direct, alloc_walk_fn *visit, void *arg)
{
    const struct chunk *chunk = direct->chunk;

    show(
        visit, arg, ALLOC_PIECE_REGION, direct, direct->mapped_size, "mapping");
    show(visit, arg, ALLOC_PIECE_META, direct, sizeof(*direct), "mapping");
    show(visit, arg, ALLOC_PIECE_USED, chunk_block(chunk),
        chunk_size(chunk) - DLM_OVERHEAD, "mapping");
}

void
dlm_inspect_walk(struct dlm_heap *heap, alloc_walk_fn *visit, void *arg)
{
    struct list *link;
    struct tree_node *node;

    if (heap->cookie == 0) {
        return;
    }
    if (heap->own_size != 0) {
        show(visit, arg, ALLOC_PIECE_REGION, heap, heap->own_size, "heap");
        show(visit, arg, ALLOC_PIECE_META, heap, heap->own_size, "heap");
    }
    LIST_EACH (link, &heap->segments) {
        walk_segment(heap, dlm_segment_of(link), visit, arg);
    }
    TREE_EACH (node, &heap->directs) {
        walk_direct(dlm_direct_of(node), visit, arg);
    }
}

/* ---- statistics */

static void
count_piece(const struct alloc_piece *piece, void *arg)
{
    struct alloc_stats *stats = arg;

    if (piece->kind == ALLOC_PIECE_USED) {
        stats->used_count++;
        stats->used_size += piece->size;
    } else if (piece->kind == ALLOC_PIECE_FREE) {
        stats->free_count++;
        stats->free_size += piece->size;
    }
}

static void
count_purged(struct dlm_node *node, void *arg)
{
    struct alloc_stats *stats = arg;

    stats->purged_size += node->purged_size;
}

void
dlm_inspect_stats(struct dlm_heap *heap, struct alloc_stats *stats)
{
    memset(stats, 0, sizeof(*stats));
    mtx_lock(&heap->lock);
    dlm_inspect_walk(heap, count_piece, stats);
    if (heap->cookie != 0) {
        dlm_treebin_each(&heap->trees, count_purged, stats);
    }
    stats->mapped_size = heap->mapped_size;
    stats->mapped_peak = heap->mapped_peak;
    stats->direct_size = heap->direct_size;
    stats->direct_count = heap->directs.count;
    mtx_unlock(&heap->lock);
    stats->meta_size = stats->mapped_size - stats->used_size - stats->free_size;
}

/* ---- printing */

static void
dump_locked(struct dlm_heap *heap, int fd) REQUIRES(heap->lock)
{
    struct print print;
    struct list *link;

    print_init(&print, fd);
    print_format(&print, "  victim %zu bytes, top %zu bytes\n",
        heap->victim_size, heap->top_size);
    LIST_EACH (link, &heap->segments) {
        const struct dlm_segment *segment = dlm_segment_of(link);

        print_format(&print, "  segment %p: %zu bytes of %zu\n",
            (const void *)segment, segment->committed_size,
            segment->reserved_size);
    }
    print_flush(&print);
    dlm_smallbin_dump(&heap->small, fd);
    dlm_treebin_dump(&heap->trees, fd);
}

void
dlm_inspect_dump(struct dlm_heap *heap, int fd)
{
    struct alloc_stats stats;
    struct print print;

    dlm_inspect_stats(heap, &stats);
    print_init(&print, fd);
    print_format(&print, "dlmalloc: mapped %zu bytes, at most %zu\n",
        stats.mapped_size, stats.mapped_peak);
    print_format(&print, "  used %zu bytes in %zu blocks\n", stats.used_size,
        stats.used_count);
    print_format(&print, "  of them %zu with mappings, %zu bytes mapped\n",
        stats.direct_count, stats.direct_size);
    print_format(&print, "  free %zu bytes in %zu chunks\n", stats.free_size,
        stats.free_count);
    print_format(
        &print, "  heads, footers, records %zu bytes\n", stats.meta_size);
    print_flush(&print);
    mtx_lock(&heap->lock);
    if (heap->cookie != 0) {
        dump_locked(heap, fd);
    }
    mtx_unlock(&heap->lock);
}
