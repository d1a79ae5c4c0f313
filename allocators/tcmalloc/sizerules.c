/*
 * sizerules.c - the rules that size classes follow (contract: sizerules.h)
 *
 * Why these limits. An eighth between neighbours wastes a sixteenth of a block
 * on average; finer steps would spread the same blocks over more spans, each
 * partly empty. Above 64 KiB a block has its span to itself and the pages past
 * its end are never touched: coarser steps waste addresses, not memory. The
 * shortest span is the likeliest to become wholly free.
 *
 * A batch is what one lock pays for: 32 objects, fewer when they are large. A
 * front cache has room for 256 KiB of a class, and for two objects at least.
 */
#include "tcmalloc/sizerules.h"

#include "base/check.h"

#define QUANTUM        16u /* what malloc aligns to */
#define SIZE_LEAST     8u  /* the one class below the quantum */
#define STEPS          8u  /* candidates a doubling */
#define STEPS_COARSE   4u  /* ... from COARSE_FROM on */
#define COARSE_FROM    ((size_t)64 << 10)
#define TAIL_WASTE     8u /* at most 1/8 of a span */
#define SPAN_PAGES_MAX 128u
#define BATCH_MAX      32u
#define BATCH_SIZE     ((size_t)64 << 10)
#define FRONT_MIN      2u
#define FRONT_MAX      2048u
#define FRONT_SIZE     ((size_t)256 << 10)

static size_t
next_size(size_t size)
{
    size_t doubling = (size_t)1 << (63 - __builtin_clzll(size));
    size_t step = doubling / (size < COARSE_FROM ? STEPS : STEPS_COARSE);

    if (size == SIZE_LEAST) {
        return QUANTUM;
    }
    return size + (step > QUANTUM ? step : QUANTUM);
}

static unsigned
span_pages(size_t size)
{
    unsigned pages = 1;

    while (pages * TCM_PAGE < size ||
           pages * TCM_PAGE % size * TAIL_WASTE > pages * TCM_PAGE) {
        pages++;
    }
    CHECK(pages <= SPAN_PAGES_MAX);
    return pages;
}

static unsigned
clamp(size_t count, unsigned least, unsigned most)
{
    return count > most ? most : count < least ? least : (unsigned)count;
}

static struct tcm_class
make_class(size_t size)
{
    unsigned pages = span_pages(size);

    return (struct tcm_class){
        .size = (uint32_t)size,
        .pages = (uint16_t)pages,
        .object_count = (uint16_t)(pages * TCM_PAGE / size),
        .batch = (uint16_t)clamp(BATCH_SIZE / size, 1, BATCH_MAX),
        .front_max = (uint16_t)clamp(FRONT_SIZE / size, FRONT_MIN, FRONT_MAX),
    };
}

unsigned
tcm_sizerules_make(struct tcm_class classes[TCM_CLASS_COUNT_MAX])
{
    unsigned count = 1;

    classes[0] = (struct tcm_class){0};
    for (size_t size = SIZE_LEAST; size <= TCM_CLASS_SIZE_MAX;
         size = next_size(size)) {
        struct tcm_class made = make_class(size);
        const struct tcm_class *last = &classes[count - 1];

        if (last->pages == made.pages &&
            last->object_count == made.object_count) {
            count--; /* The same cost: the larger serves both. */
        }
        CHECK(count < TCM_CLASS_COUNT_MAX);
        classes[count++] = made;
    }
    return count;
}
