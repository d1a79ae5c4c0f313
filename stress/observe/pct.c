/*
 * pct.c - probabilistic concurrency testing (contract: strategy.h)
 *
 * Threads get random distinct priorities, and the highest that is ready runs.
 * At depth-1 points, drawn evenly among the k that a run has, the thread that
 * runs falls below all others. A bug that needs d ordered events is then found
 * by one run with probability at least 1/(n * k^(d-1)).
 *
 * k is not known before the run: the longest run of the program so far stands
 * for it, and the longest of all is what the bound is printed with. Loads read an older store one time in eight;
 * the bound speaks of schedules, with loads as they were drawn. A thread that
 * yields falls below all others too, or a spinning one would run for ever.
 */
#include <stdio.h>

#include "observe/strategy.h"

#define STALE_ONE_IN 8

static void
draw_priorities(struct strategy_pct *pct, unsigned thread_count)
{
    for (unsigned i = 0; i < OBSERVE_THREADS_MAX; i++) {
        pct->priority[i] = (int64_t)i;
    }
    for (unsigned i = thread_count; i > 1; i--) {
        unsigned other = (unsigned)random_below(&pct->random, i);
        int64_t kept = pct->priority[i - 1];
        pct->priority[i - 1] = pct->priority[other];
        pct->priority[other] = kept;
    }
    /* Threads made later: anywhere among them. */
    for (unsigned i = thread_count; i < OBSERVE_THREADS_MAX; i++) {
        pct->priority[i] = (int64_t)random_below(&pct->random, thread_count);
    }
    pct->lowest = -1;
}

static void
begin(struct strategy *strategy, unsigned thread_count)
{
    struct strategy_pct *pct = (struct strategy_pct *)strategy;
    pct->run_count++;
    pct->thread_count = thread_count;
    if (pct->threads_max < thread_count) {
        pct->threads_max = thread_count;
    }
    draw_priorities(pct, thread_count);
    uint64_t points = pct->points_here > 0 ? pct->points_here : 1;
    for (unsigned i = 0; i + 1 < pct->depth; i++) {
        pct->change_at[i] = random_below(&pct->random, points);
    }
}

static unsigned
choose(struct strategy *strategy, const struct choice *choice)
{
    struct strategy_pct *pct = (struct strategy_pct *)strategy;
    if (choice->is_load) {
        return random_one_in(&pct->random, STALE_ONE_IN)
                   ? (unsigned)random_below(&pct->random, choice->count)
                   : 0;
    }
    bool changes = choice->yields;
    for (unsigned i = 0; i + 1 < pct->depth; i++) {
        if (pct->change_at[i] <= choice->point) {
            changes = true;
            pct->change_at[i] = UINT64_MAX;
        }
    }
    if (changes) {
        pct->priority[choice->current] = pct->lowest--;
    }
    unsigned best = 0;
    for (unsigned i = 1; i < choice->count; i++) {
        if (pct->priority[choice->thread[i]] >
            pct->priority[choice->thread[best]]) {
            best = i;
        }
    }
    return best;
}

static void
end(struct strategy *strategy, uint64_t points)
{
    struct strategy_pct *pct = (struct strategy_pct *)strategy;
    if (pct->points_here < points) {
        pct->points_here = points;
    }
    if (pct->points_max < points) {
        pct->points_max = points;
    }
}

void
strategy_pct_restart(struct strategy_pct *pct)
{
    pct->points_here = 0;
}

static void
print_bound(const struct strategy *strategy, char *text, size_t size)
{
    const struct strategy_pct *pct = (const struct strategy_pct *)strategy;
    double chance = 1.0 / pct->threads_max;
    for (unsigned i = 0; i + 1 < pct->depth; i++) {
        chance /= (double)pct->points_max;
    }
    double missed = 1.0;
    double factor = 1.0 - chance;
    for (uint64_t n = pct->run_count; n > 0; n >>= 1) { /* factor^runs */
        missed *= (n & 1) != 0 ? factor : 1.0;
        factor *= factor;
    }
    double all = missed > 1.0 - 1e-9 ? chance * (double)pct->run_count
                                     : 1.0 - missed; /* without rounding */
    snprintf(text, size,
        "PCT: n=%u threads, k=%llu points, d=%u: a bug of depth %u that a "
        "program has shows in one run of it with probability 1/(n*k^(d-1)) = "
        "%.3g at least; one that all have, in these %llu runs with %.3g",
        pct->threads_max, (unsigned long long)pct->points_max, pct->depth,
        pct->depth, chance, (unsigned long long)pct->run_count, all);
}

void
strategy_pct_init(struct strategy_pct *pct, uint64_t seed, unsigned depth)
{
    *pct = (struct strategy_pct){
        .base =
            {
                .name = "pct",
                .begin = begin,
                .choose = choose,
                .end = end,
                .print_bound = print_bound,
            },
        .depth = depth < 1    ? 1
                 : depth > 17 ? 17
                              : depth,
    };
    random_seed(&pct->random, seed);
}
