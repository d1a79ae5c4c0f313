/*
 * fuzzed.h - runs a libFuzzer target and reads what it says
 *
 *     malstrom fuzz, malstrom repro --> fuzzed --spawn--> bin/fuzz_NAME
 *                                          <-- stderr, line by line --
 *
 * The targets are compiled with coverage and sanitizers, so they are programs
 * of their own: the preset fuzz builds them. Installed beside this one, or in
 * the bin/ of that preset, they are found.
 *
 * Concurrency: one thread.
 * Failure: FUZZED_FAILED, and why in `error`.
 */
#pragma once

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/supervisor.h"

/* What a heap program's scenario is when a fuzz target found it. */
#define FUZZED_SCENARIO "fuzz"

enum fuzzed_kind {
    FUZZED_DONE,
    FUZZED_FINDING,
    FUZZED_STOPPED, /* *stop was set */
    FUZZED_FAILED
};

struct fuzzed {
    const char *binary;
    char *const *arguments; /* after its name; NULL after the last */
    uint64_t deadline_ns;   /* killed then; 0: never */
    _Atomic bool *stop;     /* or NULL */
    void (*pulse)(void *arg, const char *line); /* of its progress, or NULL */
    void *pulse_arg;

    enum fuzzed_kind kind;
    struct result result; /* the finding, and lines of evidence */
    bool is_oracles;      /* which names the call; else there is a stack */
    uint64_t run_count, op_count;
    char artifact[PATH_MAX]; /* the input that it was found with, or "" */
    char error[256];
};

/* The path of bin/fuzz_NAME; false when there is none. */
bool fuzzed_find(const char *name, char *path, size_t size);
/* Calls visit with the name of each target that is there; their number. */
size_t fuzzed_each(void (*visit)(const char *name));
/* A folder of the source tree that this program was built in, such as
 * corpus/dlmalloc/seeds; false when there is none. */
bool fuzzed_find_folder(const char *folder, char *path, size_t size);

void fuzzed_run(struct fuzzed *fuzzed);

/* Runs the target of that design on one heap program. */
void fuzzed_play(struct fuzzed *fuzzed, const struct program *program);

/* Makes a program that shows a finding of that kind smaller. */
void fuzzed_minimise(
    struct program *program, const struct fuzzed *like, uint64_t time_ns);
