/*
 * nudge.c - one thread comes at one point (contract: strategy.h)
 *
 * The other choices are another strategy's. Before the point it is asked as if
 * the thread were not there; from the point on the thread goes first whenever it
 * can, until it ends.
 */
#include <stdio.h>

#include "observe/strategy.h"

static void
begin(struct strategy *strategy, unsigned thread_count)
{
    struct strategy_nudge *nudge = (struct strategy_nudge *)strategy;
    nudge->inner->begin(nudge->inner, thread_count);
}

/* Which way is the thread; the count of ways when none is. */
static unsigned
find_way(const struct strategy_nudge *nudge, const struct choice *choice)
{
    unsigned way = 0;
    while (way < choice->count && choice->thread[way] != nudge->thread) {
        way++;
    }
    return way;
}

static unsigned
choose(struct strategy *strategy, const struct choice *choice)
{
    struct strategy_nudge *nudge = (struct strategy_nudge *)strategy;
    struct strategy *inner = nudge->inner;
    unsigned way = choice->is_load ? choice->count : find_way(nudge, choice);
    if (way == choice->count) {
        return inner->choose(inner, choice);
    }
    if (choice->point >= nudge->point) {
        bool spins = choice->yields && choice->current == nudge->thread;
        return spins ? 0 : way;
    }
    uint8_t others[OBSERVE_THREADS_MAX];
    struct choice fewer = *choice;
    fewer.count = 0;
    fewer.thread = others;
    for (unsigned i = 0; i < choice->count; i++) {
        if (i != way) {
            others[fewer.count++] = choice->thread[i];
        }
    }
    unsigned chosen = fewer.count == 1 ? 0 : inner->choose(inner, &fewer);
    return chosen < way ? chosen : chosen + 1;
}

static void
executed(struct strategy *strategy, unsigned thread, const struct pending *done)
{
    struct strategy_nudge *nudge = (struct strategy_nudge *)strategy;
    if (nudge->inner->executed != NULL) {
        nudge->inner->executed(nudge->inner, thread, done);
    }
}

static void
end(struct strategy *strategy, uint64_t points)
{
    struct strategy_nudge *nudge = (struct strategy_nudge *)strategy;
    if (nudge->inner->end != NULL) {
        nudge->inner->end(nudge->inner, points);
    }
}

static void
print_bound(const struct strategy *strategy, char *text, size_t size)
{
    const struct strategy_nudge *nudge =
        (const struct strategy_nudge *)strategy;
    snprintf(text, size, "thread %u at point %llu", nudge->thread,
        (unsigned long long)nudge->point);
}

void
strategy_nudge_init(struct strategy_nudge *nudge, struct strategy *inner,
    unsigned thread, uint64_t point)
{
    *nudge = (struct strategy_nudge){
        .base =
            {
                .name = "nudge",
                .begin = begin,
                .choose = choose,
                .executed = executed,
                .end = end,
                .print_bound = print_bound,
            },
        .inner = inner,
        .thread = thread,
        .point = point,
    };
}
