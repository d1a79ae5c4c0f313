/*
 * ck_test.c - Concurrency Kit's structures are correct under every schedule tried,
 * and wrong without any one order that they need
 *
 * The programs and the orders are those that ThreadSanitizer judges too (ck_race.h).
 * There, threads must meet at the right place; here a schedule makes them.
 *
 * Some structures are ordered by less than C11 asks for, and by what every machine
 * does: a queue lock's node is written again by its owner once the next in the queue
 * was seen to have written it; a producer of a ring goes by a control dependency
 * from the one before it (ck_port_order.h, ck_ring.h). By the letter those have races
 * and stale reads. For them loads read the newest store here, and results count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "observe/ck_subject.h"
#include "observe/crash.h"
#include "observe/observe.h"
#include "observe/strategy.h"

#define RUNS_SILENT 20
#define RUNS_MAX    400

static const char *const ordered_by_machines[] = {"mcs", "clh", "ring_mpsc",
    "ring_mpmc", "fifo_mpmc", "fifo_mpmc_reuse", NULL};

static struct strategy_walk walk;
static struct strategy_pct pct;
static struct strategy_pos pos;
static struct strategy *const strategies[] = {&walk.base, &pct.base, &pos.base};

#define STRATEGY_COUNT (sizeof(strategies) / sizeof(strategies[0]))

static void
start_strategies(void)
{
    strategy_walk_init(&walk, 1);
    strategy_pct_init(&pct, 1, 3);
    strategy_pos_init(&pos, 1);
}

static bool
is_ordered_by_c11(const char *name)
{
    for (unsigned i = 0; ordered_by_machines[i] != NULL; i++) {
        if (strcmp(ordered_by_machines[i], name) == 0) {
            return false;
        }
    }
    return true;
}

static const struct observe_verdict *
run(struct ck_subject *subject, struct strategy *strategy)
{
    bool by_c11 = is_ordered_by_c11(subject->program->name);
    const struct observe_plan plan = {
        .thread_count = 1,
        .body = ck_subject_body,
        .arg = subject,
        .strategy = strategy,
        .strong = !by_c11,
        .no_races = !by_c11,
    };
    return observe_run(&plan);
}

static void
check_silent(const struct race_program *program)
{
    struct ck_subject subject = {.program = program};
    start_strategies();
    for (unsigned i = 0; i < RUNS_SILENT * STRATEGY_COUNT; i++) {
        const struct observe_verdict *verdict =
            run(&subject, strategies[i % STRATEGY_COUNT]);
        if (verdict->kind != VERDICT_KIND_COUNT) {
            fail_msg("%s: %s: %s", program->name, verdicts[verdict->kind].name,
                verdict->text);
        }
    }
}

static void
structures_are_silent(void **state)
{
    (void)state;
    crash_init(); /* after cmocka's own handlers */
    for (unsigned i = 0; race_lists[i] != NULL; i++) {
        const struct race_program *program = race_lists[i];
        for (; program->name != NULL; program++) {
            check_silent(program);
        }
    }
}

static bool
is_found(const struct race_weakening *weakening)
{
    struct ck_subject subject = {
        .program = race_find(weakening->program), .weakening = *weakening};
    assert_non_null(subject.program);
    start_strategies();
    for (unsigned i = 0; i < RUNS_MAX; i++) {
        enum verdict_kind kind =
            run(&subject, strategies[i % STRATEGY_COUNT])->kind;
        if (kind != VERDICT_KIND_COUNT) {
            return true;
        }
    }
    return false;
}

static void
each_order_is_needed(void **state)
{
    unsigned missed = 0;
    (void)state;
    crash_init();
    for (unsigned i = 0; i < race_weakening_count; i++) {
        const struct race_weakening *weakening = &race_weakenings[i];
        if (is_ordered_by_c11(weakening->program) && !is_found(weakening)) {
            print_error("%s: orders %#x of roles %u are not missed\n",
                weakening->program, weakening->orders, weakening->roles);
            missed++;
        }
    }
    assert_int_equal(missed, 0);
}

int
main(void)
{
    const char *lack = observe_init();
    if (lack != NULL) {
        fprintf(stderr, "ck_test: %s\n", lack);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structures_are_silent),
        cmocka_unit_test(each_order_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
