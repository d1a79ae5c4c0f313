/*
 * program_test.c - growing, copying and comparing programs; broken ones
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/death.h"
#include "program/program.h"

static struct program *
new_program(void)
{
    struct program *program = program_new();

    assert_non_null(program);
    return program;
}

static void
add(struct program *program, unsigned thread, const struct op *op)
{
    assert_true(program_add(program, thread, op));
    program_check(program);
}

/* One of everything. */
static void
fill(struct program *program)
{
    struct fault fault = {.kind = FAULT_OS, .n = 3, .every = true};

    for (unsigned kind = 0; kind < OP_KIND_COUNT; kind++) {
        add(program, kind % 3,
            &(struct op){.kind = (uint8_t)kind,
                .slot = kind,
                .size = 100,
                .count = 2,
                .align = 64});
    }
    assert_true(program_add_schedule(program, 1));
    assert_true(program_add_fault(program, &fault));
    program->has_seed = true;
    program->seed = 7;
    strcpy(program->target, "dlmalloc");
}

static void
program_asked_size_counts_what_may_be_granted(void **state)
{
    struct program *program = new_program();

    (void)state;
    assert_int_equal(program_asked_size(program), 0);
    add(program, 0, &(struct op){.kind = OP_MALLOC, .size = 100});
    add(program, 1, &(struct op){.kind = OP_CALLOC, .size = 5, .count = 7});
    add(program, 1, &(struct op){.kind = OP_MEMALIGN, .size = 1, .align = 64});
    add(program, 0, &(struct op){.kind = OP_FREE});
    assert_int_equal(program_asked_size(program), 100 + 35 + 1);
    add(program, 0, &(struct op){.kind = OP_CALLOC, .size = 9, .count = ~0ul});
    assert_int_equal(program_asked_size(program), 136);
    add(program, 0, &(struct op){.kind = OP_MALLOC, .size = (size_t)1 << 40});
    assert_int_equal(program_asked_size(program), 136 + 65536);
    program_delete(program);
}

static void
program_add_grows_threads_and_slots(void **state)
{
    struct program *program = new_program();

    (void)state;
    add(program, 2, &(struct op){.kind = OP_FREE, .slot = 9, .size = 5});
    assert_int_equal(program->thread_count, 3);
    assert_int_equal(program->slot_count, 10);
    assert_int_equal(program->threads[2].ops[0].size, 0); /* free has none */
    add(program, 0, &(struct op){.kind = OP_TRIM, .slot = 500});
    assert_int_equal(program->slot_count, 10); /* trim has no slot */
    assert_int_equal(program_op_count(program), 2);
    program_delete(program);
}

static void
program_holds_a_million_operations(void **state)
{
    struct program *program = new_program();

    (void)state;
    for (uint32_t i = 0; i < 1000000; i++) {
        program_add(program, 0,
            &(struct op){.kind = OP_MALLOC, .slot = i % 1000, .size = i});
    }
    assert_int_equal(program->threads[0].op_count, 1000000);
    assert_int_equal(program->threads[0].ops[999999].size, 999999);
    program_check(program);
    program_delete(program);
}

static void
program_copy_is_equal_and_apart(void **state)
{
    struct program *from = new_program();
    struct program *to = new_program();

    (void)state;
    fill(from);
    add(to, 200, &(struct op){.kind = OP_STATS});
    assert_true(program_copy(to, from));
    program_check(to);
    assert_true(program_equal(from, to));
    add(from, 0, &(struct op){.kind = OP_YIELD});
    assert_false(program_equal(from, to));
    program_clear(to);
    program_check(to);
    assert_int_equal(program_op_count(to), 0);
    program_delete(from);
    program_delete(to);
}

/* Each part counts in a comparison. */
static void
program_equal_sees_every_difference(void **state)
{
    struct program *a = new_program();
    struct program *b = new_program();
    struct op *op;

    (void)state;
    fill(a);
#define ASSERT_SEEN(change)                                                    \
    do {                                                                       \
        assert_true(program_copy(b, a));                                       \
        op = &b->threads[1].ops[0];                                            \
        change;                                                                \
        assert_false(program_equal(a, b));                                     \
        assert_false(program_equal(b, a));                                     \
    } while (0)
    ASSERT_SEEN(op->kind = OP_MALLOC);
    ASSERT_SEEN(op->slot++);
    ASSERT_SEEN(op->size++);
    ASSERT_SEEN(op->count++);
    ASSERT_SEEN(op->align++);
    ASSERT_SEEN(b->threads[2].op_count--);
    ASSERT_SEEN(b->slot_count++);
    ASSERT_SEEN(b->thread_count++);
    ASSERT_SEEN(b->schedule[0]++);
    ASSERT_SEEN(b->schedule_count--);
    ASSERT_SEEN(b->faults[0].n++);
    ASSERT_SEEN(b->faults[0].every = false);
    ASSERT_SEEN(b->fault_count--);
    ASSERT_SEEN(b->seed++);
    ASSERT_SEEN(b->has_seed = false);
    ASSERT_SEEN(strcpy(b->target, "system"));
    ASSERT_SEEN(strcpy(b->scenario, "churn"));
    ASSERT_SEEN(strcpy(b->finding, "overlap"));
    ASSERT_SEEN(strcpy(b->policy, "c"));
    program_delete(a);
    program_delete(b);
}

static void
check_program(void *arg)
{
    program_check(arg);
}

static void
program_check_finds_each_broken_invariant(void **state)
{
    struct program *a = new_program();

    (void)state;
    fill(a);
#define ASSERT_BROKEN(change, message)                                         \
    do {                                                                       \
        struct program *b = new_program();                                     \
        assert_true(program_copy(b, a));                                       \
        change;                                                                \
        assert_dies(check_program, b, message);                                \
        program_delete(b);                                                     \
    } while (0)
    ASSERT_BROKEN(b->thread_count = 257, "thread_count <=");
    ASSERT_BROKEN(b->slot_count = PROGRAM_SLOTS_MAX + 1, "slot_count <=");
    ASSERT_BROKEN(b->threads[0].ops[0].kind = OP_KIND_COUNT, "op->kind <");
    ASSERT_BROKEN(b->threads[0].ops[0].slot = 64, "op->slot <");
    ASSERT_BROKEN(b->threads[0].ops[0].count = 1, "program_op_equal");
    ASSERT_BROKEN(b->thread_count = 2, "thread->op_count == 0");
    ASSERT_BROKEN(b->faults[0].n = 0, "n > 0");
    program_delete(a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program_asked_size_counts_what_may_be_granted),
        cmocka_unit_test(program_add_grows_threads_and_slots),
        cmocka_unit_test(program_holds_a_million_operations),
        cmocka_unit_test(program_copy_is_equal_and_apart),
        cmocka_unit_test(program_equal_sees_every_difference),
        cmocka_unit_test(program_check_finds_each_broken_invariant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
