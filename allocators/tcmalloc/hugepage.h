/*
 * hugepage.h - which pages of one hugepage are in use
 *
 *     page heap --> filler --> hugepage: 256 pages of 8 KiB in 2 MiB
 *
 *     used    1 1 1 0 0 0 0 1 1 1 1 0 0 ...     in spans
 *     clean   0 0 0 1 1 0 0 0 0 0 0 1 1 ...     free, and reads as zero
 *
 * A clean page has never been used, or its memory has gone back to the OS:
 * giving it out needs no clearing, purging it would win nothing.
 *
 * Concurrency: guarded by the page heap's lock.
 * Failure: tcm_hugepage_take returns TCM_HUGEPAGE_NONE when no run is long
 * enough. A purge that the OS refuses leaves the pages as they were.
 * Design: Hunter et al., "Beyond malloc efficiency to fleet efficiency"
 * (Temeraire, OSDI 2021), 4.3.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "parts/bitmap.h"
#include "parts/tree.h"
#include "tcmalloc/sizerules.h"

#define TCM_HUGEPAGE_SHIFT 21
#define TCM_HUGEPAGE       ((size_t)1 << TCM_HUGEPAGE_SHIFT)
#define TCM_HUGEPAGE_PAGES ((size_t)1 << (TCM_HUGEPAGE_SHIFT - TCM_PAGE_SHIFT))
#define TCM_HUGEPAGE_NONE  SIZE_MAX

struct tcm_hugerange;

struct tcm_hugepage {
    struct tree_node node; /* the filler's, as are key and kind */
    uint32_t key;
    uint8_t kind;
    char *addr;
    struct tcm_hugerange *spare; /* for when it is wholly free */
    uint64_t used[BITMAP_WORDS(TCM_HUGEPAGE_PAGES)];
    uint64_t clean[BITMAP_WORDS(TCM_HUGEPAGE_PAGES)];
    uint16_t used_pages;
    uint16_t clean_pages;
    uint16_t longest;    /* the longest run of free pages */
    uint16_t span_count; /* runs taken and not given back */
};

void tcm_hugepage_init(struct tcm_hugepage *hugepage, char *addr, bool clean);

/* The first of `pages` neighbouring pages, a multiple of align_pages (a power
 * of two), now used. *zeroed: all of them were clean. */
size_t tcm_hugepage_take(struct tcm_hugepage *hugepage, size_t pages,
    size_t align_pages, bool *zeroed);
void tcm_hugepage_give(
    struct tcm_hugepage *hugepage, size_t first, size_t pages);
/* Takes `more` pages behind a run of `pages`: false when they are not free. */
bool tcm_hugepage_extend(
    struct tcm_hugepage *hugepage, size_t first, size_t pages, size_t more);

/* Gives the memory of free pages back to the OS; how many pages it got. */
size_t tcm_hugepage_purge(struct tcm_hugepage *hugepage);

static inline size_t
tcm_hugepage_free_pages(const struct tcm_hugepage *hugepage)
{
    return TCM_HUGEPAGE_PAGES - hugepage->used_pages;
}

static inline char *
tcm_hugepage_addr(const struct tcm_hugepage *hugepage, size_t index)
{
    return hugepage->addr + (index << TCM_PAGE_SHIFT);
}

static inline size_t
tcm_hugepage_index(const struct tcm_hugepage *hugepage, const void *addr)
{
    return (size_t)((const char *)addr - hugepage->addr) >> TCM_PAGE_SHIFT;
}

void tcm_hugepage_check(const struct tcm_hugepage *hugepage);
void tcm_hugepage_dump(const struct tcm_hugepage *hugepage, int fd);
