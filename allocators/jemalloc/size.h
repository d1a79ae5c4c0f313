/*
 * size.h - size classes, and the slabs that small classes live in
 *
 *     a request in bytes --> size class --> a region of a slab   (small)
 *                                      \--> an extent of its own  (large)
 *
 * Four classes a doubling: 8, then multiples of 16 up to 64, then 80, 96, 112,
 * 128, 160, 192, ... A request wastes at most one fifth of its block, but for
 * the smallest. Classes below JEM_SMALL_COUNT are small; the others are whole
 * pages. Page classes, by which free extents are sorted, are the large classes
 * continued downwards to one page.
 *
 * Concurrency: pure functions over constant tables.
 * Failure: jem_size_class wants size <= JEM_SIZE_MAX.
 * Design: Evans, "A Scalable Concurrent malloc(3) Implementation for FreeBSD"
 * (BSDCan 2006); jemalloc(3), "Implementation notes", table of size classes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "parts/sizeclass.h"

#define JEM_PAGE_SHIFT    12
#define JEM_PAGE          ((size_t)1 << JEM_PAGE_SHIFT)
#define JEM_QUANTUM_SHIFT 4u
#define JEM_SMALL_COUNT   36u  /* 8 ... 14336 */
#define JEM_CLASS_COUNT   232u /* ... 7 << 60 */
#define JEM_LARGE_COUNT   (JEM_CLASS_COUNT - JEM_SMALL_COUNT)
#define JEM_SMALL_MAX     ((size_t)14336)
#define JEM_SIZE_MAX      ((size_t)7 << 60)
#define JEM_LOOKUP_MAX    ((size_t)4096) /* classes of these by one load */
#define JEM_REGIONS_MAX   512u           /* in one slab */

/* What a slab of a small class looks like. */
struct jem_slab_shape {
    uint32_t region_size;
    uint32_t region_count;
    uint32_t slab_size;  /* bytes, whole pages */
    uint32_t reciprocal; /* ceil(2^32 / region_size) */
};

/* The class of (index * 8) bytes, and of the 7 sizes below it. */
extern const uint8_t jem_size_lookup[JEM_LOOKUP_MAX / 8 + 1];
extern const struct jem_slab_shape jem_slab_shapes[JEM_SMALL_COUNT];

static inline unsigned
jem_size_class(size_t size)
{
    if (__builtin_expect(size <= JEM_LOOKUP_MAX, 1)) {
        return jem_size_lookup[(size + 7) / 8];
    }
    return 1 + sizeclass_index(size, JEM_QUANTUM_SHIFT);
}

/* The size of a class: the usable size of its blocks. */
static inline size_t
jem_class_size(unsigned class)
{
    return class == 0 ? 8 : sizeclass_size(class - 1, JEM_QUANTUM_SHIFT);
}

/* The region of a slab that an offset into it lies in: offset / region_size,
 * exact for every offset below the slab's size. */
static inline unsigned
jem_slab_region(const struct jem_slab_shape *shape, size_t offset)
{
    return (unsigned)(((uint64_t)offset * shape->reciprocal) >> 32);
}
