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
    self->is_entered = false;
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
    if (self->is_entered && choice->current != wanted->list[self->at].thread) {
        self->at++; /* Its thread blocked where there was only one way on. */
    }
    for (; self->at < wanted->count; self->at++) {
        const struct stretch *stretch = &wanted->list[self->at];
        unsigned way = find_way(choice, stretch->thread);
        self->is_entered = way < choice->count &&
                           choice->places[stretch->thread] < stretch->until;
        if (self->is_entered) {
            return way;
        }
    }
    self->is_entered = false;
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

/* Who is asked about is at its last point, unless it blocks there, or ends: then
 * that point is behind it. So it is for whoever ran before and was not asked
 * about since, for there was only one way on. Before the first point nobody has
 * left one. */
static void
note_current(struct stretches *made, const struct choice *choice)
{
    const uint64_t *places = choice->places;
    uint64_t place = places[choice->current];
    bool is_behind = !choice->preempts && place > 0;
    struct stretch *last = &made->list[made->count - (made->count > 0)];
    if (made->count > 0 && last->thread != choice->current) {
        last->until = places[last->thread] + 1;
    }
    extend(made, choice->current, place + is_behind);
}

static void
note_switch(
    struct stretches *made, const struct choice *choice, unsigned thread)
{
    made->list[made->count - 1].is_preempted =
        choice->preempts && !choice->yields;
    /* At least one point, or it would be left at once. */
    extend(made, thread, choice->places[thread] + 1);
}

static void
note_load(struct stretches *made, const struct choice *choice, unsigned way)
{
    if (made->stale_count == STALES_MAX) {
        made->is_cut = true;
        return;
    }
    made->stales[made->stale_count++] = (struct stretch){
        .thread = (uint8_t)choice->current,
        .way = (uint8_t)way,
        .until = choice->places[choice->current],
    };
}

static void
note(struct stretches *made, const struct choice *choice, unsigned way)
{
    if (choice->is_load && way > 0) {
        note_load(made, choice, way);
    } else if (!choice->is_load) {
        note_current(made, choice);
        if (choice->thread[way] != choice->current) {
            note_switch(made, choice, choice->thread[way]);
        }
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
