/*
 * env.h - options from the environment, read without malloc
 *
 *     DLM_OPTIONS="mmap_threshold:1m,trim_threshold:off" --> env --> a design
 *
 * A list of NAME:VALUE pairs between commas. Sizes take k, m, g.
 *
 * Concurrency: call at start-up, one thread.
 * Failure: a bad pair is skipped and reported by one line on stderr,
 * "malstrom-DESIGN: VARIABLE: WHAT: "PAIR"". Set-user-ID programs get no
 * options, nor does a call that precedes all constructors.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum env_kind {
    ENV_SIZE,   /* uint64_t: bytes, with an optional k, m or g; "off" is ~0 */
    ENV_NUMBER, /* int64_t, may be negative */
    ENV_FLAG,   /* bool: true, false, on, off, 1, 0 */
    ENV_TEXT,   /* const char *, and its length in *length: not terminated */
    ENV_CHOICE  /* struct env_choice: one of its names */
};

struct env_choice {
    const char *const *names; /* ends in NULL */
    unsigned chosen;          /* index of a name */
};

struct env_option {
    const char *name;
    enum env_kind kind;
    void *value;       /* where it goes, as kind says */
    size_t *length;    /* ENV_TEXT only */
    uint64_t min, max; /* for ENV_SIZE and ENV_NUMBER (as int64_t) */
};

/* Reads `variable` into the options; returns how many were set. */
unsigned env_read(const char *design, const char *variable,
    const struct env_option *options, unsigned option_count);
/* The same; *bad_count is how many pairs were skipped. */
unsigned env_read_counting(const char *design, const char *variable,
    const struct env_option *options, unsigned option_count,
    unsigned *bad_count);
