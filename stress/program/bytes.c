/*
 * bytes.c - the byte form of a heap program (contract: bytes.h)
 *
 * A cursor reads two counts at the front, then the schedule and the faults
 * backwards from the end, then operations from the front until it meets what
 * it has read; from there on it reads zeroes. Numbers have one code everywhere:
 * small ones take one byte, and random bytes make many small ones, some near
 * powers of two and the ends of the range, and few of any other size:
 *
 *     first byte   value                                of random bytes
 *     0..191       itself                                   75 %
 *     192..223     (byte - 192) * 256 + next                12 %
 *     224..243     edge[next]: a base and a small offset     8 %
 *     244..251     the next 2 bytes, low one first           3 %
 *     252..255     the next 3, 4, 6 or 8 bytes               2 %
 *
 * The writer takes the first code that fits. A varint would be simpler, and
 * makes sizes that are uniform in the logarithm: a quarter above 4 GiB.
 */
#include "program/bytes.h"

#include <assert.h>

#include "base/check.h"

enum number_code {
    NUMBER_SHORT = 192, /* and below: the number itself */
    NUMBER_EDGE = 224,
    NUMBER_16 = 244,
    NUMBER_WIDE = 252
};

static const unsigned wide_widths[4] = {3, 4, 6, 8};

/* 32 bases, 8 offsets. 0 stands for 2^64. */
static const uint64_t edge_bases[32] = {16, 32, 48, 64, 96, 128, 256, 512, 1024,
    1536, 2048, 4096, 8192, 12288, 16384, 32768, 65536, 98304, 131072, 262144,
    524288, 1048576, 2097152, 4194304, 33554432, UINT64_C(1) << 31,
    UINT64_C(1) << 32, UINT64_C(1) << 47, UINT64_C(1) << 63, 0, -UINT64_C(4096),
    -UINT64_C(65536)};
static const int64_t edge_offsets[8] = {0, -1, 1, -8, 8, -16, 16, -24};
#define EDGE_REACH 24 /* no offset is further from the first, 0 */

/* A byte names 32 kinds; the frequent ones have several codes. */
static const uint8_t kind_codes[32] = {OP_MALLOC, OP_CALLOC, OP_REALLOC,
    OP_REALLOCARRAY, OP_MEMALIGN, OP_ALIGNED_ALLOC, OP_POSIX_MEMALIGN,
    OP_VALLOC, OP_PVALLOC, OP_FREE, OP_FREE_SIZED, OP_FREE_ALIGNED_SIZED,
    OP_USABLE_SIZE, OP_TOUCH, OP_WAIT, OP_TRIM, OP_STATS, OP_YIELD, OP_TIME,
    OP_EXIT, OP_FORK, OP_MALLOC, OP_FREE, OP_MALLOC, OP_FREE, OP_REALLOC,
    OP_FREE, OP_MALLOC, OP_CALLOC, OP_REALLOC, OP_MEMALIGN, OP_FREE};
static_assert(OP_KIND_COUNT == 21, "the first codes are the kinds in order");

static const uint8_t thread_codes[8] = {1, 2, 3, 4, 1, 1, 2, 0};
static const uint8_t fault_codes[8] = {0, 1, 2, 3, 0, 0, 0, 0};

/* In the last byte, above 3 bits of fault_codes: the length of the schedule,
 * or that a number with it follows. */
#define SCHEDULE_LONG 30

#define ALIGN_SMALL  192 /* below: 2^(byte mod 16) */
#define ALIGN_NUMBER 240 /* below: 2^(byte - 176); from here on a number */

/* What is left to read: data[first] .. data[end - 1]. */
struct cursor {
    const uint8_t *data;
    size_t first, end;
    bool backwards;
};

static unsigned
read_byte(struct cursor *cursor)
{
    if (cursor->first == cursor->end) {
        return 0;
    }
    return cursor->data[cursor->backwards ? --cursor->end : cursor->first++];
}

static uint64_t
read_wide(struct cursor *cursor, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++) {
        value |= (uint64_t)read_byte(cursor) << (8 * i);
    }
    return value;
}

static uint64_t
edge_value(unsigned edge)
{
    return edge_bases[edge / 8] + (uint64_t)edge_offsets[edge % 8];
}

static uint64_t
read_number(struct cursor *cursor)
{
    unsigned first = read_byte(cursor);

    if (first < NUMBER_SHORT) {
        return first;
    } else if (first < NUMBER_EDGE) {
        return (first - NUMBER_SHORT) << 8 | read_byte(cursor);
    } else if (first < NUMBER_16) {
        return edge_value(read_byte(cursor));
    } else if (first < NUMBER_WIDE) {
        return read_wide(cursor, 2);
    }
    return read_wide(cursor, wide_widths[first - NUMBER_WIDE]);
}

static uint64_t
read_align(struct cursor *cursor)
{
    unsigned first = read_byte(cursor);

    if (first < ALIGN_SMALL) {
        return UINT64_C(1) << first % 16;
    } else if (first < ALIGN_NUMBER) {
        return UINT64_C(1) << (first - ALIGN_SMALL + 16);
    }
    return read_number(cursor);
}

/* The counts at the front, which bound what operations may name. */
struct bounds {
    unsigned thread_count; /* at least 1 */
    uint32_t slot_count;   /* at least 1 */
};

static struct bounds
read_bounds(struct cursor *cursor, struct program *program)
{
    unsigned threads = read_byte(cursor) % 8;
    unsigned slots = read_byte(cursor) % 128;

    program->thread_count = thread_codes[threads];
    program->slot_count =
        slots <= PROGRAM_SLOTS_BYTES ? slots : slots - PROGRAM_SLOTS_BYTES;
    return (struct bounds){
        .thread_count = program->thread_count > 0 ? program->thread_count : 1,
        .slot_count = program->slot_count > 0 ? program->slot_count : 1,
    };
}

static bool
read_op(struct cursor *cursor, struct program *program, struct bounds bounds)
{
    unsigned first = read_byte(cursor);
    struct op op = {.kind = kind_codes[first % 32]};
    const struct op_shape *shape = &op_shapes[op.kind];

    if (shape->has_slot) {
        op.slot = read_byte(cursor) % bounds.slot_count;
    }
    if (shape->has_align) {
        op.align = read_align(cursor);
    }
    if (shape->has_count) {
        op.count = read_number(cursor);
    }
    if (shape->has_size) {
        op.size = read_number(cursor);
    }
    return program_add(program, first / 32 % bounds.thread_count, &op);
}

static bool
read_faults(struct cursor *cursor, struct program *program, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        bool every = read_byte(cursor) % 2 != 0;
        uint64_t calls_before = read_number(cursor);
        struct fault fault = {
            .kind = FAULT_OS,
            .every = every,
            .n = calls_before + (calls_before < UINT64_MAX),
        };

        if (!program_add_fault(program, &fault)) {
            return false;
        }
    }
    return true;
}

static bool
read_schedule(struct cursor *cursor, struct program *program, uint64_t count)
{
    if (count > BYTES_SCHEDULE_MAX) {
        count = BYTES_SCHEDULE_MAX;
    }
    for (; count > 0 && cursor->first < cursor->end; count--) {
        if (!program_add_schedule(program, (uint8_t)read_byte(cursor))) {
            return false;
        }
    }
    return true;
}

static bool
read_back(struct cursor *cursor, struct program *program)
{
    unsigned last = read_byte(cursor);
    unsigned length = last / 8;

    return read_faults(cursor, program, fault_codes[last % 8]) &&
           read_schedule(cursor, program,
               length < SCHEDULE_LONG ? length : read_number(cursor));
}

bool
bytes_decode(struct program *program, const uint8_t *data, size_t size)
{
    struct cursor cursor = {.data = data, .end = size};

    program_clear(program);
    if (size == 0) {
        return true;
    }
    struct bounds bounds = read_bounds(&cursor, program);
    cursor.backwards = true;
    if (!read_back(&cursor, program)) {
        return false;
    }
    cursor.backwards = false;
    for (int i = 0; i < BYTES_OPS_MAX && cursor.first < cursor.end; i++) {
        if (!read_op(&cursor, program, bounds)) {
            return false;
        }
    }
    return true;
}

bool
bytes_fit(const struct program *program, const char **why)
{
    if (program->thread_count > BYTES_THREADS_MAX) {
        *why = "the byte form holds at most 4 threads";
    } else if (program->slot_count > PROGRAM_SLOTS_BYTES) {
        *why = "the byte form holds at most 64 slots";
    } else if (program_op_count(program) > BYTES_OPS_MAX) {
        *why = "the byte form holds at most 1024 operations";
    } else if (program->schedule_count > BYTES_SCHEDULE_MAX) {
        *why = "the byte form holds a schedule of at most 1024 choices";
    } else if (program->fault_count > BYTES_FAULTS_MAX) {
        *why = "the byte form holds at most 3 faults";
    } else {
        return true;
    }
    return false;
}

/* Counts on when the room is used up. */
struct pen {
    uint8_t *data;
    size_t capacity;
    size_t size;
};

static void
write_byte(struct pen *pen, unsigned byte)
{
    if (pen->size < pen->capacity) {
        pen->data[pen->size] = (uint8_t)byte;
    }
    pen->size++;
}

static void
write_wide(struct pen *pen, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++) {
        write_byte(pen, (unsigned)(value >> (8 * i)) & 0xff);
    }
}

/* The edge of that value, or 256. */
static unsigned
find_edge(uint64_t value)
{
    for (unsigned edge = 0; edge < 256; edge += 8) {
        if (value - edge_value(edge) + EDGE_REACH > 2 * EDGE_REACH) {
            continue; /* It lies at none of this base's eight. */
        }
        for (unsigned i = edge; i < edge + 8; i++) {
            if (edge_value(i) == value) {
                return i;
            }
        }
    }
    return 256;
}

static void
write_number(struct pen *pen, uint64_t value)
{
    if (value < NUMBER_SHORT) {
        write_byte(pen, (unsigned)value);
        return;
    }
    if (value < (NUMBER_EDGE - NUMBER_SHORT) << 8) {
        write_byte(pen, NUMBER_SHORT + (unsigned)(value >> 8));
        write_byte(pen, value & 0xff);
        return;
    }
    unsigned edge = find_edge(value);
    if (edge < 256) {
        write_byte(pen, NUMBER_EDGE);
        write_byte(pen, edge);
        return;
    }
    if (value <= UINT16_MAX) {
        write_byte(pen, NUMBER_16);
        write_wide(pen, value, 2);
        return;
    }
    unsigned code = 0;
    while (code < 3 && value >> (8 * wide_widths[code]) != 0) {
        code++;
    }
    write_byte(pen, NUMBER_WIDE + code);
    write_wide(pen, value, wide_widths[code]);
}

static void
write_align(struct pen *pen, uint64_t align)
{
    if (__builtin_popcountll(align) != 1) {
        write_byte(pen, ALIGN_NUMBER);
        write_number(pen, align);
        return;
    }
    unsigned exponent = (unsigned)__builtin_ctzll(align);
    write_byte(pen, exponent < 16 ? exponent : exponent - 16 + ALIGN_SMALL);
}

static void
write_op(struct pen *pen, unsigned thread, const struct op *op)
{
    const struct op_shape *shape = &op_shapes[op->kind];

    write_byte(pen, thread * 32 + op->kind);
    if (shape->has_slot) {
        write_byte(pen, op->slot);
    }
    if (shape->has_align) {
        write_align(pen, op->align);
    }
    if (shape->has_count) {
        write_number(pen, op->count);
    }
    if (shape->has_size) {
        write_number(pen, op->size);
    }
}

static void
write_front(struct pen *pen, const struct program *program)
{
    unsigned threads = program->thread_count;

    write_byte(pen, threads > 0 ? threads - 1 : 7);
    write_byte(pen, program->slot_count);
    for (unsigned i = 0; i < threads; i++) {
        const struct thread_ops *thread = &program->threads[i];

        for (size_t j = 0; j < thread->op_count; j++) {
            write_op(pen, i, &thread->ops[j]);
        }
    }
}

/* As it is read: the last byte first. */
static void
write_back(struct pen *pen, const struct program *program)
{
    size_t length = program->schedule_count;
    bool is_long = length >= SCHEDULE_LONG;

    write_byte(pen, (is_long ? SCHEDULE_LONG : (unsigned)length) * 8 +
                        (unsigned)program->fault_count);
    for (size_t i = 0; i < program->fault_count; i++) {
        write_byte(pen, program->faults[i].every);
        write_number(pen, program->faults[i].n - 1);
    }
    if (is_long) {
        write_number(pen, length);
    }
    for (size_t i = 0; i < length; i++) {
        write_byte(pen, program->schedule[i]);
    }
}

static void
reverse(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size / 2; i++) {
        uint8_t byte = data[i];

        data[i] = data[size - 1 - i];
        data[size - 1 - i] = byte;
    }
}

size_t
bytes_encode(const struct program *program, uint8_t *data, size_t capacity)
{
    struct pen pen = {.data = data, .capacity = capacity};
    const char *why;

    CHECK(bytes_fit(program, &why));
    write_front(&pen, program);
    size_t front_size = pen.size;

    write_back(&pen, program);
    if (pen.size <= capacity) {
        reverse(data + front_size, pen.size - front_size);
    }
    return pen.size;
}
