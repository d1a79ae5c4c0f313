/*
 * call.h - one call of the malloc family, and those who watch it
 *
 *     runner --> struct call, before and after --> observers
 *                                                    \-- oracle
 *
 * A runner turns each operation of a heap program into calls: an operation
 * that fills a slot which holds a block is two, free and then malloc. It hands
 * each call to every observer, before it and after it. The oracle is the first
 * observer; others attach to the same interface.
 *
 * Between its calls a runner owns the block in hand: it is in no slot.
 *
 * Concurrency: before and after are called by the thread that makes the call,
 * so by many threads at once; a struct call and its block belong to the caller.
 * Failure: an observer that returns false ends the run: it has found something.
 */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program/program.h"

/*
 * One block that the program holds, or none: then addr is NULL. The first
 * fields are the runner's; the rest is the oracle's own. The notes may be read
 * by other threads, for evidence, and are all that may.
 */
struct block {
    char *addr;
    size_t size;        /* as asked for; count * size where there is a count */
    uint32_t id;        /* fixed for each struct block: its index + 1 */
    uint8_t made_by;    /* enum op_kind of the call that returned it */
    uint8_t align_log2; /* of the alignment asked for, when made_by has one */

    bool whole;    /* the pattern covers every byte */
    size_t usable; /* how many bytes are claimed and patterned */
    uint64_t seed; /* keys the pattern */
    _Atomic uintptr_t note_addr;
    _Atomic uint64_t note_size;
    _Atomic uint64_t note_maker; /* thread << 48 | operation */
};
static_assert(sizeof(struct block) == 64, "one block, one cache line");

struct call {
    enum op_kind kind;
    unsigned thread;
    size_t op_index; /* the operation it is part of */
    size_t size, count, align;

    /* The block it works on; after success, what the call made of it. */
    struct block *block;

    /* Set when the call is over. */
    void *result; /* pointer returned; posix_memalign: the pointer set */
    int code;     /* posix_memalign's return value */
    int error; /* errno after the call, which was CALL_ERRNO; 0: not made yet */
    size_t value;   /* usable_size's return value */
    char *old_addr; /* the block before the call */
    size_t old_size;
};

/* What errno is set to before each call: no error has this number. */
#define CALL_ERRNO 4242

/* What posix_memalign's out pointer holds before the call. */
#define CALL_POISON ((void *)0x5a5a5a5a5a50)

struct observer {
    /* A program starts; blocks[id - 1] are all that it will use. May be NULL,
     * as may end. */
    void (*begin)(struct observer *self, const struct block *blocks);
    bool (*before)(struct observer *self, struct call *call);
    bool (*after)(struct observer *self, struct call *call);
    /* OP_FORK: called in the child with OBSERVER_IN_CHILD, and in the parent
     * with the child's status, as waitpid has it. */
    bool (*forked)(struct observer *self, struct call *call, int status);
    /* The program is over and all its blocks are freed. */
    bool (*end)(struct observer *self);
};

#define OBSERVER_IN_CHILD (-1)
