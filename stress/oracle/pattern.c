/*
 * pattern.c - what each byte of a block holds (contract: pattern.h)
 *
 * The word at offset o, a multiple of 8, is seed + o * STEP. Repeating one word
 * would be simpler and would miss bytes copied from a wrong offset; a random
 * generator would find no more than this and cost more.
 *
 * A sparse pattern has a head, a tail and, in each stretch [2^k, 2^(k+1))
 * between, a few lines at even distances, moved by bits of the seed so that in
 * time every page gets its turn:
 *
 *     |HEAD|..-...-...-...-..|.....-.......-.......-.......-....|..  |TAIL|
 *         1 KiB             2 KiB                              4 KiB
 *
 * The loops over words are what the oracle spends most time on, so they go by
 * vectors. On x86-64 they stand here twice, once for processors that have vectors
 * of 32 bytes: three times as quick.
 */
#include "oracle/pattern.h"

#include <string.h>

#define STEP       0x9e3779b97f4a7c15u
#define LINE       ((size_t)64)
#define HEAD       ((size_t)1024)
#define DENSE_SIZE ((size_t)32 << 10) /* four lines a stretch; two beyond */

static uint64_t
word_at(uint64_t seed, size_t offset)
{
    return seed + (uint64_t)offset * STEP;
}

uint8_t
pattern_byte(const struct pattern *pattern, size_t offset)
{
    uint64_t word = word_at(pattern->seed, offset & ~(size_t)7);
    return (uint8_t)(word >> (offset % 8 * 8));
}

/* Four words in a row. */
typedef uint64_t vector __attribute__((vector_size(32)));

#define FIRST_WORDS(word)                                                      \
    {                                                                          \
        (word), (word) + 8 * STEP, (word) + 16 * STEP, (word) + 24 * STEP      \
    }

static inline __attribute__((always_inline)) void
fill_words(char *addr, size_t count, uint64_t word)
{
    vector values = FIRST_WORDS(word);
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        memcpy(addr + i * 8, &values, sizeof(values));
        values += 32 * STEP;
    }
    memcpy(addr + i * 8, &values, (count - i) * 8);
}

/* Not 0 if any word differs. */
static inline __attribute__((always_inline)) uint64_t
compare_words(const char *addr, size_t count, uint64_t word)
{
    vector values = FIRST_WORDS(word);
    vector seen, difference = {0};
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        memcpy(&seen, addr + i * 8, sizeof(seen));
        difference |= seen ^ values;
        values += 32 * STEP;
    }
    seen = values;
    memcpy(&seen, addr + i * 8, (count - i) * 8);
    difference |= seen ^ values;
    return difference[0] | difference[1] | difference[2] | difference[3];
}

#if defined(__x86_64__) && !defined(PATTERN_NARROW) /* a test's choice */
#    define WIDE       __attribute__((target("avx2")))
#    define HAS_WIDE() __builtin_cpu_supports("avx2")
#else
#    define WIDE
#    define HAS_WIDE() false
#endif

WIDE static void
fill_words_wide(char *addr, size_t count, uint64_t word)
{
    fill_words(addr, count, word);
}

WIDE static uint64_t
compare_words_wide(const char *addr, size_t count, uint64_t word)
{
    return compare_words(addr, count, word);
}

static void
fill_piece(const struct pattern *pattern, size_t from, size_t to)
{
    char *addr = pattern->addr;
    for (; from < to && from % 8 != 0; from++) {
        addr[from] = (char)pattern_byte(pattern, from);
    }
    uint64_t word = word_at(pattern->seed, from);
    size_t words = from < to ? (to - from) / 8 : 0;
    if (HAS_WIDE()) {
        fill_words_wide(addr + from, words, word);
    } else {
        fill_words(addr + from, words, word);
    }
    for (from += words * 8; from < to; from++) {
        addr[from] = (char)pattern_byte(pattern, from);
    }
}

/* The slow way, once a difference is known or near the ends. */
static size_t
find_wrong(const struct pattern *pattern, size_t from, size_t to)
{
    for (; from < to; from++) {
        if ((uint8_t)pattern->addr[from] != pattern_byte(pattern, from)) {
            return from;
        }
    }
    return PATTERN_NOWHERE;
}

static size_t
verify_piece(const struct pattern *pattern, size_t from, size_t to)
{
    size_t start = (from + 7) & ~(size_t)7;
    size_t words = start < to ? (to - start) / 8 : 0;
    uint64_t word = word_at(pattern->seed, start);
    const char *addr = pattern->addr + start;
    uint64_t difference = HAS_WIDE() ? compare_words_wide(addr, words, word)
                                     : compare_words(addr, words, word);
    bool has_edge = start != from || start + words * 8 != to;
    if (difference == 0 && !has_edge) {
        return PATTERN_NOWHERE;
    }
    return find_wrong(pattern,
        difference == 0 && start == from ? start + words * 8 : from, to);
}

static size_t
nonzero_piece(const struct pattern *pattern, size_t from, size_t to)
{
    const char *addr = pattern->addr;
    size_t words = (to - from) / 8;
    uint64_t bits = 0;
    for (size_t i = 0; i < words; i++) {
        uint64_t value;
        memcpy(&value, addr + from + i * 8, 8);
        bits |= value;
    }
    for (from = bits == 0 ? from + words * 8 : from; from < to; from++) {
        if (addr[from] != 0) {
            return from;
        }
    }
    return PATTERN_NOWHERE;
}

/* Goes through the pieces of a pattern, in any order. */
struct pieces {
    const struct pattern *pattern;
    size_t stretch; /* the stretch of the next line; 0: before the head */
    unsigned line;
    size_t from, to; /* the piece at hand */
};

/* The piece's bounds, from the stretch and the line. */
static void
set_line(struct pieces *pieces, unsigned lines)
{
    size_t distance = pieces->stretch / lines;
    uint64_t bits = (pieces->pattern->seed >> 8) * STEP >> 20;
    size_t shift = (size_t)bits & (distance - 1) & ~(LINE - 1);
    pieces->from = pieces->stretch + pieces->line * distance + shift;
    pieces->to = pieces->from + LINE;
}

/* False when there is no further piece. */
static bool
next_piece(struct pieces *pieces)
{
    const struct pattern *pattern = pieces->pattern;
    size_t size = pattern->size;
    if (pieces->stretch == 0) {
        pieces->stretch = HEAD;
        pieces->from = 0;
        pieces->to = pattern->whole || size < HEAD ? size : HEAD;
        return size > 0;
    }
    if (pattern->whole || pieces->to == size) {
        return false;
    }
    unsigned lines = pieces->stretch < DENSE_SIZE ? 4 : 2;
    if (pieces->line == lines) {
        pieces->line = 0;
        pieces->stretch *= 2;
        lines = pieces->stretch < DENSE_SIZE ? 4 : 2;
    }
    set_line(pieces, lines);
    pieces->line++;
    if (pieces->to >= size) {
        pieces->from = size - LINE;
        pieces->to = size;
    }
    return true;
}

void
pattern_fill(const struct pattern *pattern, size_t from)
{
    struct pieces pieces = {.pattern = pattern};
    while (next_piece(&pieces)) {
        bool is_tail = pieces.to == pattern->size && pieces.from >= HEAD;
        size_t start = pieces.from < from && !is_tail ? from : pieces.from;
        if (start < pieces.to) {
            fill_piece(pattern, start, pieces.to);
        }
    }
}

size_t
pattern_verify(const struct pattern *pattern, size_t to)
{
    struct pieces pieces = {.pattern = pattern};
    size_t wrong = PATTERN_NOWHERE;
    while (wrong == PATTERN_NOWHERE && next_piece(&pieces)) {
        if (pieces.from < to) {
            wrong = verify_piece(
                pattern, pieces.from, pieces.to < to ? pieces.to : to);
        }
    }
    return wrong;
}

size_t
pattern_nonzero(const struct pattern *pattern, size_t to)
{
    struct pieces pieces = {.pattern = pattern};
    size_t found = PATTERN_NOWHERE;
    while (found == PATTERN_NOWHERE && next_piece(&pieces)) {
        if (pieces.from < to) {
            found = nonzero_piece(
                pattern, pieces.from, pieces.to < to ? pieces.to : to);
        }
    }
    return found;
}
