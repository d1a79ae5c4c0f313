/*
 * ck_race.h - programs on Concurrency Kit that are correct by its documentation
 *
 *     ck_race_locks.c, ck_race_queues.c, ck_race_sets.c --> ck_race_orders.c
 *         --> ck_race_run.c
 *         --> ck_race_test.c (ThreadSanitizer), the observed runner's tests
 *
 * Each hands plain memory from thread to thread through one structure of CK, and
 * checks what arrives. Threads of even number give, those of odd number take;
 * where take is missing, all give.
 *
 * Concurrency: start runs before the threads and finish after them.
 * Failure: wrong results end the process (CHECK).
 */
#pragma once

#include <stddef.h>

#include "base/check.h"

enum { RACE_THREADS = 4, RACE_ROUNDS = 100 };

enum { RACE_GIVER = 1, RACE_TAKER = 2 };

struct race_program {
    const char *name;
    unsigned threads; /* even */
    void (*start)(void);
    void (*give)(unsigned me);
    void (*take)(unsigned me);
    void (*finish)(void);
};

/* Each list ends with a program without a name. */
extern const struct race_program race_locks[];
extern const struct race_program race_queues[];
extern const struct race_program race_sets[];

extern const struct race_program *const race_lists[]; /* ends with NULL */

/* NULL when there is none of that name. */
const struct race_program *race_find(const char *name);

/* Runs the program in threads of its own, each of which first calls meet, if
 * there is one, with their number. */
void race_run(
    const struct race_program *program, void (*meet)(unsigned threads));

/* What to take away from whom (ck_weaken.h) so that a race is there. */
struct race_weakening {
    const char *program;
    unsigned roles;
    unsigned orders;
};

extern const struct race_weakening race_weakenings[];
extern const unsigned race_weakening_count;
