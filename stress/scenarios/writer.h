/*
 * writer.h - how scenarios write a heap program
 *
 *     scenario --> writer --> program_add --> struct program
 *
 * One short call an operation, and the randomness that a scenario draws from.
 * A scenario gives no slot more than its share of the memory that a program may
 * hold, so that 256 threads fit into a small machine.
 *
 * Concurrency: a writer belongs to one thread.
 * Failure: when memory runs out, what follows is dropped; writer_end says so.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "program/program.h"

/* What a program's blocks, all slots full, and those in hand may come to. The
 * matrix asks for more, which no machine grants or none touches. */
#define WRITER_LIVE_MAX ((uint64_t)256 << 20)

struct writer {
    struct program *program;
    struct random random; /* fixed by scenario, seed and index */
    unsigned op_count;    /* written so far, in all threads */
    bool out_of_memory;
};

void writer_begin(struct writer *writer, struct program *program,
    const char *scenario, uint64_t seed, uint64_t index);
bool writer_end(const struct writer *writer); /* false: out of memory */

/* How many operations each of so many threads gets: enough for many to be in
 * flight together, few enough for a crash to be minimised. */
unsigned writer_ops_each(unsigned thread_count);

/* The largest size for each of so many slots. */
uint64_t writer_share(uint32_t slot_count, unsigned thread_count);

/* OP_STATS, OP_YIELD, OP_EXIT, OP_FORK. */
void writer_plain(struct writer *writer, unsigned thread, enum op_kind kind);
/* OP_TRIM, OP_TIME. */
void writer_amount(
    struct writer *writer, unsigned thread, enum op_kind kind, uint64_t amount);
/* Those that take a slot and nothing else: free, touch, wait, ... */
void writer_slot(
    struct writer *writer, unsigned thread, enum op_kind kind, uint32_t slot);
void writer_sized(struct writer *writer, unsigned thread, enum op_kind kind,
    uint32_t slot, uint64_t size);
void writer_counted(struct writer *writer, unsigned thread, enum op_kind kind,
    uint32_t slot, uint64_t count, uint64_t size);
void writer_aligned(struct writer *writer, unsigned thread, enum op_kind kind,
    uint32_t slot, uint64_t align, uint64_t size);

/* Any kind with a slot. About `size` bytes are asked for where the kind asks,
 * never more; count and alignment are drawn. */
void writer_any(struct writer *writer, unsigned thread, enum op_kind kind,
    uint32_t slot, uint64_t size);

/* Kinds with weights, ended by one of weight 0; draws one of them. */
struct weight {
    enum op_kind kind;
    unsigned weight;
};
enum op_kind writer_draw(struct writer *writer, const struct weight *weights);
