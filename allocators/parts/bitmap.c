/*
 * bitmap.c - bits in words (contract: bitmap.h)
 *
 * A search goes over whole words and ends with a count of trailing zeroes. Maps
 * here have at most a few thousand bits: a second level, a bitmap of full
 * words, would save little and must be kept true.
 *
 * Searching for clear bits is searching for set ones in the complement: `flip`
 * is all ones then, so one loop serves both.
 *
 * Invariant:
 *   I1  Bits of the last word past bit_count are clear.
 */
#include "parts/bitmap.h"

#include "base/print.h"

/* A word with bits low .. 63 set. */
static uint64_t
ones_from(size_t low)
{
    return ~(uint64_t)0 << low;
}

/* A word with bits low .. low + count - 1 set; count is 1 .. 64 - low. */
static uint64_t
ones_run(size_t low, size_t count)
{
    return ~(uint64_t)0 >> (BITMAP_WORD_BITS - count) << low;
}

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

void
bitmap_init(uint64_t *words, size_t bit_count)
{
    for (size_t i = 0; i < BITMAP_WORDS(bit_count); i++) {
        words[i] = 0;
    }
}

/* The part of first .. first + count - 1 that lies in the word of first. */
static size_t
run_in_word(size_t first, size_t count)
{
    return smaller(count, BITMAP_WORD_BITS - first % BITMAP_WORD_BITS);
}

void
bitmap_set_run(uint64_t *words, size_t first, size_t count)
{
    while (count > 0) {
        size_t part = run_in_word(first, count);
        uint64_t ones = ones_run(first % BITMAP_WORD_BITS, part);

        ASSERT((words[first / BITMAP_WORD_BITS] & ones) == 0);
        words[first / BITMAP_WORD_BITS] |= ones;
        first += part;
        count -= part;
    }
}

void
bitmap_clear_run(uint64_t *words, size_t first, size_t count)
{
    while (count > 0) {
        size_t part = run_in_word(first, count);
        uint64_t ones = ones_run(first % BITMAP_WORD_BITS, part);

        ASSERT((words[first / BITMAP_WORD_BITS] & ones) == ones);
        words[first / BITMAP_WORD_BITS] &= ~ones;
        first += part;
        count -= part;
    }
}

size_t
bitmap_count_run(const uint64_t *words, size_t first, size_t count)
{
    size_t set_count = 0;

    while (count > 0) {
        size_t part = run_in_word(first, count);
        uint64_t ones = ones_run(first % BITMAP_WORD_BITS, part);

        set_count += (size_t)__builtin_popcountll(
            words[first / BITMAP_WORD_BITS] & ones);
        first += part;
        count -= part;
    }
    return set_count;
}

size_t
bitmap_count(const uint64_t *words, size_t bit_count)
{
    return bitmap_count_run(words, 0, bit_count);
}

static size_t
find(const uint64_t *words, size_t bit_count, size_t from, uint64_t flip)
{
    if (from >= bit_count) {
        return BITMAP_NONE;
    }
    size_t at = from / BITMAP_WORD_BITS;
    uint64_t word = (words[at] ^ flip) & ones_from(from % BITMAP_WORD_BITS);

    while (word == 0) {
        if (++at == BITMAP_WORDS(bit_count)) {
            return BITMAP_NONE;
        }
        word = words[at] ^ flip;
    }
    size_t index = at * BITMAP_WORD_BITS + (size_t)__builtin_ctzll(word);
    return index < bit_count ? index : BITMAP_NONE; /* past the end: I1 */
}

size_t
bitmap_find_set(const uint64_t *words, size_t bit_count, size_t from)
{
    return find(words, bit_count, from, 0);
}

size_t
bitmap_find_clear(const uint64_t *words, size_t bit_count, size_t from)
{
    return find(words, bit_count, from, ~(uint64_t)0);
}

size_t
bitmap_find_last_set(const uint64_t *words, size_t bit_count)
{
    size_t at = BITMAP_WORDS(bit_count);

    while (at > 0) {
        uint64_t word = words[--at];

        if (word != 0) {
            return at * BITMAP_WORD_BITS + 63 - (size_t)__builtin_clzll(word);
        }
    }
    return BITMAP_NONE;
}

bool
bitmap_next_run(
    const uint64_t *words, size_t bit_count, size_t *first, size_t *count)
{
    *first = bitmap_find_clear(words, bit_count, *first);
    if (*first == BITMAP_NONE) {
        return false;
    }
    size_t end = bitmap_find_set(words, bit_count, *first);
    *count = smaller(end, bit_count) - *first;
    return true;
}

size_t
bitmap_find_run(
    const uint64_t *words, size_t bit_count, size_t from, size_t count)
{
    size_t run_count;

    ASSERT(count > 0);
    while (bitmap_next_run(words, bit_count, &from, &run_count)) {
        if (run_count >= count) {
            return from;
        }
        from += run_count;
    }
    return BITMAP_NONE;
}

size_t
bitmap_longest_run(const uint64_t *words, size_t bit_count)
{
    size_t longest = 0;
    size_t first = 0;
    size_t count;

    while (bitmap_next_run(words, bit_count, &first, &count)) {
        longest = count > longest ? count : longest;
        first += count;
    }
    return longest;
}

void
bitmap_check(const uint64_t *words, size_t bit_count)
{
    size_t last_bits = bit_count % BITMAP_WORD_BITS;

    if (last_bits != 0) {
        CHECK((words[bit_count / BITMAP_WORD_BITS] & ones_from(last_bits)) ==
              0); /* I1 */
    }
}

void
bitmap_dump(const uint64_t *words, size_t bit_count, int fd)
{
    struct print print;
    size_t first = bitmap_find_set(words, bit_count, 0);

    print_init(&print, fd);
    print_text(&print, "bits");
    while (first != BITMAP_NONE) {
        size_t end =
            smaller(bitmap_find_clear(words, bit_count, first), bit_count);

        print_format(&print, " %zu", first);
        if (end - first > 1) {
            print_format(&print, "-%zu", end - 1);
        }
        first = bitmap_find_set(words, bit_count, end);
    }
    print_format(&print, " of %zu set\n", bit_count);
    print_flush(&print);
}
