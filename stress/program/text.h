/*
 * text.h - the text form of a heap program: what people read, write and keep
 *
 *     file.heap --> text_read --> struct program --> text_write --> file.heap
 *
 * docs/heap-program.md has the grammar and examples. What text_write wrote,
 * text_read reads into an equal program; writing that again gives the same
 * bytes. A text that was cut short anywhere is refused: its `end` is missing.
 *
 * Concurrency: pure but for its arguments.
 * Failure: text_read returns false with the line and a reason; the program then
 * holds what came before. text_write returns false when out of memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "program/mapped.h"
#include "program/program.h"

struct text_error {
    size_t line;      /* from 1 */
    char reason[160]; /* "slot 99 out of range (0..63)" */
};

/* True when the first line is that of a text form, of whatever version. */
bool text_is(const char *chars, size_t size);

/* Clears the program first. */
bool text_read(struct program *program, const char *chars, size_t size,
    struct text_error *error);

/* Adds to what the buffer holds. */
bool text_write(const struct program *program, struct buffer *out);

/* One operation as its line in the text form, cut to size and terminated:
 * "calloc 3 10 16". */
void text_op(const struct op *op, char *line, size_t size);
