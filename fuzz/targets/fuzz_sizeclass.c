/*
 * fuzz_sizeclass.c - parts/sizeclass.h: what a class must be, for any size
 *
 * The reference is the definition: the class's size is not below the request,
 * that of the class before is; and sizes are four to a doubling, in equal steps.
 */
#include "base/check.h"
#include "fuzz/input.h"
#include "parts/sizeclass.h"

#define SHIFTS 4 /* quanta of 8, 16, 32 and 64 bytes */

static const struct sizeclass_table *
table_of(unsigned shift)
{
    static struct sizeclass_table tables[SHIFTS];
    struct sizeclass_table *table = &tables[shift - SIZECLASS_TABLE_SHIFT];

    if (table->quantum_shift == 0) {
        sizeclass_table_init(table, shift);
    }
    return table;
}

/* Class n of a quantum, by adding up steps. */
static size_t
add_up(unsigned index, unsigned shift)
{
    size_t step = (size_t)1 << shift;
    size_t size = 0;

    for (unsigned i = 0; i <= index; i++) {
        if (i >= 8 && i % 4 == 0) {
            step *= 2;
        }
        size += step;
    }
    return size;
}

static void
check_size(size_t size, unsigned shift)
{
    unsigned index = sizeclass_index(size, shift);
    size_t rounded = sizeclass_size(index, shift);
    const struct sizeclass_table *table = table_of(shift);

    CHECK(rounded >= size);
    CHECK(index == 0 || sizeclass_size(index - 1, shift) < size);
    CHECK(rounded == add_up(index, shift));
    CHECK(sizeclass_round(size, shift) == rounded);
    CHECK(sizeclass_table_index(table, size) == index);
    CHECK(sizeclass_table_size(table, index) == rounded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size};

    while (input_more(&input)) {
        unsigned shift = SIZECLASS_TABLE_SHIFT + input_below(&input, SHIFTS);
        unsigned drop = input_below(&input, 64);
        size_t request = input_word(&input) >> drop;

        if (request <= SIZECLASS_SIZE_MAX) {
            check_size(request, shift);
        }
    }
    return 0;
}
