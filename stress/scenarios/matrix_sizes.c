/*
 * matrix_sizes.c - every small size, and the edges of large ones (contract:
 * matrix.h)
 *
 * Danger: arithmetic of size classes. A class too small for one size in 65536,
 * a usable size below what was asked for, two blocks that share their last
 * bytes, a calloc whose odd tail is not zeroed.
 *
 * small: all sizes below 64 KiB, in runs of neighbours that live together. Each
 * is made by malloc, filled by the oracle, and replaced by calloc (above a few
 * KiB, where classes are wide, one in four), which is so given dirty memory.
 * large: the edges of size classes up to 64 MiB, one below
 * and one above, few at a time.
 */
#include "scenarios/matrix.h"
#include "scenarios/sizes.h"

#define SMALL_END   65536
#define SMALL_RUN   256
#define ZEROED_ALL  4096 /* from here on one in four */
#define LARGE_FIRST 52   /* edge 52 is 64 KiB */
#define LARGE_LAST  92   /* edge 92 is 64 MiB */
#define ZEROED_MAX  (8u << 20)

static uint64_t
count_small(void)
{
    return SMALL_END / SMALL_RUN;
}

static void
write_small(struct writer *writer, uint64_t index)
{
    uint64_t first = index * SMALL_RUN;

    for (unsigned i = 0; i < SMALL_RUN; i++) {
        writer_sized(writer, 0, OP_MALLOC, i, first + i);
        writer_slot(writer, 0, OP_USABLE_SIZE, i);
    }
    for (unsigned i = SMALL_RUN; i-- > 0;) {
        if (first < ZEROED_ALL || i % 4 == 1) {
            writer_counted(writer, 0, OP_CALLOC, i, 1, first + i);
        }
    }
    for (unsigned i = 0; i < SMALL_RUN; i += 2) {
        writer_slot(writer, 0, OP_FREE_SIZED, i);
    }
}

const struct matrix_section matrix_small_sizes = {
    .name = "small sizes",
    .program_count = count_small,
    .write = write_small,
};

static uint64_t
count_large(void)
{
    return LARGE_LAST - LARGE_FIRST + 1;
}

static void
write_large(struct writer *writer, uint64_t index)
{
    uint64_t edge = sizes_edge_at((unsigned)index + LARGE_FIRST);

    for (unsigned i = 0; i < 3; i++) {
        writer_sized(writer, 0, OP_MALLOC, i, edge - 1 + i);
        writer_slot(writer, 0, OP_USABLE_SIZE, i);
    }
    for (unsigned i = 0; i < 3; i++) {
        writer_slot(writer, 0, OP_TOUCH, i);
        if (edge < ZEROED_MAX) {
            writer_counted(writer, 0, OP_CALLOC, i, edge - 1 + i, 1);
        } else {
            writer_slot(writer, 0, OP_FREE, i);
        }
    }
    writer_sized(writer, 0, OP_VALLOC, 3, edge - 1);
    writer_sized(writer, 0, OP_PVALLOC, 4, edge - 4096 - 1);
}

const struct matrix_section matrix_large_sizes = {
    .name = "large sizes",
    .program_count = count_large,
    .write = write_large,
};
