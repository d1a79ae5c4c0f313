/*
 * image.h - the target's static data, as it was before the first run
 *
 *     linker's sections observed_data, observed_bss --> image --> each run
 *
 * The build puts the variables of all observed code into two sections, so that
 * they can be told from the harness's and put back between runs.
 * Thread-local variables are fiber.h's.
 *
 * Concurrency: while no logical thread runs.
 * Failure: image_init returns what is lacking, or NULL.
 */
#pragma once

const char *image_init(void); /* takes the picture */
void image_restore(void);
