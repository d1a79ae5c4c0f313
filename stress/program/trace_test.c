/*
 * trace_test.c - trace.h: the program does what the trace did, always
 *
 * A random history of threads, blocks and addresses used again is written as a
 * trace; the program made from it is rehearsed under many schedules. Each block
 * has a size of its own each time it is resized, so an operation that met the
 * wrong block shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/machine.h"
#include "base/random.h"
#include "program/rehearsal.h"
#include "program/trace.h"

#define BLOCKS_MAX    64
#define THREADS_MAX   600
#define TICKET_SIZE   1
#define FIRST_SIZE    16
#define HISTORY_MAX   4000
#define SCHEDULES     12
#define ADDRESS(slot) (0x10000 + 64 * (uint64_t)(slot))

/* What the history did, in the order of one thread: what is expected. */
struct deed {
    uint32_t thread;
    uint8_t kind;
    uint64_t size_before; /* 0: no block */
    uint64_t size_after;
};

struct history {
    struct trace *trace;
    struct random random;
    uint64_t sizes[BLOCKS_MAX]; /* 0: no block at that address */
    uint64_t next_size;
    struct deed deeds[HISTORY_MAX];
    size_t deed_count;
};

static struct history *
history_new(uint64_t seed)
{
    static struct history history;

    memset(&history, 0, sizeof(history));
    history.trace = machine_kernel.map(NULL, sizeof(struct trace), true);
    assert_non_null(history.trace);
    history.next_size = FIRST_SIZE;
    random_seed(&history.random, seed);
    return &history;
}

static void
history_fini(struct history *history)
{
    machine_kernel.unmap(history->trace, sizeof(struct trace));
}

static void
note(struct history *history, uint32_t thread, uint32_t kind, uint64_t addr,
    uint64_t size)
{
    struct trace_event event = {.addr = addr, .size = size, .thread = thread};

    trace_write(history->trace, &event, kind);
    if (atomic_load(&history->trace->thread_count) <= thread) {
        atomic_store(&history->trace->thread_count, thread + 1);
    }
}

static void
expect(struct history *history, uint32_t thread, enum op_kind kind,
    uint64_t size_before, uint64_t size_after)
{
    assert_true(history->deed_count < HISTORY_MAX);
    history->deeds[history->deed_count++] =
        (struct deed){thread, (uint8_t)kind, size_before, size_after};
}

static void
do_malloc(struct history *history, uint32_t thread, unsigned block)
{
    history->sizes[block] = history->next_size++;
    note(history, thread, OP_MALLOC, ADDRESS(block), history->sizes[block]);
    expect(history, thread, OP_MALLOC, 0, history->sizes[block]);
}

static void
do_free(struct history *history, uint32_t thread, unsigned block)
{
    note(history, thread, OP_FREE, ADDRESS(block), 0);
    expect(history, thread, OP_FREE, history->sizes[block], 0);
    history->sizes[block] = 0;
}

/* Moves to the block at `to`, which may be where it is. */
static void
do_realloc(
    struct history *history, uint32_t thread, unsigned block, unsigned to)
{
    uint64_t size = history->next_size++;

    note(history, thread, TRACE_RESIZE, ADDRESS(block), size);
    note(history, thread, OP_REALLOC, ADDRESS(to), size);
    expect(history, thread, OP_REALLOC, history->sizes[block], size);
    history->sizes[block] = 0;
    history->sizes[to] = size;
}

static void
do_something(struct history *history, uint32_t thread)
{
    unsigned block = (unsigned)random_below(&history->random, BLOCKS_MAX);
    unsigned to = (unsigned)random_below(&history->random, BLOCKS_MAX);

    if (history->sizes[block] == 0) {
        do_malloc(history, thread, block);
    } else if (random_one_in(&history->random, 3)) {
        do_realloc(
            history, thread, block, history->sizes[to] == 0 ? to : block);
    } else {
        do_free(history, thread, block);
    }
}

/* What a rehearsal is compared with. */
struct judge {
    const struct history *history;
    const struct program *program;
    size_t next[THREADS_MAX];                /* each thread's next deed */
    uint32_t thread_of[PROGRAM_THREADS_MAX]; /* whom a list plays now */
    bool begins[PROGRAM_THREADS_MAX];        /* the list plays a new one */
    size_t done_count, ticket_count;
};

static size_t
next_deed(const struct history *history, uint32_t thread, size_t from)
{
    while (
        from < history->deed_count && history->deeds[from].thread != thread) {
        from++;
    }
    return from;
}

/* The thread that begins with a block of that size. */
static uint32_t
find_thread(
    const struct judge *judge, uint64_t size_before, uint64_t size_after)
{
    const struct history *history = judge->history;

    for (size_t i = 0; i < history->deed_count; i++) {
        if (history->deeds[i].size_before == size_before &&
            history->deeds[i].size_after == size_after) {
            return history->deeds[i].thread;
        }
    }
    fail_msg("no thread did that: %zu to %zu", (size_t)size_before,
        (size_t)size_after);
    return 0;
}

static void
judge_step(void *arg, const struct step *step)
{
    struct judge *judge = arg;
    uint64_t before = step->before.id == 0 ? 0 : step->before.size;
    uint64_t after = step->after.id == 0 ? 0 : step->after.size;

    assert_false(step->gave_up);
    if (step->op->kind == OP_EXIT) {
        judge->begins[step->thread] = true;
        return;
    }
    if (step->op->kind == OP_WAIT) {
        return;
    }
    if (before == TICKET_SIZE || after == TICKET_SIZE) {
        judge->ticket_count += after == TICKET_SIZE;
        return;
    }
    if (judge->begins[step->thread]) {
        judge->begins[step->thread] = false;
        judge->thread_of[step->thread] = find_thread(judge, before, after);
    }
    uint32_t thread = judge->thread_of[step->thread];
    size_t at = next_deed(judge->history, thread, judge->next[thread]);
    assert_true(at < judge->history->deed_count);
    const struct deed *deed = &judge->history->deeds[at];
    assert_int_equal(step->op->kind, deed->kind);
    assert_int_equal(before, deed->size_before);
    assert_int_equal(after, deed->size_after);
    judge->next[thread] = at + 1;
    judge->done_count++;
}

/* Converts and rehearses; every deed is done, in each thread's order. */
static struct trace_summary
check_history(struct history *history)
{
    static struct judge judge;
    struct trace_summary summary;
    struct program *program = program_new();

    assert_true(trace_convert(program, history->trace, &summary));
    program_check(program);
    assert_false(summary.is_cut);
    for (uint64_t seed = 0; seed < SCHEDULES; seed++) {
        memset(&judge, 0, sizeof(judge));
        memset(judge.begins, true, sizeof(judge.begins));
        judge.history = history;
        judge.program = program;
        assert_true(rehearse(program, seed, judge_step, &judge));
        assert_int_equal(judge.done_count, history->deed_count);
        assert_int_equal(judge.ticket_count, summary.ticket_count);
    }
    program_delete(program);
    return summary;
}

static void
threads_do_the_same_under_every_schedule(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct history *history = history_new(seed);
        uint64_t thread_count = random_between(&history->random, 2, 8);
        for (int i = 0; i < 2000; i++) {
            do_something(history,
                (uint32_t)random_below(&history->random, thread_count));
        }
        struct trace_summary summary = check_history(history);
        assert_int_equal(summary.thread_count, thread_count);
        assert_true(summary.ticket_count > 0);
        history_fini(history);
    }
}

static void
one_thread_stays_as_it_was(void **state)
{
    (void)state;
    struct history *history = history_new(1);
    struct program *program = program_new();
    struct trace_summary summary;

    for (int i = 0; i < 3000; i++) {
        do_something(history, 0);
    }
    assert_true(trace_convert(program, history->trace, &summary));
    assert_int_equal(program->thread_count, 1);
    assert_int_equal(program_op_count(program), history->deed_count);
    assert_int_equal(summary.ticket_count, 0);
    assert_true(program->slot_count <= BLOCKS_MAX);
    program_delete(program);
    check_history(history);
    history_fini(history);
}

/* Producer and consumer: slots come back once the producer has waited. */
static void
slots_are_used_again_when_both_sides_know(void **state)
{
    (void)state;
    struct history *history = history_new(1);
    struct program *program = program_new();
    struct trace_summary summary;

    for (int i = 0; i < 1000; i++) {
        do_malloc(history, 0, 0);
        do_free(history, 1, 0);
        do_malloc(history, 1, 1);
        do_free(history, 0, 1);
    }
    assert_true(trace_convert(program, history->trace, &summary));
    assert_true(program->slot_count < 10);
    program_delete(program);
    check_history(history);
    history_fini(history);
}

static void
threads_that_end_leave_their_lists(void **state)
{
    (void)state;
    struct history *history = history_new(5);
    struct program *program = program_new();
    struct trace_summary summary;

    for (uint32_t thread = 0; thread < 500; thread++) {
        for (int i = 0; i < 4; i++) {
            do_something(history, thread);
        }
        note(history, thread, TRACE_THREAD_END, 0, 0);
        do_malloc(history, thread, BLOCKS_MAX - 1); /* a late destructor */
        do_free(history, thread, BLOCKS_MAX - 1);
    }
    assert_true(trace_convert(program, history->trace, &summary));
    assert_int_equal(summary.thread_count, 500);
    assert_int_equal(program->thread_count, 1);
    program_delete(program);
    check_history(history);
    history_fini(history);
}

/* 300 threads alive at once: some share a list, which keeps their order. */
static void
more_threads_than_lists_share(void **state)
{
    (void)state;
    struct history *history = history_new(6);
    struct program *program = program_new();
    struct trace_summary summary;

    for (int i = 0; i < 3000; i++) {
        do_something(history, (uint32_t)random_below(&history->random, 300));
    }
    assert_true(trace_convert(program, history->trace, &summary));
    assert_int_equal(summary.thread_count, 300);
    assert_int_equal(program->thread_count, PROGRAM_THREADS_MAX);
    program_delete(program);
    history_fini(history);
}

static void
parameters_are_kept(void **state)
{
    (void)state;
    struct history *history = history_new(0);
    struct program *program = program_new();
    struct trace_summary summary;
    struct trace_event calloc_event = {.addr = 64, .size = 24, .extra = 10};
    struct trace_event align_event = {.addr = 128, .size = 1000, .extra = 256};

    atomic_store(&history->trace->thread_count, 1);
    trace_write(history->trace, &calloc_event, OP_CALLOC);
    trace_write(history->trace, &align_event, OP_POSIX_MEMALIGN);
    assert_true(trace_convert(program, history->trace, &summary));
    const struct op *ops = program->threads[0].ops;
    assert_int_equal(program_op_count(program), 2);
    assert_int_equal(ops[0].kind, OP_CALLOC);
    assert_int_equal(ops[0].count, 10);
    assert_int_equal(ops[0].size, 24);
    assert_int_equal(ops[1].kind, OP_POSIX_MEMALIGN);
    assert_int_equal(ops[1].align, 256);
    assert_int_equal(ops[1].size, 1000);
    program_delete(program);
    history_fini(history);
}

static void
failures_and_strangers_are_left_out(void **state)
{
    (void)state;
    struct history *history = history_new(0);

    do_malloc(history, 0, 0);
    note(history, 0, OP_MALLOC, 0, (uint64_t)1 << 50); /* refused */
    note(history, 0, OP_FREE, ADDRESS(9), 0);          /* never seen */
    note(history, 0, TRACE_RESIZE, ADDRESS(0), 1 << 30);
    note(history, 0, OP_REALLOC, 0, 1 << 30); /* refused: block 0 stays */
    do_free(history, 0, 0);
    check_history(history);
    history_fini(history);
}

static void
realloc_to_zero_frees(void **state)
{
    (void)state;
    struct history *history = history_new(0);
    struct program *program = program_new();
    struct trace_summary summary;

    do_malloc(history, 0, 0);
    note(history, 0, TRACE_RESIZE, ADDRESS(0), 0);
    note(history, 0, OP_REALLOC, 0, 0);
    assert_true(trace_convert(program, history->trace, &summary));
    const struct op *ops = program->threads[0].ops;
    assert_int_equal(program_op_count(program), 3);
    assert_int_equal(ops[1].kind, OP_REALLOC);
    assert_int_equal(ops[1].size, 0);
    assert_int_equal(ops[2].kind, OP_FREE);
    program_delete(program);
    history_fini(history);
}

static void
earlier_images_and_torn_events_are_ignored(void **state)
{
    (void)state;
    struct history *history = history_new(0);
    struct program *program = program_new();
    struct trace_summary summary;

    do_malloc(history, 0, 0);
    history->trace->image++; /* it executed another program */
    do_malloc(history, 0, 1);
    history->trace->events[5].addr = 5; /* claimed, never finished */
    atomic_store(&history->trace->event_count, 6);
    assert_true(trace_convert(program, history->trace, &summary));
    assert_int_equal(program_op_count(program), 1);
    assert_int_equal(program->threads[0].ops[0].size, FIRST_SIZE + 1);
    program_delete(program);
    history_fini(history);
}

static void
a_full_trace_is_a_prefix(void **state)
{
    (void)state;
    struct history *history = history_new(0);
    struct program *program = program_new();
    struct trace_summary summary;

    atomic_store(&history->trace->event_count, TRACE_EVENTS_MAX - 1);
    do_malloc(history, 0, 0);
    do_malloc(history, 0, 1); /* one too many: not written */
    assert_true(trace_convert(program, history->trace, &summary));
    assert_true(summary.is_cut);
    assert_int_equal(program_op_count(program), 1);
    program_delete(program);
    history_fini(history);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_the_same_under_every_schedule),
        cmocka_unit_test(one_thread_stays_as_it_was),
        cmocka_unit_test(slots_are_used_again_when_both_sides_know),
        cmocka_unit_test(threads_that_end_leave_their_lists),
        cmocka_unit_test(more_threads_than_lists_share),
        cmocka_unit_test(parameters_are_kept),
        cmocka_unit_test(failures_and_strangers_are_left_out),
        cmocka_unit_test(realloc_to_zero_frees),
        cmocka_unit_test(earlier_images_and_torn_events_are_ignored),
        cmocka_unit_test(a_full_trace_is_a_prefix),
    };

    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
