/*
 * span.h - a run of pages with one use
 *
 *     page heap --> span --> objects of one class  (a small span)
 *                       \--> one block             (a large span)
 *
 *     address --> page map --> owner: | size class 16 bits | span 48 bits |
 *
 * Which objects of a small span are free says a bitmap here, never the objects
 * themselves: memory that another thread has used is not touched to take it
 * back, and an overflow cannot break a list.
 *
 * Concurrency: a small span is guarded by its central list's lock, a large one
 * by the page heap's. size_class, addr and page_count are fixed while the page
 * map leads here.
 * Failure: an address that is no object of the span, and an object that is free
 * already, are misuse.
 * Design: docs/designs/tcmalloc.md, "Spans".
 */
#pragma once

#include "parts/bitmap.h"
#include "parts/list.h"
#include "parts/pagemap.h"
#include "tcmalloc/hugepage.h"
#include "tcmalloc/sizemap.h"

#define TCM_SPAN_PAGES_MAX UINT32_MAX

struct profile_sample;

struct tcm_span {
    struct list link; /* in a central list, or the page heap's large spans */
    char *addr;
    uint32_t page_count;
    uint16_t free_count; /* free objects */
    uint8_t size_class;  /* 0: large */
    bool zeroed;         /* large: reads as zero */
    /* The hugepage that holds the pages past the last whole hugepage. */
    struct tcm_hugepage *home;
    struct tcm_hugerange *spare; /* for the whole hugepages, if any */
    struct tcm_region *region;   /* large: that holds all its pages, or NULL */
    uint64_t free_bits[];        /* large: [0] is tcm_span_sample */
};

/* Makes every object free. */
void tcm_span_init_objects(struct tcm_span *span);
/* Takes up to count free objects, lowest addresses first. */
size_t tcm_span_take(struct tcm_span *span, void **batch, size_t count);
void tcm_span_give(struct tcm_span *span, void *object);
bool tcm_span_is_free(const struct tcm_span *span, const void *object);

/* Of a large span: its block in the profile, or NULL. */
static inline struct profile_sample *
tcm_span_sample(const struct tcm_span *span)
{
    return (struct profile_sample *)(uintptr_t)span->free_bits[0];
}

static inline void
tcm_span_set_sample(struct tcm_span *span, struct profile_sample *sample)
{
    span->free_bits[0] = (uintptr_t)sample;
}

static inline size_t
tcm_span_size(const struct tcm_span *span)
{
    return (size_t)span->page_count << TCM_PAGE_SHIFT;
}

static inline size_t
tcm_span_object_count(const struct tcm_span *span)
{
    return tcm_classes[span->size_class].object_count;
}

/* The span whose link this is. */
static inline struct tcm_span *
tcm_span_of(struct list *link)
{
    return LIST_OF(link, struct tcm_span, link);
}

/* ---- owners: what the page map holds */

#define TCM_OWNER_CLASS_SHIFT 48
/* A page that was in a span once. Any other free page has NULL. */
#define TCM_OWNER_FREED ((void *)1)

static inline void *
tcm_owner_make(const struct tcm_span *span)
{
    return (void *)((uintptr_t)span | (uintptr_t)span->size_class
                                          << TCM_OWNER_CLASS_SHIFT);
}

static inline unsigned
tcm_owner_class(const void *owner)
{
    return (unsigned)((uintptr_t)owner >> TCM_OWNER_CLASS_SHIFT);
}

/* Or NULL: no span's page. */
static inline struct tcm_span *
tcm_owner_span(const void *owner)
{
    uintptr_t bits =
        (uintptr_t)owner & (((uintptr_t)1 << TCM_OWNER_CLASS_SHIFT) - 1);

    return bits <= (uintptr_t)TCM_OWNER_FREED ? NULL : (struct tcm_span *)bits;
}

static inline void *
tcm_owner_get(const struct pagemap *map, const void *addr)
{
    return pagemap_get_shifted(map, addr, TCM_PAGE_SHIFT);
}

void tcm_span_check(const struct tcm_span *span);
void tcm_span_dump(const struct tcm_span *span, int fd);
