/*
 * watchdog.h - tells a child that is stuck from one that is slow
 *
 *     supervisor --each tick--> watchdog --> /proc/PID/task/..., progress
 *
 * A wall clock would accuse a correct allocator on a loaded machine. So a child
 * is stuck when a process that it forked sleeps, at each of many ticks in a row:
 * nobody can wake that one. Or when no call has begun since the last tick and
 *
 *   - every thread of it sleeps, at each of many ticks in a row: nobody is
 *     there to wake anybody (deadlock); or
 *   - it has used seconds of CPU time, more for large copies and for many
 *     threads that wait for each other, and still no call is over (hang).
 *
 * Time that the child does not get to run counts for nothing.
 *
 * Concurrency: the supervisor's thread. Failure: what cannot be read counts as
 * not stuck.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "run/shared.h"

enum watchdog_state {
    WATCHDOG_FINE,
    WATCHDOG_ASLEEP, /* deadlock */
    WATCHDOG_BUSY    /* hang */
};

struct watchdog {
    const struct shared *shared;
    int pid;
    bool hasty;          /* for tries that are confirmed later */
    uint64_t call_count; /* at the last tick */
    uint64_t cpu_ms;     /* that the child had used when a call last began */
    unsigned sleeping_ticks;
    unsigned quiet_ticks; /* in which no call began */
    int forked_pid;       /* a forked process that sleeps, or 0 */
    unsigned forked_ticks;
    uint64_t last_tick_ms;
};

#define WATCHDOG_TICK_MS 50

void watchdog_init(struct watchdog *watchdog, const struct shared *shared,
    int pid, bool hasty);

/* To be called every WATCHDOG_TICK_MS or so. */
enum watchdog_state watchdog_tick(struct watchdog *watchdog, uint64_t now_ms);
