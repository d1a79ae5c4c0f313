/*
 * misuse.h - the caller's mistakes, named
 *
 *     a check that fails --> misuse --> "malstrom-dlmalloc: WHAT: ADDRESS"
 *
 * The checks on the fast paths only say that something is wrong. What it is, is
 * found out here, by walking the heap, when there is all the time in the world.
 *
 * Concurrency: with the heap's lock held. Locks of other heaps are only tried.
 * Failure: none of the functions that report returns. WHAT is one of
 *   "invalid pointer"        no block begins there
 *   "double free"            a block that is free already
 *   "corrupted size"         the word before the block was overwritten
 *   "corrupted footer"       the words behind the block were overwritten
 *   "corrupted free chunk"   a free chunk was written to
 *   "corrupted heap"         chunks do not lead from one to the next
 *   "block of another heap"  it came from another dlm_open()
 *   "wrong size in free"     free_sized and free_aligned_sized
 *   "wrong alignment in free"
 */
#pragma once

#include <stddef.h>

struct chunk;
struct dlm_heap;

/* A free chunk's head, foot or links are not what they must be. */
_Noreturn void dlm_misuse_free(const struct chunk *chunk) __attribute__((cold));

/* This pointer was given to free, realloc ... and is not a sound block. */
_Noreturn void dlm_misuse_block(struct dlm_heap *heap, const void *block)
    __attribute__((cold));

_Noreturn void dlm_misuse_wrong(const char *what, const void *block)
    __attribute__((cold));
