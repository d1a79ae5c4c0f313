/*
 * decay.h - how many unused pages may be kept, as time goes by
 *
 *     page cache: pages unused --> decay --> limit: purge down to it
 *
 * Pages that become unused are kept for a time, since they will probably be
 * wanted again. What came at one time is let go along a sigmoid: slowly at
 * first, fastest at half the decay time, slowly at the end, when none is left.
 * Time is cut into JEM_DECAY_STEPS epochs; each remembers how many pages came
 * in it, and the limit is their sum, each weighted by its age.
 *
 * Concurrency: the owner's lock guards it. Failure: none.
 * Design: jemalloc(3), "opt.dirty_decay_ms"; the curve is Perlin's smootherstep
 * ("Improving Noise", SIGGRAPH 2002), 6x^5 - 15x^4 + 10x^3.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JEM_DECAY_STEPS 200

struct jem_decay {
    int64_t time_ms;      /* -1: keep for ever; 0: keep none */
    uint64_t interval_ns; /* length of an epoch */
    uint64_t epoch_ns;    /* when the present epoch began */
    size_t kept_pages;    /* at the last advance, after its purge */
    size_t limit_pages;   /* what may be kept now */
    size_t
        backlog[JEM_DECAY_STEPS]; /* pages by epoch of coming, oldest first */
};

void jem_decay_init(struct jem_decay *decay, int64_t time_ms, uint64_t now_ns);

/* Starts anew with another decay time; all that is kept counts as new. */
void jem_decay_set(struct jem_decay *decay, int64_t time_ms, uint64_t now_ns,
    size_t unused_pages);

/* Moves on to now. True when an epoch has ended, so that limit_pages is new;
 * the caller then purges down to it. */
bool jem_decay_advance(
    struct jem_decay *decay, uint64_t now_ns, size_t unused_pages);

/* The weight of pages that came `age` epochs ago, as a fraction of 2^32. */
uint64_t jem_decay_weight(unsigned age);
