/*
 * bytes_test.c - any bytes decode; what fits goes both ways; front and back
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "program/bytes.h"

static struct program *
new_program(void)
{
    struct program *program = program_new();

    assert_non_null(program);
    return program;
}

static size_t
fill_random(uint8_t *data, size_t capacity, struct random *random)
{
    size_t size = random_below(random, capacity + 1);

    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)random_next(random);
    }
    return size;
}

/* Encodes and decodes again. */
static void
assert_goes_round(const struct program *program)
{
    static uint8_t data[BYTES_SIZE_MAX];
    struct program *again = new_program();
    size_t size = bytes_encode(program, data, sizeof(data));

    assert_in_range(size, 1, sizeof(data));
    assert_true(bytes_decode(again, data, size));
    assert_true(program_equal(program, again));
    program_delete(again);
}

static void
bytes_of_any_kind_decode_and_go_round(void **state)
{
    struct program *program = new_program();
    uint8_t data[600];
    const char *why;

    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct random random;

        random_seed(&random, seed);
        size_t size = fill_random(data, sizeof(data), &random);
        assert_true(bytes_decode(program, data, size));
        program_check(program);
        assert_true(bytes_fit(program, &why));
        assert_goes_round(program);
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        memset(data, (int)byte, sizeof(data));
        assert_true(bytes_decode(program, data, byte % 7));
        assert_goes_round(program);
    }
    program_delete(program);
}

static struct op
random_op(struct random *random)
{
    unsigned shift = (unsigned)random_below(random, 64);

    return (struct op){
        .kind = (uint8_t)random_below(random, OP_KIND_COUNT),
        .slot = (uint32_t)random_below(random, PROGRAM_SLOTS_BYTES),
        .size = random_log_between(random, 0, UINT64_MAX),
        .count = random_log_between(random, 0, UINT64_MAX),
        .align = random_one_in(random, 4) ? random_next(random)
                                          : UINT64_C(1) << shift,
    };
}

static void
make_random(struct program *program, struct random *random)
{
    program_clear(program);
    for (uint64_t i = random_below(random, 100); i > 0; i--) {
        struct op op = random_op(random);
        assert_true(program_add(
            program, (unsigned)random_below(random, BYTES_THREADS_MAX), &op));
    }
    for (uint64_t i = random_below(random, 60); i > 0; i--) {
        assert_true(
            program_add_schedule(program, (uint8_t)random_next(random)));
    }
    for (uint64_t i = random_below(random, BYTES_FAULTS_MAX + 1); i > 0; i--) {
        struct fault fault = {
            .n = random_log_between(random, 1, UINT64_MAX),
            .every = random_one_in(random, 2),
        };
        assert_true(program_add_fault(program, &fault));
    }
}

static void
bytes_hold_random_programs_without_loss(void **state)
{
    struct program *program = new_program();

    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct random random;

        random_seed(&random, seed);
        make_random(program, &random);
        assert_goes_round(program);
    }
    program_delete(program);
}

/* Every size up to 2^20, and all within 2^8 of a power of two, 0 and 2^64. */
static void
bytes_hold_every_size(void **state)
{
    struct program *program = new_program();
    struct op op = {.kind = OP_CALLOC};

    (void)state;
    for (uint64_t size = 0; size < 1 << 20; size++) {
        op.size = size;
        assert_true(program_add(program, 0, &op));
        if (program_op_count(program) == BYTES_OPS_MAX) {
            assert_goes_round(program);
            program_clear(program);
        }
    }
    for (int shift = 0; shift < 65; shift++) {
        uint64_t power = shift < 64 ? UINT64_C(1) << shift : 0;

        program_clear(program);
        for (uint64_t i = 0; i < 512; i++) {
            op.size = power + i - 256;
            op.count = op.size;
            assert_true(program_add(program, 0, &op));
        }
        assert_goes_round(program);
    }
    program_delete(program);
}

static void
bytes_hold_the_largest_program(void **state)
{
    static uint8_t data[BYTES_SIZE_MAX];
    struct program *program = new_program();
    struct program *again = new_program();
    struct fault fault = {.n = UINT64_MAX - 12345};

    (void)state;
    for (int i = 0; i < BYTES_OPS_MAX; i++) {
        struct op op = {.kind = OP_MEMALIGN,
            .slot = 63,
            .size = UINT64_MAX / 3,
            .align = UINT64_MAX / 5};
        assert_true(program_add(program, 3, &op));
    }
    for (int i = 0; i < BYTES_SCHEDULE_MAX; i++) {
        assert_true(program_add_schedule(program, (uint8_t)i));
    }
    for (int i = 0; i < BYTES_FAULTS_MAX; i++) {
        assert_true(program_add_fault(program, &fault));
    }
    size_t size = bytes_encode(program, data, sizeof(data));
    assert_in_range(size, 20000, sizeof(data));
    assert_true(bytes_decode(again, data, size));
    assert_true(program_equal(program, again));
    assert_int_equal(bytes_encode(program, data, 10), size);
    program_delete(program);
    program_delete(again);
}

/* A change in the schedule's bytes leaves all operations alone, and a change
 * in the operations' bytes schedule and faults. */
static void
bytes_front_and_back_do_not_meet(void **state)
{
    struct program *program = new_program();
    struct program *changed = new_program();
    struct fault fault = {.n = 3};
    uint8_t data[256];

    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        struct op op = {.kind = OP_MALLOC, .slot = i, .size = i};
        assert_true(program_add(program, 0, &op));
        assert_true(program_add_schedule(program, (uint8_t)i));
    }
    assert_true(program_add_fault(program, &fault));
    size_t size = bytes_encode(program, data, sizeof(data));
    assert_int_equal(size, 2 + 10 * 3 + 10 + 2 + 1);

    data[size - 8] ^= 0x55; /* a choice of the schedule */
    assert_true(bytes_decode(changed, data, size));
    assert_int_equal(changed->schedule_count, 10);
    assert_int_not_equal(memcmp(changed->schedule, program->schedule, 10), 0);
    memcpy(changed->schedule, program->schedule, 10);
    assert_true(program_equal(changed, program));
    data[size - 8] ^= 0x55;

    data[2] = 0xff; /* a kind, with fewer parameters */
    assert_true(bytes_decode(changed, data, size));
    assert_int_equal(changed->schedule_count, 10);
    assert_memory_equal(changed->schedule, program->schedule, 10);
    assert_int_equal(changed->fault_count, 1);
    assert_int_equal(changed->faults[0].n, 3);
    program_delete(program);
    program_delete(changed);
}

/* Random bytes make programs worth running: mostly small sizes, some large,
 * blocks that meet in slots, more than one thread at times. */
static void
bytes_at_random_make_interesting_programs(void **state)
{
    struct program *program = new_program();
    size_t op_count = 0, free_count = 0, sized_count = 0, small_count = 0;
    size_t huge_count = 0, threaded_count = 0, faulty_count = 0;
    uint8_t data[200];

    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct random random;

        random_seed(&random, seed);
        for (size_t i = 0; i < sizeof(data); i++) {
            data[i] = (uint8_t)random_next(&random);
        }
        assert_true(bytes_decode(program, data, sizeof(data)));
        threaded_count += program->thread_count > 1;
        faulty_count += program->fault_count > 0;
        op_count += program_op_count(program);
        for (unsigned t = 0; t < program->thread_count; t++) {
            for (size_t i = 0; i < program->threads[t].op_count; i++) {
                const struct op *op = &program->threads[t].ops[i];
                bool sized = op_shapes[op->kind].has_size;

                free_count += op->kind == OP_FREE;
                sized_count += sized;
                small_count += sized && op->size < 4096;
                huge_count += sized && op->size > (UINT64_C(1) << 40);
            }
        }
    }
    assert_in_range(op_count, 40000, 80000); /* 64 operations in 200 bytes */
    assert_in_range(free_count * 100 / op_count, 10, 30);
    assert_in_range(small_count * 100 / sized_count, 70, 95);
    assert_in_range(huge_count * 100 / sized_count, 1, 5);
    assert_in_range(threaded_count, 300, 700);
    assert_in_range(faulty_count, 200, 600);
    program_delete(program);
}

struct limit {
    unsigned threads;
    uint32_t slots;
    size_t ops, choices, faults;
    const char *why;
};

static void
bytes_refuse_what_is_too_large(void **state)
{
    static const struct limit limits[] = {
        {5, 1, 1, 0, 0, "the byte form holds at most 4 threads"},
        {1, 65, 1, 0, 0, "the byte form holds at most 64 slots"},
        {1, 1, 1025, 0, 0, "the byte form holds at most 1024 operations"},
        {1, 1, 1, 1025, 0,
            "the byte form holds a schedule of at most 1024 choices"},
        {1, 1, 1, 0, 4, "the byte form holds at most 3 faults"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct program *program = new_program();
        struct op op = {.kind = OP_FREE, .slot = limits[i].slots - 1};
        const char *why = NULL;

        for (size_t j = 0; j < limits[i].ops; j++) {
            assert_true(program_add(program, limits[i].threads - 1, &op));
        }
        for (size_t j = 0; j < limits[i].choices; j++) {
            assert_true(program_add_schedule(program, 0));
        }
        for (size_t j = 0; j < limits[i].faults; j++) {
            assert_true(program_add_fault(program, &(struct fault){.n = 1}));
        }
        assert_false(bytes_fit(program, &why));
        assert_string_equal(why, limits[i].why);
        program_delete(program);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_any_kind_decode_and_go_round),
        cmocka_unit_test(bytes_hold_random_programs_without_loss),
        cmocka_unit_test(bytes_hold_every_size),
        cmocka_unit_test(bytes_hold_the_largest_program),
        cmocka_unit_test(bytes_front_and_back_do_not_meet),
        cmocka_unit_test(bytes_at_random_make_interesting_programs),
        cmocka_unit_test(bytes_refuse_what_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
