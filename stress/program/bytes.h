/*
 * bytes.h - the byte form of a heap program: what a fuzzer mutates
 *
 *     any bytes --> bytes_decode --> struct program --> bytes_encode --> bytes
 *
 *     | threads | slots | operation | operation | ... | schedule | faults | n |
 *       front, read forwards -->                  <-- back, read backwards
 *
 * Every string of bytes is a valid program: there is no magic number, no
 * length, no checksum. Operations are read from the front, schedule and faults
 * from the back, so that a change to one leaves the other as it is. What
 * bytes_encode wrote decodes into an equal program. docs/heap-program.md has
 * the layout of each part.
 *
 * The form holds what is run and not where it came from: seed, target,
 * scenario, policy and finding are not in it.
 *
 * Concurrency: pure but for the arguments.
 * Failure: bytes_decode returns false when out of memory. A program that is
 * too large for the form is refused by bytes_fit with the reason.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program/program.h"

#define BYTES_THREADS_MAX  4
#define BYTES_OPS_MAX      1024 /* in all threads; what follows is ignored */
#define BYTES_SCHEDULE_MAX 1024
#define BYTES_FAULTS_MAX   3
#define BYTES_SIZE_MAX     24576 /* no program that fits needs more */

/* Clears the program first. */
bool bytes_decode(struct program *program, const uint8_t *data, size_t size);

/* False: *why says which limit the program is over. */
bool bytes_fit(const struct program *program, const char **why);

/* The form of a program that fits; returns its size. When that is more than
 * capacity, what data holds is of no use. */
size_t bytes_encode(
    const struct program *program, uint8_t *data, size_t capacity);
