/*
 * ctl_stats.c - statistics by name (contract: ctl_rows.h)
 *
 * Numbers are read off the last refresh by their offset. Before the first one
 * there is a refresh.
 */
#include "jemalloc/ctl_rows.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "jemalloc/heap.h"
#include "jemalloc/jemalloc.h"

int
jem_ctl_get_epoch(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_stats *stats = &call->heap->stats;
    mtx_lock(&stats->lock);
    *value = stats->epoch;
    mtx_unlock(&stats->lock);
    return 0;
}

int
jem_ctl_set_epoch(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_stats *stats = &call->heap->stats;
    (void)value; /* Any refreshes. */
    mtx_lock(&stats->lock);
    jem_stats_refresh_locked(call->heap);
    mtx_unlock(&stats->lock);
    return 0;
}

/* The number at an offset; before the first refresh there is one. */
static uint64_t
number_locked(struct jem_heap *heap, const void *numbers, size_t offset)
    REQUIRES(heap->stats.lock)
{
    uint64_t value;
    if (heap->stats.epoch == 0) {
        jem_stats_refresh_locked(heap);
    }
    memcpy(&value, (const char *)numbers + offset, sizeof value);
    return value;
}

int
jem_ctl_get_stat(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_heap *heap = call->heap;
    mtx_lock(&heap->stats.lock);
    *value = number_locked(heap, &heap->stats.heap, call->row->data);
    mtx_unlock(&heap->stats.lock);
    return 0;
}

/* The numbers of the arena of that index, or of all, or of those destroyed. */
static struct jem_arena_stats *
arena_stats(struct jem_heap *heap, size_t index)
{
    if (index == JEM_MALLCTL_ARENAS_ALL) {
        return &heap->stats.all;
    }
    if (index == JEM_MALLCTL_ARENAS_DESTROYED) {
        return &heap->stats.destroyed;
    }
    struct jem_arena *arena = index < jem_heap_arena_end(heap)
                                  ? jem_heap_peek_arena(heap, (unsigned)index)
                                  : NULL;
    return arena == NULL ? NULL : &arena->stats;
}

static int
arena_number(const struct jem_ctl_call *call, size_t offset, uint64_t *value)
{
    struct jem_heap *heap = call->heap;
    struct jem_arena_stats *stats = arena_stats(heap, call->index[0]);
    if (stats == NULL) {
        return ENOENT;
    }
    mtx_lock(&heap->stats.lock);
    *value = number_locked(heap, stats, offset);
    bool exists = stats->exists != 0;
    mtx_unlock(&heap->stats.lock);
    return exists ? 0 : ENOENT;
}

int
jem_ctl_get_arena_stat(const struct jem_ctl_call *call, uint64_t *value)
{
    return arena_number(call, call->row->data, value);
}

int
jem_ctl_get_bin_stat(const struct jem_ctl_call *call, uint64_t *value)
{
    if (call->index[1] >= JEM_SMALL_COUNT) {
        return ENOENT;
    }
    size_t offset = offsetof(struct jem_arena_stats, bins) +
                    call->index[1] * sizeof(struct jem_bin_stats);
    return arena_number(call, offset + call->row->data, value);
}

int
jem_ctl_get_lextent_stat(const struct jem_ctl_call *call, uint64_t *value)
{
    if (call->index[1] >= JEM_LARGE_COUNT) {
        return ENOENT;
    }
    size_t offset = offsetof(struct jem_arena_stats, lextents) +
                    call->index[1] * sizeof(struct jem_lextent_stats);
    return arena_number(call, offset + call->row->data, value);
}

int
jem_ctl_get_extent_stat(const struct jem_ctl_call *call, uint64_t *value)
{
    if (call->index[1] >= JEM_PAGE_CLASS_COUNT) {
        return ENOENT;
    }
    size_t offset = offsetof(struct jem_arena_stats, extents) +
                    call->index[1] * sizeof(struct jem_extent_stats);
    return arena_number(call, offset + call->row->data, value);
}
