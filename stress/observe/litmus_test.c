/*
 * litmus_test.c - C11's verdict on each litmus program, and the runtime's
 *
 * Every program is run under all schedules with a few preemptions and stale
 * loads, and then at random. The outcomes that the standard allows must all be
 * seen and no other. Where the runtime shows fewer than the standard allows the
 * list below says so: see weak.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "observe/crash.h"
#include "observe/litmus.h"
#include "observe/observe.h"
#include "observe/strategy.h"

#define OUTCOMES_MAX 64
#define RUNS_MAX     200000
#define RANDOM_RUNS  2000

struct outcome {
    enum verdict_kind kind; /* VERDICT_KIND_COUNT: results count */
    int results[LITMUS_RESULTS];
};

struct outcomes {
    struct outcome list[OUTCOMES_MAX];
    unsigned count;
    uint64_t run_count;
};

static void
body(unsigned thread, void *arg)
{
    ((const struct litmus *)arg)->body(thread);
}

static const struct litmus *
find(const char *name)
{
    const struct litmus *litmus = litmus_all;
    while (strcmp(litmus->name, name) != 0) {
        litmus++;
        assert_non_null(litmus->name);
    }
    return litmus;
}

static void
keep(struct outcomes *outcomes, const struct observe_verdict *verdict)
{
    struct outcome now = {.kind = verdict->kind};
    if (now.kind == VERDICT_KIND_COUNT) {
        memcpy(now.results, litmus_results, sizeof(now.results));
    }
    for (unsigned i = 0; i < outcomes->count; i++) {
        if (memcmp(&outcomes->list[i], &now, sizeof(now)) == 0) {
            return;
        }
    }
    assert_true(outcomes->count < OUTCOMES_MAX);
    outcomes->list[outcomes->count++] = now;
}

static void
explore(const char *name, struct strategy *strategy, uint64_t runs_max,
    struct outcomes *outcomes)
{
    const struct litmus *litmus = find(name);
    struct observe_plan plan = {
        .thread_count = litmus->thread_count,
        .body = body,
        .arg = (void *)(uintptr_t)litmus,
        .strategy = strategy,
        .steps_max = 20000,
    };
    for (uint64_t i = 0; i < runs_max && !strategy->done; i++) {
        keep(outcomes, observe_run(&plan));
        outcomes->run_count++;
    }
}

static struct outcomes
explore_all(const char *name, unsigned bound)
{
    struct outcomes outcomes = {0};
    struct strategy_exhaustive exhaustive;
    assert_true(strategy_exhaustive_init(&exhaustive, bound));
    explore(name, &exhaustive.base, RUNS_MAX, &outcomes);
    assert_true(exhaustive.base.done);
    strategy_exhaustive_fini(&exhaustive);

    struct strategy_walk walk;
    strategy_walk_init(&walk, 1);
    explore(name, &walk.base, RANDOM_RUNS, &outcomes);
    struct strategy_pct pct;
    strategy_pct_init(&pct, 1, 3);
    explore(name, &pct.base, RANDOM_RUNS, &outcomes);
    struct strategy_pos pos;
    strategy_pos_init(&pos, 1);
    explore(name, &pos.base, RANDOM_RUNS, &outcomes);
    return outcomes;
}

static bool
has_verdict(const struct outcomes *outcomes, enum verdict_kind kind)
{
    for (unsigned i = 0; i < outcomes->count; i++) {
        if (outcomes->list[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static bool
is_in(const int (*list)[LITMUS_RESULTS], unsigned count, const int *results)
{
    for (unsigned i = 0; i < count; i++) {
        if (memcmp(list[i], results, sizeof(list[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void
check_outcomes(const char *name, unsigned bound,
    const int (*allowed)[LITMUS_RESULTS], unsigned allowed_count)
{
    struct outcomes outcomes = explore_all(name, bound);
    for (unsigned i = 0; i < outcomes.count; i++) {
        const struct outcome *outcome = &outcomes.list[i];
        if (outcome->kind != VERDICT_KIND_COUNT ||
            !is_in(allowed, allowed_count, outcome->results)) {
            const int *r = outcome->results;
            fail_msg("%s: verdict %d, outcome %d %d %d %d must not be", name,
                (int)outcome->kind, r[0], r[1], r[2], r[3]);
        }
    }
    assert_int_equal(outcomes.count, allowed_count);
}

#define CHECK_OUTCOMES(name, bound, ...)                                       \
    do {                                                                       \
        static const int allowed[][LITMUS_RESULTS] = __VA_ARGS__;              \
        check_outcomes(                                                        \
            name, bound, allowed, sizeof(allowed) / sizeof(allowed[0]));       \
    } while (0)

static void
check_finds(const char *name, unsigned bound, enum verdict_kind kind)
{
    struct outcomes outcomes = explore_all(name, bound);
    if (!has_verdict(&outcomes, kind)) {
        fail_msg("%s: no verdict %s in %llu runs", name, verdicts[kind].name,
            (unsigned long long)outcomes.run_count);
    }
}

static void
check_silent(const char *name, unsigned bound)
{
    struct outcomes outcomes = explore_all(name, bound);
    for (unsigned i = 0; i < outcomes.count; i++) {
        if (outcomes.list[i].kind != VERDICT_KIND_COUNT) {
            fail_msg(
                "%s: verdict %s", name, verdicts[outcomes.list[i].kind].name);
        }
    }
}

static void
message_passing(void **state)
{
    (void)state;
    CHECK_OUTCOMES("mp_relaxed", 3, {{0, 0}, {0, 1}, {1, 0}, {1, 1}});
    CHECK_OUTCOMES("mp_release_only", 3, {{0, 0}, {0, 1}, {1, 0}, {1, 1}});
    CHECK_OUTCOMES("mp_acquire_only", 3, {{0, 0}, {0, 1}, {1, 0}, {1, 1}});
    CHECK_OUTCOMES("mp_release_acquire", 3, {{0, 0}, {0, 1}, {1, 1}});
    CHECK_OUTCOMES("mp_fences", 3, {{0, 0}, {0, 1}, {1, 1}});
}

static void
message_passing_of_plain_data(void **state)
{
    (void)state;
    check_finds("mp_plain_relaxed", 3, VERDICT_RACE);
    check_finds("mp_plain_lost_release", 3, VERDICT_RACE);
    check_finds("mp_plain_lost_acquire", 3, VERDICT_RACE);
    CHECK_OUTCOMES("mp_plain", 3, {{0}, {2}});
    CHECK_OUTCOMES("mp_plain_fences", 3, {{0}, {2}});
}

static void
store_buffering(void **state)
{
    (void)state;
    CHECK_OUTCOMES("sb_relaxed", 3, {{0, 0}, {0, 1}, {1, 0}, {1, 1}});
    CHECK_OUTCOMES("sb_release_acquire", 3, {{0, 0}, {0, 1}, {1, 0}, {1, 1}});
    CHECK_OUTCOMES("sb_weak_fences", 3, {{0, 0}, {0, 1}, {1, 0}, {1, 1}});
    CHECK_OUTCOMES("sb_seq_cst", 3, {{0, 1}, {1, 0}, {1, 1}});
    CHECK_OUTCOMES("sb_fences", 3, {{0, 1}, {1, 0}, {1, 1}});
    CHECK_OUTCOMES("sb_exchanges", 3, {{0, 1}, {1, 0}, {1, 1}});
    CHECK_OUTCOMES("sb_one_fence", 3, {{0, 0}, {0, 1}, {1, 0}, {1, 1}});
    CHECK_OUTCOMES("sb_fence_and_seq_cst", 3, {{0, 1}, {1, 0}, {1, 1}});
}

/* C11 allows 1 1 for relaxed accesses; a load here reads what was stored. */
static void
load_buffering(void **state)
{
    (void)state;
    CHECK_OUTCOMES("lb_relaxed", 3, {{0, 0}, {0, 1}, {1, 0}});
}

static void
independent_reads_of_independent_writes(void **state)
{
    (void)state;
    static const int all[16][LITMUS_RESULTS] = {{0, 0, 0, 0}, {0, 0, 0, 1},
        {0, 0, 1, 0}, {0, 0, 1, 1}, {0, 1, 0, 0}, {0, 1, 0, 1}, {0, 1, 1, 0},
        {0, 1, 1, 1}, {1, 0, 0, 0}, {1, 0, 0, 1}, {1, 0, 1, 1}, {1, 1, 0, 0},
        {1, 1, 0, 1}, {1, 1, 1, 0}, {1, 1, 1, 1}, {1, 0, 1, 0}};
    check_outcomes("iriw_acquire", 3, all, 16);
    check_outcomes("iriw_seq_cst", 3, all, 15); /* the last is forbidden */
    check_outcomes("iriw_fences", 3, all, 15);
}

static void
causality_and_coherence(void **state)
{
    (void)state;
    CHECK_OUTCOMES("wrc", 3,
        {{0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 1, 1}, {1, 0, 0}, {1, 0, 1},
            {1, 1, 1}});
    CHECK_OUTCOMES("corr", 3, {{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 2}});
}

static void
release_sequences(void **state)
{
    (void)state;
    CHECK_OUTCOMES("sequence_by_rmw", 3, {{0}, {2}});
    CHECK_OUTCOMES("sequence_by_same_thread", 3, {{0}, {2}});
    check_finds("sequence_broken", 3, VERDICT_RACE);
    check_finds("sequence_resumed", 3, VERDICT_RACE);
}

static void
fences_and_their_partners(void **state)
{
    (void)state;
    check_finds("fence_release_only", 3, VERDICT_RACE);
    check_finds("fence_acquire_only", 3, VERDICT_RACE);
    check_finds("fence_too_late", 3, VERDICT_RACE);
    check_finds("fence_of_acquire", 3, VERDICT_RACE);
    CHECK_OUTCOMES("fence_and_load", 3, {{0}, {2}});
    CHECK_OUTCOMES("fence_and_rmw", 3, {{0}, {2}});
}

static void
what_pthreads_order(void **state)
{
    (void)state;
    check_silent("handed_on", 3);
    CHECK_OUTCOMES("destructor_and_join", 3, {{1}});
}

static void
mutual_exclusion(void **state)
{
    (void)state;
    check_silent("dekker", 3);
    check_finds("dekker_relaxed", 3, VERDICT_RACE);
    check_silent("spinlock", 2);
    check_finds("spinlock_check_then_set", 2, VERDICT_RACE);
    check_finds("spinlock_lost_release", 2, VERDICT_RACE);
}

static void
double_checked_initialization(void **state)
{
    (void)state;
    CHECK_OUTCOMES("double_checked", 2, {{7, 7, 7}});
    check_finds("double_checked_relaxed", 2, VERDICT_RACE);
}

static void
waiting_and_waking(void **state)
{
    (void)state;
    check_silent("handshake", 3);
    check_finds("handshake_lost_wake", 3, VERDICT_DEADLOCK);
    CHECK_OUTCOMES("condition", 3, {{1}});
    check_finds("lock_inversion", 2, VERDICT_DEADLOCK);
    check_finds("spin_for_ever", 1, VERDICT_LIVELOCK);
}

static void
aba_on_treibers_stack(void **state)
{
    (void)state;
    struct outcomes outcomes = explore_all("treiber_aba", 3);
    bool found = false;
    for (unsigned i = 0; i < outcomes.count; i++) {
        assert_int_equal(outcomes.list[i].kind, VERDICT_KIND_COUNT);
        const int *doubles = outcomes.list[i].results;
        found = found || doubles[0] > 0 || doubles[1] > 0;
    }
    assert_true(found);
    CHECK_OUTCOMES("treiber_tagged", 3, {{0, 0}});
}

static void
sizes_and_counters(void **state)
{
    (void)state;
    check_silent("neighbours", 2);
    CHECK_OUTCOMES("mixed_sizes", 3, {{0}, {2}});
    CHECK_OUTCOMES("count", 2, {{1, 1, 1}});
    check_finds("shared_reads", 2, VERDICT_RACE);
}

static void
lock_inversion_names_the_cycle(void **state)
{
    (void)state;
    const struct litmus *litmus = find("lock_inversion");
    struct strategy_walk walk;
    strategy_walk_init(&walk, 5);
    struct observe_plan plan = {
        .thread_count = 2,
        .body = body,
        .arg = (void *)(uintptr_t)litmus,
        .strategy = &walk.base,
    };
    const struct observe_verdict *verdict = observe_run(&plan);
    for (int i = 0; i < 1000 && verdict->kind != VERDICT_DEADLOCK; i++) {
        verdict = observe_run(&plan);
    }
    assert_int_equal(verdict->kind, VERDICT_DEADLOCK);
    assert_non_null(strstr(verdict->text, "held by thread 0"));
    assert_non_null(strstr(verdict->text, "held by thread 1"));
}

static void
choices_replay_a_run(void **state)
{
    (void)state;
    const struct litmus *litmus = find("mp_plain_lost_release");
    struct strategy_walk walk;
    strategy_walk_init(&walk, 3);
    struct observe_plan plan = {
        .thread_count = 2,
        .body = body,
        .arg = (void *)(uintptr_t)litmus,
        .strategy = &walk.base,
    };
    while (observe_run(&plan)->kind != VERDICT_RACE) {
    }
    uint64_t hash = observe_stats()->hash;
    size_t count;
    const uint8_t *choices = observe_choices(&count);
    uint8_t bytes[256];
    assert_true(count <= sizeof(bytes));
    memcpy(bytes, choices, count);
    struct strategy_replay replay;
    strategy_replay_init(&replay, bytes, count);
    plan.strategy = &replay.base;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(observe_run(&plan)->kind, VERDICT_RACE);
        assert_true(observe_stats()->hash == hash);
    }
    assert_true(observe_explain(&plan));
}

int
main(void)
{
    const char *lack = observe_init();
    if (lack != NULL) {
        fprintf(stderr, "litmus_test: %s\n", lack);
        return 1;
    }
    crash_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_passing),
        cmocka_unit_test(message_passing_of_plain_data),
        cmocka_unit_test(store_buffering),
        cmocka_unit_test(load_buffering),
        cmocka_unit_test(independent_reads_of_independent_writes),
        cmocka_unit_test(causality_and_coherence),
        cmocka_unit_test(release_sequences),
        cmocka_unit_test(fences_and_their_partners),
        cmocka_unit_test(what_pthreads_order),
        cmocka_unit_test(mutual_exclusion),
        cmocka_unit_test(double_checked_initialization),
        cmocka_unit_test(waiting_and_waking),
        cmocka_unit_test(aba_on_treibers_stack),
        cmocka_unit_test(sizes_and_counters),
        cmocka_unit_test(lock_inversion_names_the_cycle),
        cmocka_unit_test(choices_replay_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
