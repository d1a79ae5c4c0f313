/*
 * file.h - heap programs, and any other output, in files
 *
 *     .heap, .heap.zst, a fuzzer's bytes --> file_load --> struct program
 *     struct program, text --> file_save, file_write --> one whole file
 *
 * What a file holds is told by its content and not by its name: text, text
 * compressed with zstd, or the byte form. Bytes that look like text must be the
 * text form; other bytes are the byte form if they are no more than it can use.
 *
 * A file is written whole: under a temporary name in the same directory, which
 * then takes the final name, so that a reader never sees half a file.
 *
 * Concurrency: pure but for arguments and files.
 * Failure: *error then holds one line, such as "bad.heap:7: slot 99 out of
 * range (0..63)", and the kind of failure; no file is left half written.
 * Programs and buffers are mapped, but zstd takes its workspace from malloc.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "program/mapped.h"
#include "program/program.h"

#define FILE_SIZE_MAX ((size_t)1 << 30) /* of what a file unpacks to */

enum file_failure {
    FILE_BAD_INPUT, /* what it holds, or that it is a directory */
    FILE_NO_ACCESS  /* missing, unreadable, unwritable, or no memory */
};

struct file_error {
    enum file_failure failure;
    char line[PATH_MAX + 256]; /* no newline */
};

bool file_load(
    struct program *program, const char *path, struct file_error *error);

/* In the form that the path's ending asks for: .zst is text compressed, .bytes
 * is the byte form, all else is text. */
bool file_save(
    const struct program *program, const char *path, struct file_error *error);

/* As it is, up to FILE_SIZE_MAX; adds to what the buffer holds. */
bool file_read(
    struct buffer *buffer, const char *path, struct file_error *error);
bool file_write(
    const char *path, const void *bytes, size_t size, struct file_error *error);

/* file_load for content that is already in memory; path is for messages. */
bool file_parse(struct program *program, const char *bytes, size_t size,
    const char *path, struct file_error *error);
