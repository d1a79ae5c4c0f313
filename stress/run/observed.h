/*
 * observed.h - plays a heap program under the observed runtime
 *
 *     struct program, strategy --> observed --> play, oracle --> observe
 *
 * Each list of the program is a logical thread. The oracle judges every call as
 * in the other runners; besides, every block that the program holds is its own,
 * and what one thread did with a block happens before what the next does that
 * takes it out of a slot. Nothing else orders the threads.
 *
 * The heap is the process's own, as it is at the start of a process: each run
 * begins with the target's first call.
 *
 * Concurrency: one run at a time.
 * Failure: observed_open returns false when memory is short. A run always ends;
 * its verdict is valid until the next. One that is at work when the limit comes
 * is cut: it has no verdict, and observe_stats() says so.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "alloc.h"
#include "observe/observe.h"
#include "observe/strategy.h"
#include "oracle/oracle.h"
#include "oracle/policy.h"
#include "program/program.h"
#include "run/balance.h"
#include "run/runner.h"

/* When there is no more time. */
struct observed_limit {
    uint64_t deadline_ns; /* of the monotonic clock; 0: none */
    _Atomic bool *stop;   /* or NULL */
};

struct observed {
    struct runner runner;
    struct oracle oracle;
    struct balance balance;
    struct finding_box *box;
    struct observer watch; /* tells the runtime who owns which block */
    struct observer hush;  /* lets checks at the end run unwatched */
    struct policy policy;
    enum observe_points points; /* OBSERVE_SYNC, unless it is set */
    uint64_t steps_max;         /* of a run; 0: by the number of operations */
    struct observed_limit limit;
    uint64_t interrupt_at;    /* a handler that allocates runs there; 0: none */
    struct observe_plan plan; /* of the last run */
    const struct program *program;
};

bool observed_open(struct observed *observed, const struct alloc_ops *ops,
    struct policy policy);
void observed_close(struct observed *observed);
bool observed_is_late(const struct observed *observed);

/* Runs the program with these choices, and faults as it names them. */
const struct observe_verdict *observed_run(struct observed *observed,
    const struct program *program, struct strategy *strategy);

/* The same once more, keeping what a report shows. */
bool observed_explain(struct observed *observed, struct strategy *strategy);
