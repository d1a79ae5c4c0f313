/*
 * sizemap.h - from a size to its class, and what a class looks like
 *
 *     malloc(size) --> sizemap --> class --> front tier
 *
 *     size    1 .. 8   9 .. 16   17 .. 32  ...  917505 .. 1048576
 *     class      1        2         3      ...     the last
 *
 * Class 0 is no class. A class is found by one load: small sizes by eighths,
 * larger ones by 128 bytes, which every larger class is a multiple of.
 *
 * Concurrency: constant.
 * Failure: none.
 * Design: docs/designs/tcmalloc.md, "Size classes".
 */
#pragma once

#include <stdbool.h>

#include "tcmalloc/sizerules.h"
#include "tcmalloc/sizetable.h"

/* The class at the middle and end of a span's division; see below. */
#define TCM_RECIPROCAL_SHIFT 40

struct tcm_sizemap {
    uint8_t small[TCM_SMALL_MAX / 8 + 1];        /* [(size + 7) / 8] */
    uint8_t large[TCM_CLASS_SIZE_MAX / 128 + 1]; /* [(size + 127) / 128] */
    uint32_t start_check[TCM_CLASS_COUNT];       /* see tcm_sizemap_starts */
    uint64_t reciprocal[TCM_CLASS_COUNT];        /* ceil(2^40 / size) */
};

extern const struct tcm_sizemap tcm_sizemap;
extern const struct tcm_class tcm_classes[TCM_CLASS_COUNT];

/* size <= TCM_CLASS_SIZE_MAX; 0 has the class of 1. */
static inline unsigned
tcm_sizemap_class(size_t size)
{
    return __builtin_expect(size <= TCM_SMALL_MAX, 1)
               ? tcm_sizemap.small[(size + 7) / 8]
               : tcm_sizemap.large[(size + 127) / 128];
}

/* The class for an alignment too: spans begin at pages, so objects of a size
 * that is a multiple of align are aligned, up to a page. 0 when none is. */
unsigned tcm_sizemap_class_aligned(size_t size, size_t align);

/*
 * True when an object of the class may begin at addr; false is certain. Exact
 * for spans of one page; else it looks at the largest power of two that divides
 * the size. It needs no span: n is a multiple of d exactly when n * ceil(2^32 /
 * d) mod 2^32 is below that factor (Lemire, Kaser, Kurz, "Faster remainder by
 * direct computation", 2019).
 */
static inline bool
tcm_sizemap_starts(unsigned size_class, const void *addr)
{
    uint32_t factor = tcm_sizemap.start_check[size_class];
    uint32_t offset = (uint32_t)((uintptr_t)addr & (TCM_PAGE - 1));

    return offset * factor < factor;
}

/* The index in its span of the object that holds this offset. */
static inline unsigned
tcm_sizemap_index(unsigned size_class, size_t offset)
{
    return (unsigned)((offset * tcm_sizemap.reciprocal[size_class]) >>
                      TCM_RECIPROCAL_SHIFT);
}

void tcm_sizemap_dump(int fd);
