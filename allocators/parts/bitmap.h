/*
 * bitmap.h - bits in 64-bit words, and the search for free ones
 *
 *     slab: which objects are taken     hugepage: which pages are taken
 *     bit   0 1 2 3 ...                 runs of clear bits are free spans
 *
 * A map is an array of BITMAP_WORDS(bit_count) words in the caller's own
 * structure. Searches begin at a given bit and go upwards, so that "lowest
 * first" costs nothing to ask for. Not found is BITMAP_NONE.
 *
 * Concurrency: none of its own; the caller's lock guards the words.
 * Failure: none. Setting a set bit or clearing a clear one, and any index out
 * of range, abort in debug builds.
 * Design: Knuth, "The Art of Computer Programming" 4A, 7.1.3.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define BITMAP_WORD_BITS   64
#define BITMAP_WORDS(bits) (((bits) + BITMAP_WORD_BITS - 1) / BITMAP_WORD_BITS)
#define BITMAP_NONE        SIZE_MAX

void bitmap_init(uint64_t *words, size_t bit_count); /* all clear */

static inline bool
bitmap_get(const uint64_t *words, size_t index)
{
    return words[index / BITMAP_WORD_BITS] >> (index % BITMAP_WORD_BITS) & 1;
}

static inline void
bitmap_set(uint64_t *words, size_t index)
{
    ASSERT(!bitmap_get(words, index));
    words[index / BITMAP_WORD_BITS] |= (uint64_t)1
                                       << (index % BITMAP_WORD_BITS);
}

static inline void
bitmap_clear(uint64_t *words, size_t index)
{
    ASSERT(bitmap_get(words, index));
    words[index / BITMAP_WORD_BITS] &=
        ~((uint64_t)1 << (index % BITMAP_WORD_BITS));
}

/* Every bit of first .. first + count - 1 must be clear (set). */
void bitmap_set_run(uint64_t *words, size_t first, size_t count);
void bitmap_clear_run(uint64_t *words, size_t first, size_t count);

/* How many bits are set: in all, or in a part. */
size_t bitmap_count(const uint64_t *words, size_t bit_count);
size_t bitmap_count_run(const uint64_t *words, size_t first, size_t count);

/* The lowest set (clear) bit that is not below `from`. */
size_t bitmap_find_set(const uint64_t *words, size_t bit_count, size_t from);
size_t bitmap_find_clear(const uint64_t *words, size_t bit_count, size_t from);
size_t bitmap_find_last_set(const uint64_t *words, size_t bit_count);

/* The lowest run of at least `count` clear bits that begins at or above
 * `from`: its first bit. */
size_t bitmap_find_run(
    const uint64_t *words, size_t bit_count, size_t from, size_t count);

/* The next maximal run of clear bits at or above *first: false if none, else
 * *first and *count are the run. Add them to go on. */
bool bitmap_next_run(
    const uint64_t *words, size_t bit_count, size_t *first, size_t *count);

/* The length of the longest run of clear bits. */
size_t bitmap_longest_run(const uint64_t *words, size_t bit_count);

void bitmap_check(const uint64_t *words, size_t bit_count); /* aborts */
/* "bits 0-3 17 20-63 of 64 set" */
void bitmap_dump(const uint64_t *words, size_t bit_count, int fd);
