/*
 * ctl_names.c - every name that jem_mallctl knows, and what it does (contract:
 * ctl.h)
 *
 * One table, at the end. Options are read by the offset of a field. Functions on
 * threads, arenas and statistics are in files of their own: ctl_rows.h.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "jemalloc/background.h"
#include "jemalloc/ctl_rows.h"
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

static int
get_disabled(const struct jem_ctl_call *call, uint64_t *value)
{
    (void)call;
    *value = of_text("disabled");
    return 0;
}

static int
get_zero_realloc(const struct jem_ctl_call *call, uint64_t *value)
{
    (void)call;
    *value = of_text("free");
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
get_background_interval(const struct jem_ctl_call *call, uint64_t *value)
{
    (void)call;
    *value = jem_background_interval();
    return 0;
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

static int
get_prof_active(const struct jem_ctl_call *call, uint64_t *value)
{
    *value = call->heap->sampled.on && jem_heap_samples(call->heap);
    return 0;
}

static int
set_prof_active(const struct jem_ctl_call *call, uint64_t value)
{
    if (!call->heap->sampled.on) {
        return ENOENT;
    }
    atomic_store_explicit(
        &call->heap->samples, value != 0, memory_order_relaxed);
    return 0;
}

static int
get_prof_sample(const struct jem_ctl_call *call, uint64_t *value)
{
    *value = call->heap->sampled.on
                 ? (uint64_t)call->heap->options.lg_prof_sample
                 : 0;
    return 0;
}

static int
get_prof_interval(const struct jem_ctl_call *call, uint64_t *value)
{
    *value = call->heap->sampled.on ? call->heap->sampled.options.interval : 0;
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
#define ABSENT(name) CONSTANT("opt." name, JEM_CTL_FLAG, false)
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
    READ("stats." #name, JEM_CTL_SIZE, jem_ctl_get_stat,                       \
        offsetof(struct jem_heap_stats, name))
#define ARENA_STAT(name, kind, field)                                          \
    READ("stats.arenas.%." name, kind, jem_ctl_get_arena_stat,                 \
        offsetof(struct jem_arena_stats, field))
#define BIN_STAT(kind, name)                                                   \
    READ("stats.arenas.%.bins.%." #name, kind, jem_ctl_get_bin_stat,           \
        offsetof(struct jem_bin_stats, name))
#define LEXTENT_STAT(kind, name)                                               \
    READ("stats.arenas.%.lextents.%." #name, kind, jem_ctl_get_lextent_stat,   \
        offsetof(struct jem_lextent_stats, name))
#define EXTENT_STAT(name)                                                      \
    READ("stats.arenas.%.extents.%." #name, JEM_CTL_SIZE,                      \
        jem_ctl_get_extent_stat, offsetof(struct jem_extent_stats, name))

const struct jem_ctl_row jem_ctl_rows[] = {
    READ("version", JEM_CTL_TEXT, get_version, 0),
    {.pattern = "epoch",
        .kind = JEM_CTL_U64,
        .get = jem_ctl_get_epoch,
        .set = jem_ctl_set_epoch,
        .order = JEM_CTL_SET_FIRST},
    READ_WRITE(
        "background_thread", JEM_CTL_FLAG, get_background, set_background, 0),
    CONSTANT("max_background_threads", JEM_CTL_SIZE, 1),

    READ_WRITE("thread.arena", JEM_CTL_UNSIGNED, jem_ctl_get_thread_arena,
        jem_ctl_set_thread_arena, 0),
    READ("thread.allocated", JEM_CTL_U64, jem_ctl_get_thread_count,
        offsetof(struct jem_tcache, allocated_size)),
    READ("thread.allocatedp", JEM_CTL_POINTER, jem_ctl_get_thread_counter,
        offsetof(struct jem_tcache, allocated_size)),
    READ("thread.deallocated", JEM_CTL_U64, jem_ctl_get_thread_count,
        offsetof(struct jem_tcache, deallocated_size)),
    READ("thread.deallocatedp", JEM_CTL_POINTER, jem_ctl_get_thread_counter,
        offsetof(struct jem_tcache, deallocated_size)),
    READ_WRITE("thread.tcache.enabled", JEM_CTL_FLAG, jem_ctl_get_thread_cached,
        jem_ctl_set_thread_cached, 0),
    ACTION("thread.tcache.flush", jem_ctl_flush_thread),
    READ("thread.peak.read", JEM_CTL_U64, jem_ctl_get_thread_count,
        offsetof(struct jem_tcache, peak_size)),
    ACTION("thread.peak.reset", jem_ctl_reset_peak),
    ACTION("thread.idle", jem_ctl_idle_thread),

    {.pattern = "tcache.create",
        .kind = JEM_CTL_UNSIGNED,
        .get = jem_ctl_create_cache,
        .order = JEM_CTL_EFFECT},
    READ_WRITE("tcache.flush", JEM_CTL_UNSIGNED, NULL, jem_ctl_flush_cache, 0),
    READ_WRITE(
        "tcache.destroy", JEM_CTL_UNSIGNED, NULL, jem_ctl_destroy_cache, 0),

    READ("arena.%.initialized", JEM_CTL_FLAG, jem_ctl_get_initialized, 0),
    ACTION("arena.%.decay", jem_ctl_decay_arenas),
    ACTION("arena.%.purge", jem_ctl_purge_arenas),
    ACTION("arena.%.reset", jem_ctl_reset_arena),
    ACTION("arena.%.destroy", jem_ctl_destroy_arena),
    READ_WRITE("arena.%.dirty_decay_ms", JEM_CTL_SSIZE, jem_ctl_get_arena_decay,
        jem_ctl_set_arena_decay, JEM_DIRTY),
    READ_WRITE("arena.%.muzzy_decay_ms", JEM_CTL_SSIZE, jem_ctl_get_arena_decay,
        jem_ctl_set_arena_decay, JEM_MUZZY),
    READ_WRITE("arena.%.retain_grow_limit", JEM_CTL_SIZE,
        jem_ctl_get_grow_limit, jem_ctl_set_grow_limit, 0),

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
    OPTION_FLAG("prof_active", prof_active),
    OPTION_NUMBER("guarded", JEM_CTL_SIZE, guarded),
    OPTION_NUMBER("guarded_slots", JEM_CTL_SIZE, guarded_slots),
    OPTION_FLAG("prof_final", prof_final),
    READ("opt.prof_prefix", JEM_CTL_TEXT, get_prof_prefix, 0),
    OPTION_FLAG("stats_print", stats_print),
    OPTION_TEXT("stats_print_opts", get_option_letters),

    ABSENT("abort"),
    ABSENT("confirm_conf"),
    ABSENT("cache_oblivious"),
    ABSENT("utrace"),
    ABSENT("xmalloc"),
    ABSENT("prof_gdump"),
    ABSENT("prof_leak"),
    ABSENT("prof_leak_error"),
    CONSTANT("opt.oversize_threshold", JEM_CTL_SIZE, 0),
    CONSTANT("opt.max_background_threads", JEM_CTL_SIZE, 1),
    CONSTANT("opt.stats_interval", JEM_CTL_SSIZE, SIZE_MAX),
    READ("opt.metadata_thp", JEM_CTL_TEXT, get_disabled, 0),
    READ("opt.dss", JEM_CTL_TEXT, get_disabled, 0),
    READ("opt.percpu_arena", JEM_CTL_TEXT, get_disabled, 0),
    READ("opt.zero_realloc", JEM_CTL_TEXT, get_zero_realloc, 0),

    READ_WRITE(
        "prof.active", JEM_CTL_FLAG, get_prof_active, set_prof_active, 0),
    READ_WRITE("prof.dump", JEM_CTL_TEXT, NULL, dump_profile, 0),
    READ("prof.lg_sample", JEM_CTL_SIZE, get_prof_sample, 0),
    READ("prof.interval", JEM_CTL_U64, get_prof_interval, 0),

    READ("arenas.narenas", JEM_CTL_UNSIGNED, jem_ctl_get_arena_count, 0),
    READ_WRITE("arenas.dirty_decay_ms", JEM_CTL_SSIZE,
        jem_ctl_get_default_decay, jem_ctl_set_default_decay, JEM_DIRTY),
    READ_WRITE("arenas.muzzy_decay_ms", JEM_CTL_SSIZE,
        jem_ctl_get_default_decay, jem_ctl_set_default_decay, JEM_MUZZY),
    CONSTANT("arenas.quantum", JEM_CTL_SIZE, 1u << JEM_QUANTUM_SHIFT),
    CONSTANT("arenas.page", JEM_CTL_SIZE, JEM_PAGE),
    READ("arenas.tcache_max", JEM_CTL_SIZE, jem_ctl_get_tcache_max, 0),
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
        .get = jem_ctl_create_arena,
        .order = JEM_CTL_EFFECT},
    {.pattern = "arenas.lookup",
        .kind = JEM_CTL_UNSIGNED,
        .get = jem_ctl_get_lookup,
        .set = jem_ctl_set_lookup,
        .order = JEM_CTL_SET_FIRST,
        .new_kind = JEM_CTL_POINTER},

    STAT(allocated),
    STAT(active),
    STAT(metadata),
    STAT(resident),
    STAT(mapped),
    STAT(retained),
    CONSTANT("stats.metadata_thp", JEM_CTL_SIZE, 0),
    STAT(zero_reallocs),
    READ(
        "stats.background_thread.num_threads", JEM_CTL_SIZE, get_background, 0),
    READ("stats.background_thread.num_runs", JEM_CTL_U64, get_background_turns,
        0),
    READ("stats.background_thread.run_interval", JEM_CTL_U64,
        get_background_interval, 0),
    ARENA_STAT("nthreads", JEM_CTL_UNSIGNED, nthreads),
    ARENA_STAT("dirty_decay_ms", JEM_CTL_SSIZE, dirty_decay_ms),
    ARENA_STAT("muzzy_decay_ms", JEM_CTL_SSIZE, muzzy_decay_ms),
    ARENA_STAT("uptime", JEM_CTL_U64, uptime),
    ARENA_STAT("pactive", JEM_CTL_SIZE, pactive),
    ARENA_STAT("pdirty", JEM_CTL_SIZE, pdirty),
    ARENA_STAT("pmuzzy", JEM_CTL_SIZE, pmuzzy),
    ARENA_STAT("mapped", JEM_CTL_SIZE, mapped),
    ARENA_STAT("retained", JEM_CTL_SIZE, retained),
    ARENA_STAT("resident", JEM_CTL_SIZE, resident),
    ARENA_STAT("extent_avail", JEM_CTL_SIZE, extent_avail),
    ARENA_STAT("dirty_npurge", JEM_CTL_U64, dirty.npurge),
    ARENA_STAT("dirty_nmadvise", JEM_CTL_U64, dirty.nmadvise),
    ARENA_STAT("dirty_purged", JEM_CTL_U64, dirty.purged),
    ARENA_STAT("muzzy_npurge", JEM_CTL_U64, muzzy.npurge),
    ARENA_STAT("muzzy_nmadvise", JEM_CTL_U64, muzzy.nmadvise),
    ARENA_STAT("muzzy_purged", JEM_CTL_U64, muzzy.purged),
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
    BIN_STAT(JEM_CTL_U64, nslabs),
    BIN_STAT(JEM_CTL_U64, nreslabs),
    BIN_STAT(JEM_CTL_SIZE, curregs),
    BIN_STAT(JEM_CTL_SIZE, curslabs),
    BIN_STAT(JEM_CTL_SIZE, nonfull_slabs),
    READ("stats.arenas.%.bins.%.mutex.num_ops", JEM_CTL_U64,
        jem_ctl_get_bin_stat, offsetof(struct jem_bin_stats, num_ops)),
    READ("stats.arenas.%.bins.%.mutex.num_wait", JEM_CTL_U64,
        jem_ctl_get_bin_stat, offsetof(struct jem_bin_stats, num_wait)),
    EXTENT_STAT(ndirty),
    EXTENT_STAT(dirty_bytes),
    EXTENT_STAT(nmuzzy),
    EXTENT_STAT(muzzy_bytes),
    EXTENT_STAT(nretained),
    EXTENT_STAT(retained_bytes),
    LEXTENT_STAT(JEM_CTL_U64, nmalloc),
    LEXTENT_STAT(JEM_CTL_U64, ndalloc),
    LEXTENT_STAT(JEM_CTL_SIZE, curlextents),
};

const unsigned jem_ctl_row_count = sizeof jem_ctl_rows / sizeof jem_ctl_rows[0];
