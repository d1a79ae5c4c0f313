/*
 * play.h - plays one operation: slots, blocks in hand, calls, observers
 *
 *     inline runner, threads runner --> play --> struct alloc_ops, observers
 *
 * Every slot and every player always has one struct block, full or empty. To
 * take a block out of a slot is to swap the player's empty one for it, to put
 * it back is to swap again, so nothing is ever allocated:
 *
 *     slot:   [full A]            [empty B]           [full A']
 *     player: [empty B]  --take-> [full A]  --put-->  [empty B]
 *
 * Concurrency: a player belongs to one thread; slots are swapped atomically.
 * Failure: PLAY_STOP once an observer has said so.
 */
#pragma once

#include "run/faults.h"
#include "run/runner.h"

#define SLOT_FULL 0x80000000u

struct run {
    /* Indexes 0 .. slot_count - 1 start in the slots, the next
     * PROGRAM_THREADS_MAX in the players' hands; as many are for forked
     * children. */
    struct block *blocks;
    _Atomic uint32_t *slots; /* index of a block, with SLOT_FULL or not */
    uint32_t slot_count;     /* of the program at hand */
    _Atomic bool stop;       /* an observer has said so */
    struct faults faults;
};

struct player {
    struct runner *runner;
    struct progress *progress; /* or NULL */
    unsigned thread;
    uint32_t hand; /* the block in hand: an index */
    size_t op_index;
};

enum play_result {
    PLAY_NEXT, /* go on with the next operation */
    PLAY_STOP, /* the run is over */
    PLAY_EXIT, /* OP_EXIT: the thread is to end; go on in another */
    PLAY_WAIT  /* OP_WAIT: the slot is empty; play it again later */
};

/* A run starts: every slot and hand is empty. */
void play_begin(struct runner *runner, const struct program *program);

void play_set_up(struct player *player, struct runner *runner, unsigned thread);
/* The calling thread is the one that plays it from now on. */
void play_attach(struct player *player);
void play_set_phase(struct player *player, enum progress_phase phase);

/* Plays the operation, which is number player->op_index of its list. */
enum play_result play_op(struct player *player, const struct op *op);

/* After the last operation: frees all blocks and tells the observers. False:
 * one of them stopped the run. */
bool play_end(struct player *player);

bool play_stopped(const struct player *player);
bool play_slot_is_full(const struct run *run, uint32_t slot);
