/*
 * campaign.c - scenarios on targets for a time (contract: campaign.h)
 *
 * Time goes round in slices: each pair of a target and a scenario gets a short
 * one first, so that whatever shows soon is found soon, and longer ones in
 * later rounds, where state builds up in one process. A scenario goes on where
 * it stopped; one that has an end is done when it is reached.
 *
 * A finding like one that this pair had (same kind, same call) is only counted,
 * and so is one of the same target and kind that comes down to the same program.
 * Where the kind leaves the heap intact, the child is told not to stop at it.
 */
#include "cli/campaign.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/proof.h"
#include "program/file.h"

#define SECOND_NS      ((uint64_t)1000000000)
#define SLICE_FIRST_NS (SECOND_NS / 4)
#define SLICE_LAST_NS  (SECOND_NS * 6)
#define PROOF_MIN_NS   (SECOND_NS * 4)
#define PROOF_MAX_NS   (SECOND_NS * 30)
/* A machine out of memory may kill a program or two. When more are lost, that
 * nothing was found says nothing. */
#define KILLED_MAX 2

#define SUSPECT_FACTOR 2 /* after growth was suspected wrongly */
#define QUIET_NOTE_MS  1000
#define PASS_NS        (SECOND_NS * 4) /* of a scenario that has an end */

/* The last part of a target's path, for names of files. */
static const char *
short_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash == NULL ? name : slash + 1;
}

/* Writes the program with its header; path gets where, or why not. */
static bool
write_program(struct campaign *campaign, const struct pair *pair,
    uint64_t index, const struct result *result, struct program *program,
    char *path, size_t path_size)
{
    struct file_error error;
    const char *kind = verdicts[result->finding.kind].name;
    program->seed = campaign->seed;
    program->has_seed = true;
    /* From another directory the path must be absolute, if it fits. */
    const char *library = pair->target->library;
    size_t length = strlen(library);
    strcpy(program->target, pair->target->name);
    if (length > 0 && length < sizeof program->target) {
        memcpy(program->target, library, length + 1);
    }
    snprintf(program->scenario, sizeof program->scenario, "%s",
        pair->scenario->name);
    snprintf(program->finding, sizeof program->finding, "%s", kind);
    snprintf(
        program->policy, sizeof program->policy, "%s", campaign->policy_text);
    int path_length =
        snprintf(path, path_size, "%s/%s-%s-%s-%lu-%lu.heap", campaign->out,
            kind, short_name(pair->target->name), pair->scenario->name,
            (unsigned long)campaign->seed, (unsigned long)index);
    if (path_length < 0 || (size_t)path_length >= path_size) {
        report_note(&campaign->report, "malstrom stress: --out: name too long");
        return false;
    }
    char why[512];
    if (!cli_make_directory(campaign->out, why, sizeof why)) {
        report_note(&campaign->report, "malstrom stress: %s", why);
        return false;
    }
    if (!file_save(program, path, &error)) {
        report_note(&campaign->report, "malstrom stress: %s", error.line);
        return false;
    }
    return true;
}

static void
show_progress(void *arg, uint64_t call_count)
{
    struct campaign *campaign = arg;
    uint64_t spent_ns = supervisor_now_ns() - campaign->begun_ns;
    report_progress(&campaign->report,
        "%3lu s  %u findings, %lu operations  %s %s",
        (unsigned long)(spent_ns / SECOND_NS), campaign->report.finding_count,
        (unsigned long)(campaign->call_count + call_count),
        short_name(campaign->current->target->name),
        campaign->current->scenario->name);
}

static uint64_t
min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* True when a program that does the same was reported for this target; else it
 * is remembered. */
static bool
is_reported(struct campaign *campaign, const struct pair *pair,
    enum verdict_kind kind, const struct program *program)
{
    for (unsigned i = 0; i < campaign->reported_count; i++) {
        const struct reported *reported = &campaign->reported[i];
        if (reported->target == pair->target && reported->kind == kind &&
            program_equal(reported->program, program)) {
            return true;
        }
    }
    struct program *copy = program_new();
    if (copy != NULL && campaign->reported_count < CAMPAIGN_REPORTED_MAX &&
        program_copy(copy, program)) {
        campaign->reported[campaign->reported_count++] =
            (struct reported){pair->target, kind, copy};
    }
    return false;
}

static void
report(struct campaign *campaign, const struct pair *pair, uint64_t index,
    const struct result *result, struct program *program, const char *note)
{
    char path[4096], again[4096 + 256];
    bool written = write_program(
        campaign, pair, index, result, program, path, sizeof path);
    snprintf(again, sizeof again,
        "malstrom stress --target %s --scenario %s --threads %u --seed %lu",
        pair->target->name, pair->scenario->name, campaign->thread_count,
        (unsigned long)campaign->seed);
    struct report_finding finding = {
        .result = result,
        .target = pair->target->name,
        .scenario = pair->scenario->name,
        .policy = campaign->policy_text,
        .seed = campaign->seed,
        .index = index,
        .program = program,
        .file = written ? path : "-",
        .note = note,
        .replay = written ? NULL : again,
    };
    report_finding(&campaign->report, &finding);
}

/* True when the proof came down to another finding than the campaign made, one
 * that this pair had before. */
static bool
is_known(const struct pair *pair, const struct result *made,
    const struct result *proved)
{
    const struct finding *first = &made->finding, *last = &proved->finding;
    bool is_same = first->kind == last->kind && first->op_kind == last->op_kind;
    return !is_same && pair->known[last->kind][last->op_kind];
}

/* How long one finding may be worked on: a third of the time. */
static uint64_t
proof_ns(const struct campaign *campaign)
{
    uint64_t third_ns = campaign->time_ns / 3;
    return third_ns < PROOF_MIN_NS ? PROOF_MIN_NS : min(third_ns, PROOF_MAX_NS);
}

/* A new finding: made to stand on its own, written and reported. */
static void
handle_finding(struct campaign *campaign, struct pair *pair,
    uint64_t first_index, const struct result *result, struct program *program)
{
    uint64_t last_ns = campaign->end_ns + SECOND_NS + campaign->time_ns / 20;
    uint64_t index = pair->next_index - 1;
    enum verdict_kind kind = result->finding.kind;
    struct proof proof = {
        .target = pair->target,
        .policy = campaign->policy,
        .kind = kind,
        .deadline_ns = min(last_ns, supervisor_now_ns() + proof_ns(campaign)),
        .stop = &cli_stop,
        .tick = show_progress,
        .tick_arg = campaign,
        .result = *result,
    };
    struct proof_origin origin = {pair->scenario, campaign->seed, first_index,
        index, campaign->thread_count, result->lacks};
    bool shows =
        !result->at_start && proof_find_program(&proof, &origin, program);
    if (shows) {
        proof_minimise(&proof, program);
    }
    campaign->call_count += proof.call_count;
    campaign->run_count += proof.run_count;
    kind = proof.kind;
    if (result->finding.kind == VERDICT_GROWTH &&
        (!shows || kind != VERDICT_GROWTH)) {
        pair->known[VERDICT_GROWTH][OP_KIND_COUNT] = false;
        pair->growth_size *= SUSPECT_FACTOR;
        if (!shows) {
            return; /* It was a suspicion. */
        }
    }
    if (shows && (is_known(pair, result, &proof.result) ||
                     is_reported(campaign, pair, kind, program))) {
        pair->repeats[kind]++;
        return;
    }
    pair->known[kind][proof.result.finding.op_kind] = true;
    report(campaign, pair, index, &proof.result, program,
        shows || result->at_start
            ? NULL
            : "it did not show again when this program ran alone");
}

static void
handle_new(struct campaign *campaign, struct pair *pair, uint64_t first_index,
    const struct result *result)
{
    struct program *program = program_new();
    if (program == NULL) {
        report_note(&campaign->report, "malstrom stress: out of memory");
        return;
    }
    handle_finding(campaign, pair, first_index, result, program);
    program_delete(program);
}

static void
mute_known(struct job *job, const struct pair *pair)
{
    for (int kind = 0; kind < VERDICT_KIND_COUNT; kind++) {
        for (int op = 0; op < OP_KIND_COUNT; op++) {
            job->muted[kind][op] =
                pair->known[kind][op] && !verdicts[kind].corrupts;
        }
    }
}

/* A call that was going on for long when the time was over: that may be a hang,
 * or a machine that is busy, and is no finding. */
static void
note_quiet(struct campaign *campaign, const struct pair *pair,
    const struct result *result)
{
    if (result->quiet_ms >= QUIET_NOTE_MS) {
        report_note(&campaign->report,
            "malstrom stress: %s %s: program %lu was cut short: no call had "
            "begun for %.1f s",
            pair->target->name, pair->scenario->name,
            (unsigned long)(pair->next_index - 1),
            (double)result->quiet_ms / 1000);
    }
}

/* What a child's run came to, for the pair. */
static void
handle_result(struct campaign *campaign, struct pair *pair,
    uint64_t first_index, const struct result *result)
{
    const struct finding *finding = &result->finding;
    for (int kind = 0; kind < VERDICT_KIND_COUNT; kind++) {
        pair->repeats[kind] += result->muted_counts[kind];
    }
    switch (result->kind) {
    case RESULT_FINDING:
        if (pair->known[finding->kind][finding->op_kind]) {
            pair->repeats[finding->kind]++;
        } else {
            pair->known[finding->kind][finding->op_kind] = true;
            handle_new(campaign, pair, first_index, result);
        }
        pair->done = result->at_start;
        break;
    case RESULT_KILLED:
        report_note(&campaign->report,
            "malstrom stress: %s %s: program %lu was killed from outside",
            pair->target->name, pair->scenario->name,
            (unsigned long)(pair->next_index - 1));
        campaign->killed_count++;
        break;
    case RESULT_NO_MALLOC:
    case RESULT_FAILED:
        report_note(&campaign->report, "malstrom stress: %s: %s",
            pair->target->name, result->error);
        campaign->could_not_run = true;
        for (unsigned i = 0; i < campaign->pair_count; i++) {
            struct pair *other = &campaign->pairs[i];
            other->done = other->done || other->target == pair->target;
        }
        break;
    case RESULT_DONE:
    case RESULT_STOPPED:
        note_quiet(campaign, pair, result);
        break;
    }
}

static void
run_child(struct campaign *campaign, struct pair *pair, uint64_t deadline_ns)
{
    static struct result result;
    uint64_t program_count = pair->scenario->program_count();
    struct supervisor supervisor = {
        .target = pair->target,
        .stop = &cli_stop,
        .tick = show_progress,
        .tick_arg = campaign,
    };
    struct job *job = &supervisor.job;
    snprintf(job->scenario, sizeof job->scenario, "%s", pair->scenario->name);
    job->seed = campaign->seed;
    job->first_index = pair->next_index;
    job->end_index = program_count == 0 ? UINT64_MAX : program_count;
    job->deadline_ns = deadline_ns;
    supervisor.watch_until_ns = campaign->end_ns + SECOND_NS;
    job->thread_count = campaign->thread_count;
    job->policy = campaign->policy;
    job->unchecked = campaign->unchecked;
    job->growth = job->unchecked || pair->known[VERDICT_GROWTH][OP_KIND_COUNT]
                      ? GROWTH_IGNORE
                      : GROWTH_SUSPECT;
    job->growth_size = pair->growth_size;
    mute_known(job, pair);

    uint64_t first_index = pair->next_index;
    campaign->current = pair;
    supervisor_run(&supervisor, &result);
    campaign->call_count += result.call_count;
    campaign->run_count += result.run_count;
    pair->next_index += result.begun_count;
    handle_result(campaign, pair, first_index, &result);
    pair->done = pair->done || pair->next_index >= job->end_index;
}

static bool
is_over(const struct campaign *campaign)
{
    bool enough = campaign->findings_max != 0 &&
                  campaign->report.finding_count >= campaign->findings_max;
    return enough || atomic_load(&cli_stop) ||
           supervisor_now_ns() >= campaign->end_ns;
}

/* A scenario that has an end is passed through at once if time allows. */
static uint64_t
slice_of(
    const struct campaign *campaign, const struct pair *pair, uint64_t slice_ns)
{
    uint64_t pass_ns =
        min(PASS_NS, campaign->time_ns / (2 * campaign->target_count));
    bool has_end = pair->scenario->program_count() != 0;
    return has_end && pass_ns > slice_ns ? pass_ns : slice_ns;
}

/* One slice; true when the pair can still go on. */
static bool
run_slice(struct campaign *campaign, struct pair *pair, uint64_t slice_ns)
{
    uint64_t deadline_ns =
        min(supervisor_now_ns() + slice_ns, campaign->end_ns);
    while (!pair->done && !is_over(campaign) &&
           supervisor_now_ns() < deadline_ns) {
        run_child(campaign, pair, deadline_ns);
    }
    return !pair->done;
}

static void
run_rounds(struct campaign *campaign)
{
    uint64_t slice_ns =
        min(SLICE_FIRST_NS, campaign->time_ns / campaign->pair_count);
    bool any = true;
    while (any && !is_over(campaign)) {
        any = false;
        for (unsigned i = 0; i < campaign->pair_count; i++) {
            struct pair *pair = &campaign->pairs[i];
            uint64_t own_ns = slice_of(campaign, pair, slice_ns);
            any = run_slice(campaign, pair, own_ns) || any;
        }
        slice_ns = min(slice_ns * 2, SLICE_LAST_NS);
    }
}

/* A library that cannot run ends the campaign before it begins. */
static void
probe_targets(const struct campaign *campaign)
{
    static struct result result;
    for (unsigned i = 0; i < campaign->target_count; i++) {
        struct supervisor supervisor = {
            .target = &campaign->targets[i], .stop = &cli_stop};
        supervisor_run(&supervisor, &result); /* opens it; no program */
        if (result.kind == RESULT_NO_MALLOC || result.kind == RESULT_FAILED) {
            cli_fail(&command_stress, STATUS_CANNOT_RUN, "%s: %s",
                campaign->targets[i].name, result.error);
        }
    }
}

static bool
make_pairs(struct campaign *campaign)
{
    unsigned count = campaign->target_count * campaign->scenario_count;
    campaign->pairs = calloc(count, sizeof(struct pair));
    if (campaign->pairs == NULL) {
        return false;
    }
    for (unsigned i = 0; i < campaign->scenario_count; i++) {
        for (unsigned j = 0; j < campaign->target_count; j++) {
            struct pair *pair = &campaign->pairs[campaign->pair_count++];
            pair->scenario = campaign->scenarios[i];
            pair->target = &campaign->targets[j];
            pair->growth_size = GROWTH_SUSPECT_MIN;
        }
    }
    return true;
}

static void
report_repeats(struct campaign *campaign)
{
    for (unsigned i = 0; i < campaign->pair_count; i++) {
        const struct pair *pair = &campaign->pairs[i];
        for (int kind = 0; kind < VERDICT_KIND_COUNT; kind++) {
            if (pair->repeats[kind] > 0) {
                report_repeated(&campaign->report, verdicts[kind].name,
                    pair->target->name, pair->scenario->name,
                    pair->repeats[kind]);
            }
        }
    }
}

int
campaign_run(struct campaign *campaign)
{
    report_init(&campaign->report, campaign->is_json);
    if (!make_pairs(campaign)) {
        report_note(&campaign->report, "malstrom stress: out of memory");
        return STATUS_CANNOT_RUN;
    }
    probe_targets(campaign);
    campaign->begun_ns = supervisor_now_ns();
    campaign->end_ns = campaign->begun_ns + campaign->time_ns;
    report_start(&campaign->report, campaign->seed, campaign->thread_count,
        campaign->policy_text);
    run_rounds(campaign);
    report_repeats(campaign);
    bool good = report_end(
        &campaign->report, campaign->call_count, campaign->run_count);
    for (unsigned i = 0; i < campaign->reported_count; i++) {
        program_delete(campaign->reported[i].program);
    }
    free(campaign->pairs);
    if (campaign->report.finding_count > 0) {
        return STATUS_FINDING;
    }
    bool was_heard = campaign->killed_count <= KILLED_MAX;
    return good && was_heard && !campaign->could_not_run ? STATUS_OK
                                                         : STATUS_CANNOT_RUN;
}
