/*
 * minimise_test.c - what is left is what a predicate needs, and little else
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/machine.h"
#include "base/random.h"
#include "program/minimise.h"
#include "program/text.h"

static struct program *
new_program(void)
{
    struct program *program = program_new();

    assert_non_null(program);
    return program;
}

/* Operations of all kinds over many slots and threads. */
static struct program *
random_program(uint64_t seed, size_t op_count, unsigned thread_count)
{
    struct program *program = new_program();
    struct random random;

    random_seed(&random, seed);
    for (size_t i = 0; i < op_count; i++) {
        struct op op = {
            .kind = (uint8_t)random_below(&random, OP_KIND_COUNT),
            .slot = (uint32_t)random_below(&random, 50),
            .size = random_log_between(&random, 0, 1 << 20),
            .count = random_log_between(&random, 1, 100),
            .align = UINT64_C(1) << random_below(&random, 20),
        };
        assert_true(program_add(
            program, (unsigned)random_below(&random, thread_count), &op));
    }
    return program;
}

static void
add(struct program *program, unsigned thread, struct op op)
{
    assert_true(program_add(program, thread, &op));
}

typedef bool shows_fn(const struct program *program, void *arg);

static struct minimise_status status;

/* Minimises and expects this text, without its first and last line. */
static void
assert_minimal(struct program *program, shows_fn *shows, const char *expected)
{
    struct minimise_options options = {.shows = shows};
    struct buffer text = {0};

    assert_int_equal(minimise(program, &options, &status), MINIMISE_DONE);
    program_check(program);
    assert_true(shows(program, NULL));
    assert_true(text_write(program, &text));
    text.size -= strlen("end\n");
    assert_true(buffer_add(&text, "", 1));
    assert_string_equal(strchr(text.data, '\n') + 1, expected);
    assert_int_equal(status.op_count, program_op_count(program));
    buffer_fini(&text);
    program_delete(program);
}

/* A large block, freed later, and any calloc after that, on other slots. */
static bool
shows_free_between(const struct program *program, void *arg)
{
    (void)arg;
    program_check(program);
    for (unsigned t = 0; t < program->thread_count; t++) {
        const struct thread_ops *list = &program->threads[t];
        uint32_t large_slot = UINT32_MAX;
        bool freed = false;

        for (size_t i = 0; i < list->op_count; i++) {
            const struct op *op = &list->ops[i];

            if (op->kind == OP_MALLOC && op->size >= 1000 && !freed) {
                large_slot = op->slot;
            } else if (op->kind == OP_FREE && op->slot == large_slot) {
                freed = true;
            } else if (op->kind == OP_CALLOC && freed &&
                       op->slot != large_slot) {
                return true;
            }
        }
    }
    return false;
}

static void
minimise_finds_three_operations_among_thousands(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 6; seed++) {
        struct program *program = random_program(seed, 3000, 4);
        struct minimise_options options = {.shows = shows_free_between};

        add(program, 2,
            (struct op){.kind = OP_MALLOC, .slot = 7, .size = 5000});
        add(program, 2, (struct op){.kind = OP_FREE, .slot = 7});
        add(program, 2, (struct op){.kind = OP_CALLOC, .count = 9, .size = 9});
        assert_int_equal(minimise(program, &options, &status), MINIMISE_DONE);
        assert_true(shows_free_between(program, NULL));
        assert_int_equal(program_op_count(program), 3);
        assert_int_equal(program->thread_count, 1);
        assert_int_equal(program->slot_count, 2);
        assert_int_equal(program->threads[0].ops[0].size, 1024);
        assert_int_equal(program->threads[0].ops[2].size, 1);
        assert_int_equal(program->threads[0].ops[2].count, 1);
        assert_in_range(status.try_count, 10, 1000);
        program_delete(program);
    }
}

/* Something in each of two threads. */
static bool
shows_two_threads(const struct program *program, void *arg)
{
    size_t with_free = 0;

    (void)arg;
    for (unsigned t = 0; t < program->thread_count; t++) {
        bool found = false;

        for (size_t i = 0; i < program->threads[t].op_count; i++) {
            found |= program->threads[t].ops[i].kind == OP_TRIM;
        }
        with_free += found;
    }
    return with_free >= 2;
}

static void
minimise_keeps_the_threads_that_are_needed(void **state)
{
    (void)state;
    assert_minimal(random_program(7, 2000, 100), shows_two_threads,
        "slots 0\n"
        "thread 0\n"
        "  trim 1\n"
        "thread 1\n"
        "  trim 1\n");
}

/* Two operations, whoever plays them. */
static bool
shows_anywhere(const struct program *program, void *arg)
{
    bool has_wait = false, has_fork = false;

    (void)arg;
    for (unsigned t = 0; t < program->thread_count; t++) {
        for (size_t i = 0; i < program->threads[t].op_count; i++) {
            has_wait |= program->threads[t].ops[i].kind == OP_WAIT;
            has_fork |= program->threads[t].ops[i].kind == OP_FORK;
        }
    }
    return has_wait && has_fork;
}

static void
minimise_merges_threads(void **state)
{
    struct program *program = new_program();

    (void)state;
    add(program, 0, (struct op){.kind = OP_WAIT, .slot = 40});
    add(program, 3, (struct op){.kind = OP_FORK});
    assert_minimal(program, shows_anywhere,
        "slots 1\n"
        "thread 0\n"
        "  wait 0\n"
        "  fork\n");
}

/* As many allocations as frees: neither goes alone. */
static bool
shows_balanced(const struct program *program, void *arg)
{
    size_t mallocs = 0, frees = 0, callocs = 0;

    (void)arg;
    for (size_t i = 0; i < program->threads[0].op_count; i++) {
        const struct op *op = &program->threads[0].ops[i];

        mallocs += op->kind == OP_MALLOC;
        frees += op->kind == OP_FREE;
        callocs += op->kind == OP_CALLOC;
    }
    return mallocs == frees && callocs > 0;
}

static void
minimise_removes_pairs_that_need_each_other(void **state)
{
    struct program *program = new_program();

    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        add(program, 0, (struct op){.kind = OP_MALLOC, .slot = i, .size = 9});
    }
    add(program, 0, (struct op){.kind = OP_CALLOC, .slot = 1, .count = 9});
    for (uint32_t i = 0; i < 5; i++) {
        add(program, 0, (struct op){.kind = OP_FREE, .slot = 2});
    }
    assert_minimal(program, shows_balanced,
        "slots 1\n"
        "thread 0\n"
        "  calloc 0 1 0\n");
}

/* Bytes asked for, aligned, in one call. */
static bool
shows_large_aligned(const struct program *program, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < program->threads[0].op_count; i++) {
        const struct op *op = &program->threads[0].ops[i];

        if ((op->kind == OP_MEMALIGN || op->kind == OP_POSIX_MEMALIGN) &&
            op->align > 3000 && op->size > 99999) {
            return true;
        }
    }
    return false;
}

static void
minimise_makes_numbers_small_and_simple(void **state)
{
    struct program *program = new_program();
    struct op op = {.kind = OP_POSIX_MEMALIGN, .slot = 3};

    (void)state;
    op.align = UINT64_C(1) << 40;
    op.size = UINT64_MAX - 5;
    add(program, 0, op);
    assert_minimal(program, shows_large_aligned,
        "slots 1\n"
        "thread 0\n"
        "  memalign 0 4096 131072\n");

    /* No power of two between 99999 and 123456: then the smallest number. */
    program = new_program();
    op.size = 123456;
    add(program, 0, op);
    assert_minimal(program, shows_large_aligned,
        "slots 1\n"
        "thread 0\n"
        "  memalign 0 4096 100000\n");
}

/* A product of two numbers. */
static bool
shows_product(const struct program *program, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < program->threads[0].op_count; i++) {
        const struct op *op = &program->threads[0].ops[i];
        uint64_t product = op->count * op->size;

        if ((op_shapes[op->kind].has_count ? product : op->size) > 100) {
            return true;
        }
    }
    return false;
}

static void
minimise_turns_calls_into_simpler_ones(void **state)
{
    struct program *program = new_program();
    struct op op = {
        .kind = OP_REALLOCARRAY, .slot = 3, .count = 20, .size = 50};

    (void)state;
    add(program, 0, op);
    assert_minimal(program, shows_product,
        "slots 1\n"
        "thread 0\n"
        "  malloc 0 128\n");
}

/* The third choice is 5 and a fault comes third or later. */
static bool
shows_schedule(const struct program *program, void *arg)
{
    (void)arg;
    return program->schedule_count > 2 && program->schedule[2] == 5 &&
           program->fault_count > 0 && program->faults[0].n > 2;
}

static void
minimise_shortens_schedule_and_faults(void **state)
{
    struct program *program = random_program(3, 100, 3);
    struct fault fault = {.n = 40, .every = true};

    (void)state;
    for (uint8_t i = 0; i < 100; i++) {
        assert_true(program_add_schedule(program, i + 3));
    }
    for (int i = 0; i < 5; i++) {
        assert_true(program_add_fault(program, &fault));
    }
    assert_minimal(program, shows_schedule,
        "slots 0\n"
        "schedule 0 0 5\n"
        "fault os 3\n");
}

static void
minimise_keeps_where_a_program_came_from(void **state)
{
    struct program *program = random_program(1, 100, 2);

    (void)state;
    program->has_seed = true;
    program->seed = 42;
    strcpy(program->target, "dlmalloc");
    strcpy(program->finding, "overlap");
    add(program, 0, (struct op){.kind = OP_TRIM, .size = 99});
    add(program, 1, (struct op){.kind = OP_TRIM, .size = 99});
    assert_minimal(program, shows_two_threads,
        "target dlmalloc\n"
        "finding overlap\n"
        "seed 42\n"
        "slots 0\n"
        "thread 0\n"
        "  trim 1\n"
        "thread 1\n"
        "  trim 1\n");
}

static void
count_progress(const struct minimise_status *now, void *arg)
{
    size_t *last_op_count = arg;

    assert_true(now->op_count <= *last_op_count);
    *last_op_count = now->op_count;
}

static bool
shows_slowly(const struct program *program, void *arg)
{
    uint64_t until = machine_kernel.clock_ns() + 1000000;

    while (machine_kernel.clock_ns() < until) {
    }
    return shows_free_between(program, arg);
}

static void
minimise_keeps_to_its_budget(void **state)
{
    struct program *program = random_program(1, 3000, 4);
    size_t last_op_count = 3000;
    struct minimise_options options = {
        .shows = shows_free_between,
        .progress = count_progress,
        .arg = &last_op_count,
        .try_max = 10,
    };

    (void)state;
    assert_int_equal(minimise(program, &options, &status), MINIMISE_BUDGET);
    assert_int_equal(status.try_count, 10);
    assert_true(shows_free_between(program, NULL));
    assert_true(program_op_count(program) < 3000);
    assert_int_equal(last_op_count, program_op_count(program));
    program_delete(program);

    program = random_program(1, 3000, 4);
    options =
        (struct minimise_options){.shows = shows_slowly, .time_ns = 20000000};
    assert_int_equal(minimise(program, &options, &status), MINIMISE_BUDGET);
    assert_in_range(status.try_count, 1, 20);
    assert_true(shows_free_between(program, NULL));
    program_delete(program);
}

static bool
shows_never(const struct program *program, void *arg)
{
    (void)program;
    (void)arg;
    return false;
}

static void
minimise_says_when_nothing_is_shown(void **state)
{
    struct program *program = random_program(1, 30, 2);
    struct program *before = new_program();
    struct minimise_options options = {.shows = shows_never};

    (void)state;
    assert_true(program_copy(before, program));
    assert_int_equal(minimise(program, &options, &status), MINIMISE_NOT_SHOWN);
    assert_int_equal(status.try_count, 1);
    assert_true(program_equal(before, program));
    program_delete(program);
    program_delete(before);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minimise_finds_three_operations_among_thousands),
        cmocka_unit_test(minimise_keeps_the_threads_that_are_needed),
        cmocka_unit_test(minimise_merges_threads),
        cmocka_unit_test(minimise_removes_pairs_that_need_each_other),
        cmocka_unit_test(minimise_makes_numbers_small_and_simple),
        cmocka_unit_test(minimise_turns_calls_into_simpler_ones),
        cmocka_unit_test(minimise_shortens_schedule_and_faults),
        cmocka_unit_test(minimise_keeps_where_a_program_came_from),
        cmocka_unit_test(minimise_keeps_to_its_budget),
        cmocka_unit_test(minimise_says_when_nothing_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
