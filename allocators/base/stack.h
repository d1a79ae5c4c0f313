/*
 * stack.h - who calls: return addresses, found without malloc
 *
 *     sampled allocations, guarded blocks --> stack --> the unwinder
 *
 * Frames are found by the unwind tables that every object on Linux carries.
 * Walking saved frame pointers would be faster, and blind: distributions compile
 * without them, and the register then holds anything.
 *
 * The unwinder is in a library that is loaded at the first use, which allocates;
 * stack_start sees to that once, and only for who asks. A call from inside
 * another one, so from an allocation of the unwinder's, finds nothing.
 *
 * Concurrency: any thread, but with no lock held: the unwinder may take the
 * dynamic loader's, under which others allocate. Not for signal handlers.
 * Failure: no frames, before stack_start has done its work.
 * Design: Itanium C++ ABI, "Exception Handling", 1.6; backtrace(3), "Notes".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STACK_DEPTH_MAX 48

/* Makes the unwinder ready: now, or when the program has been loaded. The
 * caller's malloc must be ready, and is called. */
void stack_start(void);

/* The innermost return addresses of the caller's, without those in our own
 * library; how many. */
size_t stack_capture(uintptr_t frames[STACK_DEPTH_MAX]);

/* Code from begin to end is the allocator's own. */
void stack_own_code(const void *begin, const void *end);
