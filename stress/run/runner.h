/*
 * runner.h - runs a heap program against an allocator
 *
 *     struct program --> runner --> struct alloc_ops, calls --> observers
 *
 * The inline runner plays all threads of a program on the caller's thread, one
 * operation at a time, in the order that the program's schedule gives: it
 * repeats exactly. The threads runner gives each its own pthread and starts
 * them together. Both end by freeing every block that the program still holds.
 *
 * Concurrency: one run at a time for a struct runner.
 * Failure: runner_open returns false when memory cannot be mapped. A run stops
 * early when an observer says so; then the program's blocks stay allocated and
 * the heap is not to be trusted.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc.h"
#include "oracle/call.h"
#include "program/program.h"

#define RUNNER_OBSERVERS_MAX 4

enum progress_phase {
    PROGRESS_IDLE, /* has not begun, or has ended */
    PROGRESS_CALL, /* goes from call to call */
    PROGRESS_WAIT, /* in OP_WAIT */
    PROGRESS_FORK, /* waits for its forked child */
    PROGRESS_CHECK /* in alloc_ops.check */
};

/* How far a thread of a run is; a watchdog reads it from another process. */
struct progress {
    _Alignas(64) _Atomic uint64_t op_index; /* the operation it is in */
    _Atomic uint64_t call_count;            /* calls begun, ever */
    _Atomic uint64_t work_size; /* bytes that the call may have to copy */
    _Atomic uint32_t op_kind;   /* of the call */
    _Atomic uint32_t phase;     /* enum progress_phase */
    _Atomic int32_t tid;
    _Atomic int32_t fork_pid; /* the child that it waits for, or 0 */
};

struct runner {
    const struct alloc_ops *ops;
    struct heap *heap;
    struct observer *observers[RUNNER_OBSERVERS_MAX]; /* NULL after the last */
    struct progress *progress; /* PROGRAM_THREADS_MAX of them, or NULL */
    bool injects_faults;       /* ops is built in: pages_fail_at reaches it */
    bool fork_only_exits;      /* forked children do not allocate */
    void (*ask_stats)(void);   /* OP_STATS where ops has no stats, or NULL */
    void (*pass_time)(uint64_t us); /* OP_TIME on a virtual clock, or NULL */
    struct run *run;                /* slots and blocks, kept between runs */
};

bool runner_open(struct runner *runner);
void runner_close(struct runner *runner);

/* Each returns false when the run was stopped. */
bool runner_inline(struct runner *runner, const struct program *program);
bool runner_threads(struct runner *runner, const struct program *program);

/* Inline where one thread is enough and no OP_EXIT asks for another. */
bool runner_run(struct runner *runner, const struct program *program);
