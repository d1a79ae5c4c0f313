/*
 * runtime_test.c - the runtime serves right code and stops wrong code
 *
 * Run twice: switching in user space, and with the baton (argument "baton").
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "observe/crash.h"
#include "observe/explain.h"
#include "observe/fiber.h"
#include "observe/observe.h"
#include "observe/strategy.h"
#include "observe/subject.h"

static struct strategy_walk walk;
static struct strategy_replay plain;

static void
call_subject(unsigned thread, void *arg)
{
    ((const struct subject *)arg)->body(thread);
}

static const struct observe_verdict *
run(void (*body)(unsigned, void *), const void *arg, unsigned thread_count,
    struct strategy *strategy)
{
    struct observe_plan plan = {
        .thread_count = thread_count,
        .body = body,
        .arg = (void *)(uintptr_t)arg,
        .strategy = strategy,
        .steps_max = 200000,
    };
    return observe_run(&plan);
}

static const struct observe_verdict *
run_subject(const char *name, struct strategy *strategy)
{
    const struct subject *subject = subject_all;
    while (strcmp(subject->name, name) != 0) {
        subject++;
        assert_non_null(subject->name);
    }
    return run(call_subject, subject, subject->thread_count, strategy);
}

static void
expect_none(const struct observe_verdict *verdict)
{
    if (verdict->kind != VERDICT_KIND_COUNT) {
        fail_msg("%s: %s", verdicts[verdict->kind].name, verdict->text);
    }
}

static void
expect_verdict(const char *name, enum verdict_kind kind, const char *text)
{
    const struct observe_verdict *verdict = run_subject(name, &plain.base);
    assert_int_equal(verdict->kind, kind);
    if (strstr(verdict->text, text) == NULL) {
        fail_msg("%s does not say %s", verdict->text, text);
    }
}

static void
pthread_calls_do_as_documented(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        expect_none(run_subject("mutexes", &walk.base));
        assert_int_equal(subject_value, 0);
        expect_none(run_subject("count_up", &walk.base));
        assert_int_equal(subject_value, 9);
        expect_none(run_subject("timed_wait", &walk.base));
        assert_int_equal(subject_value, 1);
        expect_none(run_subject("run_once", &walk.base));
        assert_int_equal(subject_order, 3);
        expect_none(run_subject("destructors", &walk.base));
        assert_int_equal(subject_value, 1);
        assert_int_equal(subject_order, 3);
        expect_none(run_subject("create_and_join", &walk.base));
        assert_int_equal(subject_value, 1);
    }
}

static void
static_data_and_tls_begin_anew(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        expect_none(run_subject("static_data", &plain.base));
        assert_int_equal(subject_value, 44);
    }
}

static void
ends_of_all_kinds_are_told(void **state)
{
    (void)state;
    assert_true(crash_init());    /* cmocka has put its own handlers in place */
    for (int i = 0; i < 2; i++) { /* A run leaves nothing for the next. */
        expect_verdict("crash", VERDICT_CRASH, "at address 0x8");
        expect_verdict("overflow_stack", VERDICT_CRASH, "overflowed");
        expect_verdict("self_deadlock", VERDICT_DEADLOCK, "held by thread 0");
        expect_verdict("foreign_unlock", VERDICT_MISUSE, "does not hold");
        expect_verdict("say_and_abort", VERDICT_MISUSE, "double free: 0x10");
        expect_none(run_subject("mutexes", &plain.base));
    }
}

static void
loops_end(void **state)
{
    (void)state;
    assert_true(crash_init());
    const struct observe_verdict *verdict =
        run_subject("compute_for_ever", &plain.base);
    assert_int_equal(verdict->kind, VERDICT_HANG);
}

/*
 * Ownership.
 */

#define PAGE 4096

enum deed {
    DEED_FREE_MEMORY, /* right: what is not a user's */
    DEED_WRITE_BLOCK,
    DEED_READ_LAST_BYTE,
    DEED_READ_BEHIND, /* right: the byte after the block */
    DEED_READ_UNMAPPED,
    DEED_UNMAP_BLOCK,
    DEED_PURGE_BLOCK,
    DEED_REUSE, /* right: after the block is given back */
    DEED_COUNT
};

static void
do_deed(unsigned thread, void *arg)
{
    enum deed deed = *(const enum deed *)arg;
    (void)thread;
    char *memory = subject_map(4 * PAGE);
    subject_write(memory, 2 * PAGE);
    observe_block_taken(memory + 100, 5000);
    switch (deed) {
    case DEED_FREE_MEMORY:
        subject_write(memory, 100);
        subject_write(memory + 5100, 10);
        break;
    case DEED_WRITE_BLOCK:
        subject_write(memory + 96, 8);
        break;
    case DEED_READ_LAST_BYTE:
        subject_read(memory + 5099);
        break;
    case DEED_READ_BEHIND:
        subject_read(memory + 5100);
        break;
    case DEED_READ_UNMAPPED:
        subject_unmap(memory + 3 * PAGE, PAGE);
        subject_read(memory + 3 * PAGE);
        break;
    case DEED_UNMAP_BLOCK:
        subject_unmap(memory + PAGE, PAGE);
        break;
    case DEED_PURGE_BLOCK:
        subject_purge(memory, PAGE);
        break;
    case DEED_REUSE:
        observe_block_given(memory + 100, 5000);
        subject_write(memory, 4 * PAGE);
        subject_unmap(memory, 4 * PAGE);
        subject_write(subject_map(PAGE), PAGE);
        break;
    case DEED_COUNT:
        break;
    }
}

static void
a_users_bytes_are_kept_from_the_target(void **state)
{
    (void)state;
    for (enum deed deed = 0; deed < DEED_COUNT; deed++) {
        bool right = deed == DEED_FREE_MEMORY || deed == DEED_READ_BEHIND ||
                     deed == DEED_REUSE;
        const struct observe_verdict *verdict =
            run(do_deed, &deed, 1, &plain.base);
        if (right) {
            expect_none(verdict);
        } else {
            assert_int_equal(verdict->kind, VERDICT_OWNERSHIP);
        }
    }
}

/* One thread's user writes, another's target memory: a race unless handed over
 * by a release and an acquire. */
static void
hand_over(unsigned thread, void *arg)
{
    static char *memory;
    bool ordered = *(const bool *)arg;
    if (thread == 0) {
        memory = subject_map(PAGE);
        subject_write(memory, PAGE);
        observe_block_taken(memory, 64);
        observe_block_given(memory, 64);
        if (ordered) {
            observe_release(&memory);
        }
        observe_wake(&memory);
    } else {
        while (memory == NULL && observe_wait(&memory)) {
        }
        if (memory != NULL && ordered) {
            observe_acquire(&memory);
        }
        if (memory != NULL) {
            subject_write(memory, 64);
            memory = NULL;
        }
    }
}

static void
users_accesses_count_for_races(void **state)
{
    (void)state;
    bool ordered = true;
    expect_none(run(hand_over, &ordered, 2, &plain.base));
    ordered = false;
    const struct observe_verdict *verdict =
        run(hand_over, &ordered, 2, &plain.base);
    assert_int_equal(verdict->kind, VERDICT_RACE);
    assert_true(verdict->has_other);
}

/*
 * The calls that the compiler inserts.
 */

static void
call_abi(unsigned thread, void *arg)
{
    int (*const *tests)(void) = arg;
    int line = tests[thread]();
    if (line != 0) {
        observe_fail(VERDICT_CONTENT, "subject.c:%d", line);
    }
}

static void
every_access_does_what_it_should(void **state)
{
    (void)state;
    static int (*const tests[])(void) = {
        abi_plain, abi_atomics, abi_wide_atomics, abi_copies};
    expect_none(run(call_abi, tests, 4, &walk.base));
    struct observe_plan plan = {
        .thread_count = 4,
        .body = call_abi,
        .arg = (void *)(uintptr_t)tests,
        .strategy = &walk.base,
        .points = OBSERVE_EVERY,
    };
    expect_none(observe_run(&plan));
    assert_true(observe_stats()->points > 100);
    /* Outside of a run the calls are plain accesses. */
    for (int i = 0; i < 4; i++) {
        if (tests[i] != abi_plain) { /* it counts from zero */
            assert_int_equal(tests[i](), 0);
        }
    }
}

static void
reports_name_functions_and_lines(void **state)
{
    (void)state;
    static struct explanation explanation;
    bool ordered = false;
    run(hand_over, &ordered, 2, &plain.base);
    struct observe_plan plan = {
        .thread_count = 2,
        .body = hand_over,
        .arg = &ordered,
        .strategy = &plain.base,
    };
    assert_true(observe_explain(&plan));
    explain(&explanation, observe_last_verdict(), true);
    bool found = false;
    for (unsigned i = 0; i < explanation.line_count; i++) {
        found = found || strstr(explanation.lines[i],
                             "subject_write stress/observe/subject.c:") != NULL;
    }
    assert_true(found);
}

int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "baton") == 0) {
        fiber_use_baton();
    }
    const char *lack = observe_init();
    if (lack != NULL) {
        fprintf(stderr, "runtime_test: %s\n", lack);
        return 1;
    }
    strategy_walk_init(&walk, 1);
    strategy_replay_init(&plain, NULL, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_access_does_what_it_should),
        cmocka_unit_test(pthread_calls_do_as_documented),
        cmocka_unit_test(static_data_and_tls_begin_anew),
        cmocka_unit_test(ends_of_all_kinds_are_told),
        cmocka_unit_test(a_users_bytes_are_kept_from_the_target),
        cmocka_unit_test(users_accesses_count_for_races),
        cmocka_unit_test(reports_name_functions_and_lines),
        cmocka_unit_test(loops_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
