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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program/program.h"

/* One block that the program holds, or none: then addr is NULL. */
struct block {
    char *addr;
    size_t size;     /* as asked for; count * size where there is a count */
    size_t align;    /* as asked for; 0 where none was */
    uint8_t made_by; /* enum op_kind of the call that returned it */

    /* The oracle's own; others leave them alone. */
    bool whole;        /* its pattern covers every byte */
    uint16_t thread;   /* who made it, for the evidence */
    uint32_t id;       /* fixed for each struct block; never 0 */
    size_t usable;     /* how many bytes are claimed and patterned */
    uint64_t seed;     /* keys the pattern */
    uint64_t op_index; /* the operation that made it */
};

struct call {
    enum op_kind kind;
    unsigned thread;
    size_t op_index; /* the operation it is part of */
    size_t size, count, align;

    /* The block it works on; after success, what the call made of it. */
    struct block *block;

    /* Set when the call is over. */
    void *result;   /* pointer returned; posix_memalign: the pointer set */
    int code;       /* posix_memalign's return value */
    int error;      /* errno after the call; it was CALL_ERRNO before */
    size_t value;   /* usable_size's return value */
    char *old_addr; /* the block before the call */
    size_t old_size;
};

/* What errno is set to before each call: no error has this number. */
#define CALL_ERRNO 4242

/* What posix_memalign's out pointer holds before the call. */
#define CALL_POISON ((void *)0x5a5a5a5a5a50)

struct observer {
    bool (*before)(struct observer *self, struct call *call);
    bool (*after)(struct observer *self, struct call *call);
    /* The program is over and all its blocks are freed; may be NULL. */
    bool (*end)(struct observer *self);
};
