/*
 * clock.h - vector clocks: what happens before what
 *
 *     race, weak, intercept --> clock: one counter for each logical thread
 *
 * A thread's own counter ticks after each of its releases, so the stretch
 * between two releases is one epoch, and an access needs only its epoch to be
 * remembered. An epoch packs a thread and its counter in one word: 0 is before
 * everything.
 *
 * Concurrency: one logical thread runs at a time; no locks.
 * Failure: none. A run that ticks 2^28 times ends by its step budget first.
 * Design: Flanagan, Freund, "FastTrack" (PLDI 2009), section 3.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_THREADS_MAX 16
#define CLOCK_EPOCH_BITS  28

/* Threads in this run: counters beyond are 0 in every clock. */
extern unsigned thread_count;

struct clock {
    uint32_t at[CLOCK_THREADS_MAX];
};

static inline uint32_t
clock_epoch(unsigned thread, uint32_t count)
{
    return (uint32_t)thread << CLOCK_EPOCH_BITS | count;
}

static inline unsigned
clock_epoch_thread(uint32_t epoch)
{
    return epoch >> CLOCK_EPOCH_BITS;
}

static inline uint32_t
clock_epoch_count(uint32_t epoch)
{
    return epoch & ((1u << CLOCK_EPOCH_BITS) - 1);
}

/* True when the epoch lies in what this clock has seen. */
static inline bool
clock_has(const struct clock *clock, uint32_t epoch)
{
    return clock_epoch_count(epoch) <= clock->at[clock_epoch_thread(epoch)];
}

static inline void
clock_join(struct clock *into, const struct clock *from)
{
    for (unsigned i = 0; i < thread_count; i++) {
        into->at[i] = into->at[i] > from->at[i] ? into->at[i] : from->at[i];
    }
}
