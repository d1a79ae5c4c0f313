/*
 * calm_test.c - a calm schedule shows the same, and what is left of a program
 * keeps it
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "observe/crash.h"
#include "run/calm.h"
#include "run/toys.h"

#define SEEDS    8
#define RUNS_MAX 20000
#define PAIRS    6 /* of malloc and free, in each thread */

/* The registry of targets, for what else the runners hold. */
const struct alloc_ops *const alloc_all[] = {&toy_lost_wake, NULL};

const struct alloc_ops *
alloc_find(const char *name)
{
    return strcmp(name, toy_lost_wake.name) == 0 ? &toy_lost_wake : NULL;
}

static struct observed observed;
static struct minimal minimal;

static struct program *
make_program(void)
{
    struct program *program = program_new();
    assert_non_null(program);
    for (unsigned thread = 0; thread < 3; thread++) {
        for (int i = 0; i < PAIRS; i++) {
            const struct op take = {
                .kind = OP_MALLOC, .slot = thread, .size = 8};
            const struct op give = {.kind = OP_FREE, .slot = thread};
            assert_true(program_add(program, thread, &take));
            assert_true(program_add(program, thread, &give));
        }
    }
    return program;
}

static void
open_toy(const struct alloc_ops *ops)
{
    struct policy policy = policy_default();
    policy.clauses &=
        ~(1u << CLAUSE_NULL_MODEST); /* toys have no large blocks */
    assert_true(observed_open(&observed, ops, policy));
    assert_true(minimal_open(&minimal, &observed));
}

/* A random walk that shows something is the kept run. */
static void
open_kept(const struct alloc_ops *ops, struct program *program, uint64_t seed)
{
    struct strategy_walk walk;
    open_toy(ops);
    strategy_walk_init(&walk, seed);
    for (int i = 0; i < RUNS_MAX; i++) {
        const struct observe_verdict *verdict =
            observed_run(&observed, program, &walk.base);
        if (verdict->kind != VERDICT_KIND_COUNT) {
            minimal_keep(&minimal, verdict);
            assert_true(program_copy(minimal.kept, program));
            return;
        }
    }
    fail_msg("%s: no walk shows its fault", ops->name);
}

static void
close_kept(void)
{
    minimal_close(&minimal);
    observed_close(&observed);
}

/* The bytes that are kept show the verdict, at the cost that is told. */
static void
expect_kept(enum verdict_kind kind)
{
    const struct observe_verdict *verdict =
        minimal_replay(&minimal, minimal.kept);
    assert_int_equal(verdict->kind, kind);
    assert_int_equal(
        observe_stats()->preemptions + observe_stats()->stale_loads,
        minimal_cost(&minimal));
}

/* Threads that block, wake others, spin and yield; loads of older stores. */
static void
a_run_that_was_written_down_comes_again(void **state)
{
    (void)state;
    static const struct alloc_ops *const toys[] = {&toy_locked, &toy_spin,
        &toy_lockfree, &toy_lost_wake, &toy_inversion, &toy_aba};
    static struct strategy_stretches recorder, follower;
    static struct stretches written;
    struct program *program = make_program();
    for (size_t i = 0; i < sizeof(toys) / sizeof(toys[0]); i++) {
        struct strategy_walk walk;
        strategy_walk_init(&walk, 1);
        open_toy(toys[i]);
        for (int run = 0; run < 100; run++) {
            strategy_stretches_record(&recorder, &walk.base);
            observed_run(&observed, program, &recorder.base);
            uint64_t hash = observe_stats()->hash;
            written = recorder.made;
            strategy_stretches_follow(&follower, &written);
            observed_run(&observed, program, &follower.base);
            assert_true(observe_stats()->hash == hash);
        }
        close_kept();
    }
    program_delete(program);
}

static void
few_preemptions_are_left(void **state)
{
    (void)state;
    static const struct alloc_ops *const faults[] = {
        &toy_lost_wake, &toy_aba, &toy_inversion};
    struct program *program = make_program();
    for (int i = 0; i < 3; i++) {
        unsigned before = 0, after = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            open_kept(faults[i], program, seed);
            enum verdict_kind kind = minimal.verdict.kind;
            before += minimal_cost(&minimal);
            calm_make(&minimal);
            after += minimal_cost(&minimal);
            expect_kept(kind);
            close_kept();
        }
        assert_in_range(after, SEEDS, before / 5);
    }
    program_delete(program);
}

/* No time: the kept run stays what it is. */
static void
nothing_is_tried_when_it_is_late(void **state)
{
    (void)state;
    struct program *program = make_program();
    open_kept(&toy_aba, program, 1);
    enum verdict_kind kind = minimal.verdict.kind;
    unsigned before = minimal_cost(&minimal);
    observed.limit.deadline_ns = 1;
    minimal.run_count = 0;
    calm_make(&minimal);
    assert_int_equal(minimal_cost(&minimal), before);
    assert_int_equal(minimal.run_count, 1);
    expect_kept(kind);
    close_kept();
    program_delete(program);
}

/* The program without that operation. */
static struct program *
without(const struct program *program, unsigned thread, size_t index)
{
    struct program *less = program_new();
    assert_non_null(less);
    assert_true(program_copy(less, program));
    struct thread_ops *list = &less->threads[thread];
    list->op_count--;
    memmove(&list->ops[index], &list->ops[index + 1],
        (list->op_count - index) * sizeof(list->ops[0]));
    return less;
}

/* What a thread does before and after the operation that goes keeps its place
 * in the schedule. To the bytes it means something else. */
static void
a_shorter_program_keeps_the_schedule(void **state)
{
    (void)state;
    unsigned kept = 0, by_bytes = 0;
    struct program *program = make_program();
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        open_kept(&toy_lost_wake, program, seed);
        enum verdict_kind kind = minimal.verdict.kind;
        calm_make(&minimal);
        for (unsigned thread = 0; thread < 3; thread++) {
            for (size_t i = PAIRS; i-- > 0;) {
                size_t ops = program_op_count(minimal.kept);
                struct program *less = without(minimal.kept, thread, i);
                by_bytes += minimal_replay(&minimal, less)->kind == kind;
                bool shows = calm_try(&minimal, less);
                kept += shows;
                assert_int_equal(program_op_count(minimal.kept), ops - shows);
                expect_kept(kind);
                program_delete(less);
            }
        }
        close_kept();
    }
    assert_in_range(kept, by_bytes + by_bytes / 4, SEEDS * 3 * PAIRS);
    program_delete(program);
}

/* Where nobody waits for anybody the kept run stays. */
static void
what_shows_nothing_is_not_kept(void **state)
{
    (void)state;
    struct program *program = make_program();
    struct program *none = program_new();
    assert_non_null(none);
    open_kept(&toy_lost_wake, program, 1);
    enum verdict_kind kind = minimal.verdict.kind;
    const struct op op = {.kind = OP_MALLOC, .size = 8};
    assert_true(program_add(none, 0, &op));
    assert_false(calm_try(&minimal, none));
    assert_int_equal(program_op_count(minimal.kept), program_op_count(program));
    expect_kept(kind);
    close_kept();
    program_delete(none);
    program_delete(program);
}

int
main(void)
{
    const char *lack = observe_init();
    if (lack != NULL) {
        fprintf(stderr, "calm_test: %s\n", lack);
        return 1;
    }
    assert_true(crash_init());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_that_was_written_down_comes_again),
        cmocka_unit_test(few_preemptions_are_left),
        cmocka_unit_test(nothing_is_tried_when_it_is_late),
        cmocka_unit_test(a_shorter_program_keeps_the_schedule),
        cmocka_unit_test(what_shows_nothing_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
