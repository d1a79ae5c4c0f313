/*
 * hugecache.h - free hugepages, and where new ones come from
 *
 *     page heap --> huge cache: ranges, dirty or clean --> pages --> OS
 *
 * A range is a run of neighbouring free hugepages. Dirty ranges hold memory and
 * are given out first; when there are more of them than a limit, the rest goes
 * back to the OS and becomes clean: addresses without memory, which read as
 * zero. Fresh mappings are clean ranges too. Addresses never go back while the
 * heap lives.
 *
 * Whoever holds hugepages holds a spare range structure for each run of them,
 * so that giving them back needs no memory.
 *
 * Concurrency: guarded by the page heap's lock.
 * Failure: tcm_hugecache_take returns NULL when out of memory or addresses;
 * nothing has changed but that there may be more free ranges.
 * Design: Hunter et al., OSDI 2021, 4.1 and 4.2 (HugeAllocator, HugeCache).
 */
#pragma once

#include "parts/tree.h"
#include "tcmalloc/hugepage.h"
#include "tcmalloc/pool.h"

enum tcm_hugerange_state { TCM_RANGE_DIRTY, TCM_RANGE_CLEAN, TCM_RANGE_STATES };

struct tcm_hugerange {
    struct tree_node by_size, by_addr;
    char *addr;
    size_t count; /* hugepages */
    enum tcm_hugerange_state state;
};

/* Addresses from the OS without a gap. */
struct tcm_mapping {
    struct tcm_mapping *next;
    char *addr;
    size_t size;
};

struct tcm_hugecache {
    struct tree by_size[TCM_RANGE_STATES];
    struct tree by_addr[TCM_RANGE_STATES];
    size_t count[TCM_RANGE_STATES]; /* hugepages in the ranges */
    size_t dirty_min;               /* so many dirty ones may always stay */
    size_t mapped_count;            /* hugepages in all mappings */
    struct tcm_mapping *mappings;
    struct tcm_mapping *unused_mapping; /* for the next, or NULL */
    struct tcm_pool ranges;
    struct meta *meta;
    bool huge; /* ask the OS to back them by huge pages */
};

void tcm_hugecache_init(struct tcm_hugecache *cache, struct meta *meta,
    size_t dirty_min, bool huge);
void tcm_hugecache_fini(struct tcm_hugecache *cache); /* unmaps all */

/* count neighbouring hugepages at a multiple of align (a power of two, at least
 * a hugepage), with the spare to give them back with. */
char *tcm_hugecache_take(struct tcm_hugecache *cache, size_t count,
    size_t align, struct tcm_hugerange **spare, bool *clean);
void tcm_hugecache_give(struct tcm_hugecache *cache, char *addr, size_t count,
    struct tcm_hugerange *spare, bool clean);
/* A further spare, for who splits what he took; NULL when out of memory. */
struct tcm_hugerange *tcm_hugecache_spare(struct tcm_hugecache *cache);
void tcm_hugecache_drop_spare(
    struct tcm_hugecache *cache, struct tcm_hugerange *spare);

/* Purges dirty hugepages until at most `keep` are left or the OS refuses; how
 * many became clean. */
size_t tcm_hugecache_release(struct tcm_hugecache *cache, size_t keep);

void tcm_hugecache_check(const struct tcm_hugecache *cache);
void tcm_hugecache_dump(const struct tcm_hugecache *cache, int fd);
