/*
 * segment.c - the memory that chunks are cut from (contract: segment.h)
 *
 * sbrk is not used: the program break is one for the process, and others move
 * it. Memory that stays reserved costs no more than a record in the kernel. A
 * limit on addresses may refuse a large reservation; then just what is needed
 * is asked for.
 *
 * A segment that is wholly free is given back, unless it holds top. Such a
 * chunk is met when it is freed: it begins where the segment's first chunk does
 * and the end mark is behind it.
 *
 * Invariants, whenever the lock is free:
 *   I1  The chunks of a segment lie end to end from its first to its end mark.
 *   I2  top is the last chunk of top_segment, or there is neither.
 *   I3  Every chunk of every segment lies in low .. low + span.
 */
#include "dlmalloc/segment.h"

#include "base/check.h"
#include "base/pages.h"
#include "base/poison.h"
#include "dlmalloc/bins.h"

#define RESERVE_SIZE ((size_t)64 << 20)

static_assert(sizeof(struct dlm_segment) % CHUNK_ALIGN == 0,
    "the first chunk is aligned");

/* Head of the end mark. Whether the chunk before is used is the caller's. */
static void
set_end(struct dlm_segment *segment)
{
    struct chunk *end = dlm_segment_end(segment);

    poison_use(end, CHUNK_BLOCK_OFFSET);
    end->head = (uintptr_t)segment | DLM_END;
}

/* The bounds of all segments. */
static void
measure(struct dlm_heap *heap) REQUIRES(heap->lock)
{
    uintptr_t low = UINTPTR_MAX;
    uintptr_t high = 0;
    struct list *link;

    LIST_EACH (link, &heap->segments) {
        const struct dlm_segment *segment = dlm_segment_of(link);
        uintptr_t end = (uintptr_t)dlm_segment_end(segment);

        low = (uintptr_t)segment < low ? (uintptr_t)segment : low;
        high = end > high ? end : high;
    }
    heap->low = low;
    heap->span = high > low ? high - low : 0;
}

/* ---- growing */

static void
set_top(struct dlm_heap *heap, struct dlm_segment *segment, struct chunk *top)
    REQUIRES(heap->lock)
{
    set_end(segment);
    heap->top_segment = segment;
    heap->top = top;
    heap->top_size = (uintptr_t)dlm_segment_end(segment) - (uintptr_t)top;
    poison_use(top, CHUNK_BLOCK_OFFSET);
    top->head = heap->top_size | CHUNK_PREV_USED;
    measure(heap); /* I3 */
}

/* Commits `need` bytes at the end of the segment, or better `want`. */
static bool
commit(struct dlm_heap *heap, struct dlm_segment *segment, size_t need,
    size_t want) REQUIRES(heap->lock)
{
    char *end = (char *)segment + segment->committed_size;
    size_t size = want;

    if (!pages_commit(end, size)) {
        size = need;
        if (want == need || !pages_commit(end, size)) {
            return false;
        }
    }
    poison_free(end, size);
    segment->committed_size += size;
    dlm_heap_count(heap, size, 0);
    return true;
}

/* need plus the pad, in whole pages, at most room. */
static size_t
with_pad(const struct dlm_heap *heap, size_t need, size_t room)
{
    size_t want;

    if (__builtin_add_overflow(need, heap->tuning.top_pad, &want)) {
        return room;
    }
    want = pages_round_up(want);
    return want == 0 || want > room ? room : want;
}

bool
dlm_segment_extend(struct dlm_heap *heap, size_t size)
{
    struct dlm_segment *segment = heap->top_segment;

    if (segment == NULL) {
        return false;
    }
    size_t room = segment->reserved_size - segment->committed_size;
    size_t need = pages_round_up(size + CHUNK_MIN_SIZE - heap->top_size);

    if (need == 0 || need > room ||
        !commit(heap, segment, need, with_pad(heap, need, room))) {
        return false;
    }
    set_top(heap, segment, heap->top);
    return true;
}

/* A mapping with room for the record at its start, or NULL. */
static struct dlm_segment *
reserve(size_t need, size_t *reserved_size)
{
    *reserved_size = need > RESERVE_SIZE ? need : RESERVE_SIZE;
    void *addr = pages_reserve(*reserved_size, pages_os_size());

    if (addr == NULL && *reserved_size > need) {
        *reserved_size = need;
        addr = pages_reserve(need, pages_os_size());
    }
    return addr;
}

static struct dlm_segment *
new_segment(struct dlm_heap *heap, size_t need) REQUIRES(heap->lock)
{
    size_t reserved_size;
    struct dlm_segment *segment = reserve(need, &reserved_size);

    if (segment == NULL) {
        return NULL;
    }
    size_t size = with_pad(heap, need, reserved_size);
    if (!pages_commit(segment, size)) {
        size = need;
        if (!pages_commit(segment, size)) {
            (void)pages_unmap(segment, reserved_size); /* only addresses */
            return NULL;
        }
    }
    segment->reserved_size = reserved_size;
    segment->committed_size = size;
    poison_free(segment + 1, size - sizeof(*segment));
    list_push(&heap->segments, &segment->link);
    dlm_heap_count(heap, size, 0);
    return segment;
}

/* Top becomes a free chunk like others, before another takes its role. */
static void
retire_top(struct dlm_heap *heap) REQUIRES(heap->lock)
{
    struct chunk *chunk = heap->top;
    size_t size = heap->top_size;

    if (chunk == NULL) {
        return;
    }
    heap->top = NULL;
    heap->top_size = 0;
    chunk_set_free(chunk, size);
    dlm_bins_put(heap, chunk, size);
}

bool
dlm_segment_grow(struct dlm_heap *heap, size_t size)
{
    if (heap->cookie == 0) {
        dlm_heap_start(heap);
    }
    if (dlm_segment_extend(heap, size)) {
        return true;
    }
    size_t need = pages_round_up(sizeof(struct dlm_segment) + size +
                                 CHUNK_MIN_SIZE + CHUNK_BLOCK_OFFSET);
    struct dlm_segment *segment = need == 0 ? NULL : new_segment(heap, need);

    if (segment == NULL) {
        return false;
    }
    retire_top(heap);
    set_top(heap, segment, dlm_segment_first(segment));
    return true;
}

/* ---- giving back */

bool
dlm_segment_trim(struct dlm_heap *heap, size_t pad)
{
    size_t page_size = pages_os_size();
    struct dlm_segment *segment = heap->top_segment;

    if (segment == NULL || pad > heap->top_size - CHUNK_MIN_SIZE) {
        return false;
    }
    size_t spare = (heap->top_size - CHUNK_MIN_SIZE - pad) & ~(page_size - 1);
    char *end = (char *)segment + segment->committed_size;

    if (spare == 0) {
        return false;
    }
    poison_use(end - spare, spare);
    bool is_back = pages_decommit(end - spare, spare);
    if (is_back) {
        segment->committed_size -= spare;
        dlm_heap_count(heap, 0, spare);
    } else {
        poison_free(end - spare, spare);
    }
    set_top(heap, segment, heap->top); /* The end mark may be lost. */
    return is_back;
}

/* What a purge of the tries has done so far. */
struct purge {
    size_t page_size;
    bool any;
};

static void
purge_chunk(struct dlm_node *node, void *arg)
{
    struct purge *purge = arg;
    uintptr_t mask = purge->page_size - 1;
    uintptr_t begin = ((uintptr_t)(node + 1) + mask) & ~mask;
    uintptr_t end = (uintptr_t)chunk_next(&node->chunk) & ~mask;

    if (begin < end && node->purged_size == 0 &&
        pages_purge((void *)begin, end - begin)) {
        node->purged_size = end - begin;
        purge->any = true;
    }
}

bool
dlm_segment_purge(struct dlm_heap *heap)
{
    struct purge purge = {.page_size = pages_os_size()};

    dlm_treebin_each(&heap->trees, purge_chunk, &purge);
    return purge.any;
}

static void
forget(struct dlm_heap *heap, struct dlm_segment *segment) REQUIRES(heap->lock)
{
    list_remove(&segment->link);
    measure(heap);
    dlm_heap_count(heap, 0, segment->committed_size);
}

void
dlm_segment_release(struct dlm_heap *heap, struct chunk *chunk, size_t size)
{
    size_t end_head = chunk_at(chunk, size)->head;
    struct dlm_segment *segment =
        (struct dlm_segment *)(end_head & ~CHUNK_FLAGS);

    if ((end_head & DLM_END) != DLM_END ||
        chunk != dlm_segment_first(segment)) {
        return;
    }
    size_t reserved_size = segment->reserved_size;

    dlm_bins_remove(heap, chunk, size);
    forget(heap, segment);
    if (!pages_unmap(segment, reserved_size)) {
        list_push(&heap->segments, &segment->link);
        measure(heap);
        dlm_heap_count(heap, segment->committed_size, 0);
        dlm_bins_put(heap, chunk, size);
    }
}

void
dlm_segment_adopt(struct dlm_heap *heap, void *addr, size_t size)
{
    struct dlm_segment *segment = addr;
    struct chunk *chunk = dlm_segment_first(segment);

    segment->reserved_size = size;
    segment->committed_size = size;
    poison_free(segment + 1, size - sizeof(*segment));
    list_push(&heap->segments, &segment->link);
    dlm_heap_count(heap, size, 0);
    set_end(segment);
    measure(heap);
    dlm_chunk_rest(
        chunk, (uintptr_t)dlm_segment_end(segment) - (uintptr_t)chunk);
    dlm_bins_put(heap, chunk, chunk_size(chunk));
}

/* ---- finding */

struct dlm_segment *
dlm_segment_holding(const struct dlm_heap *heap, const void *addr)
{
    struct list *link;

    if (heap->cookie == 0) {
        return NULL;
    }
    LIST_EACH (link, &heap->segments) {
        struct dlm_segment *segment = dlm_segment_of(link);

        if ((uintptr_t)addr >= (uintptr_t)dlm_segment_first(segment) &&
            (uintptr_t)addr < (uintptr_t)dlm_segment_end(segment)) {
            return segment;
        }
    }
    return NULL;
}
