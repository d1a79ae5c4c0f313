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

#define PATTERN_LINE   64   /* bytes of a sampled line */
#define PATTERN_HEAD   1024 /* bytes at the front that a sparse pattern has */
#define PATTERN_NOWHERE SIZE_MAX

/* Writes the bytes [from, to) of a block at addr. */
void pattern_fill(char *addr, size_t from, size_t to, uint64_t seed, bool whole);
/* The offset of the first wrong byte in [0, to), or PATTERN_NOWHERE. */
size_t pattern_verify(
    const char *addr, size_t to, uint64_t seed, bool whole);
/* The offset of the first byte of [0, to) that is not zero. */
size_t pattern_nonzero(
    const char *addr, size_t to, uint64_t seed, bool whole);
/* The byte that belongs at that offset. */
uint8_t pattern_byte(size_t offset, uint64_t seed);
