/*
 * system.h - the malloc that the process has, as a struct alloc_ops
 *
 *     runner --> system_ops --> malloc, free, ... as the loader bound them
 *
 * Under LD_PRELOAD these are the library's. A function that only newer libcs
 * have is found when the process starts; where there is none, free_sized is
 * free, and the like.
 *
 * Concurrency: as malloc. Failure: as malloc.
 */
#pragma once

#include <stdint.h>

#include "alloc.h"

extern const struct alloc_ops system_ops;

/* The kinds of operation whose function is not in the object that malloc is
 * in, one bit each; `object` is that object's path, or empty. */
uint32_t system_lacks(void);
/* The path of the object that malloc is in. */
const char *system_object(void);

void system_ask_stats(void); /* mallinfo2, where there is one */
