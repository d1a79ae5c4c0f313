/*
 * options.h - what a user may set for all heaps of the process
 *
 *     JEM_OPTIONS="narenas:2,dirty_decay_ms:1000" --> struct jem_options --> heap
 *
 *   narenas            automatic arenas; four a CPU unless set
 *   dirty_decay_ms     how long unused pages are kept; -1 for ever, 0 not
 *   muzzy_decay_ms     how long pages that the kernel may take are kept
 *   bin_shards         bins of each small class in an arena
 *   tcache             on: each thread has a cache
 *   tcache_max         larger blocks are not cached; at most 128k
 *   background_thread  on: a thread of its own purges what has decayed
 *   thp                default, always, never: advice on huge pages
 *   retain             on: addresses are kept when their memory is given back
 *   guard              on: an inaccessible page behind each slab and large block
 *   junk               false, true, alloc, free: fill new or freed blocks
 *   zero               on: every block comes zeroed
 *   check_free         on: every double free is found at once
 *   abort_conf         on: a bad option ends the process
 *   prof               on: a sampled profile is kept
 *   prof_active        off: it takes no samples until prof.active is set
 *   lg_prof_sample     a sample every 2^N bytes; 19
 *   prof_prefix        of its files' names; jeprof
 *   prof_final         on: a file at exit
 *   guarded            of so many sampled blocks one lies between guard pages; 0:
 *                      none. It turns prof on
 *   guarded_slots      at most so many of them at a time; 64
 *   lg_prof_interval   a file each time 2^N bytes have been allocated; -1: none
 *   stats_print        on: statistics are printed at exit
 *   stats_print_opts   letters for them, as jem_malloc_stats_print takes them
 *
 * junk, zero and check_free have every block pass the slow path: no caches.
 *
 * Concurrency: read once, before all else. Failure: a bad pair is reported by
 * one line and skipped, or the process aborts when so told.
 * Design: jemalloc(3), "TUNING" and "opt.*".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JEM_STATS_LETTERS_MAX 16

enum jem_thp { JEM_THP_DEFAULT, JEM_THP_ALWAYS, JEM_THP_NEVER };

enum jem_junk { JEM_JUNK_FALSE, JEM_JUNK_TRUE, JEM_JUNK_ALLOC, JEM_JUNK_FREE };

struct jem_options {
    int64_t arena_count; /* 0: four a CPU */
    int64_t dirty_decay_ms;
    int64_t muzzy_decay_ms;
    int64_t shard_count;
    uint64_t tcache_max;
    enum jem_thp thp;
    enum jem_junk junk;
    bool tcache;
    bool background_thread;
    bool retain;
    bool guard;
    bool zero;
    bool check_free;
    bool abort_conf;
    bool stats_print;
    char stats_letters[JEM_STATS_LETTERS_MAX];
    bool prof;
    bool prof_active;
    bool prof_final;
    uint64_t guarded;
    uint64_t guarded_slots;
    int64_t lg_prof_sample;
    int64_t lg_prof_interval;
    const char *prof_prefix; /* its length is beside it */
    size_t prof_prefix_size;
};

/* The names of an enum's values, for reading and showing; end in NULL. */
extern const char *const jem_thp_names[];
extern const char *const jem_junk_names[];

/* The defaults, changed by the environment: JEM_OPTIONS. */
void jem_options_read(struct jem_options *options);

static inline bool
jem_options_junk_new(const struct jem_options *options)
{
    return options->junk == JEM_JUNK_TRUE || options->junk == JEM_JUNK_ALLOC;
}

static inline bool
jem_options_junk_free(const struct jem_options *options)
{
    return options->junk == JEM_JUNK_TRUE || options->junk == JEM_JUNK_FREE;
}

/* Whether threads' caches are used. */
static inline bool
jem_options_cached(const struct jem_options *options)
{
    return options->tcache && options->junk == JEM_JUNK_FALSE &&
           !options->zero && !options->check_free;
}
