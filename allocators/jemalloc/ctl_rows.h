/*
 * ctl_rows.h - the functions of the table's rows that stand in other files
 *
 *     ctl_names.c: the table --> ctl_thread.c, ctl_arena.c, ctl_stats.c
 *
 * Concurrency, failure: as in ctl.h.
 * Design: jemalloc(3), "MALLCTL NAMESPACE".
 */
#pragma once

#include "jemalloc/ctl.h"

/* ---- the calling thread, and explicit caches: ctl_thread.c */

jem_ctl_get_fn jem_ctl_get_thread_arena;
jem_ctl_set_fn jem_ctl_set_thread_arena;
/* data is the offset of a number in struct jem_tcache: its value, its place. */
jem_ctl_get_fn jem_ctl_get_thread_count;
jem_ctl_get_fn jem_ctl_get_thread_counter;
jem_ctl_set_fn jem_ctl_reset_peak;
jem_ctl_get_fn jem_ctl_get_thread_cached;
jem_ctl_set_fn jem_ctl_set_thread_cached;
jem_ctl_set_fn jem_ctl_flush_thread;
jem_ctl_set_fn jem_ctl_idle_thread;
jem_ctl_get_fn jem_ctl_create_cache;
jem_ctl_set_fn jem_ctl_flush_cache;
jem_ctl_set_fn jem_ctl_destroy_cache;

/* ---- arenas: ctl_arena.c */

jem_ctl_get_fn jem_ctl_get_initialized;
jem_ctl_set_fn jem_ctl_purge_arenas;
jem_ctl_set_fn jem_ctl_decay_arenas;
jem_ctl_set_fn jem_ctl_reset_arena;
jem_ctl_set_fn jem_ctl_destroy_arena;
/* data is the kind of pages. */
jem_ctl_get_fn jem_ctl_get_arena_decay;
jem_ctl_set_fn jem_ctl_set_arena_decay;
jem_ctl_get_fn jem_ctl_get_default_decay;
jem_ctl_set_fn jem_ctl_set_default_decay;
jem_ctl_get_fn jem_ctl_get_grow_limit;
jem_ctl_set_fn jem_ctl_set_grow_limit;
jem_ctl_get_fn jem_ctl_get_arena_count;
jem_ctl_get_fn jem_ctl_get_tcache_max;
jem_ctl_get_fn jem_ctl_create_arena;
jem_ctl_set_fn jem_ctl_set_lookup;
jem_ctl_get_fn jem_ctl_get_lookup;

/* ---- statistics, of the last refresh: ctl_stats.c. data is a number's offset in
 * the heap's, the arena's, the bin's, the lextent's or the extents' numbers. */

jem_ctl_get_fn jem_ctl_get_epoch;
jem_ctl_set_fn jem_ctl_set_epoch;
jem_ctl_get_fn jem_ctl_get_stat;
jem_ctl_get_fn jem_ctl_get_arena_stat;
jem_ctl_get_fn jem_ctl_get_bin_stat;
jem_ctl_get_fn jem_ctl_get_lextent_stat;
jem_ctl_get_fn jem_ctl_get_extent_stat;
