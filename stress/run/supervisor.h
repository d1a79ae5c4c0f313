/*
 * supervisor.h - runs a job in a child, and survives whatever it does
 *
 *     stress, repro --> supervisor --fork, exec--> child
 *                            \-- watchdog, exit status, stderr --> a finding
 *
 * The child is a process group of its own, with LD_PRELOAD set for a library.
 * It ends by itself, by the watchdog, at the deadline, or with its supervisor:
 * nothing of it is left when supervisor_run returns.
 *
 * Concurrency: one thread. Failure: RESULT_FAILED with a reason.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "oracle/verdict.h"
#include "program/program.h"
#include "run/shared.h"
#include "run/target.h"

enum result_kind {
    RESULT_DONE, /* to the end, or to the deadline; no finding */
    RESULT_FINDING,
    RESULT_NO_MALLOC, /* the library has none */
    RESULT_KILLED,    /* by somebody else: out of memory, say */
    RESULT_STOPPED,   /* *stop was set */
    RESULT_FAILED     /* see error */
};

#define RESULT_LINES_MAX 64

struct result {
    enum result_kind kind;
    uint64_t begun_count; /* runs that began; the last may be cut short */
    uint64_t run_count;   /* whole runs */
    uint64_t call_count;
    uint64_t muted_counts[VERDICT_KIND_COUNT]; /* of muted findings */
    uint32_t lacks; /* kinds of operation that were adapted */
    bool at_start;  /* the finding came before the first program */
    /* How long no call had begun when the time was over: slow, or stuck. */
    uint64_t quiet_ms;
    struct finding finding;
    unsigned line_count; /* further evidence: stacks, what it printed */
    char lines[RESULT_LINES_MAX][FINDING_TEXT_MAX];
    char error[256];
};

struct supervisor {
    const struct target *target;
    struct job job; /* target, scenario, seed, ...: all but what target says */
    const struct program *program; /* when job.scenario is empty */
    bool hasty;                    /* see struct watchdog */
    /* Past job.deadline_ns a child that makes progress is ended; one that makes
     * none is watched on until here, lest a hang be missed. 0: no longer. */
    uint64_t watch_until_ns;
    _Atomic bool *stop; /* set by a signal handler, or NULL */
    /* Called some times a second with calls so far; may be NULL. */
    void (*tick)(void *arg, uint64_t call_count);
    void *tick_arg;
};

void supervisor_run(struct supervisor *supervisor, struct result *result);

uint64_t supervisor_now_ns(void);
