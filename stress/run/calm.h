/*
 * calm.h - schedules with fewer preemptions that show the same verdict
 *
 *     minimal's kept run --> calm --> a kept run that costs less
 *
 * Concurrency: one at a time. Failure: none; what runs out of time stays as it
 * is.
 * Design: Jalbert, Sen, "A trace simplification technique for effective
 * debugging of concurrent programs" (FSE 2010).
 */
#pragma once

#include <stdbool.h>

#include "run/minimal.h"

/* Makes the kept run's schedule calm: few preemptions, few loads of older
 * stores. */
void calm_make(struct minimal *minimal);

/* Runs a program that has some of the kept program's operations under the kept
 * schedule, less what it has not. True: it shows the verdict, and is kept. */
bool calm_try(struct minimal *minimal, const struct program *program);
