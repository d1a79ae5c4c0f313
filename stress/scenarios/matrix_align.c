/*
 * matrix_align.c - every alignment to 2^63 (contract: matrix.h)
 *
 * Danger: alignment arithmetic. A block that is aligned only while it is alone,
 * a usable size counted from the chunk and not from the block, an alignment
 * above a page, a segment or an internal limit that is cut off or overflows,
 * a size near it, and a bad alignment that is not refused.
 *
 * Modest alignments, to 64 KiB, are packed: each program holds all calls and
 * sizes of one of them, more than 64 blocks alive. Wide and bad ones have a
 * program to each cell: (call, alignment, size).
 */
#include "scenarios/matrix.h"
#include "scenarios/sizes.h"

#define MODEST_LOG2_MAX 16

static const enum op_kind calls[] = {
    OP_MEMALIGN, OP_ALIGNED_ALLOC, OP_POSIX_MEMALIGN};

/* Sizes around an alignment, and some that have nothing to do with it. */
static uint64_t
size_near(uint64_t align, unsigned i)
{
    const uint64_t sizes[] = {0, 1, align - 1, align, align + 1, 2 * align,
        3 * align - 1, align / 2 + 1, 8, 24, 100, 1000, 4096, 4097};

    return sizes[i % MATRIX_COUNT(sizes)];
}

#define SIZES_NEAR 14

static uint64_t
count_modest(void)
{
    return MODEST_LOG2_MAX + 1;
}

static void
write_round(struct writer *writer, uint64_t align, uint32_t first_slot)
{
    for (unsigned i = 0; i < SIZES_NEAR; i++) {
        for (unsigned call = 0; call < MATRIX_COUNT(calls); call++) {
            writer_aligned(writer, 0, calls[call],
                first_slot + i * (unsigned)MATRIX_COUNT(calls) + call, align,
                size_near(align, i));
        }
    }
}

static void
write_modest(struct writer *writer, uint64_t index)
{
    static const enum op_kind frees[] = {
        OP_FREE, OP_FREE_ALIGNED_SIZED, OP_FREE_SIZED};
    uint64_t align = (uint64_t)1 << index;
    uint32_t half = SIZES_NEAR * (uint32_t)MATRIX_COUNT(calls);

    write_round(writer, align, 0);
    write_round(writer, align, half);
    for (uint32_t slot = 0; slot < 2 * half; slot++) {
        writer_slot(writer, 0, OP_USABLE_SIZE, slot);
        if (slot % 3 == 0) {
            writer_sized(writer, 0, OP_REALLOC, slot,
                size_near(align, slot / 3 + slot % 5));
        }
    }
    /* Every second one is freed, plain blocks take the holes, and again. */
    for (uint32_t slot = 0; slot < 2 * half; slot += 2) {
        writer_slot(writer, 0, frees[slot / 2 % 3], slot);
        writer_sized(
            writer, 0, OP_MALLOC, 2 * half + slot, size_near(align, slot));
    }
    write_round(writer, align, half);
}

const struct matrix_section matrix_aligns = {
    .name = "alignments",
    .program_count = count_modest,
    .write = write_modest,
};

/* The cell, a block beside it, and what must still work after it. */
static void
write_cell(
    struct writer *writer, enum op_kind call, uint64_t align, uint64_t size)
{
    writer_sized(writer, 0, OP_MALLOC, 1, 1000);
    writer_aligned(writer, 0, call, 0, align, size);
    writer_slot(writer, 0, OP_USABLE_SIZE, 0);
    writer_sized(writer, 0, OP_MALLOC, 2, 100);
    writer_slot(writer, 0, OP_TOUCH, 1);
    writer_slot(writer, 0, OP_TOUCH, 0);
    writer_slot(writer, 0, OP_FREE_ALIGNED_SIZED, 0);
    writer_slot(writer, 0, OP_TOUCH, 2);
}

#define WIDE_SIZES 7
#define WIDE_COUNT (63 - MODEST_LOG2_MAX)

static uint64_t
count_wide(void)
{
    return WIDE_COUNT * WIDE_SIZES * MATRIX_COUNT(calls);
}

static void
write_wide(struct writer *writer, uint64_t index)
{
    uint64_t align = (uint64_t)1 << (MODEST_LOG2_MAX + 1 + index % WIDE_COUNT);
    uint64_t rest = index / WIDE_COUNT;
    const uint64_t sizes[WIDE_SIZES] = {
        0, 1, 100, align - 1, align, align + 1, -align};

    write_cell(
        writer, calls[rest / WIDE_SIZES], align, sizes[rest % WIDE_SIZES]);
}

const struct matrix_section matrix_wide_aligns = {
    .name = "wide alignments",
    .program_count = count_wide,
    .write = write_wide,
};

/* The first ones are small. The larger ones are for posix_memalign alone, which
 * must refuse them: what memalign does with those, no document says, and some
 * libraries have it in place of aligned_alloc. */
static const uint64_t bad_aligns[] = {0, 3, 5, 6, 7, 9, 12, 15, 17, 24, 31, 33,
    40, 48, 63, 96, 100, 1000, 4095, 4097, 12288, 65535, 65537, 0x7fffffff,
    0x80000001, 0x100000001, INT64_MAX, (uint64_t)INT64_MAX + 2,
    0xc000000000000000, SIZE_MAX - 1, SIZE_MAX};
static const uint64_t bad_sizes[] = {0, 1, 48, 5000};

#define BAD_COUNT (MATRIX_COUNT(bad_aligns) * MATRIX_COUNT(bad_sizes))
#define BAD_SMALL 20

static uint64_t
count_bad(void)
{
    return BAD_COUNT * MATRIX_COUNT(calls);
}

static void
write_bad(struct writer *writer, uint64_t index)
{
    enum op_kind call = calls[index / BAD_COUNT];
    uint64_t align = bad_aligns[index % MATRIX_COUNT(bad_aligns)];
    uint64_t size = bad_sizes[index % BAD_COUNT / MATRIX_COUNT(bad_aligns)];

    if (call != OP_POSIX_MEMALIGN) {
        align = bad_aligns[index % BAD_SMALL];
    }
    write_cell(writer, call, align, size);
}

const struct matrix_section matrix_bad_aligns = {
    .name = "bad alignments",
    .program_count = count_bad,
    .write = write_bad,
};
