/*
 * matrix.h - the sections of the API matrix
 *
 *     matrix_sizes, matrix_align, ... --> matrix.c: one scenario
 *
 * A section is a finite list of programs. What a correct allocator surely
 * serves is packed, many cells to a program and many blocks alive together.
 * What may end the process (enormous sizes, products that overflow, alignments
 * beyond what an allocator plans for) has a program to each cell, so that one
 * crash does not hide the next.
 *
 * Concurrency: constants, and functions that are pure but for their writer.
 * Failure: as the writer's.
 */
#pragma once

#include <stdint.h>

#include "scenarios/writer.h"

struct matrix_section {
    const char *name;
    uint64_t (*program_count)(void);
    void (*write)(struct writer *writer, uint64_t index);
};

extern const struct matrix_section matrix_small_sizes;
extern const struct matrix_section matrix_large_sizes;
extern const struct matrix_section matrix_zero_sizes;
extern const struct matrix_section matrix_aligns;
extern const struct matrix_section matrix_wide_aligns;
extern const struct matrix_section matrix_bad_aligns;
extern const struct matrix_section matrix_resizes;
extern const struct matrix_section matrix_first_calls;
extern const struct matrix_section matrix_huge_sizes;
extern const struct matrix_section matrix_products;

#define MATRIX_COUNT(array) (sizeof(array) / sizeof((array)[0]))
