/*
 * postmortem.h - what became of a child, as a finding with evidence
 *
 *     exit status, shared memory, stderr, watchdog --> struct result
 *
 * Concurrency: the child is dead, or is stuck and about to be killed.
 * Failure: what the child did not tell is left out.
 */
#pragma once

#include "run/shared.h"
#include "run/supervisor.h"
#include "run/watchdog.h"

/* Its last words on stderr. */
struct last_words {
    size_t size;
    char text[2048]; /* the last bytes, not terminated */
};

/* While a stuck child lives: asks its threads for their stacks. */
void postmortem_ask(struct shared *shared, int pid);

/* After its death: status is waitpid's, killed says that it was by us, stuck
 * why. Sets result->kind, the finding and the lines. */
void postmortem(struct shared *shared, int status, bool killed,
    enum watchdog_state stuck, const struct last_words *words,
    struct result *result);
