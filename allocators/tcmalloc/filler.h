/*
 * filler.h - packs spans into hugepages
 *
 *     page heap --> filler --> trees of hugepages, by the longest free run
 *
 * A span goes to the hugepage whose longest free run is the shortest that holds
 * it; among equals to the one with most spans, which is the least likely to
 * become free. So load gathers, and the others drain and go back whole.
 *
 * Three kinds, in this order of preference: regular ones; donated ones, whose
 * head is the tail of a large block and which should come free with it;
 * released ones, which the OS has parts of already and backs by small pages.
 *
 * Concurrency: guarded by the page heap's lock.
 * Failure: tcm_filler_take returns NULL when no hugepage has room; the caller
 * then adds one.
 * Design: Hunter et al., OSDI 2021, 4.3 and 4.4; google/tcmalloc's
 * docs/temeraire.md.
 */
#pragma once

#include "tcmalloc/hugepage.h"

enum tcm_filler_kind {
    TCM_FILLER_REGULAR,
    TCM_FILLER_DONATED,
    TCM_FILLER_RELEASED,
    TCM_FILLER_KINDS
};

struct tcm_filler {
    struct tree fit[TCM_FILLER_KINDS]; /* hugepages by key, then address */
    size_t hugepage_count;
    size_t used_pages;
    size_t clean_pages; /* of the free ones */
};

void tcm_filler_init(struct tcm_filler *filler);

/* Room for a span: its address, and the hugepage that it lies in. */
char *tcm_filler_take(struct tcm_filler *filler, size_t pages,
    size_t align_pages, struct tcm_hugepage **home, bool *zeroed);

/* Enters a hugepage; of a donated one the first pages are in use already. */
void tcm_filler_add(struct tcm_filler *filler, struct tcm_hugepage *hugepage,
    enum tcm_filler_kind kind);

/* Takes back a span's pages. True: the hugepage is wholly free, and no longer
 * the filler's. */
bool tcm_filler_give(struct tcm_filler *filler, struct tcm_hugepage *hugepage,
    size_t first, size_t pages);
/* The large block that donated the hugepage is gone, spans are left. */
void tcm_filler_adopt(struct tcm_filler *filler, struct tcm_hugepage *hugepage);

/* Makes a span longer in place, if the pages behind it are free. */
bool tcm_filler_extend(struct tcm_filler *filler, struct tcm_hugepage *hugepage,
    size_t first, size_t pages, size_t more);

/* Gives the memory of about that many free pages back to the OS, emptiest
 * hugepages first; how many pages it got. */
size_t tcm_filler_release(struct tcm_filler *filler, size_t pages);

static inline size_t
tcm_filler_free_pages(const struct tcm_filler *filler)
{
    return filler->hugepage_count * TCM_HUGEPAGE_PAGES - filler->used_pages;
}

/* Every hugepage of a kind, in no order that matters. */
#define TCM_FILLER_EACH(hugepage, filler, kind)                                \
    for (hugepage = tcm_filler_first(filler, kind); hugepage != NULL;          \
         hugepage = tcm_filler_next(hugepage))

struct tcm_hugepage *tcm_filler_first(
    const struct tcm_filler *filler, enum tcm_filler_kind kind);
struct tcm_hugepage *tcm_filler_next(const struct tcm_hugepage *hugepage);

void tcm_filler_check(const struct tcm_filler *filler);
void tcm_filler_dump(const struct tcm_filler *filler, int fd);
