/*
 * stretches.c - a schedule as stretches of threads (contract: strategy.h)
 *
 * Choices as bytes mean something only after all choices before them: one that
 * is taken away gives every later one to another question. A stretch names a
 * thread and how far that thread comes, counted by its own operations and points,
 * and so keeps its meaning when other stretches go. A thread whose stretch is taken away does
 * the same work in its next one.
 *
 * A stretch is left when its thread has come so far or cannot go on; what is
 * beyond the last one is plain. The strategy writes down the stretches that come
 * of it, since threads that block or wait make others.
 */
#include <stdio.h>

#include "observe/strategy.h"

static void
begin(struct strategy *strategy, unsigned thread_count)
{
    struct strategy_stretches *self = (struct strategy_stretches *)strategy;
    self->made.count = self->made.stale_count = 0;
    self->made.is_cut = false;
    self->at = 0;
    if (self->inner != NULL) {
        self->inner->begin(self->inner, thread_count);
    }
}

/* Which way is the thread; the count of ways when none is. */
static unsigned
find_way(const struct choice *choice, unsigned thread)
{
    unsigned way = 0;
    while (way < choice->count && choice->thread[way] != thread) {
        way++;
    }
    return way;
}

static unsigned
follow(struct strategy_stretches *self, const struct choice *choice)
{
    const struct stretches *wanted = self->wanted;
    for (; self->at < wanted->count; self->at++) {
        const struct stretch *stretch = &wanted->list[self->at];
        unsigned way = find_way(choice, stretch->thread);
        if (way < choice->count &&
            choice->places[stretch->thread] < stretch->until) {
            return way;
        }
    }
    return 0;
}

static unsigned
follow_load(struct strategy_stretches *self, const struct choice *choice)
{
    const struct stretches *wanted = self->wanted;
    for (unsigned i = 0; i < wanted->stale_count; i++) {
        const struct stretch *stale = &wanted->stales[i];
        if (stale->thread == choice->current &&
            stale->until == choice->places[choice->current]) {
            return stale->way < choice->count ? stale->way : choice->count - 1;
        }
    }
    return 0;
}

static void
extend(struct stretches *made, unsigned thread, uint64_t until)
{
    if (made->count == 0 || made->list[made->count - 1].thread != thread) {
        if (made->count == STRETCHES_MAX) {
            made->is_cut = true;
            return;
        }
        made->list[made->count++] = (struct stretch){.thread = (uint8_t)thread};
    }
    made->list[made->count - 1].until = until;
}

static void
note(struct stretches *made, const struct choice *choice, unsigned way)
{
    const uint64_t *places = choice->places;
    unsigned current = choice->current;
    if (!choice->is_load) {
        extend(made, current, places[current]);
        if (choice->thread[way] != current) {
            made->list[made->count - 1].is_preempted =
                choice->preempts && !choice->yields;
            /* At least one point, or it would be left at once. */
            extend(made, choice->thread[way], places[choice->thread[way]] + 1);
        }
    } else if (way > 0 && made->stale_count < STALES_MAX) {
        made->stales[made->stale_count++] =
            (struct stretch){.thread = (uint8_t)current,
                .way = (uint8_t)way,
                .until = places[current]};
    } else {
        made->is_cut |= way > 0;
    }
}

static unsigned
choose(struct strategy *strategy, const struct choice *choice)
{
    struct strategy_stretches *self = (struct strategy_stretches *)strategy;
    unsigned way = self->inner != NULL
                       ? self->inner->choose(self->inner, choice)
                   : choice->is_load ? follow_load(self, choice)
                                     : follow(self, choice);
    note(&self->made, choice, way);
    return way;
}

static void
executed(struct strategy *strategy, unsigned thread, const struct pending *done)
{
    struct strategy_stretches *self = (struct strategy_stretches *)strategy;
    if (self->inner != NULL && self->inner->executed != NULL) {
        self->inner->executed(self->inner, thread, done);
    }
}

static void
end(struct strategy *strategy, uint64_t points)
{
    struct strategy_stretches *self = (struct strategy_stretches *)strategy;
    if (self->inner != NULL && self->inner->end != NULL) {
        self->inner->end(self->inner, points);
    }
}

static void
print_bound(const struct strategy *strategy, char *text, size_t size)
{
    const struct strategy_stretches *self =
        (const struct strategy_stretches *)strategy;
    snprintf(text, size, "one schedule, of %u stretches", self->made.count);
}

static void
init(struct strategy_stretches *self)
{
    self->base = (struct strategy){
        .name = "stretches",
        .begin = begin,
        .choose = choose,
        .executed = executed,
        .end = end,
        .print_bound = print_bound,
    };
    self->inner = NULL;
    self->wanted = NULL;
}

void
strategy_stretches_follow(
    struct strategy_stretches *self, const struct stretches *wanted)
{
    init(self);
    self->wanted = wanted;
}

void
strategy_stretches_record(
    struct strategy_stretches *self, struct strategy *inner)
{
    init(self);
    self->inner = inner;
}
