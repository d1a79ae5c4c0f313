/*
 * matrix_first.c - each call as the first one of a thread (contract: matrix.h)
 *
 * Danger: a thread's cache, arena or id is set up by its first call, and that
 * call is not always malloc. Thread 0 makes the block; thread 1, new, waits for
 * it, makes the one call, then a few ordinary ones, and ends before thread 0.
 */
#include "scenarios/matrix.h"

static const enum op_kind calls[] = {OP_MALLOC, OP_CALLOC, OP_REALLOC,
    OP_REALLOCARRAY, OP_MEMALIGN, OP_ALIGNED_ALLOC, OP_POSIX_MEMALIGN,
    OP_VALLOC, OP_PVALLOC, OP_FREE, OP_FREE_SIZED, OP_FREE_ALIGNED_SIZED,
    OP_USABLE_SIZE, OP_STATS, OP_TRIM, OP_FORK};

/* How the foreign block is made, and how large it is. */
static const enum op_kind origins[] = {
    OP_MALLOC, OP_CALLOC, OP_ALIGNED_ALLOC, OP_POSIX_MEMALIGN};
static const uint64_t sizes[] = {1, 64, 5000, 300000};

static uint64_t
count_first(void)
{
    return MATRIX_COUNT(calls) * MATRIX_COUNT(origins) * MATRIX_COUNT(sizes);
}

static void
write_call(struct writer *writer, enum op_kind call, uint64_t size)
{
    if (op_shapes[call].has_slot) {
        writer_any(writer, 1, call, 0, 2 * size);
    } else if (op_shapes[call].has_size) {
        writer_amount(writer, 1, call, 0);
    } else {
        writer_plain(writer, 1, call);
    }
}

static void
write_first(struct writer *writer, uint64_t index)
{
    enum op_kind call = calls[index % MATRIX_COUNT(calls)];
    uint64_t rest = index / MATRIX_COUNT(calls);
    enum op_kind origin = origins[rest % MATRIX_COUNT(origins)];
    uint64_t size = sizes[rest / MATRIX_COUNT(origins)];

    writer_any(writer, 0, origin, 0, size);
    writer_slot(writer, 1, OP_WAIT, 0);
    write_call(writer, call, size);
    writer_sized(writer, 1, OP_MALLOC, 1, size);
    writer_sized(writer, 1, OP_REALLOC, 1, 2 * size);
    writer_sized(writer, 1, OP_MALLOC, 2, 48);
    writer_plain(writer, 1, OP_EXIT);
    writer_slot(writer, 1, OP_FREE, 1); /* the successor's first call */
    writer_sized(writer, 1, OP_MALLOC, 3, 16);
    writer_slot(writer, 0, OP_WAIT, 3);
    writer_slot(writer, 0, OP_FREE, 2);
    writer_slot(writer, 0, OP_TOUCH, 0);
}

const struct matrix_section matrix_first_calls = {
    .name = "first calls",
    .program_count = count_first,
    .write = write_first,
};
