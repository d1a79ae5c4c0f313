/*
 * shared.h - the memory that a supervisor and its child share
 *
 *     supervisor --> job ----> child
 *                <-- results, progress, finding, crash <--
 *
 * One memfd, mapped by both. The job is written before the child starts and
 * only read from then on. The rest is the child's, and since the child may be
 * overrun by the allocator it tests, the supervisor trusts none of it: numbers
 * are checked, text is cut.
 *
 * Concurrency: the fields that both touch while the child lives are atomic.
 * Failure: shared_map returns NULL when the memory cannot be mapped.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oracle/policy.h"
#include "oracle/verdict.h"
#include "run/growth.h"
#include "run/runner.h"
#include "run/target.h"

#define SHARED_STACK_MAX 1024

/* What a child is to do. */
struct job {
    char built_in[64];               /* name in alloc_all, or empty */
    char library[TARGET_PATH_MAX];   /* absolute path, or empty */
    char scenario[PROGRAM_NAME_MAX]; /* empty: run the program that follows */
    uint64_t seed;
    uint64_t first_index; /* of the scenario's programs */
    uint64_t end_index;   /* one past the last; of runs when no scenario */
    uint64_t deadline_ns; /* of the monotonic clock; 0 is never */
    unsigned thread_count;
    struct policy policy;
    bool unchecked;  /* no oracle: to measure what it costs */
    bool checks_all; /* patterns whole, check after every run */
    bool muted[VERDICT_KIND_COUNT][OP_KIND_COUNT];
    enum growth_task growth;
    size_t growth_size; /* suspect when the child has grown by more */
};

enum child_state {
    CHILD_STARTING,
    CHILD_READY,     /* the target is open */
    CHILD_NO_MALLOC, /* the library's malloc is not the process's */
    CHILD_NO_MEMORY, /* the harness could not map its own */
    CHILD_DONE
};

/* Who took a deadly signal, filled by the handler. */
struct crash {
    _Atomic uint32_t state; /* 0, 1 being written, 2 there */
    int signal;
    int pid, tid; /* of the process that crashed, which may be a forked one */
    uintptr_t addr;
    char stack[SHARED_STACK_MAX];
};

/* A program, flat: header, operations list by list, schedule, faults. */
struct flat_program {
    uint32_t thread_count, slot_count;
    uint64_t schedule_count, fault_count;
    uint64_t op_counts[PROGRAM_THREADS_MAX];
};

struct shared {
    struct job job;

    _Atomic uint32_t state;       /* enum child_state */
    _Atomic uint64_t begun_count; /* runs that have begun */
    _Atomic uint64_t run_count;   /* runs that are over */
    _Atomic uint64_t muted_counts[VERDICT_KIND_COUNT];
    _Atomic uint32_t lacks; /* see struct target_view */
    struct finding_box box;
    struct crash crash;
    struct progress progress[PROGRAM_THREADS_MAX];
    char stacks[PROGRAM_THREADS_MAX][SHARED_STACK_MAX];

    struct flat_program program; /* the last: its arrays follow */
};

/* How large the memory is for that program, which may be NULL. */
size_t shared_size(const struct program *program);
/* Maps the memory behind fd; its size is the file's. */
struct shared *shared_map(int fd, size_t *size);

void shared_write_program(struct shared *shared, const struct program *program);
/* False when out of memory, or when what is there is no program. */
bool shared_read_program(
    const struct shared *shared, size_t size, struct program *program);
