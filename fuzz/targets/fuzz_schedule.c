/*
 * fuzz_schedule.c - a heap program of several threads and its schedule
 *
 *     bytes --> operations, schedule, faults --> observed run --> a verdict
 *
 * One input holds all three, and the observed runner replays it exactly. What
 * guides the fuzzer is the target's own code coverage and, as extra counters,
 * which store each atomic load read from: a schedule that only orders the same
 * code anew shows there.
 *
 * The mutator changes the operations or the schedule, seldom both: an operation
 * more shifts every later choice, and a schedule worth keeping would be lost. One
 * in twenty inputs is drawn anew, as `malstrom explore` draws them: few sizes and
 * slots, so that threads meet, and a schedule that preempts a few times or often.
 *
 * Forks are left out: one takes as long as a hundred runs, and what they do at each
 * point is for `malstrom explore --fork`.
 *
 * A verdict is printed as `malstrom explore` prints it, the program is written
 * as text beside the artifact, and the process aborts for libFuzzer to keep the
 * input.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/random.h"
#include "fuzz/read.h"
#include "observe/crash.h"
#include "observe/explain.h"
#include "program/file.h"
#include "run/minimal.h"

#define OPS_MAX      48 /* in all threads: a run stays short */
#define PAIRS_COUNT  4096
#define SIZES_COUNT  9
#define SLOTS_MAX    6
#define OPS_DRAWN    12 /* of a thread, at most */
#define DRAWN_ONE_IN 20

size_t LLVMFuzzerCustomMutator(
    uint8_t *bytes, size_t size, size_t size_max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size,
    const uint8_t *two, size_t two_size, uint8_t *out, size_t out_max,
    unsigned seed);

/* libFuzzer takes these for coverage. */
__attribute__((section("__libfuzzer_extra_counters"),
    used)) static uint8_t pairs[PAIRS_COUNT];

static struct observed observed;
static struct minimal minimal;
static struct program *program, *other;

static void
start(void)
{
    const char *lack = observe_init();
    const struct alloc_ops *ops = alloc_find(FUZZ_DESIGN);
    program = program_new();
    other = program_new();
    if (lack == NULL && (program == NULL || other == NULL || !crash_init() ||
                            !observed_open(&observed, ops, policy_default()) ||
                            !minimal_open(&minimal, &observed))) {
        lack = "out of memory";
    }
    if (lack != NULL) {
        fprintf(stderr, "fuzz_schedule_" FUZZ_DESIGN ": %s\n", lack);
        exit(3);
    }
    observe_count_pairs(pairs, PAIRS_COUNT);
}

static void
start_once(void)
{
    static bool started;
    if (!started) {
        started = true;
        start();
    }
}

/* Without forks, and `left` operations at most; returns how many. */
static size_t
fit_list(struct thread_ops *list, size_t left)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->op_count && kept < left; i++) {
        if (list->ops[i].kind != OP_FORK) {
            list->ops[kept++] = list->ops[i];
        }
    }
    return list->op_count = kept;
}

static void
decode(struct program *into, const uint8_t *bytes, size_t size)
{
    const char *why;
    if (!read_program(into, bytes, size) || !bytes_fit(into, &why)) {
        program_clear(into);
    }
    size_t left = OPS_MAX;
    for (unsigned i = 0; i < into->thread_count; i++) {
        left -= fit_list(&into->threads[i], left);
    }
}

/* Tells the verdict, writes the program with its schedule, and ends. */
static _Noreturn void
tell(const struct observe_verdict *verdict)
{
    static struct explanation explanation;
    struct file_error error;
    char path[128];
    minimal_keep(&minimal, verdict);
    minimal.keeps_whole = true;
    minimal_find(&minimal, program, 0);
    bool repeats = minimal_explain(&minimal);
    explain(&explanation, &minimal.verdict, repeats);
    const char *kind = verdicts[minimal.verdict.kind].name;
    struct program *found = minimal.program;
    snprintf(found->target, sizeof(found->target), "%s", FUZZ_DESIGN);
    snprintf(found->finding, sizeof(found->finding), "%s", kind);
    snprintf(path, sizeof(path), "%s-" FUZZ_DESIGN "-fuzz-%016llx.heap", kind,
        (unsigned long long)observe_stats()->hash);
    bool written = file_save(found, path, &error);
    printf("finding: %s target=" FUZZ_DESIGN " file=%s\n  %s\n", kind,
        written ? path : "-", minimal.verdict.text);
    for (unsigned i = 0; i < explanation.line_count; i++) {
        printf("  %s\n", explanation.lines[i]);
    }
    printf("replay: malstrom repro %s\n", path);
    fflush(stdout);
    abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    start_once();
    decode(program, bytes, size);
    struct strategy_replay replay;
    strategy_replay_init(&replay, program->schedule, program->schedule_count);
    const struct observe_verdict *verdict =
        observed_run(&observed, program, &replay.base);
    if (verdict->kind != VERDICT_KIND_COUNT) {
        tell(verdict);
    }
    return 0;
}

/*
 * Mutation.
 */

/* What operations are drawn from. */
struct choices {
    uint64_t sizes[SIZES_COUNT];
    unsigned size_count, slot_count;
};

static const struct choices all = {
    .sizes = {8, 24, 100, 400, 1024, 5000, 40000, 140000, 300000},
    .size_count = SIZES_COUNT,
    .slot_count = SLOTS_MAX,
};

static struct op
draw_op(struct random *random, const struct choices *from)
{
    static const enum op_kind kinds[] = {OP_MALLOC, OP_MALLOC, OP_MALLOC,
        OP_FREE, OP_FREE, OP_FREE, OP_REALLOC, OP_CALLOC, OP_MEMALIGN,
        OP_USABLE_SIZE, OP_TRIM, OP_STATS, OP_EXIT, OP_TOUCH};
    enum op_kind kind =
        kinds[random_below(random, sizeof(kinds) / sizeof(kinds[0]))];
    const struct op_shape *shape = &op_shapes[kind];
    struct op op = {.kind = (uint8_t)kind};
    op.slot =
        shape->has_slot ? (uint32_t)random_below(random, from->slot_count) : 0;
    op.size = shape->has_size
                  ? from->sizes[random_below(random, from->size_count)]
                  : 0;
    op.count = shape->has_count ? 1 : 0;
    op.align =
        shape->has_align ? (uint64_t)1 << random_between(random, 4, 12) : 0;
    return op;
}

static void
remove_op(struct thread_ops *list, size_t index)
{
    list->op_count--;
    memmove(&list->ops[index], &list->ops[index + 1],
        (list->op_count - index) * sizeof(list->ops[0]));
}

static void
mutate_ops(struct program *it, struct random *random)
{
    unsigned thread = (unsigned)random_below(random, BYTES_THREADS_MAX);
    struct thread_ops *list = &it->threads[thread];
    struct op op = draw_op(random, &all);
    uint64_t what = random_below(random, 4);
    if (what == 0 || list->op_count == 0) {
        program_add(it, thread, &op); /* at the end */
        size_t from = list->op_count - 1;
        size_t to = (size_t)random_below(random, list->op_count);
        struct op moved = list->ops[from];
        list->ops[from] = list->ops[to];
        list->ops[to] = moved;
    } else if (what == 1) {
        remove_op(list, (size_t)random_below(random, list->op_count));
    } else if (what == 2) {
        list->ops[random_below(random, list->op_count)] = op;
    } else {
        struct op *changed = &list->ops[random_below(random, list->op_count)];
        changed->slot = op_shapes[changed->kind].has_slot
                            ? (uint32_t)random_below(random, SLOTS_MAX)
                            : 0;
    }
}

static void
mutate_schedule(struct program *it, struct random *random)
{
    size_t longest = BYTES_SCHEDULE_MAX;
    size_t grown = (size_t)random_log_between(random, 1, longest);
    while (it->schedule_count < grown) {
        program_add_schedule(it, 0);
    }
    size_t at = (size_t)random_below(random, it->schedule_count);
    size_t length =
        (size_t)random_log_between(random, 1, it->schedule_count - at);
    switch (random_below(random, 4)) {
    case 0: /* one other choice */
        it->schedule[at] = (uint8_t)random_between(random, 1, 3);
        break;
    case 1: /* a stretch without preemption */
        memset(it->schedule + at, 0, length);
        break;
    case 2: /* a stretch of another's turn */
        memset(it->schedule + at, 1, length);
        break;
    default: /* what follows comes later or sooner */
        memmove(it->schedule + at, it->schedule + at + length - 1,
            it->schedule_count - at - length + 1);
        break;
    }
}

/* Some preemptions at any of so many choices, or one at every other. */
static void
draw_schedule(struct program *it, struct random *random)
{
    uint64_t length = random_log_between(random, 1, BYTES_SCHEDULE_MAX);
    uint64_t one_in = random_one_in(random, 2)
                          ? 2
                          : 1 + length / random_between(random, 1, 4);
    it->schedule_count = 0;
    for (uint64_t i = 0; i < length; i++) {
        program_add_schedule(it, random_one_in(random, one_in)
                                     ? (uint8_t)random_between(random, 1, 2)
                                     : 0);
    }
}

static void
draw_program(struct program *it, struct random *random)
{
    struct choices some = {
        .size_count = (unsigned)random_between(random, 1, 2),
        .slot_count = (unsigned)random_between(random, 1, SLOTS_MAX),
    };
    for (unsigned i = 0; i < some.size_count; i++) {
        some.sizes[i] = all.sizes[random_below(random, all.size_count)];
    }
    program_clear(it);
    unsigned threads = (unsigned)random_between(random, 2, 3);
    for (unsigned thread = 0; thread < threads; thread++) {
        for (uint64_t i = random_between(random, 2, OPS_DRAWN); i > 0; i--) {
            struct op op = draw_op(random, &some);
            program_add(it, thread, &op);
        }
    }
    draw_schedule(it, random);
}

static void
mutate_faults(struct program *it, struct random *random)
{
    if (it->fault_count > 0) {
        it->fault_count--;
        return;
    }
    const struct fault fault = {.kind = FAULT_OS,
        .n = random_between(random, 1, 20),
        .every = random_one_in(random, 4)};
    program_add_fault(it, &fault);
}

static void
mutate(struct program *it, struct random *random)
{
    uint64_t what = random_below(random, 20);
    for (uint64_t i = random_log_between(random, 1, 8); i > 0; i--) {
        if (what < 9) {
            mutate_ops(it, random);
        } else if (what < 18) {
            mutate_schedule(it, random);
        } else if (what < 19) {
            draw_schedule(it, random);
        } else {
            mutate_faults(it, random);
        }
    }
}

static size_t
encode(const struct program *it, uint8_t *bytes, size_t size_max)
{
    const char *why;
    size_t size = bytes_fit(it, &why) ? bytes_encode(it, bytes, size_max) : 0;
    return size <= size_max ? size : 0;
}

size_t
LLVMFuzzerCustomMutator(
    uint8_t *bytes, size_t size, size_t size_max, unsigned seed)
{
    struct random random;
    random_seed(&random, seed);
    start_once();
    decode(program, bytes, size);
    if (random_one_in(&random, DRAWN_ONE_IN)) {
        draw_program(program, &random);
    } else {
        mutate(program, &random);
    }
    size_t mutated = encode(program, bytes, size_max);
    return mutated > 0 ? mutated : size;
}

/* The operations of one under the schedule of the other. */
size_t
LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size,
    const uint8_t *two, size_t two_size, uint8_t *out, size_t out_max,
    unsigned seed)
{
    (void)seed;
    start_once();
    decode(program, one, one_size);
    decode(other, two, two_size);
    program->schedule_count = 0;
    for (size_t i = 0; i < other->schedule_count; i++) {
        program_add_schedule(program, other->schedule[i]);
    }
    return encode(program, out, out_max);
}
