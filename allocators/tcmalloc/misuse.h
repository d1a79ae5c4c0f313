/*
 * misuse.h - what a caller did wrong, in fixed words
 *
 *     front, central, page heap --> misuse --> one line on stderr, abort
 *
 * Concurrency: any thread. Failure: does not return.
 */
#pragma once

#include "base/check.h"

#define TCM_DOUBLE_FREE "double free"
#define TCM_INVALID     "invalid pointer"
#define TCM_WRONG_SIZE  "wrong size in free"
#define TCM_WRONG_ALIGN "wrong alignment in free"
#define TCM_OVERWRITTEN "corrupted cache"

static inline _Noreturn void
tcm_misuse(const char *what, const void *block)
{
    check_misuse("tcmalloc", what, block);
}
