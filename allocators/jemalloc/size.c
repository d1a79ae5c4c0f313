/*
 * size.c - size classes, and the slabs that small classes live in (contract:
 * size.h)
 *
 * A slab is the fewest pages that its regions fill without a remainder: a
 * class is m << k with m in 4..7, so that takes at most 7 pages more than the
 * rounding to one region. Slabs of fewer than 4 regions are doubled: the bin's
 * lock is then taken less often, and pages not yet used cost nothing. More than
 * that would cost memory: a slab goes back when its last region is free, and of
 * slabs in which nine of ten regions are free, chosen at random, two thirds go
 * back if they have 4 regions, two fifths if they have 8.
 *
 *   I1  region_count * region_size == slab_size: no tail is wasted.
 *   I2  jem_slab_region is exact: region_size * reciprocal exceeds 2^32 by less
 *       than region_size, so the error stays below 1 for offset < 2^32 /
 *       region_size, and slabs are smaller than that.
 *
 * The rejected alternative is one slab size for all classes, which wastes up
 * to a region at each slab's end.
 */
#include "jemalloc/size.h"

#include <assert.h>

#define SHAPE(size, pages)                                                     \
    {                                                                          \
        .region_size = (size), .region_count = (pages)*JEM_PAGE / (size),      \
        .slab_size = (pages)*JEM_PAGE,                                         \
        .reciprocal = (((uint64_t)1 << 32) + (size)-1) / (size)                \
    }

/* The columns are region size and pages; size_test.c makes them by the rule. */
const struct jem_slab_shape jem_slab_shapes[JEM_SMALL_COUNT] = {
    SHAPE(8, 1),
    SHAPE(16, 1),
    SHAPE(32, 1),
    SHAPE(48, 3),
    SHAPE(64, 1),
    SHAPE(80, 5),
    SHAPE(96, 3),
    SHAPE(112, 7),
    SHAPE(128, 1),
    SHAPE(160, 5),
    SHAPE(192, 3),
    SHAPE(224, 7),
    SHAPE(256, 1),
    SHAPE(320, 5),
    SHAPE(384, 3),
    SHAPE(448, 7),
    SHAPE(512, 1),
    SHAPE(640, 5),
    SHAPE(768, 3),
    SHAPE(896, 7),
    SHAPE(1024, 1),
    SHAPE(1280, 5),
    SHAPE(1536, 3),
    SHAPE(1792, 7),
    SHAPE(2048, 2),
    SHAPE(2560, 5),
    SHAPE(3072, 3),
    SHAPE(3584, 7),
    SHAPE(4096, 4),
    SHAPE(5120, 5),
    SHAPE(6144, 6),
    SHAPE(7168, 7),
    SHAPE(8192, 8),
    SHAPE(10240, 10),
    SHAPE(12288, 12),
    SHAPE(14336, 14),
};

/* jem_size_class as a constant expression, for the table. Setting bit 6 keeps
 * the branch that is not taken for small sizes within its range. */
#define LAST(size) ((size_t)(size)-1)
#define TOP(size)  (63 - (unsigned)__builtin_clzl((LAST(size) & 8191) | 64))
#define CLASS(size)                                                            \
    ((size) <= 8       ? 0u                                                    \
        : (size) <= 64 ? (unsigned)(((size) + 15) / 16)                        \
                       : 5 + (TOP(size) - 6) * 4 +                             \
                             (unsigned)((LAST(size) >> (TOP(size) - 2)) & 3))
#define CLASS_1(i)  (uint8_t) CLASS((i)*8)
#define CLASS_4(i)  CLASS_1(i), CLASS_1(i + 1), CLASS_1(i + 2), CLASS_1(i + 3)
#define CLASS_16(i) CLASS_4(i), CLASS_4(i + 4), CLASS_4(i + 8), CLASS_4(i + 12)
#define CLASS_64(i)                                                            \
    CLASS_16(i), CLASS_16(i + 16), CLASS_16(i + 32), CLASS_16(i + 48)
#define CLASS_256(i)                                                           \
    CLASS_64(i), CLASS_64(i + 64), CLASS_64(i + 128), CLASS_64(i + 192)

const uint8_t jem_size_lookup[JEM_LOOKUP_MAX / 8 + 1] = {
    CLASS_256(0), CLASS_256(256), CLASS_1(512)};

static_assert(CLASS(JEM_LOOKUP_MAX) < JEM_SMALL_COUNT, "all are small");
static_assert(JEM_PAGE / 8 <= JEM_REGIONS_MAX, "a page of the least class");
