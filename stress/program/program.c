/*
 * program.c - the heap program (contract: program.h)
 *
 * Three growing arrays: one of operations for each thread, the schedule, the
 * faults. Operations are of one size, 32 bytes, although most kinds use less
 * than half: they are read at random by the minimiser and the mutator, and a
 * million of them are 32 MB.
 *
 * Invariants, always; program_check() asserts each:
 *   I1  Threads, slots and kinds are within their limits, and every slot named
 *       is below slot_count.
 *   I2  A parameter that a kind does not have is 0, so that programs which mean
 *       the same are equal.
 *   I3  Threads from thread_count on have no operations, but may have storage.
 *   I4  A fault's n is at least 1.
 */
#include "program/program.h"

#include <assert.h>
#include <string.h>

#include "base/check.h"
#include "base/machine.h"
#include "base/pages.h"
#include "program/mapped.h"

/* Larger blocks are touched at their ends and here and there. */
#define WHOLE_MAX     ((size_t)4 << 20)
#define LARGE_TOUCHED ((size_t)64 << 10)

#define SLOT  .has_slot = true
#define SIZE  .has_size = true
#define COUNT .has_count = true
#define ALIGN .has_align = true
#define MAKES .allocates = true

const struct op_shape op_shapes[OP_KIND_COUNT] = {
    [OP_MALLOC] = {.name = "malloc", SLOT, SIZE, MAKES},
    [OP_CALLOC] = {.name = "calloc", SLOT, COUNT, SIZE, MAKES},
    [OP_REALLOC] = {.name = "realloc", SLOT, SIZE, MAKES},
    [OP_REALLOCARRAY] = {.name = "reallocarray", SLOT, COUNT, SIZE, MAKES},
    [OP_MEMALIGN] = {.name = "memalign", SLOT, ALIGN, SIZE, MAKES},
    [OP_ALIGNED_ALLOC] = {.name = "aligned_alloc", SLOT, ALIGN, SIZE, MAKES},
    [OP_POSIX_MEMALIGN] = {.name = "posix_memalign", SLOT, ALIGN, SIZE, MAKES},
    [OP_VALLOC] = {.name = "valloc", SLOT, SIZE, MAKES},
    [OP_PVALLOC] = {.name = "pvalloc", SLOT, SIZE, MAKES},
    [OP_FREE] = {.name = "free", SLOT},
    [OP_FREE_SIZED] = {.name = "free_sized", SLOT},
    [OP_FREE_ALIGNED_SIZED] = {.name = "free_aligned_sized", SLOT},
    [OP_USABLE_SIZE] = {.name = "usable_size", SLOT},
    [OP_TOUCH] = {.name = "touch", SLOT},
    [OP_WAIT] = {.name = "wait", SLOT},
    [OP_TRIM] = {.name = "trim", SIZE},
    [OP_STATS] = {.name = "stats"},
    [OP_YIELD] = {.name = "yield"},
    [OP_TIME] = {.name = "time", SIZE},
    [OP_EXIT] = {.name = "exit"},
    [OP_FORK] = {.name = "fork"},
};

static_assert(sizeof(struct op) == 32, "as the opening says");

struct program *
program_new(void)
{
    return machine_kernel.map(
        NULL, pages_round_up(sizeof(struct program)), true);
}

void
program_delete(struct program *program)
{
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        struct thread_ops *thread = &program->threads[i];

        mapped_drop(&thread->ops, &thread->op_capacity, sizeof(struct op));
    }
    mapped_drop(&program->schedule, &program->schedule_capacity, 1);
    mapped_drop(
        &program->faults, &program->fault_capacity, sizeof(struct fault));
    machine_kernel.unmap(program, pages_round_up(sizeof(*program)));
}

void
program_clear(struct program *program)
{
    for (unsigned i = 0; i < program->thread_count; i++) {
        program->threads[i].op_count = 0;
    }
    program->thread_count = 0;
    program->slot_count = 0;
    program->schedule_count = 0;
    program->fault_count = 0;
    program->seed = 0;
    program->has_seed = false;
    program->target[0] = '\0';
    program->scenario[0] = '\0';
    program->finding[0] = '\0';
    program->policy[0] = '\0';
}

void
program_copy_origin(struct program *to, const struct program *from)
{
    to->seed = from->seed;
    to->has_seed = from->has_seed;
    memcpy(to->target, from->target, sizeof(to->target));
    memcpy(to->scenario, from->scenario, sizeof(to->scenario));
    memcpy(to->finding, from->finding, sizeof(to->finding));
    memcpy(to->policy, from->policy, sizeof(to->policy));
}

/* Room for all that from holds, before anything is changed. */
static bool
reserve_as(struct program *to, const struct program *from)
{
    for (unsigned i = 0; i < from->thread_count; i++) {
        struct thread_ops *thread = &to->threads[i];

        if (!mapped_grow(&thread->ops, &thread->op_capacity,
                from->threads[i].op_count, sizeof(struct op))) {
            return false;
        }
    }
    return mapped_grow(&to->schedule, &to->schedule_capacity,
               from->schedule_count, 1) &&
           mapped_grow(&to->faults, &to->fault_capacity, from->fault_count,
               sizeof(struct fault));
}

static void
copy_array(void *to, const void *from, size_t count, size_t element_size)
{
    if (count > 0) {
        memcpy(to, from, count * element_size);
    }
}

bool
program_copy(struct program *to, const struct program *from)
{
    if (!reserve_as(to, from)) {
        return false;
    }
    program_clear(to);
    for (unsigned i = 0; i < from->thread_count; i++) {
        struct thread_ops *thread = &to->threads[i];

        thread->op_count = from->threads[i].op_count;
        copy_array(thread->ops, from->threads[i].ops, thread->op_count,
            sizeof(struct op));
    }
    copy_array(to->schedule, from->schedule, from->schedule_count, 1);
    copy_array(
        to->faults, from->faults, from->fault_count, sizeof(struct fault));
    to->thread_count = from->thread_count;
    to->slot_count = from->slot_count;
    to->schedule_count = from->schedule_count;
    to->fault_count = from->fault_count;
    program_copy_origin(to, from);
    return true;
}

bool
program_op_equal(const struct op *a, const struct op *b)
{
    return a->kind == b->kind && a->slot == b->slot && a->size == b->size &&
           a->count == b->count && a->align == b->align;
}

static bool
threads_equal(const struct thread_ops *a, const struct thread_ops *b)
{
    if (a->op_count != b->op_count) {
        return false;
    }
    for (size_t i = 0; i < a->op_count; i++) {
        if (!program_op_equal(&a->ops[i], &b->ops[i])) {
            return false;
        }
    }
    return true;
}

static bool
faults_equal(const struct program *a, const struct program *b)
{
    if (a->fault_count != b->fault_count) {
        return false;
    }
    for (size_t i = 0; i < a->fault_count; i++) {
        const struct fault *x = &a->faults[i];
        const struct fault *y = &b->faults[i];

        if (x->kind != y->kind || x->every != y->every || x->n != y->n) {
            return false;
        }
    }
    return true;
}

static bool
origins_equal(const struct program *a, const struct program *b)
{
    return a->has_seed == b->has_seed && a->seed == b->seed &&
           strcmp(a->target, b->target) == 0 &&
           strcmp(a->scenario, b->scenario) == 0 &&
           strcmp(a->finding, b->finding) == 0 &&
           strcmp(a->policy, b->policy) == 0;
}

bool
program_equal(const struct program *a, const struct program *b)
{
    if (a->thread_count != b->thread_count || a->slot_count != b->slot_count ||
        a->schedule_count != b->schedule_count) {
        return false;
    }
    for (unsigned i = 0; i < a->thread_count; i++) {
        if (!threads_equal(&a->threads[i], &b->threads[i])) {
            return false;
        }
    }
    return (a->schedule_count == 0 ||
               memcmp(a->schedule, b->schedule, a->schedule_count) == 0) &&
           faults_equal(a, b) && origins_equal(a, b);
}

/* I2. */
static struct op
normalise(const struct op *op)
{
    const struct op_shape *shape = &op_shapes[op->kind];

    return (struct op){
        .kind = op->kind,
        .slot = shape->has_slot ? op->slot : 0,
        .size = shape->has_size ? op->size : 0,
        .count = shape->has_count ? op->count : 0,
        .align = shape->has_align ? op->align : 0,
    };
}

bool
program_add(struct program *program, unsigned thread, const struct op *op)
{
    CHECK(thread < PROGRAM_THREADS_MAX && op->kind < OP_KIND_COUNT); /* I1 */
    struct thread_ops *list = &program->threads[thread];
    struct op normal = normalise(op);

    CHECK(normal.slot < PROGRAM_SLOTS_MAX); /* I1 */
    if (list->op_count == list->op_capacity &&
        !mapped_grow(&list->ops, &list->op_capacity, list->op_count + 1,
            sizeof(struct op))) {
        return false;
    }
    list->ops[list->op_count++] = normal;
    if (program->thread_count <= thread) {
        program->thread_count = thread + 1;
    }
    if (op_shapes[op->kind].has_slot && program->slot_count <= normal.slot) {
        program->slot_count = normal.slot + 1;
    }
    return true;
}

bool
program_add_schedule(struct program *program, uint8_t choice)
{
    size_t index = program->schedule_count;

    if (!mapped_grow(
            &program->schedule, &program->schedule_capacity, index + 1, 1)) {
        return false;
    }
    program->schedule[index] = choice;
    program->schedule_count = index + 1;
    return true;
}

bool
program_add_fault(struct program *program, const struct fault *fault)
{
    CHECK(fault->kind < FAULT_KIND_COUNT && fault->n > 0); /* I4 */
    size_t index = program->fault_count;

    if (!mapped_grow(&program->faults, &program->fault_capacity, index + 1,
            sizeof(struct fault))) {
        return false;
    }
    program->faults[index] = *fault;
    program->fault_count = index + 1;
    return true;
}

size_t
program_op_count(const struct program *program)
{
    size_t count = 0;

    for (unsigned i = 0; i < program->thread_count; i++) {
        count += program->threads[i].op_count;
    }
    return count;
}

static size_t
asked_of(const struct op *op)
{
    const struct op_shape *shape = &op_shapes[op->kind];
    uint64_t size = op->size;

    if (!shape->allocates ||
        (shape->has_count && __builtin_mul_overflow(size, op->count, &size))) {
        return 0;
    }
    return size <= WHOLE_MAX ? size : LARGE_TOUCHED;
}

size_t
program_asked_size(const struct program *program)
{
    size_t asked = 0;

    for (unsigned i = 0; i < program->thread_count; i++) {
        for (size_t j = 0; j < program->threads[i].op_count; j++) {
            asked += asked_of(&program->threads[i].ops[j]);
        }
    }
    return asked;
}

static void
check_op(const struct program *program, const struct op *op)
{
    CHECK(op->kind < OP_KIND_COUNT); /* I1 */
    const struct op_shape *shape = &op_shapes[op->kind];
    struct op normal = normalise(op);

    CHECK(!shape->has_slot || op->slot < program->slot_count); /* I1 */
    CHECK(program_op_equal(op, &normal));                      /* I2 */
}

void
program_check(const struct program *program)
{
    CHECK(program->thread_count <= PROGRAM_THREADS_MAX); /* I1 */
    CHECK(program->slot_count <= PROGRAM_SLOTS_MAX);     /* I1 */
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        const struct thread_ops *thread = &program->threads[i];

        CHECK(thread->op_count <= thread->op_capacity);
        CHECK(i < program->thread_count || thread->op_count == 0); /* I3 */
        for (size_t j = 0; j < thread->op_count; j++) {
            check_op(program, &thread->ops[j]);
        }
    }
    CHECK(program->schedule_count <= program->schedule_capacity);
    for (size_t i = 0; i < program->fault_count; i++) {
        CHECK(program->faults[i].kind < FAULT_KIND_COUNT); /* I4 */
        CHECK(program->faults[i].n > 0);                   /* I4 */
    }
}
