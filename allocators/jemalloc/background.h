/*
 * background.h - a thread of our own that purges what has decayed
 *
 *     arenas of the process's heap <-- turns, as their pages decay -- worker
 *
 * Without it pages decay when threads come to the arena: idle threads keep them.
 * While it runs, threads leave the purging to it.
 *
 * Concurrency: any thread. The lock is of rank MTX_BACKGROUND, and is held for a
 * turn, so that fork waits for its end. The child has no such thread until it is
 * asked for again. At exit it is ended.
 * Failure: set returns false when there can be no thread.
 * Design: jemalloc(3), "background_thread".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct jem_heap;

/* Starts the thread, or ends it. */
bool jem_background_set(struct jem_heap *heap, bool runs);
bool jem_background_runs(void);
uint64_t jem_background_turns(void); /* since it was started */
/* Nanoseconds from turn to turn, on average. */
uint64_t jem_background_interval(void);

/* One turn over the heap's arenas; how long until the next, in nanoseconds. */
uint64_t jem_background_turn(struct jem_heap *heap);
