/*
 * list.h - every scenario by name: what the registry is made of
 *
 *     one file each --> list.h --> scenario.c: scenario_all[]
 *
 * Concurrency: constants. Failure: none.
 */
#pragma once

#include "scenarios/scenario.h"

extern const struct scenario scenario_matrix;
extern const struct scenario scenario_churn;
extern const struct scenario scenario_handoff;
extern const struct scenario scenario_larson;
extern const struct scenario scenario_exit_storm;
extern const struct scenario scenario_first_call;
extern const struct scenario scenario_realloc_ladder;
extern const struct scenario scenario_aligned_mix;
extern const struct scenario scenario_large_small;
extern const struct scenario scenario_fork_storm;
extern const struct scenario scenario_swarm;

/* For explore alone: not in scenario_all. */
extern const struct scenario scenario_collide;

uint64_t scenario_endless(void); /* a program_count: 0, without end */
