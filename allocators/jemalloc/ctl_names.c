/*
 * ctl_names.c - every name that jem_mallctl knows, and what it does (contract:
 * ctl.h)
 *
 * One table, at the end. Statistics are read off the last refresh by the offset
 * of a number; options likewise by the offset of a field. What is left are short
 * functions.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "jemalloc/background.h"
#include "jemalloc/block.h"
#include "jemalloc/ctl.h"
#include "jemalloc/heap.h"
#include "jemalloc/jemalloc.h"

#ifndef MALSTROM_VERSION
#    define MALSTROM_VERSION "0"
#endif

#ifdef MALSTROM_ASSERT
#    define IS_DEBUG 1
#else
#    define IS_DEBUG 0
#endif

/* ---- constants: data is the value itself */

static int
get_constant(const struct jem_ctl_call *call, uint64_t *value)
{
    *value = call->row->data;
    return 0;
}

static uint64_t
of_text(const char *text)
{
    return (uintptr_t)text;
}

static int
get_version(const struct jem_ctl_call *call, uint64_t *value)
{
    (void)call;
    *value = of_text("malstrom " MALSTROM_VERSION);
    return 0;
}

static int
get_no_text(const struct jem_ctl_call *call, uint64_t *value)
{
    (void)call;
    *value = of_text("");
    return 0;
}

/* ---- options: data is a field's offset */

static const char *
option_field(const struct jem_ctl_call *call)
{
    return (const char *)jem_heap_options() + call->row->data;
}

static int
get_option_flag(const struct jem_ctl_call *call, uint64_t *value)
{
    bool flag;
    memcpy(&flag, option_field(call), sizeof flag);
    *value = flag;
    return 0;
}

/* int64_t and uint64_t are alike in memory. */
static int
get_option_number(const struct jem_ctl_call *call, uint64_t *value)
{
    memcpy(value, option_field(call), sizeof *value);
    return 0;
}

static int
get_option_arenas(const struct jem_ctl_call *call, uint64_t *value)
{
    *value = call->heap->auto_count;
    return 0;
}

static int
get_option_thp(const struct jem_ctl_call *call, uint64_t *value)
{
    (void)call;
    *value = of_text(jem_thp_names[jem_heap_options()->thp]);
    return 0;
}

static int
get_option_junk(const struct jem_ctl_call *call, uint64_t *value)
{
    (void)call;
    *value = of_text(jem_junk_names[jem_heap_options()->junk]);
    return 0;
}

static int
get_option_letters(const struct jem_ctl_call *call, uint64_t *value)
{
    *value = of_text(option_field(call));
    return 0;
}

/* ---- statistics: data is a number's offset */

static int
get_epoch(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_stats *stats = &call->heap->stats;
    mtx_lock(&stats->lock);
    *value = stats->epoch;
    mtx_unlock(&stats->lock);
    return 0;
}

static int
set_epoch(const struct jem_ctl_call *call, uint64_t value)
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

static int
get_stat(const struct jem_ctl_call *call, uint64_t *value)
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

static int
get_arena_stat(const struct jem_ctl_call *call, uint64_t *value)
{
    return arena_number(call, call->row->data, value);
}

static int
get_bin_stat(const struct jem_ctl_call *call, uint64_t *value)
{
    if (call->index[1] >= JEM_SMALL_COUNT) {
        return ENOENT;
    }
    size_t offset = offsetof(struct jem_arena_stats, bins) +
                    call->index[1] * sizeof(struct jem_bin_stats);
    return arena_number(call, offset + call->row->data, value);
}

static int
get_lextent_stat(const struct jem_ctl_call *call, uint64_t *value)
{
    if (call->index[1] >= JEM_LARGE_COUNT) {
        return ENOENT;
    }
    size_t offset = offsetof(struct jem_arena_stats, lextents) +
                    call->index[1] * sizeof(struct jem_lextent_stats);
    return arena_number(call, offset + call->row->data, value);
}

/* ---- the calling thread */

static int
own_tcache(const struct jem_ctl_call *call, struct jem_tcache **tcache)
{
    *tcache = jem_heap_tcache(call->heap);
    return *tcache == NULL ? EAGAIN : 0;
}

static int
get_thread_arena(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    *value = error == 0 ? tcache->arena->index : 0;
    return error;
}

static int
set_thread_arena(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    if (error != 0) {
        return error;
    }
    if (value >= jem_heap_arena_end(call->heap)) {
        return EFAULT;
    }
    struct jem_arena *arena = jem_heap_arena(call->heap, (unsigned)value);
    if (arena == NULL) {
        return EAGAIN;
    }
    if (!jem_arena_exists(arena)) {
        return EFAULT;
    }
    jem_heap_bind(tcache, arena);
    return 0;
}

/* Where the calling thread's bytes are counted, from the first time on. */
static int
get_thread_counter(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    if (error == 0 && !tcache->counting) {
        jem_block_count(tcache);
    }
    *value = error == 0 ? (uintptr_t)((char *)tcache + call->row->data) : 0;
    return error;
}

static int
get_thread_count(const struct jem_ctl_call *call, uint64_t *value)
{
    uint64_t place;
    int error = get_thread_counter(call, &place);
    *value = error == 0 ? *(const uint64_t *)place : 0;
    return error;
}

static int
get_thread_cached(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    *value = error == 0 && tcache->class_limit != 0;
    return error;
}

static int
set_thread_cached(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    if (error != 0) {
        return error;
    }
    unsigned limit = jem_heap_class_limit(call->heap);
    if (value != 0 && (limit == 0 || tcache->counting)) {
        return EFAULT;
    }
    jem_tcache_limit(tcache, value != 0 ? limit : 0);
    return 0;
}

static int
flush_thread(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    (void)value;
    if (error != 0) {
        return error;
    }
    if (tcache->class_limit == 0) {
        return EFAULT;
    }
    jem_tcache_drain(tcache);
    return 0;
}

/* ---- explicit caches */

static int
create_cache(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_tcache *own;
    int error = own_tcache(call, &own);
    if (error != 0) {
        return error;
    }
    unsigned index = jem_heap_create_cache(call->heap, own->arena);
    *value = index;
    return index == JEM_NO_INDEX ? EAGAIN : 0;
}

static int
flush_cache(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_tcache *tcache = jem_heap_cache(call->heap, (unsigned)value);
    if (tcache == NULL) {
        return EFAULT;
    }
    jem_tcache_drain(tcache);
    return 0;
}

static int
destroy_cache(const struct jem_ctl_call *call, uint64_t value)
{
    return jem_heap_destroy_cache(call->heap, (unsigned)value) ? 0 : EFAULT;
}

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

static int
purge_arenas(const struct jem_ctl_call *call, uint64_t value)
{
    (void)value;
    return act_on_arenas(call, purge_arena);
}

static int
decay_arenas(const struct jem_ctl_call *call, uint64_t value)
{
    (void)value;
    return act_on_arenas(call, jem_arena_decay);
}

static int
get_initialized(const struct jem_ctl_call *call, uint64_t *value)
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

static int
reset_arena(const struct jem_ctl_call *call, uint64_t value)
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

static int
destroy_arena(const struct jem_ctl_call *call, uint64_t value)
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
static int
get_arena_decay(const struct jem_ctl_call *call, uint64_t *value)
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

static int
set_arena_decay(const struct jem_ctl_call *call, uint64_t value)
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

/* ---- all arenas */

static int64_t *
default_decay(const struct jem_ctl_call *call)
{
    struct jem_options *options = &call->heap->options;
    return call->row->data == JEM_DIRTY ? &options->dirty_decay_ms
                                        : &options->muzzy_decay_ms;
}

static int
get_default_decay(const struct jem_ctl_call *call, uint64_t *value)
{
    mtx_lock(&call->heap->arenas_lock);
    *value = (uint64_t)*default_decay(call);
    mtx_unlock(&call->heap->arenas_lock);
    return 0;
}

static int
set_default_decay(const struct jem_ctl_call *call, uint64_t value)
{
    if (!is_decay_ms(value)) {
        return EFAULT;
    }
    mtx_lock(&call->heap->arenas_lock);
    *default_decay(call) = (int64_t)value;
    mtx_unlock(&call->heap->arenas_lock);
    return 0;
}

static int
get_arena_count(const struct jem_ctl_call *call, uint64_t *value)
{
    *value = jem_heap_arena_end(call->heap);
    return 0;
}

static int
get_tcache_max(const struct jem_ctl_call *call, uint64_t *value)
{
    unsigned limit = jem_heap_class_limit(call->heap);
    *value = limit == 0 ? 0 : jem_class_size(limit - 1);
    return 0;
}

static int
create_arena(const struct jem_ctl_call *call, uint64_t *value)
{
    unsigned index = jem_heap_create_arena(call->heap);
    *value = index;
    return index == JEM_NO_INDEX ? EAGAIN : 0;
}

/* Writing an address and reading its arena's index are one call. */
static int
set_lookup(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_owner owner = jem_owner_get((const void *)value);
    if (owner.word == 0 || !jem_class_is_block(jem_owner_class(owner)) ||
        jem_owner_extent(owner)->arena->heap != call->heap) {
        return EINVAL;
    }
    return 0;
}

static int
get_lookup(const struct jem_ctl_call *call, uint64_t *value)
{
    if (!call->has_written) {
        return EINVAL;
    }
    *value = jem_owner_arena(jem_owner_get((const void *)call->written));
    return 0;
}

/* ---- size classes: data is a field's offset in its slab's shape */

static int
get_shape(const struct jem_ctl_call *call, uint64_t *value)
{
    uint32_t field;
    if (call->index[0] >= JEM_SMALL_COUNT) {
        return ENOENT;
    }
    memcpy(&field,
        (const char *)&jem_slab_shapes[call->index[0]] + call->row->data,
        sizeof field);
    *value = field;
    return 0;
}

static int
get_shard_count(const struct jem_ctl_call *call, uint64_t *value)
{
    *value = (uint64_t)call->heap->options.shard_count;
    return call->index[0] < JEM_SMALL_COUNT ? 0 : ENOENT;
}

static int
get_lextent_size(const struct jem_ctl_call *call, uint64_t *value)
{
    if (call->index[0] >= JEM_LARGE_COUNT) {
        return ENOENT;
    }
    *value = jem_class_size(JEM_SMALL_COUNT + (unsigned)call->index[0]);
    return 0;
}

/* ---- the background thread */

static int
get_background(const struct jem_ctl_call *call, uint64_t *value)
{
    (void)call;
    *value = jem_background_runs();
    return 0;
}

static int
set_background(const struct jem_ctl_call *call, uint64_t value)
{
    return jem_background_set(call->heap, value != 0) ? 0 : EAGAIN;
}

static int
get_background_turns(const struct jem_ctl_call *call, uint64_t *value)
{
    (void)call;
    *value = jem_background_turns();
    return 0;
}

/* ---- the profile */

static int
get_prof_prefix(const struct jem_ctl_call *call, uint64_t *value)
{
    const struct sampled *sampled = &call->heap->sampled;

    *value = of_text(sampled->on ? sampled->options.prefix : "");
    return 0;
}

/* To that file; NULL: to the next by the prefix. */
static int
dump_profile(const struct jem_ctl_call *call, uint64_t value)
{
    struct sampled *sampled = &call->heap->sampled;

    if (!sampled->on) {
        return ENOENT;
    }
    return sampled_write(sampled, (const char *)(uintptr_t)value) ? 0 : EFAULT;
}

/* ---- the table. Rows of one prefix stand together. */

#define CONSTANT(name, the_kind, number)                                       \
    {                                                                          \
        .pattern = (name), .kind = (the_kind), .get = get_constant,            \
        .data = (number)                                                       \
    }
#define OPTION_FLAG(name, field)                                               \
    {                                                                          \
        .pattern = "opt." name, .kind = JEM_CTL_FLAG, .get = get_option_flag,  \
        .data = offsetof(struct jem_options, field)                            \
    }
#define OPTION_NUMBER(name, the_kind, field)                                   \
    {                                                                          \
        .pattern = "opt." name, .kind = (the_kind), .get = get_option_number,  \
        .data = offsetof(struct jem_options, field)                            \
    }
#define OPTION_TEXT(name, getter)                                              \
    {                                                                          \
        .pattern = "opt." name, .kind = JEM_CTL_TEXT, .get = (getter),         \
        .data = offsetof(struct jem_options, stats_letters)                    \
    }
#define READ(name, the_kind, getter, the_data)                                 \
    {                                                                          \
        .pattern = (name), .kind = (the_kind), .get = (getter),                \
        .data = (the_data)                                                     \
    }
#define READ_WRITE(name, the_kind, getter, setter, the_data)                   \
    {                                                                          \
        .pattern = (name), .kind = (the_kind), .get = (getter),                \
        .set = (setter), .data = (the_data)                                    \
    }
#define ACTION(name, action)                                                   \
    {                                                                          \
        .pattern = (name), .kind = JEM_CTL_VOID, .set = (action)               \
    }
#define STAT(name)                                                             \
    READ("stats." #name, JEM_CTL_SIZE, get_stat,                               \
        offsetof(struct jem_heap_stats, name))
#define ARENA_STAT(name, kind, field)                                          \
    READ("stats.arenas.%." name, kind, get_arena_stat,                         \
        offsetof(struct jem_arena_stats, field))
#define BIN_STAT(kind, name)                                                   \
    READ("stats.arenas.%.bins.%." #name, kind, get_bin_stat,                   \
        offsetof(struct jem_bin_stats, name))
#define LEXTENT_STAT(kind, name)                                               \
    READ("stats.arenas.%.lextents.%." #name, kind, get_lextent_stat,           \
        offsetof(struct jem_lextent_stats, name))

const struct jem_ctl_row jem_ctl_rows[] = {
    READ("version", JEM_CTL_TEXT, get_version, 0),
    {.pattern = "epoch",
        .kind = JEM_CTL_U64,
        .get = get_epoch,
        .set = set_epoch,
        .order = JEM_CTL_SET_FIRST},
    READ_WRITE(
        "background_thread", JEM_CTL_FLAG, get_background, set_background, 0),
    CONSTANT("max_background_threads", JEM_CTL_SIZE, 1),

    READ_WRITE("thread.arena", JEM_CTL_UNSIGNED, get_thread_arena,
        set_thread_arena, 0),
    READ("thread.allocated", JEM_CTL_U64, get_thread_count,
        offsetof(struct jem_tcache, allocated_size)),
    READ("thread.allocatedp", JEM_CTL_POINTER, get_thread_counter,
        offsetof(struct jem_tcache, allocated_size)),
    READ("thread.deallocated", JEM_CTL_U64, get_thread_count,
        offsetof(struct jem_tcache, deallocated_size)),
    READ("thread.deallocatedp", JEM_CTL_POINTER, get_thread_counter,
        offsetof(struct jem_tcache, deallocated_size)),
    READ_WRITE("thread.tcache.enabled", JEM_CTL_FLAG, get_thread_cached,
        set_thread_cached, 0),
    ACTION("thread.tcache.flush", flush_thread),

    {.pattern = "tcache.create",
        .kind = JEM_CTL_UNSIGNED,
        .get = create_cache,
        .order = JEM_CTL_EFFECT},
    READ_WRITE("tcache.flush", JEM_CTL_UNSIGNED, NULL, flush_cache, 0),
    READ_WRITE("tcache.destroy", JEM_CTL_UNSIGNED, NULL, destroy_cache, 0),

    READ("arena.%.initialized", JEM_CTL_FLAG, get_initialized, 0),
    ACTION("arena.%.decay", decay_arenas),
    ACTION("arena.%.purge", purge_arenas),
    ACTION("arena.%.reset", reset_arena),
    ACTION("arena.%.destroy", destroy_arena),
    READ_WRITE("arena.%.dirty_decay_ms", JEM_CTL_SSIZE, get_arena_decay,
        set_arena_decay, JEM_DIRTY),
    READ_WRITE("arena.%.muzzy_decay_ms", JEM_CTL_SSIZE, get_arena_decay,
        set_arena_decay, JEM_MUZZY),

    CONSTANT("config.cache_oblivious", JEM_CTL_FLAG, false),
    CONSTANT("config.debug", JEM_CTL_FLAG, IS_DEBUG),
    CONSTANT("config.fill", JEM_CTL_FLAG, true),
    CONSTANT("config.lazy_lock", JEM_CTL_FLAG, false),
    READ("config.malloc_conf", JEM_CTL_TEXT, get_no_text, 0),
    CONSTANT("config.opt_safety_checks", JEM_CTL_FLAG, true),
    CONSTANT("config.prof", JEM_CTL_FLAG, true),
    CONSTANT("config.prof_libgcc", JEM_CTL_FLAG, true),
    CONSTANT("config.prof_libunwind", JEM_CTL_FLAG, false),
    CONSTANT("config.stats", JEM_CTL_FLAG, true),
    CONSTANT("config.utrace", JEM_CTL_FLAG, false),
    CONSTANT("config.xmalloc", JEM_CTL_FLAG, false),

    OPTION_FLAG("abort_conf", abort_conf),
    READ("opt.narenas", JEM_CTL_UNSIGNED, get_option_arenas, 0),
    OPTION_NUMBER("dirty_decay_ms", JEM_CTL_SSIZE, dirty_decay_ms),
    OPTION_NUMBER("muzzy_decay_ms", JEM_CTL_SSIZE, muzzy_decay_ms),
    OPTION_NUMBER("bin_shards", JEM_CTL_SIZE, shard_count),
    OPTION_FLAG("tcache", tcache),
    OPTION_NUMBER("tcache_max", JEM_CTL_SIZE, tcache_max),
    OPTION_FLAG("background_thread", background_thread),
    OPTION_TEXT("thp", get_option_thp),
    OPTION_FLAG("retain", retain),
    OPTION_FLAG("guard", guard),
    OPTION_TEXT("junk", get_option_junk),
    OPTION_FLAG("zero", zero),
    OPTION_FLAG("check_free", check_free),
    OPTION_FLAG("prof", prof),
    OPTION_NUMBER("lg_prof_sample", JEM_CTL_SIZE, lg_prof_sample),
    OPTION_NUMBER("lg_prof_interval", JEM_CTL_SSIZE, lg_prof_interval),
    OPTION_FLAG("prof_final", prof_final),
    READ("opt.prof_prefix", JEM_CTL_TEXT, get_prof_prefix, 0),
    OPTION_FLAG("stats_print", stats_print),
    OPTION_TEXT("stats_print_opts", get_option_letters),

    READ_WRITE("prof.dump", JEM_CTL_TEXT, NULL, dump_profile, 0),

    READ("arenas.narenas", JEM_CTL_UNSIGNED, get_arena_count, 0),
    READ_WRITE("arenas.dirty_decay_ms", JEM_CTL_SSIZE, get_default_decay,
        set_default_decay, JEM_DIRTY),
    READ_WRITE("arenas.muzzy_decay_ms", JEM_CTL_SSIZE, get_default_decay,
        set_default_decay, JEM_MUZZY),
    CONSTANT("arenas.quantum", JEM_CTL_SIZE, 1u << JEM_QUANTUM_SHIFT),
    CONSTANT("arenas.page", JEM_CTL_SIZE, JEM_PAGE),
    READ("arenas.tcache_max", JEM_CTL_SIZE, get_tcache_max, 0),
    CONSTANT("arenas.nbins", JEM_CTL_UNSIGNED, JEM_SMALL_COUNT),
    CONSTANT("arenas.nhbins", JEM_CTL_UNSIGNED, JEM_TCACHE_CLASSES),
    READ("arenas.bin.%.size", JEM_CTL_SIZE, get_shape,
        offsetof(struct jem_slab_shape, region_size)),
    READ("arenas.bin.%.nregs", JEM_CTL_U32, get_shape,
        offsetof(struct jem_slab_shape, region_count)),
    READ("arenas.bin.%.slab_size", JEM_CTL_SIZE, get_shape,
        offsetof(struct jem_slab_shape, slab_size)),
    READ("arenas.bin.%.nshards", JEM_CTL_U32, get_shard_count, 0),
    CONSTANT("arenas.nlextents", JEM_CTL_UNSIGNED, JEM_LARGE_COUNT),
    READ("arenas.lextent.%.size", JEM_CTL_SIZE, get_lextent_size, 0),
    {.pattern = "arenas.create",
        .kind = JEM_CTL_UNSIGNED,
        .get = create_arena,
        .order = JEM_CTL_EFFECT},
    {.pattern = "arenas.lookup",
        .kind = JEM_CTL_UNSIGNED,
        .get = get_lookup,
        .set = set_lookup,
        .order = JEM_CTL_SET_FIRST,
        .new_kind = JEM_CTL_POINTER},

    STAT(allocated),
    STAT(active),
    STAT(metadata),
    STAT(resident),
    STAT(mapped),
    STAT(retained),
    READ(
        "stats.background_thread.num_threads", JEM_CTL_SIZE, get_background, 0),
    READ("stats.background_thread.num_runs", JEM_CTL_U64, get_background_turns,
        0),
    ARENA_STAT("nthreads", JEM_CTL_UNSIGNED, nthreads),
    ARENA_STAT("dirty_decay_ms", JEM_CTL_SSIZE, dirty_decay_ms),
    ARENA_STAT("muzzy_decay_ms", JEM_CTL_SSIZE, muzzy_decay_ms),
    ARENA_STAT("pactive", JEM_CTL_SIZE, pactive),
    ARENA_STAT("pdirty", JEM_CTL_SIZE, pdirty),
    ARENA_STAT("pmuzzy", JEM_CTL_SIZE, pmuzzy),
    ARENA_STAT("mapped", JEM_CTL_SIZE, mapped),
    ARENA_STAT("retained", JEM_CTL_SIZE, retained),
    ARENA_STAT("resident", JEM_CTL_SIZE, resident),
    ARENA_STAT("nmadvise", JEM_CTL_U64, nmadvise),
    ARENA_STAT("purged", JEM_CTL_U64, purged),
    ARENA_STAT("small.allocated", JEM_CTL_SIZE, small_allocated),
    ARENA_STAT("small.nmalloc", JEM_CTL_U64, small.nmalloc),
    ARENA_STAT("small.ndalloc", JEM_CTL_U64, small.ndalloc),
    ARENA_STAT("small.nfills", JEM_CTL_U64, small.nfills),
    ARENA_STAT("small.nflushes", JEM_CTL_U64, small.nflushes),
    ARENA_STAT("large.allocated", JEM_CTL_SIZE, large_allocated),
    ARENA_STAT("large.nmalloc", JEM_CTL_U64, large.nmalloc),
    ARENA_STAT("large.ndalloc", JEM_CTL_U64, large.ndalloc),
    BIN_STAT(JEM_CTL_U64, nmalloc),
    BIN_STAT(JEM_CTL_U64, ndalloc),
    BIN_STAT(JEM_CTL_U64, nfills),
    BIN_STAT(JEM_CTL_U64, nflushes),
    BIN_STAT(JEM_CTL_SIZE, curregs),
    BIN_STAT(JEM_CTL_SIZE, curslabs),
    BIN_STAT(JEM_CTL_SIZE, nonfull_slabs),
    BIN_STAT(JEM_CTL_U64, nwaits),
    LEXTENT_STAT(JEM_CTL_U64, nmalloc),
    LEXTENT_STAT(JEM_CTL_U64, ndalloc),
    LEXTENT_STAT(JEM_CTL_SIZE, curlextents),
};

const unsigned jem_ctl_row_count = sizeof jem_ctl_rows / sizeof jem_ctl_rows[0];
