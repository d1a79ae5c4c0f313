/*
 * proof.c - makes a finding stand on its own (contract: proof.h)
 *
 * A program of one thread repeats exactly, so one run tells. One with threads
 * gets some runs.
 *
 * Growth is suspected some programs after those that took the memory. It needs
 * no history, so they are tried one by one, and not for long.
 */
#include "cli/proof.h"

#include <string.h>

#include "program/minimise.h"

#define TIMES_THREADS 10 /* runs of a program with threads */
#define CONFIRM_NS    ((uint64_t)5 * 1000000000)
#define OPS_MAX       2000000 /* no longer history than that */
#define SUSPECT_NS    ((uint64_t)2 * 1000000000)
#define SUSPECTS_MAX  8 /* programs */

static unsigned
times_for(const struct proof *proof, const struct program *program)
{
    bool repeats = proof->kind == VERDICT_GROWTH; /* by itself, as need be */
    return program->thread_count > 1 && !repeats ? TIMES_THREADS : 1;
}

/* A finding that the watchdog makes is sought in haste, or each try would take
 * seconds. What comes out is confirmed with patience. */
static bool
is_stuck_kind(enum verdict_kind kind)
{
    return kind == VERDICT_HANG || kind == VERDICT_DEADLOCK ||
           kind == VERDICT_FORK;
}

bool
proof_shows(struct proof *proof, const struct program *program, unsigned times,
    bool hasty)
{
    struct supervisor supervisor = {
        .target = proof->target,
        .program = program,
        .hasty = hasty,
        .stop = proof->stop,
        .tick = proof->tick,
        .tick_arg = proof->tick_arg,
    };
    struct result result;
    supervisor.job.end_index = times;
    supervisor.job.policy = proof->policy;
    supervisor.job.checks_all = true;
    supervisor.job.growth =
        proof->kind == VERDICT_GROWTH ? GROWTH_PROVE : GROWTH_IGNORE;
    supervisor.job.deadline_ns = proof->deadline_ns;
    supervisor_run(&supervisor, &result);
    proof->call_count += result.call_count;
    proof->run_count += result.run_count;
    bool shows = result.kind == RESULT_FINDING;
    enum verdict_kind kind = result.finding.kind;
    if (shows && proof->adopts && !is_stuck_kind(kind)) {
        proof->kind = kind;
    }
    shows = shows && kind == proof->kind;
    if (shows) {
        proof->result = result;
    }
    return shows;
}

static bool
is_over(const struct proof *proof)
{
    return supervisor_now_ns() >= proof->deadline_ns ||
           (proof->stop != NULL && atomic_load(proof->stop));
}

/* Adds what a runner does at a program's end: the blocks left are freed, in the
 * order of their slots. */
static bool
append_frees(struct program *program, uint32_t slot_count)
{
    bool good = true;
    for (uint32_t slot = 0; good && slot < slot_count; slot++) {
        const struct op op = {.kind = OP_FREE, .slot = slot};
        good = program_add(program, 0, &op);
    }
    return good;
}

/* Adds program `more` at the end of each thread's list. */
static bool
append(struct program *program, const struct program *more)
{
    bool good = true;
    for (unsigned i = 0; i < more->thread_count; i++) {
        const struct thread_ops *list = &more->threads[i];
        for (size_t j = 0; good && j < list->op_count; j++) {
            good = program_add(program, i, &list->ops[j]);
        }
    }
    for (size_t i = 0; good && i < more->fault_count; i++) {
        good = program_add_fault(program, &more->faults[i]);
    }
    return good;
}

/* Programs first .. origin->index, one after another. */
static bool
generate(const struct proof_origin *origin, uint64_t first,
    struct program *program, struct program *part)
{
    program_clear(program);
    for (uint64_t index = first; index <= origin->index; index++) {
        program_clear(part);
        if (!origin->scenario->generate(
                part, origin->seed, index, origin->thread_count) ||
            !append(program, part) ||
            (index < origin->index &&
                !append_frees(program, part->slot_count))) {
            return false;
        }
    }
    target_adapt(program, origin->lacks);
    return true;
}

/* True when one of the last programs grows, alone. */
static bool
find_growing(struct proof *proof, const struct proof_origin *origin,
    struct program *program, struct program *part)
{
    struct proof_origin tried = *origin;
    uint64_t whole_ns = proof->deadline_ns;
    uint64_t short_ns = supervisor_now_ns() + SUSPECT_NS;
    bool shows = false;
    proof->deadline_ns = short_ns < whole_ns ? short_ns : whole_ns;
    for (unsigned i = 0; !shows && i < SUSPECTS_MAX && !is_over(proof); i++) {
        shows = generate(&tried, tried.index, program, part) &&
                proof_shows(proof, program, times_for(proof, program), false);
        if (tried.index-- == origin->first_index) {
            break;
        }
    }
    proof->deadline_ns = whole_ns;
    return shows;
}

static bool
find_history(struct proof *proof, const struct proof_origin *origin,
    struct program *program, struct program *part)
{
    bool shows = false, good = true;
    uint64_t span = origin->index - origin->first_index;
    for (uint64_t count = 0; good && !shows; count = count * 2 + 1) {
        uint64_t before = count < span ? count : span;
        good = generate(origin, origin->index - before, program, part) &&
               (count == 0 ||
                   (!is_over(proof) && program_op_count(program) <= OPS_MAX));
        shows = good && proof_shows(proof, program, times_for(proof, program),
                            is_stuck_kind(proof->kind));
        good = good && before < span;
    }
    if (!shows) {
        generate(origin, origin->index, program, part);
    }
    return shows;
}

bool
proof_find_program(struct proof *proof, const struct proof_origin *origin,
    struct program *program)
{
    struct program *part = program_new();
    bool shows = false;
    if (part == NULL) {
        return false;
    }
    proof->adopts = true;
    shows = proof->kind == VERDICT_GROWTH
                ? find_growing(proof, origin, program, part)
                : find_history(proof, origin, program, part);
    proof->adopts = false;
    program_delete(part);
    return shows;
}

static bool
shows_candidate(const struct program *program, void *arg)
{
    struct proof *proof = arg;
    return !is_over(proof) &&
           proof_shows(proof, program, times_for(proof, program),
               is_stuck_kind(proof->kind));
}

/* What is left for minimising, when the last run must be a patient one. */
static uint64_t
time_to_minimise(const struct proof *proof)
{
    uint64_t now_ns = supervisor_now_ns();
    uint64_t left_ns =
        proof->deadline_ns > now_ns ? proof->deadline_ns - now_ns : 0;
    uint64_t third_ns = left_ns / 3;
    uint64_t confirm_ns = third_ns < CONFIRM_NS ? third_ns : CONFIRM_NS;
    return is_stuck_kind(proof->kind) ? left_ns - confirm_ns : left_ns;
}

/* False when the program runs to its end after all. A run that the deadline
 * cut short says nothing against it. */
static bool
is_confirmed(struct proof *proof, const struct program *program)
{
    uint64_t before = proof->run_count;
    unsigned times = times_for(proof, program);
    return !is_stuck_kind(proof->kind) ||
           proof_shows(proof, program, times, false) ||
           proof->run_count - before < times;
}

void
proof_minimise(struct proof *proof, struct program *program)
{
    uint64_t time_ns = time_to_minimise(proof);
    struct program *whole = program_new();
    struct result whole_result = proof->result;
    struct minimise_status status;
    struct minimise_options options = {
        .shows = shows_candidate, .arg = proof, .time_ns = time_ns};
    if (whole != NULL && time_ns > 0 && program_copy(whole, program)) {
        minimise(program, &options, &status);
        if (!is_confirmed(proof, program) && program_copy(program, whole)) {
            proof->result = whole_result;
        }
    }
    if (whole != NULL) {
        program_delete(whole);
    }
}
