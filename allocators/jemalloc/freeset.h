/*
 * freeset.h - the free extents of one kind
 *
 *     page cache: dirty | muzzy | retained, each a free set
 *
 *     by_size: page class, then address   where a request looks
 *     by_age:  newest ... oldest          where purging looks
 *
 * Extents are sorted by page class, not by exact size: requests are class sizes,
 * so any extent of the class fits, and choosing the lowest address among them
 * packs what lives long.
 *
 * Concurrency: the page cache's lock guards a set; any thread may ask for its
 * pages. Failure: none.
 * Design: jemalloc(3), "Implementation notes"; Knuth, "The Art of Computer
 * Programming" 1, 2.5, on best fit.
 */
#pragma once

#include <stdatomic.h>

#include "jemalloc/extent.h"

/* Page classes: 1, 2, 3, 4, 5, 6, 7, 8, 10, ... pages, four a doubling. */
#define JEM_PAGE_CLASS_COUNT (JEM_LARGE_COUNT + 3)

struct jem_freeset {
    struct tree by_size;
    struct {
        size_t count; /* extents */
        size_t size;  /* bytes in them */
    } classes[JEM_PAGE_CLASS_COUNT];
    struct list by_age;   /* newest first */
    _Atomic size_t pages; /* read without the lock, too */
};

static inline size_t
jem_freeset_pages(const struct jem_freeset *set)
{
    return atomic_load_explicit(&set->pages, memory_order_relaxed);
}

void jem_freeset_init(struct jem_freeset *set);

/* While it is in the set, an extent's address and size stay. */
void jem_freeset_insert(struct jem_freeset *set, struct jem_extent *extent);
void jem_freeset_remove(struct jem_freeset *set, struct jem_extent *extent);

/* Of the extents in the least page class whose extents all have that size, the
 * one of the lowest address; NULL if there is none. */
struct jem_extent *jem_freeset_fit(const struct jem_freeset *set, size_t size);
/* One with room for that size at a multiple of align, more than a page: an
 * extent that was aligned before has no room to spare, but is in its place. */
struct jem_extent *jem_freeset_fit_aligned(
    const struct jem_freeset *set, size_t size, size_t align);
struct jem_extent *jem_freeset_oldest(const struct jem_freeset *set);

void jem_freeset_check(const struct jem_freeset *set); /* aborts if broken */
