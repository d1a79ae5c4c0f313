/*
 * stats.h - what an arena's structures say of themselves, as plain numbers
 *
 *     bins, page cache --(refresh)--> struct jem_arena_stats --> ctl
 *
 * Every number is a uint64_t, so that a table of offsets can name them. They are
 * of one moment for each bin and each page cache.
 *
 * Concurrency: any thread; stats.lock, of rank MTX_OPTIONS, guards the numbers.
 * Failure: none.
 * Design: jemalloc(3), "stats.*", "epoch".
 */
#pragma once

#include "base/sync.h"
#include "jemalloc/freeset.h"

struct jem_arena;
struct jem_heap;

struct jem_bin_stats {
    uint64_t nmalloc;       /* regions ever taken from the bin */
    uint64_t ndalloc;       /* ... and given back */
    uint64_t nfills;        /* calls that took */
    uint64_t nflushes;      /* calls that gave */
    uint64_t nslabs;        /* slabs ever taken */
    uint64_t nreslabs;      /* ... and made current once more */
    uint64_t curregs;       /* regions taken and not given back */
    uint64_t curslabs;      /* slabs now */
    uint64_t nonfull_slabs; /* of them with a free region, but the current */
    uint64_t num_ops;       /* calls that took the lock */
    uint64_t num_wait;      /* ... and found it taken */
};

struct jem_lextent_stats {
    uint64_t nmalloc;
    uint64_t ndalloc;
    uint64_t curlextents;
};

/* The free extents of one page class. */
struct jem_extent_stats {
    uint64_t ndirty;
    uint64_t dirty_bytes;
    uint64_t nmuzzy;
    uint64_t muzzy_bytes;
    uint64_t nretained;
    uint64_t retained_bytes;
};

struct jem_purge_stats {
    uint64_t npurge;   /* sweeps */
    uint64_t nmadvise; /* calls that gave memory back */
    uint64_t purged;   /* pages given back by them */
};

struct jem_arena_stats {
    uint64_t exists;
    uint64_t nthreads;
    uint64_t uptime;         /* in nanoseconds */
    uint64_t dirty_decay_ms; /* an int64_t's bits */
    uint64_t muzzy_decay_ms;
    uint64_t pactive; /* pages in use, and by kind */
    uint64_t pdirty;
    uint64_t pmuzzy;
    uint64_t mapped; /* bytes: in use, dirty and muzzy */
    uint64_t retained;
    uint64_t resident;     /* at most */
    uint64_t extent_avail; /* structures without pages */
    struct jem_purge_stats dirty;
    struct jem_purge_stats muzzy;
    struct jem_bin_stats small;
    uint64_t small_allocated;
    struct jem_lextent_stats large;
    uint64_t large_allocated;
    struct jem_bin_stats bins[JEM_SMALL_COUNT];
    struct jem_lextent_stats lextents[JEM_LARGE_COUNT];
    struct jem_extent_stats extents[JEM_PAGE_CLASS_COUNT];
};

struct jem_heap_stats {
    uint64_t allocated; /* bytes that callers hold */
    uint64_t active;    /* bytes of pages in use */
    uint64_t metadata;
    uint64_t resident;
    uint64_t mapped;
    uint64_t retained;
    uint64_t zero_reallocs;
};

struct jem_stats {
    struct mtx lock;
    uint64_t epoch;                   /* [lock] how often refreshed, from 1 */
    struct jem_heap_stats heap;       /* [lock] */
    struct jem_arena_stats all;       /* [lock] */
    struct jem_arena_stats destroyed; /* [lock] sums of those that were */
};

void jem_stats_init(struct jem_stats *stats);

/* Reads all anew: the heap's, and each arena's into arena->stats. */
void jem_stats_refresh_locked(struct jem_heap *heap);
/* Adds an arena that has just been destroyed to `destroyed`. */
void jem_stats_retire_locked(struct jem_heap *heap, struct jem_arena *arena);
