/*
 * ctl.h - what has a name: read, changed or done by jem_mallctl
 *
 *     "arenas.bin.3.size" --> row "arenas.bin.%.size", index 3 --> its functions
 *
 * All names stand in one table, jem_ctl_rows. A % in a pattern is an index. A
 * name's MIB has a number for each part: the row for a word, the index for a %.
 *
 * Concurrency: any thread; a row's functions take what locks they need.
 * Failure: the functions return 0 or an error as jem_mallctl does.
 * Design: jemalloc(3), "MALLCTL NAMESPACE".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JEM_CTL_DEPTH_MAX 7
#define JEM_CTL_INDEX_MAX 2

struct jem_heap;

/* How a value passes between us and the caller. */
enum jem_ctl_kind {
    JEM_CTL_VOID, /* an action */
    JEM_CTL_FLAG, /* bool */
    JEM_CTL_UNSIGNED,
    JEM_CTL_U32,
    JEM_CTL_U64,
    JEM_CTL_SIZE,
    JEM_CTL_SSIZE,
    JEM_CTL_TEXT,   /* const char * */
    JEM_CTL_POINTER /* uint64_t *, or any address */
};

struct jem_ctl_row;

/* One call, once its name has been understood. */
struct jem_ctl_call {
    struct jem_heap *heap;
    const struct jem_ctl_row *row;
    size_t index[JEM_CTL_INDEX_MAX]; /* what stands for the % signs */
    bool has_written;
    uint64_t written; /* the new value, once it has been set */
};

/* The value as a uint64_t, whatever its kind: an int64_t's bits, an address. */
typedef int jem_ctl_get_fn(const struct jem_ctl_call *call, uint64_t *value);
typedef int jem_ctl_set_fn(const struct jem_ctl_call *call, uint64_t value);

struct jem_ctl_row {
    const char *pattern;
    enum jem_ctl_kind kind;
    jem_ctl_get_fn *get; /* NULL: not to be read */
    jem_ctl_set_fn *set; /* NULL: not to be written; an action's doing */
    size_t data;         /* what the functions make of it */
    enum {
        JEM_CTL_GET_FIRST, /* the old value is read, then changed */
        JEM_CTL_SET_FIRST, /* the result of the change is read */
        JEM_CTL_EFFECT     /* reading makes something: all must fit before */
    } order;
    enum jem_ctl_kind new_kind; /* of what is written; VOID: the same */
};

extern const struct jem_ctl_row jem_ctl_rows[];
extern const unsigned jem_ctl_row_count;

/* Reads a row's value; EPERM when it has none. */
int jem_ctl_get(const struct jem_ctl_call *call, uint64_t *value);
/* Aborts unless rows of one prefix stand together and depths are in range. */
void jem_ctl_check(void);
