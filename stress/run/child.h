/*
 * child.h - the process that a target lives and dies in
 *
 *     malstrom --> supervisor --fork, exec--> child_main --> runner, oracle
 *
 * The command starts itself again, with the first argument CHILD_ARGUMENT and
 * the number of the shared memory's descriptor. From then on the child takes
 * no memory from malloc but what the program asks for.
 *
 * Concurrency: child_main is the child's main thread.
 * Failure: child_main returns the exit status: 0 whatever was found, 3 when the
 * job could not be done; the shared memory says more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "program/program.h"

#define CHILD_ARGUMENT "--child"

/* Makes program number `index` of that scenario, as scenario.h has it. */
typedef bool child_generate_fn(struct program *program, const char *scenario,
    uint64_t seed, uint64_t index, unsigned thread_count);

int child_main(int shared_fd, child_generate_fn *generate);
