/*
 * calm.c - schedules with fewer preemptions (contract: calm.h)
 *
 * A random walk preempts at every other point, and the choices of a program that
 * has lost an operation mean something else. Both are cured by looking at a
 * schedule as stretches of threads (observe/strategy.h): a stretch that goes
 * leaves its work to its thread's next one, and a stretch ends at a place that
 * its thread's own operations count, which those of other threads do not shift.
 *
 * What is tried: large parts of the schedule are left out; then what preempts
 * is left out, many at a time and at last one by one; a preempted thread does
 * at once what it did later, or later what it did at once; and loads read the
 * newest store.
 */
#include "run/calm.h"

#include <string.h>

#define PARTS 32 /* of a schedule, that are tried without */

static struct strategy_stretches follower;
static struct stretches calm;  /* the kept run's */
static struct stretches trial; /* what is tried instead */

/* The kept run again, as stretches. */
static bool
record_kept(struct minimal *minimal)
{
    struct strategy_replay replay;
    strategy_replay_init(&replay, minimal->bytes, minimal->byte_count);
    strategy_stretches_record(&follower, &replay.base);
    const struct observe_verdict *verdict =
        minimal_run(minimal, minimal->kept, &follower.base);
    calm = follower.made;
    return verdict->kind == minimal->verdict.kind && !calm.is_cut;
}

/* Keeps what the trial makes if that costs less, or as much in fewer
 * stretches. */
static bool
try_calmer(struct minimal *minimal)
{
    strategy_stretches_follow(&follower, &trial);
    const struct observe_verdict *verdict =
        minimal_run(minimal, minimal->kept, &follower.base);
    const struct observe_stats *stats = observe_stats();
    uint64_t now = stats->preemptions + stats->stale_loads;
    if (verdict->kind != minimal->verdict.kind || follower.made.is_cut ||
        now > minimal_cost(minimal) ||
        (now == minimal_cost(minimal) && follower.made.count >= calm.count)) {
        return false;
    }
    minimal_keep(minimal, verdict);
    calm = follower.made;
    return true;
}

static void
take_out(struct stretch *list, unsigned *count, unsigned first, unsigned size)
{
    memmove(list + first, list + first + size,
        (*count - first - size) * sizeof(*list));
    *count -= size;
}

/* The last `count` stretches before `*end` that were preempted: what came in
 * between is left to the next stretch of its thread. */
static void
take_out_preemptors(unsigned *end, unsigned count)
{
    unsigned at = *end;
    while (at > 0 && count > 0) {
        at--;
        if (trial.list[at].is_preempted && at + 1 < trial.count) {
            take_out(trial.list, &trial.count, at + 1, 1);
            count--;
        }
    }
    *end = at;
}

static unsigned
count_preempted(const struct stretches *stretches)
{
    unsigned count = 0;
    for (unsigned i = 0; i < stretches->count; i++) {
        count += stretches->list[i].is_preempted;
    }
    return count;
}

/* Does without preemptions, the last ones first, by ever smaller numbers. */
static void
drop_preemptions(struct minimal *minimal)
{
    for (unsigned size = count_preempted(&calm); size > 0; size /= 2) {
        unsigned end = calm.count;
        while (end > 0 && !minimal_is_over(minimal)) {
            trial = calm;
            take_out_preemptors(&end, size);
            try_calmer(minimal);
            end = end < calm.count ? end : calm.count;
        }
    }
}

/* Does without parts of that size of one of the trial's lists, the last ones
 * first; `kept` is how long that list of the kept run is. */
static void
drop_parts(struct minimal *minimal, struct stretch *list, unsigned *count,
    const unsigned *kept, unsigned size)
{
    unsigned left = *kept;
    while (left >= size && !minimal_is_over(minimal)) {
        left -= size;
        trial = calm;
        take_out(list, count, left, size);
        try_calmer(minimal);
        left = left < *kept ? left : *kept;
    }
}

/* Threads that wait for each other may take turns for long: large parts of the
 * schedule go at once, and only a schedule of few stretches is tried by each. */
static void
drop_stretches(struct minimal *minimal)
{
    for (unsigned size = calm.count / 2;
         size > 0 && (size >= calm.count / PARTS || calm.count <= PARTS * 2);
         size /= 2) {
        drop_parts(minimal, trial.list, &trial.count, &calm.count, size);
    }
}

static void
drop_stale_loads(struct minimal *minimal)
{
    for (unsigned size = calm.stale_count; size > 0; size /= 2) {
        drop_parts(
            minimal, trial.stales, &trial.stale_count, &calm.stale_count, size);
    }
}

/* A thread that was preempted does in that stretch what it did in its next as
 * well, or nothing before the next. */
static void
join_stretches(struct minimal *minimal)
{
    for (unsigned i = 0; i < calm.count && !minimal_is_over(minimal); i++) {
        unsigned next = i + 1;
        while (next < calm.count &&
               calm.list[next].thread != calm.list[i].thread) {
            next++;
        }
        if (!calm.list[i].is_preempted || next == calm.count) {
            continue;
        }
        trial = calm;
        trial.list[i].until = trial.list[next].until;
        take_out(trial.list, &trial.count, next, 1);
        if (!try_calmer(minimal)) {
            trial = calm;
            take_out(trial.list, &trial.count, i, 1);
            try_calmer(minimal);
        }
    }
}

void
calm_make(struct minimal *minimal)
{
    if (minimal_cost(minimal) == 0 || !record_kept(minimal)) {
        return;
    }
    unsigned before;
    do {
        before = minimal_cost(minimal);
        drop_stretches(minimal);
        drop_preemptions(minimal);
        join_stretches(minimal);
        drop_stale_loads(minimal);
    } while (minimal_cost(minimal) < before && !minimal_is_over(minimal));
}

/* Where the program's thread has that operation of the kept program's: the
 * operations of the one are among those of the other, in their order. */
static size_t
map_op(const struct thread_ops *kept, const struct thread_ops *list, size_t op)
{
    size_t to = 0;
    if (kept->op_count == list->op_count) {
        return op;
    }
    for (size_t i = 0; i < op && i < kept->op_count; i++) {
        to += to < list->op_count &&
              program_op_equal(&kept->ops[i], &list->ops[to]);
    }
    return to;
}

static bool
is_within(const struct thread_ops *list, const struct thread_ops *kept)
{
    return list->op_count <= kept->op_count &&
           map_op(kept, list, kept->op_count) == list->op_count;
}

/* Which thread of the program each of the kept program's is; or none. */
static void
map_threads(const struct program *kept, const struct program *program,
    uint8_t to[OBSERVE_THREADS_MAX])
{
    unsigned next = 0;
    for (unsigned i = 0; i < kept->thread_count; i++) {
        bool same = kept->thread_count == program->thread_count ||
                    (next < program->thread_count &&
                        is_within(&program->threads[next], &kept->threads[i]));
        to[i] = same ? (uint8_t)next++ : OBSERVE_THREADS_MAX;
    }
}

static unsigned
map_stretches(const struct program *kept, const struct program *program,
    struct stretch *list, unsigned count)
{
    uint8_t to[OBSERVE_THREADS_MAX];
    unsigned mapped = 0;
    map_threads(kept, program, to);
    for (unsigned i = 0; i < count; i++) {
        struct stretch stretch = list[i];
        uint64_t op = stretch.until >> 32;
        unsigned thread = stretch.thread;
        if (thread < kept->thread_count) {
            stretch.thread = to[thread];
        } else { /* made by the target, or for the end */
            stretch.thread += program->thread_count - kept->thread_count;
        }
        if (stretch.thread < program->thread_count && op > 0) {
            op -= map_op(&kept->threads[thread],
                &program->threads[stretch.thread], op - 1);
            stretch.until -= (op - 1) << 32;
        }
        if (stretch.thread < OBSERVE_THREADS_MAX) {
            list[mapped++] = stretch;
        }
    }
    return mapped;
}

bool
calm_try(struct minimal *minimal, const struct program *program)
{
    const struct program *kept = minimal->kept;
    if (!record_kept(minimal)) {
        return false;
    }
    trial = calm;
    trial.count = map_stretches(kept, program, trial.list, trial.count);
    trial.stale_count =
        map_stretches(kept, program, trial.stales, trial.stale_count);
    strategy_stretches_follow(&follower, &trial);
    return minimal_try(minimal, program, &follower.base);
}
