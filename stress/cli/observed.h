/*
 * observed.h - hands a command over to malstrom-observe
 *
 *     malstrom explore, malstrom repro --> observed --exec--> malstrom-observe
 *
 * Concurrency: one thread. Failure: observed_exec returns when there is no
 * malstrom-observe to be had.
 */
#pragma once

#include "program/program.h"

/* Becomes malstrom-observe with these arguments; argv[0] is the command. */
void observed_exec(char **argv);

/* A finding of `explore`: operations of several threads and their schedule, on
 * a target that malstrom-observe has. */
bool observed_is_meant(const struct program *program);
