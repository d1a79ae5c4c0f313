/*
 * fuzz_malloc.c - the whole malloc API of one allocator, judged call by call
 *
 *     bytes --> program --> inline runner --> a fresh heap of FUZZ_OPS
 *                              |-- oracle: content, overlap, contract
 *                              |-- check:  the heap's own, after each call
 *                              `-- balance: nothing is left at the end
 *
 * One source, one binary for each allocator. An input repeats exactly: the heap
 * is new, memory comes from the arena, the clock and the random bits are
 * virtual and start over.
 *
 * A finding is printed with the program in text form, and aborts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "alloc.h"
#include "fuzz/arena.h"
#include "fuzz/read.h"
#include "oracle/oracle.h"
#include "run/balance.h"
#include "run/runner.h"

#define OPS_MAX   4096 /* a text may hold more; then it is no fuzz input */
#define LARGE     ((size_t)64 << 10)
#define WORK_MAX  ((size_t)64 << 20) /* of one operation; shared among more */
#define WORK_OPS  63
#define WORK_MIN  (WORK_MAX / (WORK_OPS + 1)) /* of more than WORK_OPS */
#define WHOLE_MAX ((size_t)16 << 10)

extern const struct alloc_ops FUZZ_OPS;

/* The observer that has the heap checked after each call. */
struct checker {
    struct observer observer;
    struct heap *heap;
};

static struct {
    struct program *program;
    struct runner runner;
    struct oracle oracle;
    struct balance balance;
    struct checker checker;
    struct finding_box box;
    uint64_t op_count; /* in all inputs */
} fuzz;

static bool
before_call(struct observer *observer, struct call *call)
{
    (void)observer;
    (void)call;
    return true;
}

static bool
after_call(struct observer *observer, struct call *call)
{
    struct checker *checker = (struct checker *)observer; /* first member */

    (void)call;
    FUZZ_OPS.check(checker->heap);
    return true;
}

/* An allocator may keep something over its heaps, such as a map of their pages. */
static void
make_what_is_made_once(void)
{
    struct heap *heap = FUZZ_OPS.open();

    CHECK(heap != NULL);
    void *block = FUZZ_OPS.malloc(heap, 1);
    CHECK(block != NULL);
    FUZZ_OPS.free(heap, block);
    FUZZ_OPS.close(heap);
}

/* As libFuzzer's own figures; `malstrom fuzz` reads it. */
static void
print_op_count(void)
{
    fprintf(stderr, "stat::number_of_operations: %llu\n",
        (unsigned long long)fuzz.op_count);
}

static void
set_up(void)
{
    CHECK(atexit(print_op_count) == 0);
    fuzz.program = program_new();
    CHECK(fuzz.program != NULL);
    CHECK(arena_init());
    fuzz.runner = (struct runner){
        .ops = &FUZZ_OPS,
        .injects_faults = true,
        .pass_time = arena_pass_time,
    };
    CHECK(runner_open(&fuzz.runner));
    CHECK(oracle_init(&fuzz.oracle));
    make_what_is_made_once();
    arena_keep();
    fuzz.checker.observer =
        (struct observer){.before = before_call, .after = after_call};
}

/* A fork costs as much as ten thousand calls, and its child as much again: the
 * scenarios have it. */
static void
drop_forks(struct program *program)
{
    for (unsigned t = 0; t < program->thread_count; t++) {
        for (size_t i = 0; i < program->threads[t].op_count; i++) {
            struct op *op = &program->threads[t].ops[i];

            op->kind = op->kind == OP_FORK ? OP_YIELD : op->kind;
        }
    }
}

/* Bytes that the allocator or the arena may have to clear, copy or mark for an
 * operation. What is refused is free: an allocator asks the arena for no more
 * than is asked of it, less what it has. */
static size_t
work_of(const struct op *op)
{
    const struct op_shape *shape = &op_shapes[op->kind];
    uint64_t size = op->size;

    if (!shape->allocates ||
        (shape->has_count && __builtin_mul_overflow(size, op->count, &size)) ||
        (shape->has_align && __builtin_add_overflow(size, op->align, &size)) ||
        size < LARGE || size > ARENA_USABLE_MAX + WORK_MAX) {
        return 0;
    }
    return size;
}

/* To clear a megabyte takes as long as two hundred calls. Inputs of a few calls
 * may do much of that, long ones little, so that all take about as long. */
static bool
is_too_much(const struct program *program)
{
    size_t op_count = program_op_count(program);
    size_t work_max = op_count < WORK_OPS ? WORK_MAX / (op_count + 1) : WORK_MIN;
    size_t work = 0;

    for (unsigned t = 0; t < program->thread_count; t++) {
        for (size_t i = 0; i < program->threads[t].op_count; i++) {
            work += work_of(&program->threads[t].ops[i]);
        }
    }
    return work > work_max || op_count > OPS_MAX;
}

static void
begin(struct heap *heap)
{
    struct oracle_options options = {
        .policy = policy_default(),
        .usable_size = FUZZ_OPS.usable_size,
        .heap = heap,
        .faults = fuzz.program->fault_count > 0,
        .whole_max = WHOLE_MAX,
    };

    memset(&fuzz.box, 0, sizeof(fuzz.box));
    oracle_begin(&fuzz.oracle, &options, &fuzz.box);
    fuzz.checker.heap = heap;
    balance_init(&fuzz.balance, &FUZZ_OPS, heap, &fuzz.box);
    fuzz.runner.heap = heap;
    fuzz.runner.observers[0] = &fuzz.oracle.observer;
    fuzz.runner.observers[1] = &fuzz.balance.observer;
    fuzz.runner.observers[2] =
        FUZZ_OPS.check != NULL ? &fuzz.checker.observer : NULL;
}

/* On stderr, as libFuzzer does. */
static _Noreturn void
report(const struct finding *finding)
{
    const struct verdict *verdict = &verdicts[finding->kind];
    struct buffer text = {0};

    snprintf(fuzz.program->target, sizeof(fuzz.program->target), "%s",
        FUZZ_OPS.name);
    snprintf(fuzz.program->finding, sizeof(fuzz.program->finding), "%s",
        verdict->name);
    fprintf(stderr,
        "finding: %s target=%s thread=%u operation=%zu\n"
        "  call: %s\n  expected: %s\n  seen: %s\n",
        verdict->name, FUZZ_OPS.name, finding->thread, finding->op_index,
        finding->call, finding->expected, finding->seen);
    if (text_write(fuzz.program, &text)) {
        fwrite(text.data, 1, text.size, stderr);
    }
    abort();
}

/* A heap that is closed leaves no trace; but where the OS was made to refuse,
 * it may have refused to take memory back. */
static void
close_heap(struct heap *heap)
{
    struct finding finding = {
        .kind = VERDICT_LEAK,
        .call = "after the heap was closed",
        .expected = "all its memory goes back",
    };

    FUZZ_OPS.close(heap);
    size_t left_size = arena_rewind();
    if (left_size > 0 && fuzz.program->fault_count == 0) {
        snprintf(finding.seen, sizeof(finding.seen),
            "%zu bytes are still mapped", left_size);
        report(&finding);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fuzz.program == NULL) {
        set_up();
    }
    if (!read_program(fuzz.program, data, size) || is_too_much(fuzz.program)) {
        return 0;
    }
    drop_forks(fuzz.program);
    fuzz.op_count += program_op_count(fuzz.program);
    arena_begin();
    struct heap *heap = FUZZ_OPS.open();
    CHECK(heap != NULL);
    begin(heap);
    if (!runner_inline(&fuzz.runner, fuzz.program)) {
        const struct finding *finding = finding_get(&fuzz.box);

        CHECK(finding != NULL);
        report(finding);
    }
    close_heap(heap);
    return 0;
}
