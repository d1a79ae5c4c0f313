/*
 * sizeclass.c - the tables (contract: sizeclass.h)
 *
 * The tables are made by the arithmetic, not beside it: one law, and no list
 * of sizes to keep true.
 *
 * Invariants:
 *   I1  index_of and size_of hold what the arithmetic gives.
 */
#include "parts/sizeclass.h"

#include "base/print.h"

#define INDEX_COUNT ((SIZECLASS_TABLE_SIZE_MAX >> SIZECLASS_TABLE_SHIFT) + 1)

/* The number of classes: the class of the largest size is the last. */
static unsigned
class_count(unsigned quantum_shift)
{
    return sizeclass_index(SIZECLASS_SIZE_MAX, quantum_shift) + 1;
}

void
sizeclass_table_init(struct sizeclass_table *table, unsigned quantum_shift)
{
    CHECK(quantum_shift >= SIZECLASS_TABLE_SHIFT && quantum_shift < 32);
    table->quantum_shift = (uint8_t)quantum_shift;
    for (size_t i = 0; i < INDEX_COUNT; i++) {
        table->index_of[i] =
            (uint8_t)sizeclass_index(i << SIZECLASS_TABLE_SHIFT, quantum_shift);
    }
    for (unsigned i = 0; i < SIZECLASS_TABLE_CLASSES; i++) {
        table->size_of[i] = i < class_count(quantum_shift)
                                ? sizeclass_size(i, quantum_shift)
                                : 0;
    }
}

void
sizeclass_table_check(const struct sizeclass_table *table)
{
    unsigned shift = table->quantum_shift;

    for (size_t i = 0; i < INDEX_COUNT; i++) {
        CHECK(table->index_of[i] ==
              sizeclass_index(i << SIZECLASS_TABLE_SHIFT, shift)); /* I1 */
    }
    for (unsigned i = 0; i < class_count(shift); i++) {
        CHECK(table->size_of[i] == sizeclass_size(i, shift)); /* I1 */
    }
}

void
sizeclass_table_dump(const struct sizeclass_table *table, int fd)
{
    struct print print;

    print_init(&print, fd);
    for (unsigned i = 0; i < class_count(table->quantum_shift); i++) {
        print_format(&print, "class %u: %zu bytes\n", i, table->size_of[i]);
    }
    print_flush(&print);
}
