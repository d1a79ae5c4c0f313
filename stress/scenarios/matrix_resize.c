/*
 * matrix_resize.c - realloc from every kind of block to every size (contract:
 * matrix.h)
 *
 * Danger: realloc that decides wrongly. In place where it must move, a copy of
 * the new size where the old was smaller, the old one's rounded size copied, a
 * header read before an aligned block, content lost from one kind of memory to
 * the next.
 *
 * One program holds one origin, an (alignment, size), and resizes a block of it
 * to each target size, with all results alive.
 */
#include "scenarios/matrix.h"

static const uint64_t sizes[] = {0, 1, 7, 8, 16, 17, 24, 32, 33, 48, 64, 100,
    128, 129, 250, 256, 500, 512, 1000, 1024, 1025, 2000, 2048, 3072, 4000,
    4095, 4096, 4097, 8192, 10000, 16384, 16385, 32768, 40000, 65535, 65536,
    65537, 131072, 131073, 262144, 300000, 1u << 20, (1u << 20) + 1};

/* 0: plain malloc; 1: calloc. */
static const uint64_t aligns[] = {0, 1, 32, 64, 256, 4096, 8192, 65536};

static uint64_t
count_resizes(void)
{
    return MATRIX_COUNT(sizes) * MATRIX_COUNT(aligns);
}

static void
write_origin(
    struct writer *writer, uint32_t slot, uint64_t align, uint64_t size)
{
    if (align == 0) {
        writer_sized(writer, 0, OP_MALLOC, slot, size);
    } else if (align == 1) {
        writer_counted(writer, 0, OP_CALLOC, slot, 1, size);
    } else {
        writer_aligned(writer, 0, OP_MEMALIGN, slot, align, size);
    }
}

static void
write_resizes(struct writer *writer, uint64_t index)
{
    uint64_t size = sizes[index % MATRIX_COUNT(sizes)];
    uint64_t align = aligns[index / MATRIX_COUNT(sizes)];

    for (uint32_t i = 0; i < MATRIX_COUNT(sizes); i++) {
        write_origin(writer, i, align, size);
        if (i % 2 == 0) { /* with a neighbour it cannot always grow in place */
            writer_sized(writer, 0, OP_MALLOC,
                (uint32_t)MATRIX_COUNT(sizes) + i, size < 4096 ? size : 16);
        }
        writer_sized(writer, 0, OP_REALLOC, i, sizes[i]);
        writer_slot(writer, 0, OP_USABLE_SIZE, i);
    }
    /* And back. */
    for (uint32_t i = 0; i < MATRIX_COUNT(sizes); i += 2) {
        writer_counted(writer, 0, OP_REALLOCARRAY, i, 1, size);
    }
}

const struct matrix_section matrix_resizes = {
    .name = "resizes",
    .program_count = count_resizes,
    .write = write_resizes,
};
