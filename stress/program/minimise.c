/*
 * minimise.c - makes a program small (contract: minimise.h)
 *
 * Delta debugging without its tests of subsets: chunks are taken away, from
 * half of all units down to single ones, from the end towards the front, since
 * what follows the finding is never needed. One loop serves all that can be
 * taken away; a unit is a thread, a slot with all its operations, an operation,
 * a choice of the schedule or a fault. Whole threads and slots go first: they
 * are how a heap program falls apart, and cost few tries.
 *
 * Removal keeps a program valid by the program's own rules (program.h), so no
 * dependency between operations has to be known. The full algorithm, which
 * tests subsets too, finds nothing more here and doubles the tries.
 *
 * Invariant, between any two tries:
 *   I1  best shows the finding. It is replaced or changed only by what shows()
 *       has accepted; a change in place that it refuses is taken back.
 */
#include "program/minimise.h"

#include <string.h>

#include "base/machine.h"
#include "program/mapped.h"

#define PAIRS_OPS_MAX    24 /* up to here, pairs of operations are tried */
#define FAULTS_TRIED_MAX 64 /* a fault's n is tried from 1 up to here */

enum unit_kind { UNIT_THREAD, UNIT_SLOT, UNIT_OP, UNIT_CHOICE, UNIT_FAULT };

struct job {
    const struct minimise_options *options;
    struct minimise_status *status;
    uint64_t deadline_ns;
    bool spent;            /* no more tries */
    struct program *best;  /* I1 */
    struct program *trial; /* the next candidate */
    uint32_t *slot_ranks;  /* of best: slot -> its place among those in use */
    size_t slot_rank_capacity;
};

static void
tell(struct job *job)
{
    job->status->op_count = program_op_count(job->best);
    job->status->thread_count = job->best->thread_count;
    if (job->options->progress != NULL) {
        job->options->progress(job->status, job->options->arg);
    }
}

/* Runs a candidate, unless the budget is used up. */
static bool
shows(struct job *job, const struct program *candidate)
{
    const struct minimise_options *options = job->options;

    if (options->try_max != 0 && job->status->try_count >= options->try_max) {
        job->spent = true;
    }
    if (options->time_ns != 0 &&
        machine_kernel.clock_ns() >= job->deadline_ns) {
        job->spent = true;
    }
    if (job->spent) {
        return false;
    }
    job->status->try_count++;
    return options->shows(candidate, options->arg);
}

/* Makes the trial the best if it shows the finding. */
static bool
try_trial(struct job *job)
{
    if (!shows(job, job->trial)) {
        return false;
    }
    struct program *old = job->best;

    job->best = job->trial;
    job->trial = old;
    tell(job);
    return true;
}

/* Changes one operation of best in place; takes it back unless it shows. */
static bool
try_op(struct job *job, struct op *op, struct op changed)
{
    struct op saved = *op;

    if (program_op_equal(op, &changed)) {
        return false;
    }
    *op = changed;
    if (shows(job, job->best)) {
        tell(job);
        return true;
    }
    *op = saved;
    return false;
}

/* Memory that runs out ends the search like any budget. */
static bool
need(struct job *job, bool got)
{
    job->spent = job->spent || !got;
    return got;
}

/* Fills slot_ranks for best; returns how many slots are in use. */
static size_t
rank_slots(struct job *job)
{
    const struct program *best = job->best;
    uint32_t count = 0;

    if (best->slot_count == 0 ||
        !need(job, mapped_grow(&job->slot_ranks, &job->slot_rank_capacity,
                       best->slot_count, sizeof(uint32_t)))) {
        return 0;
    }
    memset(job->slot_ranks, 0, best->slot_count * sizeof(uint32_t));
    for (unsigned t = 0; t < best->thread_count; t++) {
        for (size_t i = 0; i < best->threads[t].op_count; i++) {
            const struct op *op = &best->threads[t].ops[i];

            if (op_shapes[op->kind].has_slot) {
                job->slot_ranks[op->slot] = 1;
            }
        }
    }
    for (uint32_t slot = 0; slot < best->slot_count; slot++) {
        if (job->slot_ranks[slot] != 0) {
            job->slot_ranks[slot] = count++;
        }
    }
    return count;
}

static size_t
count_units(struct job *job, enum unit_kind kind)
{
    switch (kind) {
    case UNIT_THREAD:
        return job->best->thread_count;
    case UNIT_SLOT:
        return rank_slots(job);
    case UNIT_OP:
        return program_op_count(job->best);
    case UNIT_CHOICE:
        return job->best->schedule_count;
    case UNIT_FAULT:
        return job->best->fault_count;
    }
    return 0;
}

/* Units first .. end - 1 of a kind, and one more, or NO_UNIT. */
struct chunk {
    enum unit_kind kind;
    size_t first, end;
    size_t more;
};

#define NO_UNIT SIZE_MAX

static bool
chunk_has(const struct chunk *chunk, enum unit_kind kind, size_t unit)
{
    return chunk->kind == kind &&
           ((unit >= chunk->first && unit < chunk->end) || unit == chunk->more);
}

/* True when the operation goes with the chunk; index counts all threads'. */
static bool
chunk_has_op(const struct job *job, const struct chunk *chunk,
    const struct op *op, size_t index)
{
    return chunk_has(chunk, UNIT_OP, index) ||
           (chunk->kind == UNIT_SLOT && op_shapes[op->kind].has_slot &&
               chunk_has(chunk, UNIT_SLOT, job->slot_ranks[op->slot]));
}

/* The trial becomes the threads of best without the chunk. */
static bool
copy_threads(struct job *job, const struct chunk *chunk)
{
    const struct program *best = job->best;
    unsigned thread_count = 0;
    size_t index = 0;

    for (unsigned t = 0; t < best->thread_count; t++) {
        bool kept = !chunk_has(chunk, UNIT_THREAD, t);

        for (size_t i = 0; i < best->threads[t].op_count; i++, index++) {
            const struct op *op = &best->threads[t].ops[i];

            if (kept && !chunk_has_op(job, chunk, op, index) &&
                !program_add(job->trial, thread_count, op)) {
                return false;
            }
        }
        thread_count += kept;
    }
    job->trial->thread_count = thread_count;
    return true;
}

static bool
copy_without(struct job *job, const struct chunk *chunk)
{
    const struct program *best = job->best;

    program_clear(job->trial);
    program_copy_origin(job->trial, best);
    if (!copy_threads(job, chunk)) {
        return false;
    }
    for (size_t i = 0; i < best->schedule_count; i++) {
        if (!chunk_has(chunk, UNIT_CHOICE, i) &&
            !program_add_schedule(job->trial, best->schedule[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < best->fault_count; i++) {
        if (!chunk_has(chunk, UNIT_FAULT, i) &&
            !program_add_fault(job->trial, &best->faults[i])) {
            return false;
        }
    }
    return true;
}

static bool
try_without(struct job *job, const struct chunk *chunk)
{
    if (chunk->kind == UNIT_SLOT) {
        rank_slots(job);
    }
    return need(job, copy_without(job, chunk)) && try_trial(job);
}

/* One pass from the end to the front with chunks of that size. */
static bool
remove_chunks(struct job *job, enum unit_kind kind, size_t chunk_size)
{
    size_t end = count_units(job, kind);
    bool removed = false;

    while (end > 0 && !job->spent) {
        size_t first = end > chunk_size ? end - chunk_size : 0;
        struct chunk chunk = {kind, first, end, NO_UNIT};

        removed |= try_without(job, &chunk);
        end = first;
    }
    return removed;
}

static bool
remove_units(struct job *job, enum unit_kind kind)
{
    size_t chunk_size = count_units(job, kind);
    bool removed = false;

    /* A schedule or faults may go as a whole; of the rest something stays. */
    if (kind != UNIT_CHOICE && kind != UNIT_FAULT) {
        chunk_size = (chunk_size + 1) / 2;
    }
    for (; chunk_size > 0 && !job->spent; chunk_size /= 2) {
        removed |= remove_chunks(job, kind, chunk_size);
    }
    return removed;
}

/* Removes two operations that must go together: an allocation and its free,
 * for one, when the slot would keep another block. */
static bool
remove_pairs(struct job *job)
{
    size_t op_count = program_op_count(job->best);
    bool removed = false;

    if (op_count > PAIRS_OPS_MAX) {
        return false;
    }
    for (size_t last = op_count; last-- > 1;) {
        for (size_t first = last; first-- > 0 && !job->spent;) {
            struct chunk pair = {UNIT_OP, first, first + 1, last};

            if (try_without(job, &pair)) {
                removed = true;
                last--; /* the operation before it is the last one now */
                break;
            }
        }
    }
    return removed;
}

/* The trial becomes best with all operations in thread 0, in the order in
 * which an inline runner without a schedule plays them: by turns. */
static bool
merge_by_turns(struct job *job)
{
    const struct program *best = job->best;
    size_t added = 1;

    program_clear(job->trial);
    program_copy_origin(job->trial, best);
    for (size_t i = 0; added > 0; i++) {
        added = 0;
        for (unsigned t = 0; t < best->thread_count; t++) {
            if (i < best->threads[t].op_count) {
                added++;
                if (!program_add(job->trial, 0, &best->threads[t].ops[i])) {
                    return false;
                }
            }
        }
    }
    for (size_t i = 0; i < best->fault_count; i++) {
        if (!program_add_fault(job->trial, &best->faults[i])) {
            return false;
        }
    }
    return true;
}

/* The trial becomes best with thread `from` played after thread `to`. */
static bool
merge_two(struct job *job, unsigned to, unsigned from)
{
    struct program *trial = job->trial;

    if (!program_copy(trial, job->best)) {
        return false;
    }
    const struct thread_ops *list = &job->best->threads[from];
    for (size_t i = 0; i < list->op_count; i++) {
        if (!program_add(trial, to, &list->ops[i])) {
            return false;
        }
    }
    /* The storage of the list moves to the end, where lists are unused. */
    struct thread_ops emptied = trial->threads[from];
    emptied.op_count = 0;
    trial->thread_count--;
    for (unsigned t = from; t < trial->thread_count; t++) {
        trial->threads[t] = trial->threads[t + 1];
    }
    trial->threads[trial->thread_count] = emptied;
    return true;
}

static bool
merge_threads(struct job *job)
{
    bool merged = false;

    if (job->best->thread_count < 2) {
        return false;
    }
    if (need(job, merge_by_turns(job)) && try_trial(job)) {
        return true;
    }
    for (unsigned from = job->best->thread_count; from-- > 1 && !job->spent;) {
        for (unsigned to = from; to-- > 0;) {
            if (need(job, merge_two(job, to, from)) && try_trial(job)) {
                merged = true;
                break;
            }
        }
    }
    return merged;
}

/* Slots become 0, 1, 2 ... in the order of their numbers. */
static bool
renumber_slots(struct job *job)
{
    size_t count = rank_slots(job);
    struct program *trial = job->trial;

    if (count == job->best->slot_count ||
        !need(job, program_copy(trial, job->best))) {
        return false;
    }
    for (unsigned t = 0; t < trial->thread_count; t++) {
        for (size_t i = 0; i < trial->threads[t].op_count; i++) {
            struct op *op = &trial->threads[t].ops[i];

            if (op_shapes[op->kind].has_slot) {
                op->slot = job->slot_ranks[op->slot];
            }
        }
    }
    trial->slot_count = (uint32_t)count;
    return try_trial(job);
}

/* For each call the one that does much the same and asks for less. */
static const struct {
    uint8_t from, to;
} simpler_calls[] = {
    {OP_CALLOC, OP_MALLOC},
    {OP_REALLOC, OP_MALLOC},
    {OP_REALLOCARRAY, OP_REALLOC},
    {OP_MEMALIGN, OP_MALLOC},
    {OP_ALIGNED_ALLOC, OP_MEMALIGN},
    {OP_POSIX_MEMALIGN, OP_MEMALIGN},
    {OP_VALLOC, OP_MALLOC},
    {OP_PVALLOC, OP_VALLOC},
    {OP_FREE_SIZED, OP_FREE},
    {OP_FREE_ALIGNED_SIZED, OP_FREE},
};

/* The operation with count * size as its size; unchanged on overflow. */
static struct op
fold_count(const struct op *op)
{
    struct op folded = *op;

    if (op_shapes[op->kind].has_count &&
        !__builtin_mul_overflow(op->count, op->size, &folded.size)) {
        folded.count = 1;
        return folded;
    }
    return *op;
}

static bool
simplify_call(struct job *job, struct op *op)
{
    bool changed = try_op(job, op, fold_count(op));

    for (size_t i = 0; i < sizeof(simpler_calls) / sizeof(simpler_calls[0]);
         i++) {
        struct op simpler = *op;

        if (op->kind != simpler_calls[i].from) {
            continue;
        }
        simpler.kind = simpler_calls[i].to;
        simpler.align = op_shapes[simpler.kind].has_align ? op->align : 0;
        simpler.count = op_shapes[simpler.kind].has_count ? op->count : 0;
        if (!op_shapes[op->kind].has_count || op->count == 1) {
            changed |= try_op(job, op, simpler);
        }
    }
    return changed;
}

/* Which of an operation's numbers. */
enum field { FIELD_SIZE, FIELD_COUNT, FIELD_ALIGN };

static uint64_t
get_field(const struct op *op, enum field field)
{
    return field == FIELD_SIZE    ? op->size
           : field == FIELD_COUNT ? op->count
                                  : op->align;
}

static bool
try_field(struct job *job, struct op *op, enum field field, uint64_t value)
{
    struct op changed = *op;

    switch (field) {
    case FIELD_SIZE:
        changed.size = value;
        break;
    case FIELD_COUNT:
        changed.count = value;
        break;
    case FIELD_ALIGN:
        changed.align = value;
        break;
    }
    return try_op(job, op, changed);
}

/* Towards the smallest power of two that shows it; where none does, towards
 * the smallest number. Zero is no simpler than one: it is a case of its own. */
static bool
shrink_field(struct job *job, struct op *op, enum field field)
{
    uint64_t old = get_field(op, field);
    uint64_t power = 1;

    for (; power < old; power *= 2) {
        if (try_field(job, op, field, power)) {
            return true;
        }
        if (power > old / 2) {
            break;
        }
    }
    bool is_power = (old & (old - 1)) == 0;
    if (is_power || field == FIELD_ALIGN) {
        return false;
    }
    uint64_t low = power; /* does not show it */
    while (get_field(op, field) - low > 1 && !job->spent) {
        uint64_t middle = low + (get_field(op, field) - low) / 2;

        if (!try_field(job, op, field, middle)) {
            low = middle;
        }
    }
    return get_field(op, field) != old;
}

/* All sizes at once, which for a long program saves most tries. */
static bool
cap_sizes(struct job *job, uint64_t cap)
{
    struct program *trial = job->trial;
    bool differs = false;

    if (!need(job, program_copy(trial, job->best))) {
        return false;
    }
    for (unsigned t = 0; t < trial->thread_count; t++) {
        for (size_t i = 0; i < trial->threads[t].op_count; i++) {
            struct op *op = &trial->threads[t].ops[i];

            differs |= op->size > cap;
            op->size = op->size > cap ? cap : op->size;
        }
    }
    return differs && try_trial(job);
}

static bool
simplify_ops(struct job *job)
{
    static const uint64_t caps[] = {1, 16, 64, 1024, 65536};
    bool changed = false;

    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]) && !changed; i++) {
        changed = cap_sizes(job, caps[i]);
    }
    for (unsigned t = 0; t < job->best->thread_count; t++) {
        struct thread_ops *list = &job->best->threads[t];

        for (size_t i = 0; i < list->op_count && !job->spent; i++) {
            changed |= simplify_call(job, &list->ops[i]);
            changed |= shrink_field(job, &list->ops[i], FIELD_ALIGN);
            changed |= shrink_field(job, &list->ops[i], FIELD_COUNT);
            changed |= shrink_field(job, &list->ops[i], FIELD_SIZE);
        }
    }
    return changed;
}

/* Choices become 0, and faults happen once and early, where that shows it. */
static bool
simplify_schedule(struct job *job)
{
    struct program *best = job->best;
    bool changed = false;

    for (size_t i = 0; i < best->schedule_count && !job->spent; i++) {
        uint8_t old = best->schedule[i];

        best->schedule[i] = 0;
        if (old != 0 && shows(job, best)) {
            changed = true;
        } else {
            best->schedule[i] = old; /* I1 */
        }
    }
    return changed;
}

static bool
simplify_faults(struct job *job)
{
    struct program *best = job->best;
    bool changed = false;

    for (size_t i = 0; i < best->fault_count && !job->spent; i++) {
        struct fault *fault = &best->faults[i];
        struct fault old = *fault;

        fault->every = false;
        if (!old.every || !shows(job, best)) {
            fault->every = old.every; /* I1 */
        }
        uint64_t tried_max =
            old.n < FAULTS_TRIED_MAX ? old.n : FAULTS_TRIED_MAX;

        fault->n = 1;
        while (fault->n < tried_max && !shows(job, best)) {
            fault->n++;
        }
        if (fault->n == tried_max) {
            fault->n = old.n; /* I1 */
        }
        changed |= fault->n != old.n || fault->every != old.every;
    }
    return changed;
}

static bool
run_round(struct job *job)
{
    bool changed = false;

    changed |= remove_units(job, UNIT_THREAD);
    changed |= remove_units(job, UNIT_SLOT);
    changed |= remove_units(job, UNIT_OP);
    changed |= merge_threads(job);
    changed |= remove_pairs(job);
    changed |= simplify_ops(job);
    changed |= renumber_slots(job);
    changed |= remove_units(job, UNIT_CHOICE);
    changed |= simplify_schedule(job);
    changed |= remove_units(job, UNIT_FAULT);
    changed |= simplify_faults(job);
    return changed;
}

static bool
job_init(struct job *job, const struct program *program)
{
    job->deadline_ns = machine_kernel.clock_ns() + job->options->time_ns;
    job->best = program_new();
    job->trial = program_new();
    return job->best != NULL && job->trial != NULL &&
           program_copy(job->best, program);
}

static void
job_fini(struct job *job)
{
    if (job->best != NULL) {
        program_delete(job->best);
    }
    if (job->trial != NULL) {
        program_delete(job->trial);
    }
    mapped_drop(&job->slot_ranks, &job->slot_rank_capacity, sizeof(uint32_t));
}

enum minimise_end
minimise(struct program *program, const struct minimise_options *options,
    struct minimise_status *status)
{
    struct job job = {.options = options, .status = status};
    enum minimise_end end = MINIMISE_DONE;

    memset(status, 0, sizeof(*status));
    if (!job_init(&job, program)) {
        end = MINIMISE_BUDGET;
    } else if (!shows(&job, job.best)) {
        end = MINIMISE_NOT_SHOWN;
    } else {
        while (run_round(&job)) {
        }
        end = job.spent ? MINIMISE_BUDGET : MINIMISE_DONE;
        if (!program_copy(program, job.best)) {
            end = MINIMISE_BUDGET; /* the program is as it was */
        }
    }
    status->op_count = program_op_count(program);
    status->thread_count = program->thread_count;
    job_fini(&job);
    return end;
}
