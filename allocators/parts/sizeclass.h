/*
 * sizeclass.h - size classes: four to a doubling
 *
 *     a request's size --> class index --> the class's size, not smaller
 *
 *     quantum 16:   16  32  48  64 |  80  96 112 128 | 160 192 224 256 | ...
 *     index:         0   1   2   3 |   4   5   6   7 |   8   9  10  11 | ...
 *
 * Sizes are multiples of the quantum up to eight of them, then each doubling is
 * cut in four equal steps. So at most a fifth of a block is lost to rounding
 * above four quanta, and the number of classes grows with the logarithm.
 *
 * The two functions are pure arithmetic. A struct sizeclass_table holds their
 * results for small sizes, where a load is cheaper than the arithmetic.
 *
 * Concurrency: pure; a table is constant after sizeclass_table_init.
 * Failure: none. A size of 0 belongs to class 0. Sizes are at most
 * SIZECLASS_SIZE_MAX.
 * Design: Wilson et al., "Dynamic Storage Allocation" (1995), 3.6, segregated
 * fits; jemalloc(3), IMPLEMENTATION NOTES, for the spacing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

/* No class is larger than half the address space. */
#define SIZECLASS_SIZE_MAX ((size_t)1 << 63)

/* The class of the smallest size that is not below size. quantum_shift is the
 * logarithm of the quantum, a constant in every caller. */
static inline unsigned
sizeclass_index(size_t size, unsigned quantum_shift)
{
    size_t last = size == 0 ? 0 : size - 1; /* the block's last byte */
    size_t quanta = last >> quantum_shift;

    ASSERT(size <= SIZECLASS_SIZE_MAX);
    if (quanta < 8) {
        return (unsigned)quanta;
    }
    /* The top bit of quanta names the doubling, the next two the step. */
    unsigned top = 63 - (unsigned)__builtin_clzll(quanta);
    return 4 * (top - 1) + (unsigned)(quanta >> (top - 2) & 3);
}

static inline size_t
sizeclass_size(unsigned index, unsigned quantum_shift)
{
    if (index < 8) {
        return (size_t)(index + 1) << quantum_shift;
    }
    return (size_t)(index % 4 + 5) << (index / 4 - 1 + quantum_shift);
}

/* What a request of that size gets. */
static inline size_t
sizeclass_round(size_t size, unsigned quantum_shift)
{
    return sizeclass_size(sizeclass_index(size, quantum_shift), quantum_shift);
}

#define SIZECLASS_TABLE_SIZE_MAX 4096 /* the largest size in a table */
#define SIZECLASS_TABLE_SHIFT    3    /* the smallest quantum: 8 bytes */
#define SIZECLASS_TABLE_CLASSES  256

struct sizeclass_table {
    uint8_t quantum_shift;
    uint8_t index_of[(SIZECLASS_TABLE_SIZE_MAX >> SIZECLASS_TABLE_SHIFT) + 1];
    size_t size_of[SIZECLASS_TABLE_CLASSES];
};

void sizeclass_table_init(
    struct sizeclass_table *table, unsigned quantum_shift);

static inline unsigned
sizeclass_table_index(const struct sizeclass_table *table, size_t size)
{
    size_t round = ((size_t)1 << SIZECLASS_TABLE_SHIFT) - 1;

    return __builtin_expect(size <= SIZECLASS_TABLE_SIZE_MAX, 1)
               ? table->index_of[(size + round) >> SIZECLASS_TABLE_SHIFT]
               : sizeclass_index(size, table->quantum_shift);
}

static inline size_t
sizeclass_table_size(const struct sizeclass_table *table, unsigned index)
{
    return table->size_of[index];
}

void sizeclass_table_check(const struct sizeclass_table *table);
void sizeclass_table_dump(const struct sizeclass_table *table, int fd);
