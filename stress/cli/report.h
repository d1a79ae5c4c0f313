/*
 * report.h - what malstrom says on stdout: findings, progress, the verdict
 *
 *     stress, repro --> report --> lines for people, or one JSON object a line
 *
 * Concurrency: one thread. Failure: when stdout cannot be written (a closed
 * pipe, a full disk) report_end says so once on stderr and returns false.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "run/supervisor.h"

struct report {
    bool is_json;
    bool has_progress_line; /* stderr is a terminal */
    bool progress_shown;
    unsigned finding_count;
};

struct report_finding {
    const struct result *result;
    const char *target, *scenario, *policy;
    uint64_t seed;
    uint64_t index;
    const struct program *program; /* the reproducer, or NULL */
    const char *file;              /* where it is */
    const char *note;              /* one more line of evidence, or NULL */
    const char *replay; /* what shows it again; NULL: malstrom repro FILE */
};

void report_init(struct report *report, bool is_json);
/* The first line: what repeats the campaign. */
void report_start(struct report *report, uint64_t seed, unsigned thread_count,
    const char *policy);
void report_finding(
    struct report *report, const struct report_finding *finding);
/* A finding like one that was reported before: said at the end. */
void report_repeated(struct report *report, const char *kind,
    const char *target, const char *scenario, uint64_t count);
/* How many of the runs showed a finding. */
void report_times(struct report *report, unsigned shown, unsigned times);
void report_progress(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Something that is no finding, on stderr: a target that cannot run. */
void report_note(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The last line. */
bool report_end(struct report *report, uint64_t call_count, uint64_t run_count);
