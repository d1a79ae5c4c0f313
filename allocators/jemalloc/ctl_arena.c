/*
 * ctl_arena.c - one arena, or all, by name (contract: ctl_rows.h)
 *
 * Whoever walks over arenas, or resets or destroys one, holds arenas_lock.
 */
#include "jemalloc/ctl_rows.h"

#include <errno.h>

#include "jemalloc/heap.h"
#include "jemalloc/jemalloc.h"

/* ---- one arena, or all */

/* The arena that the name's index says, made or not; ENOENT if there is none. */
static int
find_arena(const struct jem_ctl_call *call, struct jem_arena **arena)
{
    size_t index = call->index[0];
    *arena = NULL;
    if (index >= jem_heap_arena_end(call->heap)) {
        return index == JEM_MALLCTL_ARENAS_ALL ? 0 : ENOENT;
    }
    *arena = jem_heap_peek_arena(call->heap, (unsigned)index);
    if (*arena != NULL && !jem_arena_exists(*arena)) {
        *arena = NULL;
    }
    return 0;
}

/* Does it to the one arena, if it has been made, or to every one. */
static int
act_on_arenas(
    const struct jem_ctl_call *call, void (*act)(struct jem_arena *arena))
{
    struct jem_arena *arena;
    unsigned i;
    int error = find_arena(call, &arena);
    if (arena != NULL) {
        act(arena);
    }
    if (error != 0 || call->index[0] != JEM_MALLCTL_ARENAS_ALL) {
        return error;
    }
    mtx_lock(&call->heap->arenas_lock);
    JEM_ARENA_EACH (arena, i, call->heap) {
        act(arena);
    }
    mtx_unlock(&call->heap->arenas_lock);
    return 0;
}

static void
purge_arena(struct jem_arena *arena)
{
    (void)jem_arena_purge(arena);
}

int
jem_ctl_purge_arenas(const struct jem_ctl_call *call, uint64_t value)
{
    (void)value;
    return act_on_arenas(call, purge_arena);
}

int
jem_ctl_decay_arenas(const struct jem_ctl_call *call, uint64_t value)
{
    (void)value;
    return act_on_arenas(call, jem_arena_decay);
}

int
jem_ctl_get_initialized(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_arena *arena;
    int error = find_arena(call, &arena);
    *value = arena != NULL;
    return error;
}

/* An explicit arena that exists; EFAULT for others. */
static int
find_explicit(const struct jem_ctl_call *call, struct jem_arena **arena)
{
    int error = find_arena(call, arena);
    if (error == 0 &&
        (*arena == NULL || (*arena)->index < call->heap->auto_count)) {
        return EFAULT;
    }
    return error;
}

/* What the caller's own cache holds may be of that arena. */
static void
empty_own_cache(struct jem_heap *heap)
{
    struct jem_tcache *own = jem_heap_tcache(heap);
    if (own != NULL) {
        jem_tcache_drain(own);
    }
}

int
jem_ctl_reset_arena(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_arena *arena;
    int error = find_explicit(call, &arena);
    (void)value;
    if (error == 0) {
        empty_own_cache(call->heap);
        mtx_lock(&call->heap->arenas_lock);
        jem_arena_reset(arena);
        mtx_unlock(&call->heap->arenas_lock);
    }
    return error;
}

int
jem_ctl_destroy_arena(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_arena *arena;
    int error = find_explicit(call, &arena);
    (void)value;
    if (error != 0) {
        return error;
    }
    empty_own_cache(call->heap);
    return jem_heap_destroy_arena(call->heap, arena) ? 0 : EFAULT;
}

/* Both decay times: data is the kind of pages. */
int
jem_ctl_get_arena_decay(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_arena *arena;
    int error = find_arena(call, &arena);
    if (error != 0 || arena == NULL) {
        return error != 0 ? error : EFAULT;
    }
    *value = (uint64_t)jem_pagecache_decay_ms(
        &arena->pages, (enum jem_extent_state)call->row->data);
    return 0;
}

static bool
is_decay_ms(uint64_t value)
{
    return (int64_t)value >= -1 &&
           (int64_t)value <= INT64_MAX / 1000000; /* in nanoseconds */
}

int
jem_ctl_set_arena_decay(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_arena *arena;
    int error = find_arena(call, &arena);
    if (error != 0 || arena == NULL || !is_decay_ms(value)) {
        return error != 0 ? error : EFAULT;
    }
    jem_pagecache_set_decay(
        &arena->pages, (enum jem_extent_state)call->row->data, (int64_t)value);
    return 0;
}

int
jem_ctl_get_grow_limit(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_arena *arena;
    int error = find_arena(call, &arena);
    if (error != 0 || arena == NULL) {
        return error != 0 ? error : EFAULT;
    }
    *value = jem_pagecache_grow_limit(&arena->pages);
    return 0;
}

int
jem_ctl_set_grow_limit(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_arena *arena;
    int error = find_arena(call, &arena);
    if (error != 0 || arena == NULL) {
        return error != 0 ? error : EFAULT;
    }
    return jem_pagecache_set_grow_limit(&arena->pages, value) ? 0 : EFAULT;
}

/* ---- all arenas */

static int64_t *
default_decay(const struct jem_ctl_call *call)
{
    struct jem_options *options = &call->heap->options;
    return call->row->data == JEM_DIRTY ? &options->dirty_decay_ms
                                        : &options->muzzy_decay_ms;
}

int
jem_ctl_get_default_decay(const struct jem_ctl_call *call, uint64_t *value)
{
    mtx_lock(&call->heap->arenas_lock);
    *value = (uint64_t)*default_decay(call);
    mtx_unlock(&call->heap->arenas_lock);
    return 0;
}

int
jem_ctl_set_default_decay(const struct jem_ctl_call *call, uint64_t value)
{
    if (!is_decay_ms(value)) {
        return EFAULT;
    }
    mtx_lock(&call->heap->arenas_lock);
    *default_decay(call) = (int64_t)value;
    mtx_unlock(&call->heap->arenas_lock);
    return 0;
}

int
jem_ctl_get_arena_count(const struct jem_ctl_call *call, uint64_t *value)
{
    *value = jem_heap_arena_end(call->heap);
    return 0;
}

int
jem_ctl_get_tcache_max(const struct jem_ctl_call *call, uint64_t *value)
{
    unsigned limit = jem_heap_class_limit(call->heap);
    *value = limit == 0 ? 0 : jem_class_size(limit - 1);
    return 0;
}

int
jem_ctl_create_arena(const struct jem_ctl_call *call, uint64_t *value)
{
    unsigned index = jem_heap_create_arena(call->heap);
    *value = index;
    return index == JEM_NO_INDEX ? EAGAIN : 0;
}

/* Writing an address and reading its arena's index are one call. */
int
jem_ctl_set_lookup(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_owner owner = jem_owner_get((const void *)value);
    if (owner.word == 0 || !jem_class_is_block(jem_owner_class(owner)) ||
        jem_owner_extent(owner)->arena->heap != call->heap) {
        return EINVAL;
    }
    return 0;
}

int
jem_ctl_get_lookup(const struct jem_ctl_call *call, uint64_t *value)
{
    if (!call->has_written) {
        return EINVAL;
    }
    *value = jem_owner_arena(jem_owner_get((const void *)call->written));
    return 0;
}
