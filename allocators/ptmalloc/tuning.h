/*
 * tuning.h - what a user may tune, by mallopt or by the environment
 *
 *     PTM_OPTIONS="arena_max:2,mmap_threshold:1m" --> struct ptm_tuning
 *     ptm_mallopt(M_TRIM_THRESHOLD, 1 << 20)      -->
 *
 * Names and meanings are glibc's, in its manual and in mallopt(3):
 *
 *   option                 mallopt           default
 *   arena_max              M_ARENA_MAX       0: by arena_test and the CPUs
 *   arena_test             M_ARENA_TEST      8: so many before CPUs count
 *   hugetlb                -                 0; 1: ask for huge pages
 *   mmap_max               M_MMAP_MAX        65536 mappings at one time
 *   mmap_threshold         M_MMAP_THRESHOLD  128 KiB, follows use
 *   mxfast                 M_MXFAST          all: the largest request whose
 *                                            chunks wait unjoined
 *   perturb                M_PERTURB         0; else a byte to fill with
 *   tcache_count           -                 chunks a cache bin: by their size
 *   tcache_max             -                 the largest request cached
 *   tcache_unsorted_limit  -                 1000 chunks sorted a request
 *   top_pad                M_TOP_PAD         128 KiB
 *   trim_threshold         M_TRIM_THRESHOLD  256 KiB, follows use
 *
 * Setting one of the four of mmap, top and trim ends their following.
 * M_CHECK_ACTION is taken and does nothing: misuse always ends in a line and
 * abort.
 *
 * Concurrency: set and learn want the heap's direct_lock; any thread may read.
 * Failure: set returns 0 for what it does not know or a bad value, with nothing
 * changed; a bad option is reported by one line and skipped.
 * Design: glibc manual, "Malloc Tunable Parameters", "Memory Allocation
 * Tunables"; mallopt(3).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PTM_ARENAS_MAX 1024u
#define PTM_BY_SIZE    SIZE_MAX /* of tcache_count */

struct ptm_tuning {
    _Atomic size_t mmap_threshold, trim_threshold, top_pad, mmap_max;
    _Atomic size_t arena_max, arena_test;
    _Atomic size_t returned_max; /* the largest chunk that waits unjoined */
    _Atomic size_t unsorted_max; /* chunks sorted for one request */
    _Atomic size_t perturb;
    _Atomic bool is_dynamic;         /* the thresholds follow use */
    size_t tcache_count, tcache_max; /* for good; the latter a chunk's size */
    bool is_huge;                    /* for good */
};

/* The defaults, and what the environment says. */
void ptm_tuning_read(struct ptm_tuning *tuning);

/* mallopt(3): 1, or 0 and nothing changed. */
int ptm_tuning_set(struct ptm_tuning *tuning, int parameter, int value);

/* A directly mapped block of that size was freed: the next of its like shall
 * come from an arena. */
void ptm_tuning_learn(struct ptm_tuning *tuning, size_t size);

/* How many arenas there may be. */
unsigned ptm_tuning_arena_limit(
    const struct ptm_tuning *tuning, unsigned cpu_count);

static inline size_t
ptm_tuning_get(const _Atomic size_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* Whether threads have caches. Without one, every block passes block.c, which
 * fills it. */
static inline bool
ptm_tuning_caches(const struct ptm_tuning *tuning)
{
    return tuning->tcache_count != 0 && ptm_tuning_get(&tuning->perturb) == 0;
}
