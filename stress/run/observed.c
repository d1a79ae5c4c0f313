/*
 * observed.c - plays a heap program under the observed runtime
 * (contract: observed.h)
 *
 * The harness's own work (slots, patterns, the shadow heap) is not instrumented
 * and runs between two schedule points of the thread that does it. So a point
 * before each operation suffices to let operations of several threads mix, and
 * the points inside the target do the rest.
 *
 * A run that ends by a verdict leaves the oracle's claims behind; they are made
 * anew then.
 */
#include "run/observed.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "program/text.h"
#include "run/play.h"
#include "run/supervisor.h"

/* Of a block that is larger only the beginning is watched: each byte costs the
 * runtime some of its own. */
#define WATCHED_MAX ((size_t)4 << 20)

static size_t
watched(const struct block *block)
{
    return block->usable < WATCHED_MAX ? block->usable : WATCHED_MAX;
}

/* Whoever holds the block comes after whoever held it before. From here on it
 * is the target's, if the call takes it. */
static bool
watch_before(struct observer *watch, struct call *call)
{
    (void)watch;
    const struct block *block = call->block;
    if (block != NULL && block->addr != NULL) {
        observe_acquire(block);
        if (call->kind != OP_USABLE_SIZE && call->kind != OP_TOUCH) {
            observe_block_given(block->addr, watched(block));
        }
    }
    return true;
}

static bool
watch_after(struct observer *watch, struct call *call)
{
    (void)watch;
    const struct block *block = call->block;
    if (block != NULL && block->addr != NULL) {
        if (call->kind != OP_USABLE_SIZE && call->kind != OP_TOUCH) {
            observe_block_taken(block->addr, watched(block));
        }
        observe_release(block);
    }
    return true;
}

static bool
go_on(struct observer *hush, struct call *call)
{
    (void)hush;
    (void)call;
    return true;
}

/* The program is over; what follows are checks. */
static bool
hush_end(struct observer *hush)
{
    (void)hush;
    observe_pause();
    return true;
}

bool
observed_open(struct observed *observed, const struct alloc_ops *ops,
    struct policy policy)
{
    *observed = (struct observed){
        .runner = {.ops = ops},
        .watch = {.before = watch_before, .after = watch_after},
        .hush = {.before = go_on, .after = go_on, .end = hush_end},
        .policy = policy,
    };
    /* A forked child of a program writes its finding there. */
    observed->box = mmap(NULL, sizeof(*observed->box), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (observed->box == MAP_FAILED || !runner_open(&observed->runner)) {
        return false;
    }
    observed->runner.observers[0] = &observed->hush;
    observed->runner.observers[1] = &observed->oracle.observer;
    observed->runner.observers[2] = &observed->watch;
    observed->runner.observers[3] = &observed->balance.observer;
    balance_init(&observed->balance, ops, observed->runner.heap, observed->box);
    return oracle_init(&observed->oracle);
}

void
observed_close(struct observed *observed)
{
    oracle_fini(&observed->oracle);
    runner_close(&observed->runner);
    munmap(observed->box, sizeof(*observed->box));
}

bool
observed_is_late(const struct observed *observed)
{
    const struct observed_limit *limit = &observed->limit;
    return (limit->stop != NULL && atomic_load(limit->stop)) ||
           (limit->deadline_ns > 0 &&
               supervisor_now_ns() >= limit->deadline_ns);
}

/*
 * From here on logical threads.
 */

/* An observer stopped the run: its finding is the verdict. */
static _Noreturn void
fail(struct observed *observed)
{
    const struct finding *finding = finding_get(observed->box);
    enum verdict_kind kind;
    const char *child = observe_child_verdict(&kind);
    CHECK(finding != NULL);
    observe_fail(finding->kind, "thread %u: %s: expected %s; %s%s%s%s%s",
        finding->thread, finding->call, finding->expected, finding->seen,
        child != NULL ? ": " : "", child != NULL ? verdicts[kind].name : "",
        child != NULL ? ": " : "", child != NULL ? child : "");
}

static void
wait_for_slot(const struct observed *observed, uint32_t slot)
{
    const struct run *run = observed->runner.run;
    while (!play_slot_is_full(run, slot)) {
        if (!observe_wait(&run->slots[slot])) {
            return; /* nobody can fill it any more */
        }
    }
}

static void
play(struct observed *observed, struct player *player, const struct op *op)
{
    static char lines[OBSERVE_THREADS_MAX][64];
    char *line = lines[player->thread];
    if (observe_is_explaining()) {
        text_op(op, line, sizeof(lines[0]));
    }
    observe_op(line, player->op_index);
    if (op->kind == OP_YIELD) {
        observe_yield();
        return;
    }
    if (op->kind == OP_TIME) {
        observe_sleep(op->size * 1000);
        return;
    }
    switch (play_op(player, op)) {
    case PLAY_STOP:
        fail(observed);
    case PLAY_EXIT:
        observe_renew();
        break;
    case PLAY_WAIT:
        wait_for_slot(observed, op->slot);
        break;
    case PLAY_NEXT:
        if (op_shapes[op->kind].has_slot) {
            observe_wake(&observed->runner.run->slots[op->slot]);
        }
        break;
    }
}

/* All lists have ended: frees what is left. */
static void
end_program(void *arg)
{
    struct observed *observed = arg;
    const struct alloc_ops *ops = observed->runner.ops;
    struct player player;
    play_set_up(&player, &observed->runner, 0);
    bool good = play_end(&player);
    if (good && ops->check != NULL) {
        ops->check(observed->runner.heap);
    }
    observe_resume();
    if (!good) {
        fail(observed);
    }
}

static void
run_list(unsigned thread, void *arg)
{
    struct observed *observed = arg;
    const struct thread_ops *list = &observed->program->threads[thread];
    struct player player;
    play_set_up(&player, &observed->runner, thread);
    play_attach(&player);
    while (player.op_index < list->op_count) {
        play(observed, &player, &list->ops[player.op_index]);
        player.op_index++;
    }
}

/* What a signal handler may do in a design that claims so: it allocates, writes
 * and frees, and keeps errno. Its blocks are its own and in no slot. */
static void
interrupt(unsigned thread, void *arg)
{
    struct observed *observed = arg;
    const struct alloc_ops *ops = observed->runner.ops;
    static const size_t sizes[] = {24, 600, 100000};
    int error = errno;
    (void)thread;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *block = ops->malloc(observed->runner.heap, sizes[i]);
        if (block != NULL) {
            observe_block_taken(block, sizes[i]);
            memset(block, 0xa5, sizes[i]);
            observe_block_given(block, sizes[i]);
            ops->free(observed->runner.heap, block);
        }
    }
    errno = error;
}

/* The harness's fork: linked with --wrap=fork. */
pid_t __real_fork(void);
pid_t __wrap_fork(void);

pid_t
__wrap_fork(void)
{
    return observe_self() >= 0 ? observe_fork() : __real_fork();
}

/*
 * On the main context.
 */

/* Which calls for memory fail, as the program names them. */
static bool
os_call_fails(uint64_t n, void *arg)
{
    const struct program *program = ((struct observed *)arg)->program;
    for (size_t i = 0; i < program->fault_count; i++) {
        const struct fault *fault = &program->faults[i];
        if (fault->kind == FAULT_OS &&
            (n == fault->n || (fault->every && n > fault->n))) {
            return true;
        }
    }
    return false;
}

static bool
is_late(void *arg)
{
    return observed_is_late(arg);
}

static void
renew_oracle(struct observed *observed)
{
    oracle_fini(&observed->oracle);
    CHECK(oracle_init(&observed->oracle));
}

/* Patterns are checked byte by byte: blocks are few and the run is short. */
#define WHOLE_MAX 4096

static void
begin_oracle(struct observed *observed)
{
    const struct oracle_options options = {
        .policy = observed->policy,
        .usable_size = observed->runner.ops->usable_size,
        .heap = observed->runner.heap,
        .faults = observed->program->fault_count > 0,
        .whole_max = WHOLE_MAX,
    };
    memset(observed->box, 0, sizeof(*observed->box));
    oracle_begin(&observed->oracle, &options, observed->box);
}

/* How long a run may be: generous, since the end is a verdict. */
static uint64_t
steps_max(const struct observed *observed, const struct program *program)
{
    if (observed->steps_max > 0) {
        return observed->steps_max;
    }
    return 2000000 + 200000 * (uint64_t)program_op_count(program);
}

const struct observe_verdict *
observed_run(struct observed *observed, const struct program *program,
    struct strategy *strategy)
{
    observed->program = program;
    observed->plan = (struct observe_plan){
        .thread_count = program->thread_count > 0 ? program->thread_count : 1,
        .body = run_list,
        .end = end_program,
        .arg = observed,
        .strategy = strategy,
        .points = observed->points,
        .interrupt_at = observed->interrupt_at,
        .interrupt = interrupt,
        .steps_max = steps_max(observed, program),
        .os_fails = program->fault_count > 0 ? os_call_fails : NULL,
        .is_late = is_late,
    };
    begin_oracle(observed);
    play_begin(&observed->runner, program);
    const struct observe_verdict *verdict = observe_run(&observed->plan);
    if (verdict->kind != VERDICT_KIND_COUNT || observe_stats()->is_cut) {
        renew_oracle(observed);
    }
    return verdict;
}

bool
observed_explain(struct observed *observed, struct strategy *strategy)
{
    observed->plan.strategy = strategy;
    begin_oracle(observed);
    play_begin(&observed->runner, observed->program);
    bool same = observe_explain(&observed->plan);
    renew_oracle(observed);
    return same;
}
