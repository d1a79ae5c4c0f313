/*
 * verdict.h - the kinds of finding, and what one finding says
 *
 *     oracle, watchdog, later observers --> struct finding --> the report
 *
 * A finding is evidence: which call, what the contract asks for, what was seen.
 * It holds its text by value, so that it can lie in memory shared with a child
 * that is about to die.
 *
 * Concurrency: data. Failure: none; text that is too long is cut.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program/program.h"

enum verdict_kind {
    VERDICT_OVERLAP,
    VERDICT_ALIGNMENT,
    VERDICT_CONTENT,
    VERDICT_ZEROING,
    VERDICT_SIZE,
    VERDICT_ERRNO,
    VERDICT_NULL,
    VERDICT_OVERFLOW,
    VERDICT_CRASH,
    VERDICT_HANG,
    VERDICT_DEADLOCK,
    VERDICT_LEAK,
    VERDICT_GROWTH,
    VERDICT_HEAP_CHECK,
    VERDICT_MISUSE,
    VERDICT_FORK,
    VERDICT_RACE,
    VERDICT_OWNERSHIP,
    VERDICT_LIVELOCK,
    VERDICT_NONDETERMINISM,
    VERDICT_KIND_COUNT
};

struct verdict {
    const char *name;    /* as reports spell it: "heap-check" */
    const char *meaning; /* one line for `malstrom list` */
    bool corrupts;       /* the heap cannot be trusted afterwards */
};
extern const struct verdict verdicts[VERDICT_KIND_COUNT];

/* The kind of that name; VERDICT_KIND_COUNT when there is none. */
enum verdict_kind verdict_find(const char *name);

#define FINDING_TEXT_MAX 240

struct finding {
    enum verdict_kind kind;
    enum op_kind op_kind; /* the call it was found at; OP_KIND_COUNT: none */
    unsigned thread;      /* and the operation that made the call */
    size_t op_index;      /* the list's length: after the last operation */
    char call[FINDING_TEXT_MAX];     /* "realloc(0x7f12, 100) = 0x7f50" */
    char expected[FINDING_TEXT_MAX]; /* what the contract asks for */
    char seen[FINDING_TEXT_MAX];     /* what happened */
};

/* Where the first finding of a run goes. It may be shared between processes. */
struct finding_box {
    _Atomic uint32_t state; /* enum finding_state */
    struct finding finding;
};

enum finding_state {
    FINDING_NONE,
    FINDING_BEGUN, /* somebody is writing it */
    FINDING_THERE
};

/* Sets the finding; false when there is one already. */
bool finding_put(struct finding_box *box, const struct finding *finding);
/* Lets other threads run, a tenth of a second at most, until there is one. */
void finding_await(struct finding_box *box);
/* The finding, or NULL. */
const struct finding *finding_get(struct finding_box *box);
