/*
 * fuzz_pagemap.c - parts/pagemap.h against a plain table, with memory failing
 *
 * Addresses lie in a few windows: at the bottom, across the edge between two
 * leaves, and at the very end of what the map knows. A step reserves a range,
 * perhaps with the next mapping refused, or sets one that is reserved.
 */
#include "base/check.h"
#include "base/pages.h"
#include "fuzz/input.h"
#include "parts/pagemap.h"

#define WINDOWS      4
#define WINDOW_PAGES 64

struct model {
    unsigned page_shift;
    void *values[WINDOWS][WINDOW_PAGES];
    bool is_reserved[WINDOWS][WINDOW_PAGES];
};

/* The root is 2 MiB: one map for all inputs, empty between them. */
static struct pagemap map;

static uintptr_t
page_addr(const struct model *model, unsigned window, unsigned page)
{
    static const uintptr_t ends[WINDOWS] = {
        (uintptr_t)1 << 25,
        ((uintptr_t)5 << PAGEMAP_LEAF_SHIFT),
        ((uintptr_t)0x1ffff << PAGEMAP_LEAF_SHIFT),
        (uintptr_t)1 << PAGEMAP_ADDR_BITS,
    };
    /* The last window ends at its end; others have it in the middle. */
    unsigned below = window == WINDOWS - 1 ? WINDOW_PAGES : WINDOW_PAGES / 2;

    return ends[window] - ((uintptr_t)below << model->page_shift) +
           ((uintptr_t)page << model->page_shift);
}

struct range {
    unsigned window, first, count;
};

static struct range
draw_range(struct input *input)
{
    struct range range;

    range.window = input_below(input, WINDOWS);
    range.first = input_below(input, WINDOW_PAGES);
    range.count = 1 + input_below(input, WINDOW_PAGES - range.first);
    return range;
}

static void
step_reserve(struct input *input, struct model *model)
{
    struct range range = draw_range(input);
    void *addr = (void *)page_addr(model, range.window, range.first);
    unsigned fault = input_below(input, 8);

    pages_fail_at(fault < 4 ? fault : 0, false);
    bool done =
        pagemap_reserve(&map, addr, (size_t)range.count << model->page_shift);
    pages_fail_at(0, false);
    CHECK(done || (fault >= 1 && fault < 4));
    for (unsigned i = 0; done && i < range.count; i++) {
        model->is_reserved[range.window][range.first + i] = true;
    }
}

static void
step_set(struct input *input, struct model *model)
{
    struct range range = draw_range(input);
    void *addr = (void *)page_addr(model, range.window, range.first);
    void *value = (void *)((uintptr_t)input_byte(input) * 16);
    unsigned i = 0;

    while (
        i < range.count && model->is_reserved[range.window][range.first + i]) {
        model->values[range.window][range.first + i] = value;
        i++;
    }
    pagemap_set(&map, addr, (size_t)i << model->page_shift, value);
}

static void
check_same(const struct model *model)
{
    for (unsigned window = 0; window < WINDOWS; window++) {
        for (unsigned page = 0; page < WINDOW_PAGES; page++) {
            uintptr_t addr = page_addr(model, window, page);
            uintptr_t last = addr + ((uintptr_t)1 << model->page_shift) - 1;
            void *value = model->values[window][page];

            CHECK(pagemap_get(&map, (void *)addr) == value);
            CHECK(pagemap_get(&map, (void *)last) == value);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size};
    struct model model = {.page_shift = 12 + input_below(&input, 5)};

    pagemap_init(&map, model.page_shift);
    while (input_more(&input)) {
        uintptr_t addr;

        switch (input_below(&input, 4)) {
        case 0:
            step_reserve(&input, &model);
            break;
        case 1:
            addr = (uintptr_t)input_word(&input);
            if (addr >> PAGEMAP_ADDR_BITS != 0) {
                CHECK(pagemap_get(&map, (void *)addr) == NULL);
                CHECK(!pagemap_reserve(&map, (void *)addr, 1));
            }
            break;
        default:
            step_set(&input, &model);
            break;
        }
        check_same(&model);
    }
    pagemap_fini(&map);
    CHECK(pagemap_meta_size(&map) == 0);
    return 0;
}
