/*
 * proof.h - makes a finding stand on its own: shown again, and small
 *
 *     a finding in program 4711 of a scenario --> proof --> FILE.heap
 *                                                  |
 *                                     supervisor, minimiser
 *
 * The program is made again and run in a fresh child. One that does not show
 * the finding alone may need the state that earlier programs left: then they
 * are put before it, ever more of them. What shows it is minimised and kept.
 * Growth is only suspected until one of the last programs shows it alone.
 *
 * Concurrency: one thread. Failure: a finding that does not show again is
 * still reported, with its whole program and a note that says so; a suspicion
 * is not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "run/supervisor.h"
#include "scenarios/scenario.h"

struct proof {
    const struct target *target;
    struct policy policy;
    enum verdict_kind kind; /* may become another: see below */
    uint64_t deadline_ns;   /* no search beyond it */
    bool adopts;            /* takes a finding of another kind for its own */
    _Atomic bool *stop;
    void (*tick)(void *arg, uint64_t call_count); /* or NULL */
    void *tick_arg;

    struct result result; /* of the last run that showed it */
    uint64_t call_count;  /* in all runs */
    uint64_t run_count;
};

/* Runs the program `times` in one fresh child; true: it shows the kind. Hasty:
 * what only the watchdog sees needs not be certain. */
bool proof_shows(struct proof *proof, const struct program *program,
    unsigned times, bool hasty);

/* Where a finding came from. */
struct proof_origin {
    const struct scenario *scenario;
    uint64_t seed, first_index, index; /* the child ran first .. index */
    unsigned thread_count;
    uint32_t lacks;
};

/* Fills program with what shows the finding; true when it does. False: program
 * is number index alone. A heap that is broken shows in many ways: where the
 * program alone shows it in another way than in the campaign, kind is that. */
bool proof_find_program(struct proof *proof, const struct proof_origin *origin,
    struct program *program);

/* Makes a program that shows the finding smaller. */
void proof_minimise(struct proof *proof, struct program *program);
