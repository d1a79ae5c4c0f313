/*
 * inline.c - all threads of a program on the caller's thread (contract:
 * runner.h)
 *
 * Before each operation there is a choice among the lists that can go on: one
 * that has ended cannot, nor one that waits for an empty slot. The schedule's
 * next byte chooses, and past its end the lists take turns. When none can go
 * on, the first that waits gives up.
 */
#include "run/play.h"

struct lists {
    const struct program *program;
    struct player players[PROGRAM_THREADS_MAX];
    size_t schedule_index;
    unsigned last;
};

static const struct op *
next_op(const struct lists *lists, unsigned thread)
{
    const struct thread_ops *list = &lists->program->threads[thread];
    size_t index = lists->players[thread].op_index;
    return index < list->op_count ? &list->ops[index] : NULL;
}

static bool
can_go(const struct lists *lists, const struct run *run, unsigned thread)
{
    const struct op *op = next_op(lists, thread);
    return op != NULL &&
           (op->kind != OP_WAIT || play_slot_is_full(run, op->slot));
}

/* The list to play next, or -1 when all have ended. */
static int
choose(struct lists *lists, const struct run *run)
{
    const struct program *program = lists->program;
    unsigned able[PROGRAM_THREADS_MAX], able_count = 0;
    int waiting = -1;
    for (unsigned i = 0; i < program->thread_count; i++) {
        unsigned thread = (lists->last + 1 + i) % program->thread_count;
        if (can_go(lists, run, thread)) {
            able[able_count++] = thread;
        } else if (waiting < 0 && next_op(lists, thread) != NULL) {
            waiting = (int)thread;
        }
    }
    if (able_count == 0) {
        return waiting;
    }
    unsigned choice = 0;
    if (lists->schedule_index < program->schedule_count) {
        choice = program->schedule[lists->schedule_index++] % able_count;
    }
    lists->last = able[choice];
    return (int)able[choice];
}

static bool
play_next(struct runner *runner, struct player *player, const struct op *op)
{
    switch (play_op(player, op)) {
    case PLAY_STOP:
        return false;
    case PLAY_EXIT:
        if (runner->ops->thread_exit != NULL) {
            runner->ops->thread_exit(runner->heap);
        }
        break;
    case PLAY_NEXT:
    case PLAY_WAIT: /* gives up */
        break;
    }
    player->op_index++;
    return true;
}

static bool
play_one_list(struct runner *runner, const struct thread_ops *list)
{
    struct player player;
    play_set_up(&player, runner, 0);
    play_attach(&player);
    while (player.op_index < list->op_count) {
        if (!play_next(runner, &player, &list->ops[player.op_index])) {
            return false;
        }
    }
    return play_end(&player);
}

bool
runner_inline(struct runner *runner, const struct program *program)
{
    play_begin(runner, program);
    if (program->thread_count <= 1) {
        return play_one_list(runner, &program->threads[0]);
    }
    struct lists lists = {
        .program = program, .last = program->thread_count - 1};
    for (unsigned i = 0; i < program->thread_count; i++) {
        play_set_up(&lists.players[i], runner, i);
        play_attach(&lists.players[i]);
    }
    int thread;
    while ((thread = choose(&lists, runner->run)) >= 0) {
        const struct op *op = next_op(&lists, (unsigned)thread);
        if (!play_next(runner, &lists.players[thread], op)) {
            return false;
        }
    }
    return play_end(&lists.players[0]);
}
