/*
 * mutate_test.c - changed programs stay valid, within bounds, and varied
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "program/bytes.h"
#include "program/mutate.h"

static struct program *
new_program(void)
{
    struct program *program = program_new();

    assert_non_null(program);
    return program;
}

static void
mutate_keeps_programs_valid_and_within_the_byte_form(void **state)
{
    struct program *program = new_program();
    const char *why = "";

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct random random;

        random_seed(&random, seed);
        program_clear(program);
        for (int i = 0; i < 2000; i++) {
            mutate_program(program, &random);
            program_check(program);
            if (!bytes_fit(program, &why)) {
                fail_msg("%s", why);
            }
        }
        /* It neither dies out nor grows without end. */
        assert_in_range(program_op_count(program), 1, BYTES_OPS_MAX);
    }
    program_delete(program);
}

/* What a walk of changes from nothing has seen. */
struct seen {
    size_t kinds[OP_KIND_COUNT];
    size_t small, medium, large, huge; /* sizes */
    size_t threads, schedules, faults; /* programs that have any */
    size_t slots_max;
};

static void
note_ops(struct seen *seen, const struct thread_ops *list)
{
    for (size_t i = 0; i < list->op_count; i++) {
        const struct op *op = &list->ops[i];

        seen->kinds[op->kind]++;
        if (op_shapes[op->kind].has_size) {
            seen->small += op->size < 264;
            seen->medium += op->size >= 264 && op->size < 256 << 10;
            seen->large += op->size >= 256 << 10 && op->size <= 16 << 20;
            seen->huge += op->size > 16 << 20;
        }
    }
}

static void
mutate_reaches_every_kind_and_size(void **state)
{
    struct program *program = new_program();
    struct seen seen = {0};

    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct random random;

        random_seed(&random, seed);
        program_clear(program);
        for (int i = 0; i < 200; i++) {
            mutate_program(program, &random);
        }
        for (unsigned t = 0; t < program->thread_count; t++) {
            note_ops(&seen, &program->threads[t]);
        }
        seen.threads += program->thread_count > 1;
        seen.schedules += program->schedule_count > 0;
        seen.faults += program->fault_count > 0;
        if (program->slot_count > seen.slots_max) {
            seen.slots_max = program->slot_count;
        }
    }
    for (int kind = 0; kind < OP_KIND_COUNT; kind++) {
        assert_in_range(seen.kinds[kind], 20, SIZE_MAX);
    }
    size_t sized = seen.small + seen.medium + seen.large + seen.huge;
    assert_in_range(seen.small * 100 / sized, 35, 80);
    assert_in_range(seen.medium * 100 / sized, 15, 55);
    assert_in_range(seen.large * 1000 / sized, 2, 60);
    assert_in_range(seen.huge * 1000 / sized, 2, 100);
    assert_in_range(seen.threads, 100, 300);
    assert_in_range(seen.schedules, 100, 300);
    assert_in_range(seen.faults, 50, 300);
    assert_int_equal(seen.slots_max, PROGRAM_SLOTS_BYTES);
    program_delete(program);
}

static void
mutate_repeats_for_a_seed(void **state)
{
    struct program *a = new_program();
    struct program *b = new_program();
    struct random random_a, random_b;

    (void)state;
    random_seed(&random_a, 5);
    random_seed(&random_b, 5);
    for (int i = 0; i < 500; i++) {
        mutate_program(a, &random_a);
        mutate_program(b, &random_b);
        assert_true(program_equal(a, b));
    }
    program_delete(a);
    program_delete(b);
}

static void
fill(struct program *program, unsigned thread, uint32_t slot, size_t op_count)
{
    for (size_t i = 0; i < op_count; i++) {
        struct op op = {.kind = OP_MALLOC, .slot = slot, .size = i};

        assert_true(program_add(program, thread, &op));
    }
}

static void
mutate_cross_takes_from_both(void **state)
{
    struct program *mother = new_program();
    struct program *father = new_program();
    struct program *child = new_program();
    size_t from_both = 0;

    (void)state;
    fill(mother, 0, 1, 600);
    fill(father, 0, 2, 900);
    fill(father, 1, 3, 10);
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct random random;
        size_t counts[4] = {0};

        random_seed(&random, seed);
        mutate_cross(child, mother, father, &random);
        program_check(child);
        for (size_t i = 0; i < child->threads[0].op_count; i++) {
            counts[child->threads[0].ops[i].slot]++;
        }
        assert_int_equal(counts[0] + counts[3], 0);
        assert_true(program_op_count(child) <= BYTES_OPS_MAX);
        from_both += counts[1] > 0 && counts[2] > 0;
    }
    assert_in_range(from_both, 90, 100);
    program_delete(mother);
    program_delete(father);
    program_delete(child);
}

static void
mutate_shrinks_to_a_size(void **state)
{
    struct program *program = new_program();
    struct random random;

    (void)state;
    random_seed(&random, 1);
    fill(program, 0, 1, 500);
    fill(program, 2, 2, 500);
    mutate_shrink(program, &random, 1000);
    assert_int_equal(program_op_count(program), 1000);
    mutate_shrink(program, &random, 70);
    assert_int_equal(program_op_count(program), 70);
    mutate_shrink(program, &random, 0);
    assert_int_equal(program_op_count(program), 0);
    program_check(program);
    program_delete(program);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutate_keeps_programs_valid_and_within_the_byte_form),
        cmocka_unit_test(mutate_reaches_every_kind_and_size),
        cmocka_unit_test(mutate_repeats_for_a_seed),
        cmocka_unit_test(mutate_cross_takes_from_both),
        cmocka_unit_test(mutate_shrinks_to_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
