/*
 * ck_subject.h - Concurrency Kit's structures under the observed runner
 *
 *     ck_race.h's programs, CK's sources --> ck_subject.c, observed --> ck_test.c
 *
 * Concurrency: ck_subject_body runs as the only thread of a plan and makes the
 * program's threads. Failure: wrong results end the run (CHECK).
 */
#pragma once

#include "base/ck_port/ck_race.h"

struct ck_subject {
    const struct race_program *program;
    struct race_weakening weakening; /* all 0: the program as it is */
};

/* arg: a struct ck_subject. */
void ck_subject_body(unsigned thread, void *arg);
