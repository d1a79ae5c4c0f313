/*
 * mutate.c - random changes to heap programs (contract: mutate.h)
 *
 * A table of small changes, each by itself simple; what makes them strong is
 * the fuzzer's feedback. Changing the bytes of the byte form instead reaches
 * every program too, but a byte that is inserted there moves all that follows,
 * and equal sizes, on which free lists depend, meet by chance only.
 *
 * Sizes are chosen so that most cost little: large ones are mapped and cleared
 * by the kernel, which takes a thousand times as long as a small block.
 */
#include "program/mutate.h"

#include <string.h>

#include "program/bytes.h"

#define RUN_MAX 12 /* operations that are added or moved at once */

/* A place in a program. */
struct place {
    struct thread_ops *list;
    unsigned thread;
    size_t index;
};

/* Some operation; false when there is none. */
static bool
find_place(struct program *program, struct random *random, struct place *place)
{
    size_t op_count = program_op_count(program);

    if (op_count == 0) {
        return false;
    }
    size_t index = random_below(random, op_count);
    for (unsigned t = 0; t < program->thread_count; t++) {
        struct thread_ops *list = &program->threads[t];

        if (index < list->op_count) {
            *place = (struct place){list, t, index};
            return true;
        }
        index -= list->op_count;
    }
    return false;
}

static struct op *
find_op(struct program *program, struct random *random)
{
    struct place place;

    return find_place(program, random, &place) ? &place.list->ops[place.index]
                                               : NULL;
}

/* Where an operation may be added: anywhere, at the end too. */
static struct place
find_gap(struct program *program, struct random *random)
{
    struct place place;

    if (!find_place(program, random, &place)) {
        return (struct place){&program->threads[0], 0, 0};
    }
    place.index += random_below(random, 2);
    return place;
}

/* Adds it before the place, which moves on behind it. */
static bool
insert_op(struct program *program, struct place *place, const struct op *op)
{
    struct thread_ops *list = place->list;

    if (program_op_count(program) >= BYTES_OPS_MAX ||
        !program_add(program, place->thread, op)) {
        return false;
    }
    struct op added = list->ops[list->op_count - 1];
    memmove(&list->ops[place->index + 1], &list->ops[place->index],
        (list->op_count - 1 - place->index) * sizeof(struct op));
    list->ops[place->index++] = added;
    return true;
}

static void
remove_ops(const struct place *place, size_t count)
{
    struct thread_ops *list = place->list;
    size_t left = list->op_count - place->index;

    count = count < left ? count : left;
    memmove(&list->ops[place->index], &list->ops[place->index + count],
        (left - count) * sizeof(struct op));
    list->op_count -= count;
}

static uint64_t
run_length(struct random *random)
{
    return random_log_between(random, 1, RUN_MAX);
}

/* ---- choosing parameters */

/* Near a power of two, as far as allocators look at it: headers, minimum
 * chunks and pages make the edge lie some bytes beside the power. */
static uint64_t
near_power(struct random *random, unsigned low, unsigned high)
{
    static const int64_t offsets[] = {
        0, -1, 1, -8, 8, -16, 16, -24, 24, -32, 32, -4096, 4096};
    uint64_t power = UINT64_C(1) << random_between(random, low, high);

    return power + (uint64_t)offsets[random_below(
                       random, sizeof(offsets) / sizeof(offsets[0]))];
}

/* Large sizes are rare: a page that is touched costs as much as ten calls. */
static uint64_t
any_size(struct random *random)
{
    uint64_t dice = random_below(random, 1000);

    if (dice < 530) {
        return random_below(random, 264);
    } else if (dice < 740) {
        return random_below(random, 4200);
    } else if (dice < 920) {
        return near_power(random, 3, 15);
    } else if (dice < 976) {
        return random_log_between(random, 4096, 64 << 10);
    } else if (dice < 983) {
        return random_log_between(random, 64 << 10, 600 << 10);
    } else if (dice < 985) {
        return random_log_between(random, 600 << 10, 64 << 20);
    } else if (dice < 995) {
        return near_power(random, 27, 63);
    }
    return -random_log_between(random, 1, UINT64_C(1) << 63);
}

static uint64_t
any_align(struct random *random)
{
    uint64_t dice = random_below(random, 100);

    if (dice < 90) {
        return UINT64_C(1) << random_below(random, 13);
    } else if (dice < 95) {
        return UINT64_C(1) << random_below(random, 64);
    }
    return random_below(random, 200);
}

/* Mostly a slot that is in use, so that blocks meet. */
static uint32_t
any_slot(const struct program *program, struct random *random)
{
    uint32_t bound = program->slot_count + 2;

    return (uint32_t)random_below(
        random, bound < PROGRAM_SLOTS_BYTES ? bound : PROGRAM_SLOTS_BYTES);
}

/* A size that the program has already, or a new one. */
static uint64_t
some_size(struct program *program, struct random *random)
{
    const struct op *op = find_op(program, random);

    return op != NULL && op_shapes[op->kind].has_size &&
                   random_one_in(random, 2)
               ? op->size
               : any_size(random);
}

static uint8_t
any_kind(struct random *random)
{
    static const uint8_t frequent[] = {OP_MALLOC, OP_MALLOC, OP_FREE, OP_FREE,
        OP_FREE, OP_REALLOC, OP_CALLOC, OP_MEMALIGN};

    return random_one_in(random, 3)
               ? (uint8_t)random_below(random, OP_KIND_COUNT)
               : frequent[random_below(random, sizeof(frequent))];
}

static struct op
any_op(struct program *program, struct random *random)
{
    return (struct op){
        .kind = any_kind(random),
        .slot = any_slot(program, random),
        .size = some_size(program, random),
        .count = random_one_in(random, 20) ? any_size(random)
                                           : random_below(random, 20),
        .align = any_align(random),
    };
}

/* ---- changes */

static void
add_op(struct program *program, struct random *random)
{
    struct place place = find_gap(program, random);
    struct op op = any_op(program, random);

    insert_op(program, &place, &op);
}

/* Equal blocks in slots side by side: they lie side by side in memory too. */
static void
add_row(struct program *program, struct random *random)
{
    struct place place = find_gap(program, random);
    struct op op = any_op(program, random);
    uint64_t step = random_one_in(random, 2) ? 1 : 2; /* or every other one */

    op.kind = random_one_in(random, 2) ? OP_FREE : OP_MALLOC;
    for (uint64_t left = run_length(random); left > 0; left--) {
        if (!insert_op(program, &place, &op)) {
            return;
        }
        op.slot = (uint32_t)((op.slot + step) % PROGRAM_SLOTS_BYTES);
    }
}

/* A hole and what goes into it: free, then an allocation of about that size in
 * the same slot. */
static void
add_refill(struct program *program, struct random *random)
{
    struct place place = find_gap(program, random);
    struct op op = any_op(program, random);
    struct op release = {.kind = OP_FREE, .slot = op.slot};

    op.kind = random_one_in(random, 3) ? OP_CALLOC : OP_MALLOC;
    op.size += random_below(random, 3) * 8;
    op.count = 1;
    if (insert_op(program, &place, &release)) {
        insert_op(program, &place, &op);
    }
}

static void
drop_ops(struct program *program, struct random *random)
{
    struct place place;

    if (find_place(program, random, &place)) {
        remove_ops(&place, run_length(random));
    }
}

/* Repeats a run elsewhere, on the same slots or on others. */
static void
copy_run(struct program *program, struct random *random)
{
    struct op run[RUN_MAX];
    struct place from;

    if (!find_place(program, random, &from)) {
        return;
    }
    size_t left = from.list->op_count - from.index;
    size_t count = run_length(random);
    uint64_t shift = random_one_in(random, 2) ? 0 : random_below(random, 8);
    count = count < left ? count : left;
    memcpy(run, &from.list->ops[from.index], count * sizeof(run[0]));

    struct place to = find_gap(program, random);
    for (size_t i = 0; i < count; i++) {
        run[i].slot = (uint32_t)((run[i].slot + shift) % PROGRAM_SLOTS_BYTES);
        if (!insert_op(program, &to, &run[i])) {
            return;
        }
    }
}

static void
swap_ops(struct program *program, struct random *random)
{
    struct op *a = find_op(program, random);
    struct op *b = find_op(program, random);

    if (a != NULL) {
        struct op op = *a;
        *a = *b;
        *b = op;
    }
}

/* The rest of a list, or one operation, goes to some thread. */
static void
move_to_thread(struct program *program, struct random *random)
{
    unsigned to = (unsigned)random_below(random, BYTES_THREADS_MAX);
    size_t count = random_one_in(random, 2) ? 1 : BYTES_OPS_MAX;
    struct place from;

    if (!find_place(program, random, &from) || from.thread == to) {
        return;
    }
    while (count-- > 0 && from.index < from.list->op_count) {
        if (!program_add(program, to, &from.list->ops[from.index])) {
            return;
        }
        remove_ops(&from, 1);
    }
}

/* Another call on the same slot, with the parameters that it needs. */
static void
change_kind(struct program *program, struct random *random)
{
    struct place place;

    if (!find_place(program, random, &place)) {
        return;
    }
    struct op old = place.list->ops[place.index];
    struct op op = any_op(program, random);
    op.slot = op_shapes[old.kind].has_slot ? old.slot : op.slot;
    op.size = op_shapes[old.kind].has_size ? old.size : op.size;
    remove_ops(&place, 1);
    insert_op(program, &place, &op);
}

static void
change_slot(struct program *program, struct random *random)
{
    struct op *op = find_op(program, random);

    if (op != NULL && op_shapes[op->kind].has_slot) {
        op->slot = (uint32_t)random_below(random, program->slot_count);
    }
}

static uint64_t
nudge(struct program *program, uint64_t size, struct random *random)
{
    switch (random_below(random, 6)) {
    case 0:
        return size + random_below(random, 3) - 1;
    case 1:
        return size + random_below(random, 65) - 32;
    case 2:
        return size * 2;
    case 3:
        return size / 2;
    case 4:
        return any_size(random);
    default:
        return some_size(program, random);
    }
}

static void
change_size(struct program *program, struct random *random)
{
    struct op *op = find_op(program, random);

    if (op != NULL && op_shapes[op->kind].has_size) {
        op->size = nudge(program, op->size, random);
    }
}

/* All of one size change together: a row stays a row. */
static void
change_equal_sizes(struct program *program, struct random *random)
{
    const struct op *chosen = find_op(program, random);

    if (chosen == NULL || !op_shapes[chosen->kind].has_size) {
        return;
    }
    uint64_t old_size = chosen->size;
    uint64_t new_size = nudge(program, old_size, random);
    for (unsigned t = 0; t < program->thread_count; t++) {
        for (size_t i = 0; i < program->threads[t].op_count; i++) {
            struct op *op = &program->threads[t].ops[i];

            if (op_shapes[op->kind].has_size && op->size == old_size) {
                op->size = new_size;
            }
        }
    }
}

static void
change_count_or_align(struct program *program, struct random *random)
{
    struct op *op = find_op(program, random);

    if (op != NULL && op_shapes[op->kind].has_count) {
        op->count = random_one_in(random, 8) ? any_size(random)
                                             : random_below(random, 40);
    }
    if (op != NULL && op_shapes[op->kind].has_align) {
        op->align = any_align(random);
    }
}

static void
change_schedule(struct program *program, struct random *random)
{
    size_t count = program->schedule_count;

    if (count == 0 || random_one_in(random, 3)) {
        for (uint64_t left = run_length(random);
             left > 0 && program->schedule_count < BYTES_SCHEDULE_MAX; left--) {
            program_add_schedule(program, (uint8_t)random_below(random, 4));
        }
        return;
    }
    size_t index = random_below(random, count);
    if (random_one_in(random, 3)) {
        memmove(&program->schedule[index], &program->schedule[index + 1],
            count - index - 1);
        program->schedule_count--;
    } else {
        program->schedule[index] = (uint8_t)random_below(random, 4);
    }
}

static void
change_faults(struct program *program, struct random *random)
{
    struct fault fault = {
        .kind = FAULT_OS,
        .every = random_one_in(random, 4),
        .n = random_log_between(random, 1, 64),
    };

    if (program->fault_count > 0 && random_one_in(random, 2)) {
        program->fault_count--;
    } else if (program->fault_count < BYTES_FAULTS_MAX) {
        program_add_fault(program, &fault);
    }
}

typedef void change_fn(struct program *program, struct random *random);

/* One line, one share. */
static change_fn *const changes[] = {
    add_op,
    add_op,
    add_op,
    add_row,
    add_refill,
    drop_ops,
    drop_ops,
    drop_ops,
    drop_ops,
    copy_run,
    copy_run,
    swap_ops,
    move_to_thread,
    change_kind,
    change_slot,
    change_slot,
    change_size,
    change_size,
    change_size,
    change_equal_sizes,
    change_count_or_align,
    change_schedule,
    change_faults,
};

void
mutate_program(struct program *program, struct random *random)
{
    do {
        uint64_t i = random_below(random, sizeof(changes) / sizeof(changes[0]));
        changes[i](program, random);
    } while (random_one_in(random, 2));
}

void
mutate_shrink(
    struct program *program, struct random *random, size_t op_count_max)
{
    struct place place;

    while (program_op_count(program) > op_count_max &&
           find_place(program, random, &place)) {
        remove_ops(&place, program_op_count(program) - op_count_max);
    }
}

/* Adds list[first .. end - 1], as far as there is room. */
static void
add_part(struct program *child, unsigned thread, const struct thread_ops *list,
    size_t first, size_t end)
{
    for (size_t i = first; i < end && i < list->op_count; i++) {
        if (program_op_count(child) >= BYTES_OPS_MAX ||
            !program_add(child, thread, &list->ops[i])) {
            return;
        }
    }
}

/* Each thread's list is the start of one parent's and the end of the other's;
 * schedule and faults come from one of them. */
void
mutate_cross(struct program *child, const struct program *mother,
    const struct program *father, struct random *random)
{
    unsigned thread_count = mother->thread_count > father->thread_count
                                ? mother->thread_count
                                : father->thread_count;
    const struct program *other = random_one_in(random, 2) ? mother : father;

    program_clear(child);
    for (unsigned t = 0; t < thread_count; t++) {
        const struct thread_ops *head = &mother->threads[t];
        const struct thread_ops *tail = &father->threads[t];

        add_part(child, t, head, 0, random_below(random, head->op_count + 1));
        add_part(child, t, tail, random_below(random, tail->op_count + 1),
            tail->op_count);
    }
    for (size_t i = 0; i < other->schedule_count; i++) {
        program_add_schedule(child, other->schedule[i]);
    }
    for (size_t i = 0; i < other->fault_count; i++) {
        program_add_fault(child, &other->faults[i]);
    }
}
