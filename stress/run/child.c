/*
 * child.c - the process that a target lives and dies in (contract: child.h)
 *
 * Programs are generated one after another into the same storage and run until
 * the job's end. The first finding ends the child: the heap may be broken, and
 * a new process costs a few milliseconds.
 */
#include "run/child.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "oracle/oracle.h"
#include "run/balance.h"
#include "run/growth.h"
#include "run/runner.h"
#include "run/shared.h"
#include "run/signals.h"
#include "run/target.h"

#define WHOLE_MAX     ((size_t)16 << 10)
#define WHOLE_MAX_ALL ((size_t)4 << 20)
#define CHECK_SHARE   16 /* the heap check takes at most one part in so many */

struct child {
    struct shared *shared;
    size_t shared_size;
    child_generate_fn *generate;
    struct target_view view;
    struct runner runner;
    struct oracle oracle;
    struct balance balance;
    struct growth growth;
    struct program *program;
    uint64_t check_ns, run_ns; /* spent so far */
};

static uint64_t
now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static bool
prepare_program(struct child *child, uint64_t index)
{
    struct shared *shared = child->shared;
    const struct job *job = &shared->job;
    bool is_first = child->program->thread_count == 0;
    if (job->scenario[0] == '\0') {
        return !is_first ||
               shared_read_program(shared, child->shared_size, child->program);
    }
    program_clear(child->program);
    if (!child->generate(child->program, job->scenario, job->seed, index,
            job->thread_count)) {
        return false;
    }
    target_adapt(child->program, child->view.lacks);
    return true;
}

/* The allocator's own check aborts when it finds something. */
static void
check_heap(struct child *child, uint64_t begun_ns)
{
    const struct alloc_ops *ops = child->view.ops;
    uint64_t over_ns = now_ns();
    child->run_ns += over_ns - begun_ns;
    if (ops->check == NULL ||
        (!child->shared->job.checks_all &&
            child->check_ns > child->run_ns / CHECK_SHARE)) {
        return;
    }
    _Atomic uint32_t *phase = &child->shared->progress[0].phase;
    atomic_store(phase, PROGRESS_CHECK);
    ops->check(NULL);
    atomic_store(phase, PROGRESS_IDLE);
    child->check_ns += now_ns() - over_ns;
}

/* One run of the program at hand; false after a finding. */
static bool
run_once(struct child *child)
{
    struct shared *shared = child->shared;
    const struct job *job = &shared->job;
    uint64_t begun_ns = now_ns();
    struct oracle_options options = {
        .policy = job->policy,
        .usable_size = target_has(&child->view, OP_USABLE_SIZE)
                           ? child->view.ops->usable_size
                           : NULL,
        .faults = child->program->fault_count > 0,
        .whole_max = job->checks_all ? WHOLE_MAX_ALL : WHOLE_MAX,
        .waits_for_cause = child->program->thread_count > 1,
        .muted = job->muted,
    };
    oracle_begin(&child->oracle, &options, &shared->box);
    bool good = runner_run(&child->runner, child->program);
    for (int i = 0; i < VERDICT_KIND_COUNT; i++) {
        atomic_store(&shared->muted_counts[i],
            atomic_load(&child->oracle.muted_counts[i]));
    }
    if (good) {
        check_heap(child, begun_ns);
        atomic_fetch_add(&shared->run_count, 1);
    }
    return good;
}

/* Runs the program again and again. */
static bool
prove_growth(struct child *child)
{
    struct shared *shared = child->shared;
    uint64_t deadline_ns = shared->job.deadline_ns;
    enum growth_proof proof;
    struct finding finding;

    child->growth = (struct growth){0};
    while ((proof = growth_prove(&child->growth, child->program, &finding)) ==
           GROWTH_OPEN) {
        if (deadline_ns != 0 && now_ns() >= deadline_ns) {
            return true;
        }
        if (!run_once(child)) {
            return false;
        }
    }
    if (proof == GROWTH_PROVED) {
        finding_put(&shared->box, &finding);
    }
    return proof == GROWTH_NONE;
}

/* After a run; false when it has come to a finding. */
static bool
judge_growth(struct child *child)
{
    struct shared *shared = child->shared;
    const struct job *job = &shared->job;
    struct finding finding = {.kind = VERDICT_GROWTH, .op_kind = OP_KIND_COUNT};

    if (child->program->fault_count > 0) {
        return true; /* The OS may refuse to take memory back. */
    }
    if (job->growth == GROWTH_PROVE) {
        return prove_growth(child);
    }
    if (job->growth == GROWTH_IGNORE ||
        !growth_is_suspect(&child->growth, job->growth_size, now_ns())) {
        return true;
    }
    finding_put(&shared->box, &finding);
    return false;
}

static bool
open_all(struct child *child)
{
    struct shared *shared = child->shared;
    const struct job *job = &shared->job;
    child->program = program_new();
    if (child->program == NULL || !oracle_init(&child->oracle) ||
        !runner_open(&child->runner)) {
        atomic_store(&shared->state, CHILD_NO_MEMORY);
        return false;
    }
    const struct alloc_ops *built_in = alloc_find(job->built_in);
    if (!target_open(&child->view, built_in, job->library)) {
        atomic_store(&shared->state, CHILD_NO_MALLOC);
        return false;
    }
    struct runner *runner = &child->runner;
    runner->ops = child->view.ops;
    runner->progress = shared->progress;
    runner->injects_faults = built_in != NULL;
    runner->fork_only_exits = !policy_has(&job->policy, CLAUSE_FORK_CHILD);
    runner->ask_stats = child->view.ask_stats;
    if (!job->unchecked) {
        balance_init(&child->balance, runner->ops, NULL, &shared->box);
        runner->observers[0] = &child->oracle.observer;
        runner->observers[1] = &child->balance.observer;
    }
    atomic_store(&shared->lacks, child->view.lacks);
    atomic_store(&shared->state, CHILD_READY);
    return true;
}

int
child_main(int shared_fd, child_generate_fn *generate)
{
    static struct child child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    child.generate = generate;
    child.shared = shared_map(shared_fd, &child.shared_size);
    if (child.shared == NULL) {
        return 3;
    }
    close(shared_fd);
    signals_install(child.shared);
    if (!open_all(&child)) {
        return 3;
    }
    const struct job *job = &child.shared->job;
    for (uint64_t index = job->first_index; index < job->end_index; index++) {
        if (job->deadline_ns != 0 && now_ns() >= job->deadline_ns) {
            break;
        }
        atomic_fetch_add(&child.shared->begun_count, 1);
        if (!prepare_program(&child, index)) {
            atomic_store(&child.shared->state, CHILD_NO_MEMORY);
            return 3;
        }
        if (!run_once(&child) || !judge_growth(&child)) {
            atomic_store(&child.shared->state, CHILD_DONE);
            _exit(0); /* The heap may be broken: no exit handlers. */
        }
    }
    atomic_store(&child.shared->state, CHILD_DONE);
    return 0;
}
