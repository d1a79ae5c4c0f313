/*
 * matrix_huge.c - sizes and products beyond all memory (contract: matrix.h)
 *
 * Danger: a sum or product that overflows, or is cut to 32 bits or to an int,
 * and yields a small block for a huge request; a failure that crashes, leaks,
 * leaves the heap in disorder, does not set errno, or frees the block that
 * realloc could not resize.
 *
 * Each cell has a program of its own: one request, a live block beside it, and
 * ordinary calls afterwards. Sizes of a few GiB may well be granted; the oracle
 * touches only parts of such blocks. calloc, which some allocators serve by
 * writing every byte, is asked only for what no machine has: 2^47 and more.
 */
#include "scenarios/matrix.h"

static const unsigned powers[] = {31, 32, 39, 46, 47, 48, 62, 63};
static const int64_t offsets[] = {
    -65536, -4097, -4096, -64, -16, -8, -1, 0, 1, 8, 16, 4096, 65536};
/* Below 2^64; the last ones are what a header or a page needs. */
static const uint64_t below_top[] = {0, 1, 7, 8, 15, 16, 17, 31, 32, 63, 127,
    4094, 4095, 4096, 8191, 65535, 65536, (2u << 20) - 1, 2u << 20, 1u << 30};

#define AT_POWERS   (MATRIX_COUNT(powers) * MATRIX_COUNT(offsets))
#define HUGE_COUNT  (AT_POWERS + MATRIX_COUNT(below_top))
#define NO_MACHINES ((uint64_t)1 << 47)

static uint64_t
huge_size(uint64_t i)
{
    if (i >= AT_POWERS) {
        return SIZE_MAX - below_top[i - AT_POWERS];
    }
    return ((uint64_t)1 << powers[i / MATRIX_COUNT(offsets)]) +
           (uint64_t)offsets[i % MATRIX_COUNT(offsets)];
}

/* A call, given a size: with an alignment, with a live block, as a product. */
struct variant {
    enum op_kind kind;
    uint64_t factor; /* the alignment, or the count */
    bool live;       /* realloc of a block that is there */
};

static const struct variant variants[] = {
    {OP_MALLOC, 0, false},
    {OP_CALLOC, 1, false},
    {OP_CALLOC, 2, false},
    {OP_REALLOC, 0, false},
    {OP_REALLOC, 0, true},
    {OP_REALLOCARRAY, 1, false},
    {OP_REALLOCARRAY, 2, true},
    {OP_MEMALIGN, 16, false},
    {OP_MEMALIGN, 4096, false},
    {OP_MEMALIGN, 1u << 20, false},
    {OP_ALIGNED_ALLOC, 64, false},
    {OP_POSIX_MEMALIGN, 64, false},
    {OP_POSIX_MEMALIGN, 65536, false},
    {OP_VALLOC, 0, false},
    {OP_PVALLOC, 0, false},
};

static void
write_request(struct writer *writer, const struct variant *variant,
    uint64_t count, uint64_t size)
{
    const struct op_shape *shape = &op_shapes[variant->kind];

    writer_sized(writer, 0, OP_MALLOC, 1, 1000);
    if (variant->live) {
        writer_sized(writer, 0, OP_MALLOC, 0, 3000);
    }
    if (shape->has_count) {
        writer_counted(writer, 0, variant->kind, 0, count, size);
    } else if (shape->has_align) {
        writer_aligned(writer, 0, variant->kind, 0, variant->factor, size);
    } else {
        writer_sized(writer, 0, variant->kind, 0, size);
    }
    writer_sized(writer, 0, OP_MALLOC, 2, 100);
    writer_slot(writer, 0, OP_TOUCH, 1);
    writer_slot(writer, 0, OP_TOUCH, 0);
    writer_slot(writer, 0, OP_USABLE_SIZE, 0);
    if (variant->live) {
        writer_sized(writer, 0, OP_REALLOC, 0, 2000);
    }
    writer_slot(writer, 0, OP_FREE, 0);
    writer_slot(writer, 0, OP_TOUCH, 2);
}

static uint64_t
count_huge(void)
{
    return HUGE_COUNT * MATRIX_COUNT(variants);
}

static void
write_huge(struct writer *writer, uint64_t index)
{
    const struct variant *variant = &variants[index / HUGE_COUNT];
    uint64_t size = huge_size(index % HUGE_COUNT);

    if (variant->kind == OP_CALLOC && size < NO_MACHINES) {
        size |= NO_MACHINES;
    }
    /* A count of 2 doubles what was odd or near 2^63 past the top. */
    write_request(writer, variant, variant->factor, size);
}

const struct matrix_section matrix_huge_sizes = {
    .name = "huge sizes",
    .program_count = count_huge,
    .write = write_huge,
};

static const uint64_t factors[] = {2, 3, 5, 16, 255, 4097, 65535, 65536, 65537,
    0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x100000000, 0x100000001,
    0x200000000, (uint64_t)1 << 48, SIZE_MAX / 16, SIZE_MAX / 16 + 1,
    SIZE_MAX / 3, SIZE_MAX / 3 + 1, INT64_MAX, (uint64_t)INT64_MAX + 1,
    (uint64_t)INT64_MAX + 2, SIZE_MAX - 1, SIZE_MAX};

static const struct variant product_variants[] = {
    {OP_CALLOC, 0, false},
    {OP_REALLOCARRAY, 0, false},
    {OP_REALLOCARRAY, 0, true},
};

static uint64_t
count_products(void)
{
    return MATRIX_COUNT(factors) * MATRIX_COUNT(factors) *
           MATRIX_COUNT(product_variants);
}

static void
write_product(struct writer *writer, uint64_t index)
{
    uint64_t count = factors[index % MATRIX_COUNT(factors)];
    uint64_t rest = index / MATRIX_COUNT(factors);
    uint64_t size = factors[rest % MATRIX_COUNT(factors)];
    const struct variant *variant =
        &product_variants[rest / MATRIX_COUNT(factors)];
    uint64_t product;

    /* Those that a machine could grant, at a price, become small. */
    if (!__builtin_mul_overflow(count, size, &product) && product > 1u << 20 &&
        product < NO_MACHINES) {
        count %= 100;
        size %= 10000;
    }
    write_request(writer, variant, count, size);
}

const struct matrix_section matrix_products = {
    .name = "products",
    .program_count = count_products,
    .write = write_product,
};
