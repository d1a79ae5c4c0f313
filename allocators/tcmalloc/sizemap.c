/*
 * sizemap.c - from a size to its class (contract: sizemap.h)
 *
 * The lookup tables are made at start rather than compiled in: a drop-in malloc
 * is called before any constructor, and a table of zeroes sends those first
 * calls the slow way, which makes the heap and the tables.
 */
#include "tcmalloc/sizemap.h"

#include <assert.h>

#include "base/check.h"
#include "base/print.h"

#define CLASS(size, pages, object_count, batch, front_max)                     \
    {size, pages, object_count, batch, front_max},
const struct tcm_class tcm_classes[TCM_CLASS_COUNT] = {TCM_SIZETABLE(CLASS)};
#undef CLASS

static_assert(TCM_CLASS_COUNT <= TCM_CLASS_COUNT_MAX, "classes fit a byte");

struct tcm_sizemap tcm_sizemap;

/* What start_check divides by: the size where objects lie alike in all pages,
 * else the largest power of two in it. */
static uint32_t
start_divisor(const struct tcm_class *class)
{
    uint32_t power = class->size & -class->size;

    if (class->pages == 1) {
        return class->size;
    }
    return power > TCM_PAGE ? (uint32_t)TCM_PAGE : power;
}

static uint64_t
divide_up(uint64_t dividend, uint64_t divisor)
{
    return (dividend + divisor - 1) / divisor;
}

/* Every step of a lookup table that the class is the first to hold. */
static size_t
fill(_Atomic uint8_t *lookup, size_t next, size_t step, size_t size_max,
    unsigned index)
{
    size_t size = tcm_classes[index].size;

    for (; next <= size && next <= size_max; next += step) {
        atomic_store_explicit(
            &lookup[next / step], (uint8_t)index, memory_order_relaxed);
    }
    return next;
}

void
tcm_sizemap_init(void)
{
    size_t small = 0;
    size_t large = 0;

    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        const struct tcm_class *class = &tcm_classes[i];

        tcm_sizemap.start_check[i] =
            (uint32_t)divide_up((uint64_t)1 << 32, start_divisor(class));
        tcm_sizemap.reciprocal[i] =
            divide_up((uint64_t)1 << TCM_RECIPROCAL_SHIFT, class->size);
        small = fill(tcm_sizemap.small, small, 8, TCM_SMALL_MAX, i);
        large = fill(tcm_sizemap.large, large, 128, TCM_CLASS_SIZE_MAX, i);
    }
}

unsigned
tcm_sizemap_class_aligned(size_t size, size_t align)
{
    if (align > TCM_PAGE || size > TCM_CLASS_SIZE_MAX) {
        return 0;
    }
    unsigned i = tcm_sizemap_class(size);

    while (i < TCM_CLASS_COUNT && tcm_classes[i].size % align != 0) {
        i++;
    }
    return i < TCM_CLASS_COUNT ? i : 0;
}

void
tcm_sizemap_dump(int fd)
{
    struct print print;

    print_init(&print, fd);
    print_text(&print, "class   size  pages objects batch\n");
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        const struct tcm_class *class = &tcm_classes[i];

        print_format(&print, "%u %u %u %u %u\n", i, class->size,
            (unsigned)class->pages, (unsigned)class->object_count,
            (unsigned)class->batch);
    }
    print_flush(&print);
}
