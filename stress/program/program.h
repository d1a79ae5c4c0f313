/*
 * program.h - the heap program: what malstrom runs, whatever it came from
 *
 *     bytes, text, trace, scenario --> struct program --> runners, minimiser,
 *                                                         C emitter
 *
 * A program is a few threads, each a list of operations over numbered slots
 * that all threads share, and, optionally, a schedule and faults. A slot holds
 * one block or none. Every program is valid, under every schedule:
 *
 *   - an operation takes the block out of its slot (one atomic exchange), works
 *     on it, and puts it or its successor back;
 *   - an operation that allocates first frees the block that its slot holds; if
 *     another thread fills the slot meanwhile, that block is freed too;
 *   - on an empty slot free, realloc and usable_size work on NULL;
 *   - OP_WAIT waits until its slot holds a block, and gives up when no other
 *     thread can fill it any more, because all have ended or wait themselves.
 *
 * Concurrency: a program is data; whoever holds it may read it, and one thread
 * at a time may change it.
 * Failure: growing returns false when memory runs out, with nothing changed.
 * Memory is mapped (never malloc), so the allocator under test sees nothing.
 * Printing: text.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRAM_VERSION     1
#define PROGRAM_THREADS_MAX 256
#define PROGRAM_SLOTS_MAX   (1u << 24)
#define PROGRAM_SLOTS_BYTES 64 /* slots that the byte form can name */
#define PROGRAM_NAME_MAX    256

enum op_kind {
    OP_MALLOC,             /* slot size */
    OP_CALLOC,             /* slot count size */
    OP_REALLOC,            /* slot size */
    OP_REALLOCARRAY,       /* slot count size */
    OP_MEMALIGN,           /* slot align size */
    OP_ALIGNED_ALLOC,      /* slot align size */
    OP_POSIX_MEMALIGN,     /* slot align size */
    OP_VALLOC,             /* slot size */
    OP_PVALLOC,            /* slot size */
    OP_FREE,               /* slot */
    OP_FREE_SIZED,         /* slot: with the size asked for */
    OP_FREE_ALIGNED_SIZED, /* slot: with the alignment and size asked for */
    OP_USABLE_SIZE,        /* slot */
    OP_TOUCH,              /* slot: verify the block, then write it anew */
    OP_WAIT,               /* slot: until it holds a block */
    OP_TRIM,               /* size: malloc_trim with that pad */
    OP_STATS,              /* ask for statistics, as mallinfo2 does */
    OP_YIELD,              /* let other threads run */
    OP_TIME,               /* size: that many microseconds pass */
    OP_EXIT,               /* the thread ends; a new one takes over its list */
    OP_FORK,               /* a child allocates, frees, verifies and exits */
    OP_KIND_COUNT
};

struct op {
    uint8_t kind; /* enum op_kind */
    uint32_t slot;
    uint64_t size;  /* bytes; of one element where there is a count */
    uint64_t count; /* elements: OP_CALLOC, OP_REALLOCARRAY; else 0 */
    uint64_t align; /* the aligned kinds; else 0 */
};

/* Which parameters an operation kind has, and its name in the text form. */
struct op_shape {
    const char *name;
    bool has_slot, has_count, has_align, has_size;
    bool allocates; /* leaves a new block in its slot */
};
extern const struct op_shape op_shapes[OP_KIND_COUNT];

struct thread_ops {
    struct op *ops;
    size_t op_count;
    size_t op_capacity;
};

enum fault_kind {
    FAULT_OS, /* the n-th call that asks the OS for memory fails */
    FAULT_KIND_COUNT
};

struct fault {
    uint8_t kind; /* enum fault_kind */
    bool every;   /* that one and all later ones */
    uint64_t n;   /* from 1 */
};

struct program {
    unsigned thread_count;
    struct thread_ops threads[PROGRAM_THREADS_MAX];
    uint32_t slot_count;

    /* At the i-th point where the runner may switch threads, schedule[i] says
     * who goes on (modulo those that can). Past its end the runner decides. */
    uint8_t *schedule;
    size_t schedule_count;
    size_t schedule_capacity;

    struct fault *faults;
    size_t fault_count;
    size_t fault_capacity;

    /* Where it came from; empty when unknown. Kept in the text form. */
    uint64_t seed;
    bool has_seed;
    char target[PROGRAM_NAME_MAX];
    char scenario[PROGRAM_NAME_MAX];
    char finding[32]; /* the verdict KIND that it shows */
    char policy[PROGRAM_NAME_MAX];
};

struct program *program_new(void); /* NULL when out of memory */
void program_delete(struct program *program);
void program_clear(struct program *program); /* empty, storage kept */
bool program_copy(struct program *to, const struct program *from);
/* Seed, target, scenario, finding and policy only. */
void program_copy_origin(struct program *to, const struct program *from);
bool program_equal(const struct program *a, const struct program *b);

/* Adds one operation at the end of a thread's list; thread_count and slot_count
 * grow to hold it. Parameters that its kind does not have are stored as 0. */
bool program_add(struct program *program, unsigned thread, const struct op *op);
bool program_add_schedule(struct program *program, uint8_t choice);
bool program_add_fault(struct program *program, const struct fault *fault);

size_t program_op_count(const struct program *program); /* in all threads */
/* Bytes that it asks for; of a large block those that a run surely touches. */
size_t program_asked_size(const struct program *program);

bool program_op_equal(const struct op *a, const struct op *b);
void program_check(const struct program *program); /* aborts if broken */
