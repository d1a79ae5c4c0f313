/*
 * explore.c - many schedules of many programs (contract: explore.h)
 *
 * Minimising a program with threads is a search in two spaces: an operation
 * less shifts every later choice, so the old schedule means something else. A
 * candidate is therefore tried with the schedule that last showed the finding,
 * then with its stretches (calm.h), then with some hundred new ones. Where no
 * operation can go any more and the schedule is calm, the program may still be
 * longer than the finding needs: then the search begins anew with some of the
 * operations. At last all schedules with no preemption are tried, then with one,
 * two, three: the first that shows the finding has the fewest.
 *
 * One bug shows in thousands of runs. Those whose verdict comes from the same
 * place are not made small again, and what comes down to the same pair of
 * accesses is told once.
 */
#include "run/explore.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "program/minimise.h"
#include "run/minimal.h"

#define SCHEDULES_DEFAULT 20
#define KNOWN_MAX         256
#define TWICE_ONE_IN      64

const char *const explore_strategy_names[] = {
    "random", "pct", "pos", "exhaustive", "replay", NULL};

/* What tells findings apart, before one is made small and after. */
struct known {
    enum verdict_kind kind;
    unsigned is_small;
    uintptr_t where[2];
};

struct campaign {
    struct explore *explore;
    struct observed observed;
    struct minimal minimal;
    struct program *program;
    uint64_t index;

    union {
        struct strategy base;
        struct strategy_walk walk;
        struct strategy_pct pct;
        struct strategy_pos pos;
        struct strategy_exhaustive exhaustive;
        struct strategy_replay replay;
    } strategy;

    struct known known[KNOWN_MAX];
    unsigned known_count;
    uint64_t complete_count; /* programs explored exhaustively */
    bool over;
};

static bool
is_over(const struct campaign *campaign)
{
    const struct explore *explore = campaign->explore;
    return campaign->over ||
           (explore->runs_max > 0 && explore->run_count >= explore->runs_max) ||
           observed_is_late(&campaign->observed);
}

/*
 * Programs.
 */

/* A target need not have all functions. */
static bool
has(const struct alloc_ops *ops, enum op_kind kind)
{
    switch (kind) {
    case OP_CALLOC:
        return ops->calloc != NULL;
    case OP_REALLOC:
        return ops->realloc != NULL;
    case OP_REALLOCARRAY:
        return ops->reallocarray != NULL;
    case OP_MEMALIGN:
        return ops->memalign != NULL;
    case OP_ALIGNED_ALLOC:
        return ops->aligned_alloc != NULL;
    case OP_POSIX_MEMALIGN:
        return ops->posix_memalign != NULL;
    case OP_VALLOC:
        return ops->valloc != NULL;
    case OP_PVALLOC:
        return ops->pvalloc != NULL;
    case OP_FREE_SIZED:
        return ops->free_sized != NULL;
    case OP_FREE_ALIGNED_SIZED:
        return ops->free_aligned_sized != NULL;
    case OP_USABLE_SIZE:
        return ops->usable_size != NULL;
    case OP_TRIM:
        return ops->trim != NULL;
    case OP_FORK: /* the child calls these */
        return ops->calloc != NULL && ops->realloc != NULL &&
               ops->memalign != NULL;
    default:
        return true;
    }
}

/* What the target has, at most op_count operations. */
static void
fit_list(const struct explore *explore, struct thread_ops *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->op_count && kept < explore->op_count; i++) {
        if (has(explore->ops, list->ops[i].kind)) {
            list->ops[kept++] = list->ops[i];
        }
    }
    list->op_count = kept;
}

static const char *
next_program(struct campaign *campaign)
{
    struct explore *explore = campaign->explore;
    bool good;
    program_clear(campaign->program);
    if (explore->program != NULL) {
        good = program_copy(campaign->program, explore->program);
    } else {
        good = explore->generate(campaign->program, explore->seed,
            campaign->index, explore->thread_count);
        for (unsigned i = 0; good && i < campaign->program->thread_count; i++) {
            fit_list(explore, &campaign->program->threads[i]);
        }
    }
    explore->program_count++;
    if (!good) {
        return "out of memory";
    }
    return campaign->program->thread_count >= OBSERVE_THREADS_MAX
               ? "an observed run has at most 15 threads"
               : NULL;
}

/*
 * Findings.
 */

static bool
is_known(struct campaign *campaign, struct known now)
{
    for (unsigned i = 0; i < campaign->known_count; i++) {
        if (memcmp(&campaign->known[i], &now, sizeof(now)) == 0) {
            return true;
        }
    }
    if (campaign->known_count < KNOWN_MAX) {
        campaign->known[campaign->known_count++] = now;
    }
    return false;
}

/* By the two innermost calls. */
static struct known
key_of(const struct observe_verdict *verdict)
{
    struct known key = {.kind = verdict->kind};
    for (unsigned i = 0; i < 2 && i < verdict->access.stack_count; i++) {
        key.where[i] = verdict->access.stack[i];
    }
    return key;
}

/* By the two accesses of a race, whichever came first. */
static struct known
small_key_of(const struct observe_verdict *verdict)
{
    struct known key = {.kind = verdict->kind, .is_small = 1};
    uintptr_t one =
        verdict->access.stack_count > 0 ? verdict->access.stack[0] : 0;
    uintptr_t two =
        verdict->other.stack_count > 0 ? verdict->other.stack[0] : 0;
    key.where[0] = one < two ? one : two;
    key.where[1] = one < two ? two : one;
    return key;
}

/* The last run had a verdict that is new: makes it small and tells it. */
static void
tell(struct campaign *campaign)
{
    static struct explanation explanation;
    struct explore *explore = campaign->explore;
    struct minimal *minimal = &campaign->minimal;
    uint64_t run = explore->run_count;
    if (explore->seen != NULL) {
        explore->seen(&minimal->verdict, explore->arg);
    }
    minimal->keeps_whole = explore->keeps_whole;
    minimal_find(minimal, campaign->program, explore->seed);
    bool repeats = minimal_explain(minimal);
    if (is_known(campaign, small_key_of(&minimal->verdict))) {
        explore->repeat_count++;
        return;
    }
    explain(&explanation, &minimal->verdict, repeats);
    const struct explore_finding finding = {
        .verdict = &minimal->verdict,
        .program = minimal->program,
        .explanation = &explanation,
        .index = campaign->index,
        .run = run,
        .preemption_count = minimal->preemption_count,
        .stale_count = minimal->stale_count,
    };
    explore->finding_count++;
    campaign->over = !explore->found(&finding, explore->arg);
}

/* The same program and choices again: is it the same run? */
static void
check_twice(struct campaign *campaign)
{
    struct observe_stats first = *observe_stats();
    struct observe_verdict verdict =
        *minimal_replay(&campaign->minimal, campaign->program);
    if (verdict.kind != VERDICT_KIND_COUNT || observe_stats()->is_cut ||
        observe_stats()->hash == first.hash) {
        return;
    }
    campaign->minimal.verdict =
        (struct observe_verdict){.kind = VERDICT_NONDETERMINISM};
    snprintf(campaign->minimal.verdict.text,
        sizeof(campaign->minimal.verdict.text),
        "two runs with the same choices: %llu steps and hash %016llx, %llu "
        "steps and hash %016llx",
        (unsigned long long)first.steps, (unsigned long long)first.hash,
        (unsigned long long)observe_stats()->steps,
        (unsigned long long)observe_stats()->hash);
    if (!is_known(campaign, key_of(&campaign->minimal.verdict))) {
        tell(campaign);
    }
}

static void
run_once(struct campaign *campaign, struct strategy *strategy)
{
    struct explore *explore = campaign->explore;
    const struct observe_verdict *verdict =
        observed_run(&campaign->observed, campaign->program, strategy);
    if (observe_stats()->is_cut) {
        return;
    }
    explore->run_count++;
    explore->op_total += program_op_count(campaign->program);
    if (verdict->kind != VERDICT_KIND_COUNT) {
        bool is_new = !is_known(campaign, key_of(verdict));
        minimal_keep(&campaign->minimal, verdict);
        if (is_new) {
            tell(campaign);
        } else {
            explore->repeat_count++;
        }
    } else if (explore->twice || explore->run_count % TWICE_ONE_IN == 1) {
        minimal_keep(&campaign->minimal, verdict);
        check_twice(campaign);
    }
    if (explore->tick != NULL) {
        explore->tick(explore, explore->arg);
    }
}

/*
 * Strategies.
 */

static bool
init_strategy(struct campaign *campaign)
{
    const struct explore *explore = campaign->explore;
    switch (explore->strategy) {
    case EXPLORE_RANDOM:
        strategy_walk_init(&campaign->strategy.walk, explore->seed);
        return true;
    case EXPLORE_PCT:
        strategy_pct_init(
            &campaign->strategy.pct, explore->seed, explore->depth);
        return true;
    case EXPLORE_POS:
        strategy_pos_init(&campaign->strategy.pos, explore->seed);
        return true;
    case EXPLORE_EXHAUSTIVE:
        return strategy_exhaustive_init(
            &campaign->strategy.exhaustive, explore->depth);
    case EXPLORE_REPLAY:
        strategy_replay_init(&campaign->strategy.replay,
            explore->program->schedule, explore->program->schedule_count);
        return true;
    }
    return false;
}

/* All that the strategy wants to try on the program at hand. */
static void
explore_schedules(struct campaign *campaign)
{
    struct explore *explore = campaign->explore;
    bool exhausts = explore->strategy == EXPLORE_EXHAUSTIVE;
    for (uint64_t i = 0; !is_over(campaign); i++) {
        if (exhausts
                ? campaign->strategy.base.done
                : explore->program == NULL && i == explore->schedule_count) {
            break;
        }
        run_once(campaign, &campaign->strategy.base);
    }
    campaign->complete_count += exhausts && campaign->strategy.base.done;
}

/* The n-th call for memory fails, for every n that the program comes to. */
static void
sweep_faults(struct campaign *campaign)
{
    run_once(campaign, &campaign->strategy.base);
    uint64_t count = observe_stats()->os_calls;
    for (uint64_t n = 1; n <= count && !is_over(campaign); n++) {
        const struct fault fault = {.kind = FAULT_OS, .n = n};
        campaign->program->fault_count = 0;
        if (!program_add_fault(campaign->program, &fault)) {
            return;
        }
        run_once(campaign, &campaign->strategy.base);
        campaign->explore->place_count++;
    }
}

/* One more thread forks, at every point that the program comes to. */
static void
sweep_forks(struct campaign *campaign)
{
    const struct op fork_op = {.kind = OP_FORK};
    struct program *program = campaign->program;
    unsigned forker = program->thread_count;
    run_once(campaign, &campaign->strategy.base);
    uint64_t count = observe_stats()->points;
    if (forker + 1 >= OBSERVE_THREADS_MAX ||
        !program_add(program, forker, &fork_op)) {
        return;
    }
    for (uint64_t n = 0; n < count && !is_over(campaign); n++) {
        struct strategy_nudge nudge;
        strategy_nudge_init(&nudge, &campaign->strategy.base, forker, n);
        run_once(campaign, &nudge.base);
        campaign->explore->place_count++;
    }
}

static void
sweep_signals(struct campaign *campaign)
{
    run_once(campaign, &campaign->strategy.base);
    uint64_t count = observe_stats()->points;
    for (uint64_t n = 1; n <= count && !is_over(campaign); n++) {
        campaign->observed.interrupt_at = n;
        run_once(campaign, &campaign->strategy.base);
        campaign->explore->place_count++;
    }
    campaign->observed.interrupt_at = 0;
}

static void
explore_program(struct campaign *campaign)
{
    const struct explore *explore = campaign->explore;
    if (explore->strategy == EXPLORE_EXHAUSTIVE) {
        strategy_exhaustive_restart(&campaign->strategy.exhaustive);
    } else if (explore->strategy == EXPLORE_PCT) {
        strategy_pct_restart(&campaign->strategy.pct);
    }
    switch (explore->sweep) {
    case EXPLORE_NO_SWEEP:
        explore_schedules(campaign);
        break;
    case EXPLORE_FAIL_OS:
        sweep_faults(campaign);
        break;
    case EXPLORE_FORK:
        sweep_forks(campaign);
        break;
    case EXPLORE_SIGNAL:
        sweep_signals(campaign);
        break;
    }
}

static void
describe_bound(struct campaign *campaign)
{
    struct explore *explore = campaign->explore;
    campaign->strategy.base.print_bound(
        &campaign->strategy.base, explore->bound, sizeof(explore->bound));
    if (explore->strategy == EXPLORE_EXHAUSTIVE) {
        snprintf(explore->bound, sizeof(explore->bound),
            "%llu of %llu programs: all executions with at most %u preemptions "
            "and stale loads together; %llu runs",
            (unsigned long long)campaign->complete_count,
            (unsigned long long)explore->program_count, explore->depth,
            (unsigned long long)explore->run_count);
    }
    static const char *const places[] = {
        [EXPLORE_FAIL_OS] = "each call for memory failed in turn",
        [EXPLORE_FORK] = "a fork at each point in turn",
        [EXPLORE_SIGNAL] = "a handler that allocates at each point in turn",
    };
    if (explore->sweep != EXPLORE_NO_SWEEP) {
        snprintf(explore->bound, sizeof(explore->bound),
            "%s: %llu places in %llu programs", places[explore->sweep],
            (unsigned long long)explore->place_count,
            (unsigned long long)explore->program_count);
    }
}

static const char *
open_campaign(struct campaign *campaign)
{
    const struct explore *explore = campaign->explore;
    if (!observed_open(&campaign->observed, explore->ops, explore->policy) ||
        !minimal_open(&campaign->minimal, &campaign->observed) ||
        !init_strategy(campaign)) {
        return "out of memory";
    }
    campaign->observed.points = explore->points;
    campaign->observed.steps_max = explore->steps_max;
    campaign->observed.limit =
        (struct observed_limit){explore->deadline_ns, explore->stop};
    campaign->program = program_new();
    return campaign->program != NULL ? NULL : "out of memory";
}

static void
close_campaign(struct campaign *campaign)
{
    if (campaign->explore->strategy == EXPLORE_EXHAUSTIVE) {
        strategy_exhaustive_fini(&campaign->strategy.exhaustive);
    }
    program_delete(campaign->program);
    minimal_close(&campaign->minimal);
    observed_close(&campaign->observed);
}

const char *
explore_run(struct explore *explore)
{
    static struct campaign campaign;
    campaign = (struct campaign){.explore = explore};
    if (explore->schedule_count == 0) {
        explore->schedule_count = SCHEDULES_DEFAULT;
    }
    const char *error = open_campaign(&campaign);
    while (error == NULL && !is_over(&campaign)) {
        error = next_program(&campaign);
        if (error == NULL) {
            explore_program(&campaign);
        }
        campaign.over = campaign.over || explore->program != NULL;
        campaign.index++;
    }
    if (error == NULL) {
        describe_bound(&campaign);
        close_campaign(&campaign);
    }
    return error;
}
