/*
 * target.h - the allocator under test: built in, the system's, or any library
 *
 *     --target NAME --> target_find: which    (in the command's process)
 *                   --> target_open: its calls (in the child that runs it)
 *
 * A built-in target is one of alloc_all. `system` and libraries are the malloc
 * that the process has: in a child under LD_PRELOAD that is the library's. A
 * call that a library lacks would reach libc's, on foreign blocks; so programs
 * are adapted to the calls that it has.
 *
 * Concurrency: call before threads start. Failure: target_find says why in one
 * line; the status tells wrong usage from a missing file, as statuses of the
 * command do.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "alloc.h"
#include "program/program.h"

#define TARGET_PATH_MAX 4096

struct target {
    char name[PROGRAM_NAME_MAX];      /* as given */
    char library[TARGET_PATH_MAX];    /* absolute path, or empty */
    const struct alloc_ops *built_in; /* or NULL */
};

struct target_error {
    int status; /* 2 wrong usage, 3 could not run */
    char text[TARGET_PATH_MAX + 64];
};

bool target_find(
    struct target *target, const char *name, struct target_error *error);

/* How the process at hand reaches its target. */
struct target_view {
    const struct alloc_ops *ops; /* always on the process's own heap, NULL */
    uint32_t lacks;              /* bit k: enum op_kind k is not its own */
    void (*ask_stats)(void);     /* or NULL */
};

/* built_in may be NULL. False: the library's malloc is not the process's. */
bool target_open(struct target_view *view, const struct alloc_ops *built_in,
    const char *library);

static inline bool
target_has(const struct target_view *view, enum op_kind kind)
{
    return (view->lacks >> kind & 1) == 0;
}

/* Replaces the operations that the target lacks by the nearest that it has. */
void target_adapt(struct program *program, uint32_t lacks);
