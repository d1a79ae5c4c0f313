/*
 * rehearsal.c - plays a program's slots without an allocator (contract:
 * rehearsal.h)
 *
 * An operation is one step here, although in a real run it is a take and a put
 * with a call between them. For programs whose operations on a slot are ordered
 * that makes no difference; for the others it is one of the possible runs.
 */
#include "program/rehearsal.h"

#include "base/random.h"
#include "program/mapped.h"

#define SIZE_GRANTED ((uint64_t)1 << 46)

struct stage {
    const struct program *program;
    struct random random;
    struct step_block *slots;
    size_t slot_capacity;
    size_t op_indexes[PROGRAM_THREADS_MAX];
    unsigned lives[PROGRAM_THREADS_MAX];
    bool called[PROGRAM_THREADS_MAX]; /* this life has called the allocator */
    unsigned life_count;
    uint64_t block_count;
};

static const struct op *
next_op(const struct stage *stage, unsigned thread)
{
    const struct thread_ops *list = &stage->program->threads[thread];
    size_t index = stage->op_indexes[thread];

    return index < list->op_count ? &list->ops[index] : NULL;
}

/* A thread that can go on, at random; else one that waits, then *gives_up; or
 * -1 when all have ended. */
static int
choose(struct stage *stage, bool *gives_up)
{
    unsigned able[PROGRAM_THREADS_MAX], able_count = 0;
    int waiting = -1;

    for (unsigned i = 0; i < stage->program->thread_count; i++) {
        const struct op *op = next_op(stage, i);
        if (op == NULL) {
            continue;
        }
        if (op->kind == OP_WAIT && stage->slots[op->slot].id == 0) {
            waiting = (int)i;
        } else {
            able[able_count++] = i;
        }
    }
    *gives_up = able_count == 0;
    return able_count == 0
               ? waiting
               : (int)able[random_below(&stage->random, able_count)];
}

/* The bytes asked for; false when the request is refused. */
static bool
is_granted(const struct op *op, uint64_t *size)
{
    *size = op->size;
    if (op_shapes[op->kind].has_count &&
        __builtin_mul_overflow(op->count, op->size, size)) {
        return false;
    }
    return *size < SIZE_GRANTED && op->align < SIZE_GRANTED;
}

static void
play_block(struct stage *stage, struct step *step)
{
    struct step_block *block = &stage->slots[step->op->slot];
    bool resizes =
        step->op->kind == OP_REALLOC || step->op->kind == OP_REALLOCARRAY;
    uint64_t size;

    step->before = *block;
    if (op_shapes[step->op->kind].allocates) {
        bool granted = is_granted(step->op, &size);
        bool keeps = resizes && block->id != 0;
        if (keeps && granted && size == 0) {
            *block = (struct step_block){0};
        } else if (granted) {
            block->id = keeps ? block->id : ++stage->block_count;
            block->size = size;
            block->life = step->life;
        } else if (!keeps) {
            *block = (struct step_block){0};
        }
    } else if (step->op->kind == OP_FREE || step->op->kind == OP_FREE_SIZED ||
               step->op->kind == OP_FREE_ALIGNED_SIZED) {
        *block = (struct step_block){0};
    }
    step->after = *block;
}

/* OP_TOUCH, OP_WAIT, OP_YIELD, OP_TIME and OP_EXIT are not calls. */
static bool
is_call(enum op_kind kind)
{
    return kind != OP_TOUCH && kind != OP_WAIT && kind != OP_YIELD &&
           kind != OP_TIME && kind != OP_EXIT;
}

static void
play_step(
    struct stage *stage, unsigned thread, bool gives_up, struct step *step)
{
    *step = (struct step){.op = next_op(stage, thread),
        .thread = thread,
        .op_index = stage->op_indexes[thread]++,
        .life = stage->lives[thread],
        .gave_up = gives_up};
    if (is_call((enum op_kind)step->op->kind)) {
        step->first = !stage->called[thread];
        stage->called[thread] = true;
    }
    if (step->op->kind == OP_EXIT) {
        stage->lives[thread] = stage->life_count++;
        stage->called[thread] = false;
    } else if (op_shapes[step->op->kind].has_slot) {
        play_block(stage, step);
    }
}

bool
rehearse(const struct program *program, uint64_t seed, rehearsal_fn *look_on,
    void *arg)
{
    struct stage stage = {.program = program};
    struct step step;
    bool gives_up;
    int thread;

    if (!mapped_grow(&stage.slots, &stage.slot_capacity, program->slot_count,
            sizeof(struct step_block))) {
        return false;
    }
    random_seed(&stage.random, seed);
    for (unsigned i = 0; i < program->thread_count; i++) {
        stage.lives[i] = stage.life_count++;
    }
    while ((thread = choose(&stage, &gives_up)) >= 0) {
        play_step(&stage, (unsigned)thread, gives_up, &step);
        look_on(arg, &step);
    }
    mapped_drop(&stage.slots, &stage.slot_capacity, sizeof(struct step_block));
    return true;
}
