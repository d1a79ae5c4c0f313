/*
 * pos.c - partial order sampling (contract: strategy.h)
 *
 * Each pending event has a random priority and the highest goes first. When an
 * event was executed, the pending events of others that conflict with it (same
 * location, one writes) draw anew, and so does the thread's own next event.
 * Orders among events that do not conflict then do not crowd out the others.
 */
#include <stdio.h>

#include "observe/strategy.h"

#define STALE_ONE_IN 4

static void
begin(struct strategy *strategy, unsigned thread_count)
{
    (void)thread_count;
    struct strategy_pos *pos = (struct strategy_pos *)strategy;
    pos->run_count++;
    pos->pending = NULL;
    for (unsigned i = 0; i < OBSERVE_THREADS_MAX; i++) {
        pos->priority[i] = random_next(&pos->random);
    }
}

static unsigned
choose(struct strategy *strategy, const struct choice *choice)
{
    struct strategy_pos *pos = (struct strategy_pos *)strategy;
    if (choice->is_load) {
        return random_one_in(&pos->random, STALE_ONE_IN)
                   ? (unsigned)random_below(&pos->random, choice->count)
                   : 0;
    }
    pos->pending = choice->pending;
    if (choice->yields) {
        pos->priority[choice->current] = 0;
    }
    unsigned best = 0;
    for (unsigned i = 1; i < choice->count; i++) {
        if (pos->priority[choice->thread[i]] >
            pos->priority[choice->thread[best]]) {
            best = i;
        }
    }
    return best;
}

static void
executed(struct strategy *strategy, unsigned thread, const struct pending *done)
{
    struct strategy_pos *pos = (struct strategy_pos *)strategy;
    for (unsigned i = 0; pos->pending != NULL && i < OBSERVE_THREADS_MAX; i++) {
        const struct pending *other = &pos->pending[i];
        if (i != thread && done->addr != 0 && other->addr == done->addr &&
            (other->write || done->write)) {
            pos->priority[i] = random_next(&pos->random);
        }
    }
    pos->priority[thread] = random_next(&pos->random);
}

static void
print_bound(const struct strategy *strategy, char *text, size_t size)
{
    const struct strategy_pos *pos = (const struct strategy_pos *)strategy;
    snprintf(text, size,
        "%llu partial orders sampled; sampling earns no bound on what it "
        "misses",
        (unsigned long long)pos->run_count);
}

void
strategy_pos_init(struct strategy_pos *pos, uint64_t seed)
{
    *pos = (struct strategy_pos){
        .base =
            {
                .name = "pos",
                .begin = begin,
                .choose = choose,
                .executed = executed,
                .print_bound = print_bound,
            },
    };
    random_seed(&pos->random, seed);
}
