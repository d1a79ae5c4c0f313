/*
 * owner.h - whose bytes: the target's or a user's
 *
 *     harness: block taken, block given --> owner <-- every access of the target
 *
 * From the return of malloc to the call of free a block is the user's, and the
 * target must neither read nor write it. The harness gives a block back before
 * it calls realloc and takes the result after, so the copy in realloc, and the
 * zeroing in calloc, are on bytes of the target's.
 *
 * Concurrency: the logical thread that runs.
 * Failure: owner_init returns false when address space is short.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool owner_init(void);
void owner_begin(void); /* a run: nothing is a user's. Before region_rewind */

/* The target accesses bytes of a page that is not plainly open. Raises the
 * verdict "ownership" when it must not. */
void owner_access(uintptr_t addr, size_t size, bool write, uintptr_t pc);

/* The target gives these pages back, or zeroes them: none may be a user's. */
void owner_check_pages(uintptr_t addr, size_t size, uintptr_t pc);
