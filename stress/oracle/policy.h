/*
 * policy.h - which contract is judged: a table of clauses
 *
 *     --policy glibc+zero_unique --> struct policy --> oracle
 *
 * A policy is a set of clauses. Three sets have names: c (C23), posix
 * (POSIX.1-2024), glibc (what Linux programs rely on). Where designs
 * legitimately differ, no named set holds the clause: only +name asks for it.
 *
 * Concurrency: data. Failure: a bad text is refused with a reason.
 * Design: C23 7.24.3; POSIX.1-2024 malloc, free, posix_memalign; the GNU C
 * library's manual, 3.2.3, and malloc(3).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum clause {
    CLAUSE_OVERLAP,       /* live blocks are disjoint */
    CLAUSE_ALIGN_FIT,     /* fits any object that has room in the block */
    CLAUSE_ALIGN_ASKED,   /* memalign and friends: as asked */
    CLAUSE_ZEROING,       /* calloc's bytes are zero */
    CLAUSE_CONTENT,       /* blocks keep their bytes; realloc too */
    CLAUSE_OVERFLOW,      /* count * size that overflows is refused */
    CLAUSE_SIZE_MAX,      /* sizes above PTRDIFF_MAX are refused */
    CLAUSE_NULL_MODEST,   /* a modest request gets memory */
    CLAUSE_ERRNO_NULL,    /* NULL comes with ENOMEM (or EINVAL) */
    CLAUSE_ERRNO_ABSURD,  /* also when it makes no sense, to memalign and such */
    CLAUSE_ERRNO_FREE,    /* free keeps errno */
    CLAUSE_ERRNO_SUCCESS, /* so does every call that succeeds */
    CLAUSE_MEMALIGN_CODE, /* posix_memalign returns EINVAL and ENOMEM */
    CLAUSE_MEMALIGN_OUT,  /* and leaves the pointer alone when it fails */
    CLAUSE_USABLE,        /* usable_size >= asked, steady, all writable */
    CLAUSE_FORK_CHILD,    /* a threaded program's child may allocate */
    CLAUSE_ALIGN_16,      /* 16 bytes, whatever the size */
    CLAUSE_ALIGN_ZERO,    /* blocks of size 0 are aligned as asked, too */
    CLAUSE_ZERO_UNIQUE,   /* size 0 gets a block, not NULL */
    CLAUSE_REALLOC_FREES, /* realloc(block, 0) frees and returns NULL */
    CLAUSE_OOM_NULL,      /* out of memory is NULL, not the end */
    CLAUSE_COUNT
};

struct clause_text {
    const char *name;    /* "zero_unique" */
    const char *meaning; /* one line for `malstrom list` */
    bool in_c, in_posix, in_glibc;
};
extern const struct clause_text clause_texts[CLAUSE_COUNT];

struct policy {
    uint32_t clauses; /* bit i: enum clause i is judged */
};

struct policy policy_default(void); /* glibc */

/*
 * Reads "BASE", "BASE+name-name" or "+name". False: *error says what is wrong
 * and *error_offset where in the text.
 */
bool policy_parse(struct policy *policy, const char *text, const char **error,
    size_t *error_offset);

static inline bool
policy_has(const struct policy *policy, enum clause clause)
{
    return (policy->clauses >> clause & 1) != 0;
}
