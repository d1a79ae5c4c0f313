/*
 * campaign.h - scenarios on targets for a time, and what comes of it
 *
 *     stress --> campaign --> supervisor: a slice of time for each pair
 *                    \------> proof, report: for each new finding
 *
 * Concurrency: one thread. Failure: campaign_run returns the exit status.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/report.h"
#include "run/target.h"
#include "scenarios/scenario.h"

#define CAMPAIGN_TARGETS_MAX   32
#define CAMPAIGN_SCENARIOS_MAX 64
#define CAMPAIGN_REPORTED_MAX  256

/* One target under one scenario. */
struct pair {
    const struct target *target;
    const struct scenario *scenario;
    uint64_t next_index;
    bool done; /* at the scenario's end, or the target cannot run */
    bool known[VERDICT_KIND_COUNT][OP_KIND_COUNT + 1];
    uint64_t repeats[VERDICT_KIND_COUNT];
    size_t growth_size; /* above it, growth is suspected */
};

/* A reproducer that was reported: an equal one is not reported again. */
struct reported {
    const struct target *target;
    enum verdict_kind kind;
    struct program *program;
};

struct campaign {
    struct target targets[CAMPAIGN_TARGETS_MAX];
    unsigned target_count;
    const struct scenario *scenarios[CAMPAIGN_SCENARIOS_MAX];
    unsigned scenario_count;
    unsigned thread_count;
    uint64_t time_ns;
    unsigned findings_max; /* ends after so many; 0: none */
    uint64_t seed;
    struct policy policy;
    const char *policy_text;
    const char *out; /* directory */
    bool out_given, is_json, unchecked;

    /* The campaign's own. */
    struct pair *pairs;
    unsigned pair_count;
    struct report report;
    uint64_t begun_ns, end_ns;
    uint64_t call_count, run_count;
    const struct pair *current;
    struct reported reported[CAMPAIGN_REPORTED_MAX];
    unsigned reported_count;
    unsigned killed_count; /* programs that somebody else killed */
    bool could_not_run;
};

int campaign_run(struct campaign *campaign);
