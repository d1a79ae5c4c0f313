/*
 * explore_test.c - campaigns find each wrong toy and no right one
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "observe/crash.h"
#include "run/explore.h"
#include "run/minimal.h"
#include "run/supervisor.h"
#include "run/toys.h"

#define OPS_EACH 6
#define SLOTS    4

/* Far more than a run takes that ends. */
#define STEPS_MAX (1u << 17)

/* The registry of targets, for what else the runners hold. */
const struct alloc_ops *const alloc_all[] = {&toy_locked, NULL};

const struct alloc_ops *
alloc_find(const char *name)
{
    return strcmp(name, toy_locked.name) == 0 ? &toy_locked : NULL;
}

struct outcome {
    enum verdict_kind kind;
    size_t op_count;
    unsigned thread_count, preemption_count;
    uint64_t run;
    struct program *program;
};

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct random random;
    bool good = true;
    random_seed(&random, random_mix(seed) + index);
    for (unsigned i = 0; i < thread_count; i++) {
        for (int j = 0; j < OPS_EACH; j++) {
            bool frees = random_one_in(&random, 2);
            const struct op op = {
                .kind = frees ? OP_FREE : OP_MALLOC,
                .slot = (uint32_t)random_below(&random, SLOTS),
                .size = frees ? 0 : random_between(&random, 1, TOY_BLOCK),
            };
            good = program_add(program, i, &op) && good;
        }
    }
    return good;
}

static bool
keep(const struct explore_finding *finding, void *arg)
{
    struct outcome *outcome = arg;
    outcome->kind = finding->verdict->kind;
    if (getenv("EXPLORE_SHOW") != NULL) {
        printf(
            "%s: %s\n", verdicts[outcome->kind].name, finding->verdict->text);
        for (unsigned i = 0; i < finding->explanation->line_count; i++) {
            printf("  %s\n", finding->explanation->lines[i]);
        }
    }
    outcome->op_count = program_op_count(finding->program);
    outcome->thread_count = finding->program->thread_count;
    outcome->preemption_count = finding->preemption_count;
    outcome->run = finding->run;
    outcome->program = program_new();
    assert_true(program_copy(outcome->program, finding->program));
    assert_true(finding->explanation->line_count > 0);
    return false;
}

/* Toys have no large blocks. */
static struct policy
toy_policy(void)
{
    struct policy policy = policy_default();
    policy.clauses &= ~(1u << CLAUSE_NULL_MODEST);
    return policy;
}

static struct outcome
explore(const struct alloc_ops *ops, enum explore_strategy strategy,
    enum explore_sweep sweep, uint64_t runs_max)
{
    struct outcome outcome = {.kind = VERDICT_KIND_COUNT};
    struct explore campaign = {
        .ops = ops,
        .policy = toy_policy(),
        .strategy = strategy,
        .depth = strategy == EXPLORE_EXHAUSTIVE ? 2 : 3,
        .sweep = sweep,
        .seed = 1,
        .runs_max = runs_max,
        .thread_count = 2,
        .op_count = OPS_EACH,
        .steps_max = STEPS_MAX,
        .generate = generate,
        .found = keep,
        .arg = &outcome,
    };
    const char *error = explore_run(&campaign);
    assert_null(error);
    assert_true(campaign.bound[0] != '\0');
    return outcome;
}

static void
expect_silence(const struct alloc_ops *ops, enum explore_strategy strategy,
    enum explore_sweep sweep, uint64_t runs_max)
{
    struct outcome outcome = explore(ops, strategy, sweep, runs_max);
    if (outcome.kind != VERDICT_KIND_COUNT) {
        fail_msg("%s under %s: %s", ops->name, explore_strategy_names[strategy],
            verdicts[outcome.kind].name);
    }
}

static void
right_toys_are_right(void **state)
{
    (void)state;
    assert_true(crash_init());
    static const struct alloc_ops *const toys[] = {
        &toy_locked, &toy_spin, &toy_lockfree};
    for (int i = 0; i < 3; i++) {
        expect_silence(toys[i], EXPLORE_PCT, EXPLORE_NO_SWEEP, 3000);
        expect_silence(toys[i], EXPLORE_POS, EXPLORE_NO_SWEEP, 3000);
        expect_silence(toys[i], EXPLORE_RANDOM, EXPLORE_NO_SWEEP, 3000);
        expect_silence(toys[i], EXPLORE_EXHAUSTIVE, EXPLORE_NO_SWEEP, 3000);
        expect_silence(toys[i], EXPLORE_PCT, EXPLORE_FAIL_OS, 200);
    }
    expect_silence(&toy_locked, EXPLORE_PCT, EXPLORE_FORK, 200);
    expect_silence(&toy_lockfree, EXPLORE_PCT, EXPLORE_FORK, 200);
    expect_silence(&toy_lockfree, EXPLORE_PCT, EXPLORE_SIGNAL, 2000);
}

struct expectation {
    const struct alloc_ops *ops;
    enum explore_sweep sweep;
    enum verdict_kind kinds[2]; /* either */
};

static const struct expectation expectations[] = {
    {&toy_no_lock, EXPLORE_NO_SWEEP, {VERDICT_RACE, VERDICT_RACE}},
    {&toy_lost_release, EXPLORE_NO_SWEEP, {VERDICT_RACE, VERDICT_RACE}},
    {&toy_lost_acquire, EXPLORE_NO_SWEEP, {VERDICT_RACE, VERDICT_RACE}},
    {&toy_lazy_init, EXPLORE_NO_SWEEP, {VERDICT_RACE, VERDICT_RACE}},
    {&toy_aba, EXPLORE_NO_SWEEP, {VERDICT_OVERLAP, VERDICT_RACE}},
    {&toy_peek, EXPLORE_NO_SWEEP, {VERDICT_OWNERSHIP, VERDICT_RACE}},
    {&toy_inversion, EXPLORE_NO_SWEEP, {VERDICT_DEADLOCK, VERDICT_DEADLOCK}},
    {&toy_lost_wake, EXPLORE_NO_SWEEP, {VERDICT_DEADLOCK, VERDICT_DEADLOCK}},
    {&toy_kept_lock, EXPLORE_NO_SWEEP, {VERDICT_LIVELOCK, VERDICT_LIVELOCK}},
    {&toy_oom, EXPLORE_FAIL_OS, {VERDICT_DEADLOCK, VERDICT_DEADLOCK}},
    {&toy_no_atfork, EXPLORE_FORK, {VERDICT_FORK, VERDICT_FORK}},
    {&toy_signal, EXPLORE_SIGNAL, {VERDICT_DEADLOCK, VERDICT_DEADLOCK}},
};
#define EXPECTATIONS (sizeof(expectations) / sizeof(expectations[0]))

/* Replays what was found, many times. */
static void
expect_replay(const struct alloc_ops *ops, const struct outcome *outcome)
{
    static struct observed observed;
    struct strategy_replay replay;
    uint64_t hash = 0;
    assert_true(observed_open(&observed, ops, toy_policy()));
    observed.steps_max = STEPS_MAX;
    strategy_replay_init(
        &replay, outcome->program->schedule, outcome->program->schedule_count);
    for (int i = 0; i < 100; i++) {
        const struct observe_verdict *verdict =
            observed_run(&observed, outcome->program, &replay.base);
        assert_int_equal(verdict->kind, outcome->kind);
        assert_true(i == 0 || observe_stats()->hash == hash);
        hash = observe_stats()->hash;
    }
    observed_close(&observed);
}

static void
wrong_toys_are_found_made_small_and_replayed(void **state)
{
    (void)state;
    assert_true(crash_init());
    for (size_t i = 0; i < EXPECTATIONS; i++) {
        const struct expectation *expected = &expectations[i];
        struct outcome outcome =
            explore(expected->ops, EXPLORE_PCT, expected->sweep, 5000);
        if (outcome.kind != expected->kinds[0] &&
            outcome.kind != expected->kinds[1]) {
            fail_msg("%s: not found, but %d", expected->ops->name,
                (int)outcome.kind);
        }
        if (outcome.op_count > 6 || outcome.preemption_count > 3) {
            fail_msg("%s: %zu operations, %u preemptions", expected->ops->name,
                outcome.op_count, outcome.preemption_count);
        }
        if (expected->sweep != EXPLORE_SIGNAL) {
            expect_replay(expected->ops, &outcome);
        }
        program_delete(outcome.program);
    }
}

static void
all_strategies_find(void **state)
{
    (void)state;
    assert_true(crash_init());
    static const enum explore_strategy strategies[] = {
        EXPLORE_RANDOM, EXPLORE_POS, EXPLORE_EXHAUSTIVE};
    for (int i = 0; i < 3; i++) {
        struct outcome outcome =
            explore(&toy_lost_wake, strategies[i], EXPLORE_NO_SWEEP, 20000);
        assert_int_equal(outcome.kind, VERDICT_DEADLOCK);
        program_delete(outcome.program);
    }
}

/* Runs that never end but for the time. */
static void
a_run_is_cut_at_the_deadline(void **state)
{
    (void)state;
    struct outcome outcome = {.kind = VERDICT_KIND_COUNT};
    struct explore campaign = {
        .ops = &toy_kept_lock,
        .policy = toy_policy(),
        .strategy = EXPLORE_PCT,
        .depth = 3,
        .seed = 1,
        .deadline_ns = supervisor_now_ns() + 500000000,
        .thread_count = 2,
        .op_count = OPS_EACH,
        .steps_max = UINT64_MAX / 2,
        .generate = generate,
        .found = keep,
        .arg = &outcome,
    };
    assert_true(crash_init());
    assert_null(explore_run(&campaign));
    assert_int_equal(outcome.kind, VERDICT_KIND_COUNT);
    assert_true(supervisor_now_ns() >= campaign.deadline_ns);
}

/* However late it is, what was found is told, as large as it is. */
static void
minimising_has_no_time_after_the_deadline(void **state)
{
    (void)state;
    struct outcome early =
        explore(&toy_lost_wake, EXPLORE_PCT, EXPLORE_NO_SWEEP, 5000);
    struct observed observed;
    struct minimal minimal;
    struct strategy_replay replay;
    assert_true(observed_open(&observed, &toy_lost_wake, toy_policy()));
    assert_true(minimal_open(&minimal, &observed));
    strategy_replay_init(
        &replay, early.program->schedule, early.program->schedule_count);
    const struct observe_verdict *verdict =
        observed_run(&observed, early.program, &replay.base);
    assert_int_equal(verdict->kind, early.kind);
    minimal_keep(&minimal, verdict);
    observed.limit.deadline_ns = 1;
    minimal_find(&minimal, early.program, 1);
    assert_in_range(minimal.run_count, 0, 2);
    assert_true(minimal_explain(&minimal));
    assert_int_equal(minimal.verdict.kind, early.kind);
    assert_int_equal(observed.limit.deadline_ns, 1);
    minimal_close(&minimal);
    observed_close(&observed);
    program_delete(early.program);
}

static void
a_target_that_asks_the_processor_is_not_deterministic(void **state)
{
    (void)state;
    struct outcome outcome =
        explore(&toy_clock, EXPLORE_PCT, EXPLORE_NO_SWEEP, 2000);
    assert_int_equal(outcome.kind, VERDICT_NONDETERMINISM);
}

int
main(void)
{
    const char *lack = observe_init();
    if (lack != NULL) {
        fprintf(stderr, "explore_test: %s\n", lack);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_toys_are_right),
        cmocka_unit_test(wrong_toys_are_found_made_small_and_replayed),
        cmocka_unit_test(all_strategies_find),
        cmocka_unit_test(a_run_is_cut_at_the_deadline),
        cmocka_unit_test(minimising_has_no_time_after_the_deadline),
        cmocka_unit_test(a_target_that_asks_the_processor_is_not_deterministic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
