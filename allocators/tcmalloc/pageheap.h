/*
 * pageheap.h - spans out of hugepages
 *
 *     central lists --> small spans --\            filler: parts of hugepages
 *                                      page heap --<
 *     large blocks  --> large spans --/            huge cache: whole ones
 *                                                  regions: across them
 *
 * A span shorter than a hugepage is the filler's. A longer one takes whole
 * hugepages, and the rest of its last one is donated to the filler; or, where the
 * filler has more of such rests than small spans to put there, it lies in a
 * region.
 *
 * Concurrency: any thread. Each call takes pageheap.lock, of rank
 * MTX_PAGEHEAP, and may take meta.lock inside it. The page map is read without.
 * Failure: NULL when out of memory, with nothing changed.
 * Design: Hunter et al., OSDI 2021, section 4; docs/designs/tcmalloc.md, "The
 * back tier".
 */
#pragma once

#include "base/sync.h"
#include "tcmalloc/classmap.h"
#include "tcmalloc/filler.h"
#include "tcmalloc/hugecache.h"
#include "tcmalloc/region.h"
#include "tcmalloc/span.h"

/* How much a page heap may hold, and when it gives back. Bytes; SIZE_MAX is no
 * limit. */
struct tcm_pageheap_limits {
    size_t soft, hard;
    double release_rate; /* of 1000 pages that come free */
};

struct tcm_pageheap {
    struct mtx lock;
    struct tcm_filler filler;          /* [lock] */
    struct tcm_hugecache hugecache;    /* [lock] */
    struct tcm_regions regions;        /* [lock] */
    struct tcm_pageheap_limits limits; /* [lock] */
    double release_due; /* [lock] pages; below 0: more were released */
    struct list large;  /* [lock] spans of large blocks */
    size_t large_count; /* [lock] */
    size_t large_pages; /* [lock] */
    size_t small_count; /* [lock] small spans */
    size_t tail_pages;  /* [lock] of large spans, in donated hugepages */
    size_t slack_pages; /* [lock] the rest of those hugepages */
    struct tcm_pool few_objects;   /* [lock] spans of up to 128 objects */
    struct tcm_pool many_objects;  /* [lock] spans of up to 1024 */
    struct tcm_pool hugepages;     /* [lock] */
    struct tcm_classmap *classmap; /* [lock] or NULL; fixed before use */
    struct pagemap map;            /* last: 2 MiB, mostly untouched */
};

/* The page heap's memory comes zeroed. */
void tcm_pageheap_init(struct tcm_pageheap *pageheap, struct meta *meta,
    size_t dirty_min, bool huge);
void tcm_pageheap_fini(struct tcm_pageheap *pageheap); /* unmaps all */

/* A span of a class, every object free. */
struct tcm_span *tcm_pageheap_take(
    struct tcm_pageheap *pageheap, unsigned size_class);
/* A large span; align is a power of two. */
struct tcm_span *tcm_pageheap_take_large(
    struct tcm_pageheap *pageheap, size_t pages, size_t align);
/* Takes back a span of either kind. */
void tcm_pageheap_give(struct tcm_pageheap *pageheap, struct tcm_span *span);
/* Takes the large span back that begins at block, which must be one: a block
 * that two threads free at once is found out here. */
void tcm_pageheap_give_large(struct tcm_pageheap *pageheap, void *block);
/* Makes a large span longer where it stands. */
bool tcm_pageheap_extend(
    struct tcm_pageheap *pageheap, struct tcm_span *span, size_t pages);

/* Gives about that many bytes of free memory back to the OS; how many it got. */
size_t tcm_pageheap_release(struct tcm_pageheap *pageheap, size_t size);

void tcm_pageheap_set_limits(
    struct tcm_pageheap *pageheap, const struct tcm_pageheap_limits *limits);
struct tcm_pageheap_limits tcm_pageheap_limits(struct tcm_pageheap *pageheap);

/* What the page heap holds, in pages. */
struct tcm_pageheap_stats {
    size_t mapped_pages, free_pages, clean_pages;
    size_t free_runs; /* hugepages in the filler and ranges of free ones */
    size_t large_count, large_pages;
};
void tcm_pageheap_stats(
    struct tcm_pageheap *pageheap, struct tcm_pageheap_stats *stats);

/* Every mapped page of the span leads to it. */
void tcm_pageheap_check_owner(
    const struct tcm_pageheap *pageheap, const struct tcm_span *span);
/* Wants the heap quiet, as each small span is guarded by its central list. */
void tcm_pageheap_check(struct tcm_pageheap *pageheap);
void tcm_pageheap_dump(struct tcm_pageheap *pageheap, int fd);
