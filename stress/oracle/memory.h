/*
 * memory.h - whether the machine has memory to give
 *
 *     oracle: malloc returned NULL --> memory --> rlimits, /proc/meminfo
 *
 * Concurrency: any thread. Failure: what cannot be read counts as scarce.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* True when a process that holds live_size bytes has no reason to be refused a
 * modest request: no limit is set, and the kernel has memory left. */
bool memory_is_plenty(size_t live_size);
