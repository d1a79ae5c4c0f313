/*
 * scenario.c - the registry of scenarios (contract: scenario.h)
 *
 * The order is that of a run: the matrix first, since it is the cheapest and
 * finds most; then one danger after the other; the one that knows nothing last.
 */
#include "scenarios/scenario.h"

#include <string.h>

#include "scenarios/list.h"

const struct scenario *const scenario_all[] = {
    &scenario_matrix,
    &scenario_churn,
    &scenario_handoff,
    &scenario_larson,
    &scenario_exit_storm,
    &scenario_first_call,
    &scenario_realloc_ladder,
    &scenario_aligned_mix,
    &scenario_large_small,
    &scenario_fork_storm,
    &scenario_swarm,
    NULL,
};

const struct scenario *
scenario_find(const char *name)
{
    for (int i = 0; scenario_all[i] != NULL; i++) {
        if (strcmp(scenario_all[i]->name, name) == 0) {
            return scenario_all[i];
        }
    }
    return NULL;
}

uint64_t
scenario_endless(void)
{
    return 0;
}
