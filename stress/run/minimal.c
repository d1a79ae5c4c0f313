/*
 * minimal.c - a verdict made small (contract: minimal.h; the idea: explore.c)
 */
#include "run/minimal.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "program/minimise.h"

#define BYTES_MAX     ((size_t)1 << 22)
#define SEARCH_RUNS   200  /* new schedules for each candidate */
#define EXHAUST_RUNS  5000 /* for each bound on preemptions */
#define EXHAUST_BOUND 3
#define TIME_MAX_NS   10000000000ull
#define OPS_TIME_NS   6000000000ull /* of that, for the operations */
#define DEPTH         3

static uint8_t zeroes[BYTES_MAX]; /* stays so */

static uint64_t
now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool
is_over(const struct minimal *minimal)
{
    return now_ns() >= minimal->deadline_ns ||
           (minimal->stop != NULL && atomic_load(minimal->stop));
}

bool
minimal_open(struct minimal *minimal, struct observed *observed)
{
    *minimal = (struct minimal){.observed = observed};
    minimal->bytes = mmap(NULL, BYTES_MAX, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    minimal->program = program_new();
    minimal->kept = program_new();
    return minimal->bytes != MAP_FAILED && minimal->program != NULL &&
           minimal->kept != NULL;
}

void
minimal_close(struct minimal *minimal)
{
    munmap(minimal->bytes, BYTES_MAX);
    program_delete(minimal->program);
    program_delete(minimal->kept);
}

void
minimal_keep(struct minimal *minimal, const struct observe_verdict *verdict)
{
    size_t count;
    const uint8_t *choices = observe_choices(&count);
    minimal->verdict = *verdict;
    minimal->byte_count = count < BYTES_MAX ? count : BYTES_MAX;
    memmove(minimal->bytes, choices, minimal->byte_count);
}

static const struct observe_verdict *
run(struct minimal *minimal, const struct program *program,
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
    return run(minimal, program, &replay.base);
}

/* Does this run show the verdict that is sought? Then it is kept. */
static bool
try(struct minimal *minimal, const struct program *program,
    struct strategy *strategy)
{
    const struct observe_verdict *verdict = run(minimal, program, strategy);
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
    return try(minimal, program, &replay.base);
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
    for (unsigned i = 1; i <= runs_max && !is_over(minimal); i++) {
        if (try(minimal, program, i % 4 == 0 ? &walk.base : &pct.base)) {
            return i;
        }
    }
    return 0;
}

/* For program/minimise: the candidate's own schedule is none. */
static bool
shows(const struct program *program, void *arg)
{
    struct minimal *minimal = arg;
    return !is_over(minimal) &&
           (try_kept(minimal, program) ||
               search(minimal, program, minimal->search_runs) != 0);
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
find_fewest(struct minimal *minimal)
{
    bool found = false;
    for (unsigned bound = 0; bound <= EXHAUST_BOUND && !found; bound++) {
        struct strategy_exhaustive exhaustive;
        if (!strategy_exhaustive_init(&exhaustive, bound)) {
            return;
        }
        for (int i = 0; i < EXHAUST_RUNS && !found && !exhaustive.base.done &&
                        !is_over(minimal);
             i++) {
            found = try(minimal, minimal->program, &exhaustive.base);
        }
        bool complete = exhaustive.base.done;
        strategy_exhaustive_fini(&exhaustive);
        if (!found && !complete) {
            return; /* too many */
        }
    }
}

/* Zeroes the choices of a stretch, if it still shows then. What follows may be
 * other choices after that: those of the run are kept. */
static void
make_stretch_plain(struct minimal *minimal, size_t first, size_t size)
{
    static uint8_t before[BYTES_MAX];
    size_t count = minimal->byte_count;
    if (first >= count) {
        return;
    }
    size = size < count - first ? size : count - first;
    if (memcmp(minimal->bytes + first, zeroes, size) == 0) {
        return;
    }
    memcpy(before, minimal->bytes, count);
    memset(minimal->bytes + first, 0, size);
    if (!try_kept(minimal, minimal->program)) {
        memcpy(minimal->bytes, before, count);
        minimal->byte_count = count;
    }
}

/* Makes choices plain, last ones first, in ever shorter stretches. */
static void
make_plain(struct minimal *minimal)
{
    for (size_t size = minimal->byte_count; size > 0; size /= 2) {
        size_t left = minimal->byte_count;
        while (left > 0 && !is_over(minimal)) {
            left = left > size ? left - size : 0;
            make_stretch_plain(minimal, left, size);
        }
    }
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
    uint64_t last_ns = now_ns() + TIME_MAX_NS;
    if (minimal->deadline_ns == 0 || minimal->deadline_ns > last_ns) {
        minimal->deadline_ns = last_ns;
    }
    minimal->seed = seed;
    minimal->run_count = 0;
    program_copy(minimal->program, program);
    program_copy(minimal->kept, program);
    minimal->program->schedule_count = 0;
    if (!minimal->keeps_whole) {
        struct minimise_status status;
        const struct minimise_options options = {
            .shows = shows,
            .arg = minimal,
            .time_ns = OPS_TIME_NS,
        };
        choose_search_runs(minimal);
        minimise(minimal->program, &options, &status);
        /* When time runs out, that may not be what the kept run was of. */
        program_copy(minimal->program, minimal->kept);
        minimal->program->schedule_count = 0;
        make_plain(minimal);
        find_fewest(minimal);
    }
    write_schedule(minimal);
}

bool
minimal_explain(struct minimal *minimal)
{
    struct strategy_replay replay;
    const struct program *program = minimal->program;
    strategy_replay_init(&replay, program->schedule, program->schedule_count);
    const struct observe_verdict *verdict = run(minimal, program, &replay.base);
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
