/*
 * record_test.c - record.h: real processes, recorded from outside
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "program/rehearsal.h"
#include "run/record.h"
#include "run/record_subject.h"

static struct program *
record_ok(const char *mode, struct record_result *result)
{
    struct program *program = program_new();
    char *command[] = {
        (char *)(uintptr_t)RECORD_SUBJECT, (char *)(uintptr_t)mode, NULL};

    assert_non_null(program);
    if (!record_run(program, command, result)) {
        fail_msg("%s", result->error);
    }
    program_check(program);
    return program;
}

/* The operation that the subject's step becomes. */
static struct op
op_of(const struct subject_step *step)
{
    static const enum op_kind kinds[SUBJECT_KIND_COUNT] = {OP_MALLOC, OP_CALLOC,
        OP_REALLOC, OP_REALLOCARRAY, OP_MEMALIGN, OP_ALIGNED_ALLOC,
        OP_POSIX_MEMALIGN, OP_VALLOC, OP_PVALLOC, OP_FREE};
    struct op op = {.kind = (uint8_t)kinds[step->kind]};

    op.size = op_shapes[op.kind].has_size ? step->size : 0;
    op.count = op_shapes[op.kind].has_count ? step->count : 0;
    op.align = op_shapes[op.kind].has_align ? step->align : 0;
    return op;
}

/* The subject's slots, each with the program's slot, or -1 when empty. */
struct comparison {
    int64_t slots[SUBJECT_SLOTS];
    const struct thread_ops *list;
    size_t next;
};

static void
compare_step(struct comparison *comparison, const struct subject_step *step)
{
    int64_t *slot = &comparison->slots[step->slot];
    bool resizes =
        step->kind == SUBJECT_REALLOC || step->kind == SUBJECT_REALLOCARRAY;

    if ((step->kind == SUBJECT_FREE && *slot < 0) ||
        (step->kind != SUBJECT_FREE && !resizes && *slot >= 0)) {
        return; /* free(NULL), or a slot that is full: no call */
    }
    assert_true(comparison->next < comparison->list->op_count);
    struct op found = comparison->list->ops[comparison->next++];
    if (*slot >= 0) {
        assert_int_equal(found.slot, *slot);
    }
    struct op expected = op_of(step);
    expected.slot = found.slot;
    assert_true(program_op_equal(&found, &expected));
    *slot = step->kind == SUBJECT_FREE ? -1 : (int64_t)found.slot;
}

/* Call by call what the subject did, and nothing else. */
static void
compare_sequence(const struct program *program)
{
    struct comparison comparison = {.list = &program->threads[0]};
    uint64_t state = 1;

    memset(comparison.slots, -1, sizeof(comparison.slots));
    assert_int_equal(program->thread_count, 1);
    for (int i = 0; i < SUBJECT_STEPS; i++) {
        struct subject_step step = subject_draw(&state);
        compare_step(&comparison, &step);
    }
    assert_int_equal(comparison.next, comparison.list->op_count);
}

static void
one_thread_is_recorded_call_by_call(void **state)
{
    (void)state;
    struct record_result result;
    struct program *program = record_ok("sequence", &result);

    assert_true(
        WIFEXITED(result.wait_status) && WEXITSTATUS(result.wait_status) == 0);
    assert_int_equal(result.summary.thread_count, 1);
    compare_sequence(program);
    program_delete(program);
}

static void
what_a_killed_process_did_is_there(void **state)
{
    (void)state;
    struct record_result result;
    struct program *program = record_ok("killed", &result);

    assert_true(WIFSIGNALED(result.wait_status));
    assert_int_equal(WTERMSIG(result.wait_status), SIGKILL);
    compare_sequence(program);
    program_delete(program);
}

static void
exec_begins_anew(void **state)
{
    (void)state;
    struct record_result result;
    struct program *program = record_ok("exec", &result);

    compare_sequence(program);
    program_delete(program);
}

static void
forked_children_are_not_recorded(void **state)
{
    (void)state;
    struct record_result result;
    struct program *program = record_ok("fork", &result);
    const struct thread_ops *list = &program->threads[0];
    bool has_last = false;

    for (size_t i = 0; i < list->op_count; i++) {
        assert_int_not_equal(list->ops[i].size, 777);
        has_last |= list->ops[i].size == 60;
    }
    assert_true(has_last);
    program_delete(program);
}

/* Both threads' blocks are freed by the other one, under any schedule. */
static void
check_passed(void *arg, const struct step *step)
{
    unsigned *freed = arg;
    uint64_t size = step->before.size;

    assert_false(step->gave_up);
    if (step->op->kind == OP_FREE && size >= 1000 && size < 11000) {
        assert_int_not_equal(step->before.life, step->life);
        ++*freed;
    }
}

static void
threads_keep_passing_blocks(void **state)
{
    (void)state;
    struct record_result result;
    struct program *program = record_ok("threads", &result);

    for (uint64_t seed = 0; seed < 20; seed++) {
        unsigned freed = 0;
        assert_true(rehearse(program, seed, check_passed, &freed));
        assert_int_equal(freed, 1000);
    }
    assert_in_range(result.summary.ticket_count, 150, 200);
    program_delete(program);
}

static void
threads_that_ended_share_a_list(void **state)
{
    (void)state;
    struct record_result result;
    struct program *program = record_ok("mortals", &result);
    size_t exit_count = 0;

    assert_int_equal(result.summary.thread_count, 301);
    assert_int_equal(program->thread_count, 2);
    for (size_t i = 0; i < program->threads[1].op_count; i++) {
        exit_count += program->threads[1].ops[i].kind == OP_EXIT;
    }
    assert_int_equal(exit_count, 299);
    program_delete(program);
}

static void
assert_fails(char *const *command, const char *message)
{
    struct program *program = program_new();
    struct record_result result;

    assert_false(record_run(program, command, &result));
    assert_int_equal(result.status, 3);
    assert_string_equal(result.error, message);
    program_delete(program);
}

static void
what_cannot_be_recorded_says_why(void **state)
{
    (void)state;
    char missing[] = "/nonexistent/program";
    char static_subject[] = RECORD_STATIC_SUBJECT;
    char *no_command[] = {missing, NULL};
    char *static_command[] = {static_subject, NULL};

    assert_fails(no_command, "/nonexistent/program: No such file or directory");
    assert_fails(static_command,
        RECORD_STATIC_SUBJECT ": cannot be recorded: it is statically linked, "
                              "or runs with other privileges");
}

static void
no_room_for_the_trace_is_said(void **state)
{
    (void)state;
    char subject[] = RECORD_SUBJECT;
    char *command[] = {subject, NULL};
    char *old = getenv("TMPDIR");
    char kept[PATH_MAX] = "";

    strncpy(kept, old == NULL ? "" : old, sizeof(kept) - 1);
    setenv("TMPDIR", "/nonexistent", 1);
    assert_fails(command, "no room for a trace of 256 MiB in $TMPDIR or /tmp: "
                          "No such file or directory");
    setenv("TMPDIR", kept, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_is_recorded_call_by_call),
        cmocka_unit_test(what_a_killed_process_did_is_there),
        cmocka_unit_test(exec_begins_anew),
        cmocka_unit_test(forked_children_are_not_recorded),
        cmocka_unit_test(threads_keep_passing_blocks),
        cmocka_unit_test(threads_that_ended_share_a_list),
        cmocka_unit_test(what_cannot_be_recorded_says_why),
        cmocka_unit_test(no_room_for_the_trace_is_said),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
