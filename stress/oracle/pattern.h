/*
 * pattern.h - what each byte of a block holds
 *
 *     oracle --> pattern --> the block's bytes
 *
 * The pattern is a function of (seed, offset): 64-bit words in arithmetic
 * progression. Bytes that moved by any distance, came from another block, or
 * were never written, differ. A sparse pattern covers the first and the last
 * bytes and some lines between, at offsets that do not depend on the size, so
 * that a block which grows or shrinks keeps a pattern that can be verified.
 *
 * Concurrency: the caller owns the bytes. Failure: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_NOWHERE SIZE_MAX

/* A block of `size` bytes at addr, and how it is patterned. */
struct pattern {
    char *addr;
    size_t size;
    uint64_t seed;
    bool whole; /* every byte; else sparse */
};

/* Writes the pattern's bytes in [from, size), and its last ones in any case:
 * [0, from) holds this pattern already, but may have ended elsewhere. */
void pattern_fill(const struct pattern *pattern, size_t from);
/* The offset of the first wrong byte in [0, to), or PATTERN_NOWHERE. */
size_t pattern_verify(const struct pattern *pattern, size_t to);
/* The offset of the first byte in [0, to) that the pattern covers and that is
 * not zero, or PATTERN_NOWHERE. */
size_t pattern_nonzero(const struct pattern *pattern, size_t to);
/* The byte that belongs at that offset. */
uint8_t pattern_byte(const struct pattern *pattern, size_t offset);
