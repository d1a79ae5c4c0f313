/*
 * minimal.c - a verdict made small (contract: minimal.h; the idea: explore.c)
 */
#include "run/minimal.h"

#include <string.h>
#include <sys/mman.h>

#include "base/random.h"
#include "program/minimise.h"
#include "run/calm.h"
#include "run/supervisor.h"

#define BYTES_MAX     ((size_t)1 << 22)
#define SEARCH_RUNS   100  /* new schedules for each candidate */
#define EXHAUST_RUNS  5000 /* for each bound on preemptions */
#define PARTS_DRAWN   16   /* of a program */
#define CALM_RUNS     600  /* for a schedule to begin with */
#define COST_CALM     8    /* above it a schedule is made calm at once */
#define OPS_FEW       6    /* what has more, or costs more, is begun anew */
#define COST_FEW      3
#define ATTEMPTS_MAX  6
#define TIME_MAX_NS   23000000000ull
#define SMALL_TIME_NS 20000000000ull /* of that, for the program */
#define DEPTH         3

enum sought { SOUGHT_FOUND, SOUGHT_NONE, SOUGHT_IN_PART };

bool
minimal_is_over(const struct minimal *minimal)
{
    return observed_is_late(minimal->observed);
}

static void *
map_bytes(void)
{
    return mmap(NULL, BYTES_MAX, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

bool
minimal_open(struct minimal *minimal, struct observed *observed)
{
    *minimal = (struct minimal){.observed = observed};
    minimal->bytes = map_bytes();
    minimal->best.bytes = map_bytes();
    minimal->program = program_new();
    minimal->kept = program_new();
    minimal->best.program = program_new();
    return minimal->bytes != MAP_FAILED && minimal->best.bytes != MAP_FAILED &&
           minimal->program != NULL && minimal->kept != NULL &&
           minimal->best.program != NULL;
}

void
minimal_close(struct minimal *minimal)
{
    munmap(minimal->bytes, BYTES_MAX);
    munmap(minimal->best.bytes, BYTES_MAX);
    program_delete(minimal->best.program);
    program_delete(minimal->program);
    program_delete(minimal->kept);
}

void
minimal_keep(struct minimal *minimal, const struct observe_verdict *verdict)
{
    size_t count;
    const uint8_t *choices = observe_choices(&count);
    minimal->verdict = *verdict;
    minimal->preemption_count = (unsigned)observe_stats()->preemptions;
    minimal->stale_count = (unsigned)observe_stats()->stale_loads;
    minimal->byte_count = count < BYTES_MAX ? count : BYTES_MAX;
    memmove(minimal->bytes, choices, minimal->byte_count);
}

const struct observe_verdict *
minimal_run(struct minimal *minimal, const struct program *program,
    struct strategy *strategy)
{
    minimal->run_count++;
    return observed_run(minimal->observed, program, strategy);
}

const struct observe_verdict *
minimal_replay(struct minimal *minimal, const struct program *program)
{
    struct strategy_replay replay;
    strategy_replay_init(&replay, minimal->bytes, minimal->byte_count);
    return minimal_run(minimal, program, &replay.base);
}

/* Does this run show the verdict that is sought? Then it is kept. */
bool
minimal_try(struct minimal *minimal, const struct program *program,
    struct strategy *strategy)
{
    const struct observe_verdict *verdict =
        minimal_run(minimal, program, strategy);
    if (verdict->kind != minimal->verdict.kind ||
        !program_copy(minimal->kept, program)) {
        return false;
    }
    minimal_keep(minimal, verdict);
    return true;
}

static bool
try_kept(struct minimal *minimal, const struct program *program)
{
    struct strategy_replay replay;
    strategy_replay_init(&replay, minimal->bytes, minimal->byte_count);
    return minimal_try(minimal, program, &replay.base);
}

/* Choices of the kept run that are not plain. */
unsigned
minimal_cost(const struct minimal *minimal)
{
    return minimal->preemption_count + minimal->stale_count;
}

/* Looks for a schedule that shows it; how many runs that took, or 0. */
static unsigned
search(
    struct minimal *minimal, const struct program *program, unsigned runs_max)
{
    struct strategy_pct pct;
    struct strategy_walk walk;
    strategy_pct_init(&pct, minimal->seed, DEPTH);
    strategy_walk_init(&walk, minimal->seed);
    for (unsigned i = 1; i <= runs_max && !minimal_is_over(minimal); i++) {
        if (minimal_try(
                minimal, program, i % 4 == 0 ? &walk.base : &pct.base)) {
            return i;
        }
    }
    return 0;
}

/* All schedules that cost so much at most, one after the other. */
static enum sought
exhaust(struct minimal *minimal, const struct program *program, unsigned bound)
{
    struct strategy_exhaustive exhaustive;
    enum sought sought = SOUGHT_IN_PART;
    if (!strategy_exhaustive_init(&exhaustive, bound)) {
        return sought;
    }
    for (int i = 0;
         i < EXHAUST_RUNS && !exhaustive.base.done && !minimal_is_over(minimal);
         i++) {
        if (minimal_try(minimal, program, &exhaustive.base)) {
            sought = SOUGHT_FOUND;
            break;
        }
    }
    if (sought != SOUGHT_FOUND && exhaustive.base.done) {
        sought = SOUGHT_NONE;
    }
    strategy_exhaustive_fini(&exhaustive);
    return sought;
}

/* For program/minimise: the candidate's own schedule is none. */
static bool
shows(const struct program *program, void *arg)
{
    struct minimal *minimal = arg;
    if (minimal_is_over(minimal) ||
        (!try_kept(minimal, program) && !calm_try(minimal, program) &&
            search(minimal, program, minimal->search_runs) == 0)) {
        return false;
    }
    if (minimal_cost(minimal) > COST_CALM) {
        calm_make(minimal);
    }
    return true;
}

/* How many schedules to try for a candidate: some times what the whole program
 * takes. What shows by few schedules only goes on with the kept one. */
static void
choose_search_runs(struct minimal *minimal)
{
    unsigned runs = search(minimal, minimal->program, SEARCH_RUNS);
    minimal->search_runs =
        runs == 0 || 4 * runs + 8 > SEARCH_RUNS ? SEARCH_RUNS : 4 * runs + 8;
}

/* The fewest preemptions, by trying all schedules with none, one, ... */
static void
find_fewest(struct minimal *minimal, unsigned bound_max)
{
    enum sought sought = SOUGHT_NONE;
    for (unsigned bound = 0;
         bound <= bound_max && bound < minimal_cost(minimal) &&
         sought == SOUGHT_NONE;
         bound++) {
        sought = exhaust(minimal, minimal->program, bound);
    }
}

/* Makes the program shorter, until then. False: the verdict does not come
 * again. */
static bool
remove_ops(struct minimal *minimal, uint64_t end_ns)
{
    struct minimise_status status;
    uint64_t begun_ns = supervisor_now_ns();
    const struct minimise_options options = {
        .shows = shows,
        .arg = minimal,
        .time_ns = end_ns > begun_ns ? end_ns - begun_ns : 1,
    };
    enum minimise_end end = minimise(minimal->program, &options, &status);
    /* When time runs out, that may not be what the kept run was of. */
    program_copy(minimal->program, minimal->kept);
    minimal->program->schedule_count = 0;
    return end != MINIMISE_NOT_SHOWN;
}

/* How far the kept run is from few operations and few preemptions. */
static size_t
excess(const struct minimal *minimal)
{
    size_t op_count = program_op_count(minimal->kept);
    return (op_count > OPS_FEW ? op_count - OPS_FEW : 0) +
           (minimal_cost(minimal) > COST_FEW ? minimal_cost(minimal) - COST_FEW
                                             : 0);
}

/* The kept run may be better than all before. */
static void
set_aside(struct minimal *minimal)
{
    struct minimal_best *best = &minimal->best;
    size_t weight = (excess(minimal) << 32) +
                    (program_op_count(minimal->kept) << 16) +
                    minimal_cost(minimal);
    if (best->byte_count > 0 && weight >= best->weight) {
        return;
    }
    program_copy(best->program, minimal->kept);
    best->weight = weight;
    memcpy(best->bytes, minimal->bytes, minimal->byte_count);
    best->byte_count = minimal->byte_count;
}

static void
take_best(struct minimal *minimal)
{
    const struct minimal_best *best = &minimal->best;
    program_copy(minimal->program, best->program);
    memcpy(minimal->bytes, best->bytes, best->byte_count);
    minimal->byte_count = best->byte_count;
    try_kept(minimal, minimal->program);
}

/* Other schedules to begin with, that hardly preempt. */
static void
find_calmer(struct minimal *minimal)
{
    struct strategy_pct pct[COST_FEW];
    for (unsigned i = 0; i < COST_FEW; i++) {
        strategy_pct_init(&pct[i], minimal->seed, i + 2);
    }
    for (unsigned i = 0;
         excess(minimal) > 0 && i < CALM_RUNS && !minimal_is_over(minimal);
         i++) {
        if (minimal_try(minimal, minimal->program, &pct[i % COST_FEW].base)) {
            calm_make(minimal);
            set_aside(minimal);
        }
    }
}

/* Each operation is drawn or not. */
static void
draw_ops(
    struct program *part, const struct program *whole, struct random *random)
{
    program_clear(part);
    program_copy_origin(part, whole);
    for (unsigned t = 0; t < whole->thread_count; t++) {
        const struct thread_ops *list = &whole->threads[t];
        for (size_t i = 0; i < list->op_count; i++) {
            if (random_one_in(random, 2)) {
                program_add(part, t, &list->ops[i]);
            }
        }
    }
}

/* The program becomes a part of the whole that shows it too, or the whole. */
static void
draw_part(struct minimal *minimal, const struct program *whole)
{
    struct random random;
    random_seed(&random, minimal->seed);
    for (int i = 0; i < PARTS_DRAWN; i++) {
        draw_ops(minimal->program, whole, &random);
        if (search(minimal, minimal->program, minimal->search_runs) != 0) {
            return;
        }
    }
    program_copy(minimal->program, whole);
}

/* Where nothing can go the program is not the shortest that the finding has, and
 * the schedule not the calmest: they depend on the way there. Other attempts
 * begin with a part of the program. */
static void
find_small(struct minimal *minimal, const struct program *program)
{
    uint64_t end_ns = supervisor_now_ns() + SMALL_TIME_NS;
    minimal->best.byte_count = 0;
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        if (i > 0) {
            minimal->seed++;
            draw_part(minimal, program);
        }
        bool shown = remove_ops(minimal, end_ns);
        find_fewest(minimal, 0);
        calm_make(minimal);
        set_aside(minimal);
        if (program_op_count(minimal->kept) <= OPS_FEW) {
            find_calmer(minimal);
        }
        if (!shown || minimal->best.weight >> 32 == 0 ||
            supervisor_now_ns() >= end_ns) {
            break;
        }
    }
    take_best(minimal);
}

/* Zeroes at the end say nothing. */
static void
write_schedule(struct minimal *minimal)
{
    size_t count = minimal->byte_count;
    while (count > 0 && minimal->bytes[count - 1] == 0) {
        count--;
    }
    minimal->program->schedule_count = 0;
    for (size_t i = 0; i < count; i++) {
        program_add_schedule(minimal->program, minimal->bytes[i]);
    }
}

void
minimal_find(
    struct minimal *minimal, const struct program *program, uint64_t seed)
{
    struct observed_limit *limit = &minimal->observed->limit;
    const struct observed_limit given = *limit;
    uint64_t last_ns = supervisor_now_ns() + TIME_MAX_NS;
    if (limit->deadline_ns == 0 || limit->deadline_ns > last_ns) {
        limit->deadline_ns = last_ns;
    }
    minimal->seed = seed;
    minimal->run_count = 0;
    program_copy(minimal->program, program);
    program_copy(minimal->kept, program);
    minimal->program->schedule_count = 0;
    if (!minimal->keeps_whole) {
        choose_search_runs(minimal);
        find_small(minimal, program);
        find_fewest(minimal, COST_FEW);
    }
    *limit = given;
    write_schedule(minimal);
}

static bool
explain_found(struct minimal *minimal)
{
    struct strategy_replay replay;
    const struct program *program = minimal->program;
    strategy_replay_init(&replay, program->schedule, program->schedule_count);
    const struct observe_verdict *verdict =
        minimal_run(minimal, program, &replay.base);
    if (verdict->kind != minimal->verdict.kind) {
        return false;
    }
    minimal->preemption_count = (unsigned)observe_stats()->preemptions;
    minimal->stale_count = (unsigned)observe_stats()->stale_loads;
    if (!observed_explain(minimal->observed, &replay.base)) {
        return false;
    }
    minimal->verdict = *observe_last_verdict();
    return true;
}

bool
minimal_explain(struct minimal *minimal)
{
    const struct observed_limit given = minimal->observed->limit;
    minimal->observed->limit = (struct observed_limit){0};
    bool same = explain_found(minimal);
    minimal->observed->limit = given;
    return same;
}
