/*
 * explain.h - a verdict as lines of evidence that people read
 *
 *     observe_explain --> explain --> stacks, last steps of each thread
 *
 * Concurrency: one thread, between runs. Failure: lines that do not fit are
 * left out; names that are not known are addresses.
 */
#pragma once

#include <stdbool.h>

#include "observe/observe.h"

#define EXPLAIN_LINES_MAX 64
#define EXPLAIN_LINE_SIZE 200

struct explanation {
    unsigned line_count;
    char lines[EXPLAIN_LINES_MAX][EXPLAIN_LINE_SIZE];
};

/* After observe_explain, which said whether the run was the same again. */
void explain(struct explanation *explanation,
    const struct observe_verdict *verdict, bool repeats);
