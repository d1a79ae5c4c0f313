/*
 * sizes.c - the sizes and alignments that scenarios draw (contract: sizes.h)
 *
 * The designs differ in their classes: every 16 bytes, four to a doubling,
 * powers of two. Four to a doubling has the edges of the last two, and multiples
 * of 16 are drawn on their own. A header of 8 or 16 bytes shifts an edge, hence
 * the offsets.
 */
#include "scenarios/sizes.h"

#include "base/check.h"

#define PAGE 4096

uint64_t
sizes_edge_at(unsigned i)
{
    ASSERT(i / 4 < 60);
    return (uint64_t)(4 + i % 4) << (1 + i / 4);
}

/* The number of the last edge that is not above size. */
static unsigned
edge_below(uint64_t size)
{
    if (size < 8) {
        return 0;
    }
    unsigned log2 = 63 - (unsigned)__builtin_clzll(size);

    return 4 * (log2 - 3) + (unsigned)(size >> (log2 - 2) & 3);
}

static uint64_t
clamp(uint64_t size, uint64_t low, uint64_t high)
{
    if (size < low) {
        return low;
    }
    return size > high ? high : size;
}

uint64_t
sizes_edge(struct random *random, uint64_t low, uint64_t high)
{
    static const int64_t offsets[] = {
        0, 0, 0, -1, -1, 1, 1, -8, 8, -16, 16, -17, -32, 32};
    uint64_t base;

    switch (random_below(random, 4)) {
    case 0: /* a page's edge */
        base = random_log_between(random, 1, high / PAGE + 1) * PAGE;
        break;
    case 1: /* a multiple of 16 */
        base = random_log_between(random, 1, high / 16 + 1) * 16;
        break;
    default:
        base = sizes_edge_at((unsigned)random_between(
            random, edge_below(low), edge_below(high) + 1));
        break;
    }
    int64_t offset =
        offsets[random_below(random, sizeof(offsets) / sizeof(offsets[0]))];
    if (offset < 0 && (uint64_t)-offset > base) {
        offset = 0;
    }
    return clamp(base + (uint64_t)offset, low, high);
}

uint64_t
sizes_any(struct random *random, uint64_t max)
{
    uint64_t kind = random_below(random, 20);

    if (kind == 0) {
        return random_below(random, 10) < 3 ? 0 : clamp(1, 0, max);
    }
    if (kind < 9) {
        return random_log_between(random, 0, max);
    }
    if (kind < 15) {
        return random_between(random, 0, max < 512 ? max : 512);
    }
    return sizes_edge(random, 0, max);
}

uint64_t
sizes_align(struct random *random, uint64_t max)
{
    ASSERT(max > 0 && (max & (max - 1)) == 0);
    unsigned max_log2 = 63 - (unsigned)__builtin_clzll(max);

    return (uint64_t)1 << random_between(random, 0, max_log2);
}

uint64_t
sizes_near(struct random *random, uint64_t size)
{
    uint64_t spread = size / 8 + 1;
    uint64_t low = size > spread ? size - spread : 0;

    return random_between(random, low, size);
}
