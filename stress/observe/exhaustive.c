/*
 * exhaustive.c - all runs within a bound (contract: strategy.h)
 *
 * Depth-first search over choices, by running again from the start: a run
 * follows the kept path, then takes way 0 at each new choice and notes how many
 * ways there were. At the end the deepest choice with a way left, and with
 * bound left if that way costs, takes its next one, and what came after is
 * forgotten. Bugs need few preemptions, and the number of runs is polynomial in
 * the length of a run for a fixed bound.
 *
 * What costs: taking the processor from a thread that could go on, and reading
 * an older store. Which thread follows one that blocks or ends is free, and so
 * all such orders are explored.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "observe/strategy.h"

static void
begin(struct strategy *strategy, unsigned thread_count)
{
    (void)thread_count;
    struct strategy_exhaustive *exhaustive =
        (struct strategy_exhaustive *)strategy;
    exhaustive->at = 0;
    exhaustive->run_count++;
}

static unsigned
choose(struct strategy *strategy, const struct choice *choice)
{
    struct strategy_exhaustive *exhaustive =
        (struct strategy_exhaustive *)strategy;
    if (exhaustive->at == STRATEGY_DECISIONS_MAX) {
        exhaustive->cut = true;
        return 0;
    }
    struct decision *decision = &exhaustive->decisions[exhaustive->at++];
    if (exhaustive->at > exhaustive->decision_count) {
        exhaustive->decision_count = exhaustive->at;
        *decision = (struct decision){
            .taken = 0,
            .count = (uint8_t)choice->count,
            .costs = choice->preempts,
        };
    }
    return decision->taken < choice->count ? decision->taken : 0;
}

/* Goes to the next path; done when there is none. */
static void
end(struct strategy *strategy, uint64_t points)
{
    (void)points;
    struct strategy_exhaustive *exhaustive =
        (struct strategy_exhaustive *)strategy;
    unsigned spent = 0;
    for (size_t i = 0; i < exhaustive->decision_count; i++) {
        const struct decision *decision = &exhaustive->decisions[i];
        spent += decision->costs && decision->taken > 0;
    }
    while (exhaustive->decision_count > 0) {
        struct decision *last =
            &exhaustive->decisions[exhaustive->decision_count - 1];
        spent -= last->costs && last->taken > 0;
        bool affordable = !last->costs || spent < exhaustive->bound;
        if (last->taken + 1 < last->count && affordable) {
            last->taken++;
            return;
        }
        exhaustive->decision_count--;
    }
    strategy->done = true;
}

static void
print_bound(const struct strategy *strategy, char *text, size_t size)
{
    const struct strategy_exhaustive *exhaustive =
        (const struct strategy_exhaustive *)strategy;
    bool complete = strategy->done && !exhaustive->cut;
    snprintf(text, size,
        "%s executions with at most %u preemptions and stale loads together: "
        "%llu runs%s",
        complete ? "all" : "some", exhaustive->bound,
        (unsigned long long)exhaustive->run_count,
        complete ? "" : ", not all that there are");
}

bool
strategy_exhaustive_init(struct strategy_exhaustive *exhaustive, unsigned bound)
{
    *exhaustive = (struct strategy_exhaustive){
        .base =
            {
                .name = "exhaustive",
                .begin = begin,
                .choose = choose,
                .end = end,
                .print_bound = print_bound,
            },
        .bound = bound,
    };
    size_t size = STRATEGY_DECISIONS_MAX * sizeof(struct decision);
    void *decisions = mmap(
        NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (decisions == MAP_FAILED) {
        return false;
    }
    exhaustive->decisions = decisions;
    return true;
}

void
strategy_exhaustive_restart(struct strategy_exhaustive *exhaustive)
{
    exhaustive->decision_count = 0;
    exhaustive->cut = false;
    exhaustive->base.done = false;
}

void
strategy_exhaustive_fini(struct strategy_exhaustive *exhaustive)
{
    munmap(exhaustive->decisions,
        STRATEGY_DECISIONS_MAX * sizeof(struct decision));
}
