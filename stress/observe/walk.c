/*
 * walk.c - the random walk: every way on is as likely (contract: strategy.h)
 *
 * Loads read the newest store half of the time whatever the number of older
 * ones, or deep histories would bury the plain outcome.
 */
#include <stdio.h>

#include "observe/strategy.h"

static void
begin(struct strategy *strategy, unsigned thread_count)
{
    (void)thread_count;
    ((struct strategy_walk *)strategy)->run_count++;
}

static unsigned
choose(struct strategy *strategy, const struct choice *choice)
{
    struct random *random = &((struct strategy_walk *)strategy)->random;
    if (choice->is_load && random_one_in(random, 2)) {
        return 0;
    }
    return (unsigned)random_below(random, choice->count);
}

static void
print_bound(const struct strategy *strategy, char *text, size_t size)
{
    const struct strategy_walk *walk = (const struct strategy_walk *)strategy;
    snprintf(text, size,
        "%llu random walks; a walk earns no bound on what it misses",
        (unsigned long long)walk->run_count);
}

void
strategy_walk_init(struct strategy_walk *walk, uint64_t seed)
{
    *walk = (struct strategy_walk){
        .base =
            {
                .name = "random",
                .begin = begin,
                .choose = choose,
                .print_bound = print_bound,
            },
    };
    random_seed(&walk->random, seed);
}
