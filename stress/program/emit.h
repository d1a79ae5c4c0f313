/*
 * emit.h - a C program that does what a heap program does, and checks it
 *
 *     struct program --> emit_c --> bug.c, for a bug report
 *
 * The C program needs libc and pthreads only. It makes the calls one by one,
 * in plain sight, linked or preloaded with the allocator in question, and
 * checks content, overlap, alignment, zeroing, usable size and errno as it
 * goes. It ends with status 1 and one line on stdout that names the call, what
 * was expected and what was seen; or with status 0; or it crashes or hangs.
 *
 * One thread becomes straight-line code; several threads are started together,
 * round after round. A schedule and faults are not reproduced.
 *
 * Concurrency: pure but for the buffer.
 * Failure: false when out of memory.
 */
#pragma once

#include <stdbool.h>

#include "program/mapped.h"
#include "program/program.h"

/* What the C program judges: the clauses of those names of a policy. */
struct emit_rules {
    bool align_asked, align_fit, align_16;
    bool overflow, size_max;
    bool null_modest, zero_unique, realloc_frees;
    bool errno_null, errno_absurd, errno_free, errno_success;
    bool memalign_code, memalign_out;
    bool usable;
};

/* What Linux programs rely on. */
extern const struct emit_rules emit_rules_glibc;

/* Adds the text to what the buffer holds. */
bool emit_c(const struct program *program, const struct emit_rules *rules,
    struct buffer *out);
