/*
 * matrix_zero.c - sizes of zero, no block at all, and sized frees (contract:
 * matrix.h)
 *
 * Danger: the corner that documents leave open. A block of 0 bytes that is not
 * distinct, not freeable or not aligned; realloc to and from zero; free, resize
 * and usable_size of NULL; a sized free that trusts the size in a place where
 * the block had been rounded up, resized or aligned.
 */
#include "scenarios/matrix.h"
#include "scenarios/sizes.h"

#define LIVE 64

static const uint64_t some_sizes[] = {
    1, 8, 16, 100, 1024, 4096, 5000, 65536, 300000};

/* 64 blocks of 0 bytes by one call, each used for all that one can do. */
static void
write_zeroes(struct writer *writer, enum op_kind kind)
{
    for (unsigned i = 0; i < LIVE; i++) {
        uint64_t align = (uint64_t)8 << i % 10;
        if (op_shapes[kind].has_align) {
            writer_aligned(writer, 0, kind, i, align, 0);
        } else if (op_shapes[kind].has_count) {
            writer_counted(writer, 0, kind, i, i % 2 * i, i % 2 == 0 ? i : 0);
        } else {
            writer_sized(writer, 0, kind, i, 0);
        }
        writer_slot(writer, 0, OP_USABLE_SIZE, i);
    }
    for (unsigned i = 0; i < LIVE; i++) {
        if (i % 4 == 0) {
            writer_slot(writer, 0, OP_FREE, i);
        } else if (i % 4 == 1) {
            writer_sized(writer, 0, OP_REALLOC, i, 0);
        } else if (i % 4 == 2) {
            writer_sized(writer, 0, OP_REALLOC, i,
                some_sizes[i / 4 % MATRIX_COUNT(some_sizes)]);
        } else {
            writer_slot(writer, 0,
                op_shapes[kind].has_align ? OP_FREE_ALIGNED_SIZED
                                          : OP_FREE_SIZED,
                i);
        }
    }
}

/* Blocks of some sizes are resized to nothing, and from there on. */
static void
write_to_zero(struct writer *writer, enum op_kind kind)
{
    for (unsigned i = 0; i < MATRIX_COUNT(some_sizes); i++) {
        writer_any(writer, 0, kind, i, some_sizes[i]);
    }
    for (unsigned i = 0; i < MATRIX_COUNT(some_sizes); i++) {
        if (i % 2 == 0) {
            writer_sized(writer, 0, OP_REALLOC, i, 0);
        } else {
            writer_counted(writer, 0, OP_REALLOCARRAY, i, i % 4 / 2, 0);
        }
        writer_slot(writer, 0, OP_USABLE_SIZE, i);
        writer_sized(writer, 0, OP_REALLOC, i, some_sizes[i]);
    }
}

/* Each kind of free, after each way to come by a block. */
static void
write_sized_frees(struct writer *writer, enum op_kind kind)
{
    static const enum op_kind frees[] = {
        OP_FREE, OP_FREE_SIZED, OP_FREE_ALIGNED_SIZED};
    uint32_t slot = 0;

    for (unsigned edge = 0; edge < 60; edge++) {
        for (unsigned i = 0; i < 3; i++) {
            writer_any(writer, 0, kind, slot + i, sizes_edge_at(edge) - 1 + i);
        }
        writer_sized(writer, 0, OP_REALLOC, slot + 1, sizes_edge_at(edge) / 2);
        for (unsigned i = 0; i < 3; i++) {
            writer_slot(writer, 0, frees[(edge + i) % 3], slot + i);
        }
        slot = (slot + 3) % 30;
    }
}

/* Calls with no block, on a heap with nothing in it and with something. */
static void
write_nothing(struct writer *writer, enum op_kind kind)
{
    static const enum op_kind calls[] = {OP_FREE, OP_USABLE_SIZE, OP_FREE_SIZED,
        OP_FREE_ALIGNED_SIZED, OP_TOUCH, OP_STATS};

    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < MATRIX_COUNT(calls); i++) {
            writer_slot(writer, 0, calls[i], 0);
        }
        writer_amount(writer, 0, OP_TRIM, 0);
        writer_amount(writer, 0, OP_TRIM, round == 0 ? 1 << 20 : SIZE_MAX);
        writer_any(writer, 0, kind, 1, 1000);
    }
}

typedef void zero_write_fn(struct writer *writer, enum op_kind kind);

static zero_write_fn *const writes[] = {
    write_zeroes, write_to_zero, write_sized_frees, write_nothing};

/* The kinds that allocate are the first ones. */
#define KIND_COUNT (OP_PVALLOC + 1)

static uint64_t
count_zero(void)
{
    return MATRIX_COUNT(writes) * KIND_COUNT;
}

static void
write_zero(struct writer *writer, uint64_t index)
{
    writes[index / KIND_COUNT](writer, (enum op_kind)(index % KIND_COUNT));
}

const struct matrix_section matrix_zero_sizes = {
    .name = "zero sizes",
    .program_count = count_zero,
    .write = write_zero,
};
