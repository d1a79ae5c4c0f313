/*
 * record.h - runs a program and makes a heap program of its allocations
 *
 *     COMMAND, under the recorder --> struct trace --> struct program
 *
 * The command keeps its terminal, its files and its arguments. What is recorded
 * is one process, the one that is started; when it executes another program,
 * the recording begins anew, so that a wrapper script is not in the way. Its
 * children are not recorded. How the command ends does not matter: what it did
 * until then is there.
 *
 * Concurrency: one thread; signals of the terminal go to the command alone.
 * Failure: record_run says why in one line, and with which status.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "program/trace.h"

struct record_result {
    struct trace_summary summary;
    int wait_status; /* how the command ended, as waitpid gives it */

    int status; /* when it failed: 2 wrong usage, 3 could not run */
    char error[PATH_MAX + 128];
};

/* command is argv, ended by NULL. program comes cleared. */
bool record_run(struct program *program, char *const *command,
    struct record_result *result);
