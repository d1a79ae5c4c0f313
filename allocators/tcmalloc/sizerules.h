/*
 * sizerules.h - the rules that size classes follow, and the table they yield
 *
 *     waste limits, span limit --> rules --> sizetable.h --> sizemap
 *
 * Candidate sizes rise by one eighth of their doubling (at least 16 bytes), and
 * by one quarter above 64 KiB. A candidate gets the shortest span whose tail
 * waste is at most one eighth. Two neighbours whose spans are of one length and
 * hold equally many objects cost the same: the smaller is dropped.
 *
 * The program tcm_sizerules prints the table; sizetable.h is its output, and
 * sizemap_test.c compares the two.
 *
 * Concurrency: pure. Failure: none.
 * Design: Ghemawat and Menage, "TCMalloc: Thread-Caching Malloc", "Small Object
 * Allocation"; google/tcmalloc's docs/design.md, "Choosing Size Classes".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TCM_PAGE_SHIFT 13
#define TCM_PAGE       ((size_t)1 << TCM_PAGE_SHIFT)

#define TCM_CLASS_SIZE_MAX  ((size_t)1 << 20) /* larger blocks are whole spans */
#define TCM_SMALL_MAX       ((size_t)1024) /* classes are looked up by eighths */
#define TCM_CLASS_COUNT_MAX 128u  /* class 0, which is none, included */
#define TCM_OBJECTS_MAX     1024u /* in a span */

/* One size class: what its objects and spans look like. */
struct tcm_class {
    uint32_t size;         /* of an object */
    uint16_t pages;        /* of a span */
    uint16_t object_count; /* in a span */
    uint16_t batch;        /* objects that move between tiers at once */
    uint16_t front_max;    /* objects that one front cache has room for */
};

/* Fills in classes 1 .. count - 1 and returns count; class 0 is all zero. */
unsigned tcm_sizerules_make(struct tcm_class classes[TCM_CLASS_COUNT_MAX]);
