/*
 * sizemap.c - from a size to its class (contract: sizemap.h)
 *
 * All tables are compiled in: malloc is called before any constructor, by
 * threads that nothing orders yet.
 */
#include "tcmalloc/sizemap.h"

#include <assert.h>

#include "base/print.h"

static_assert(TCM_CLASS_COUNT <= TCM_CLASS_COUNT_MAX, "classes fit a byte");

#define ALL_CLASSES(CLASS) TCM_SMALL_CLASSES(CLASS) TCM_LARGE_CLASSES(CLASS)

#define CLASS(class, before, size, pages, object_count, batch, front_max)      \
    [class] = {size, pages, object_count, batch, front_max},
const struct tcm_class tcm_classes[TCM_CLASS_COUNT] = {ALL_CLASSES(CLASS)};
#undef CLASS

#define DIVIDE_UP(dividend, divisor) (((dividend) + (divisor)-1) / (divisor))

/* What start_check divides by: the size where objects lie alike in all pages,
 * else the largest power of two in it, a page at most. */
#define POWER_IN(size) ((size) & -(size))
#define START_DIVISOR(size, pages)                                             \
    ((pages) == 1                   ? (uint64_t)(size)                         \
        : POWER_IN(size) > TCM_PAGE ? TCM_PAGE                                 \
                                    : (uint64_t)POWER_IN(size))

#define LOOKUP(class, before, size, step)                                      \
    [(before) / (step) + 1 ...(size) / (step)] = (class),
#define SMALL(class, before, size, ...) LOOKUP(class, before, size, 8)
#define LARGE(class, before, size, ...) LOOKUP(class, before, size, 128)
#define START(class, before, size, pages, ...)                                 \
    [class] =                                                                  \
        (uint32_t)DIVIDE_UP((uint64_t)1 << 32, START_DIVISOR(size, pages)),
#define RECIPROCAL(class, before, size, ...)                                   \
    [class] = DIVIDE_UP((uint64_t)1 << TCM_RECIPROCAL_SHIFT, (uint64_t)(size)),

const struct tcm_sizemap tcm_sizemap = {
    .small = {[0] = 1, TCM_SMALL_CLASSES(SMALL)},
    .large = {TCM_LARGE_CLASSES(LARGE)},
    .start_check = {ALL_CLASSES(START)},
    .reciprocal = {ALL_CLASSES(RECIPROCAL)},
};

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
