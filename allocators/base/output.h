/*
 * output.h - files that an allocator writes, without malloc or stdio
 *
 *     profiles, statistics --> output, gzip --> open, write, close
 *
 * Concurrency: any thread; a struct gzip belongs to one.
 * Failure: -1 or false when the file cannot be made or written. errno is kept.
 * Design: RFC 1952 for gzip, RFC 1951 (3.2.4) for its stored blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_PATH_MAX 4096

/* A new, empty file, or one made empty. */
int output_create(const char *path);
bool output_write(int fd, const void *bytes, size_t size);
bool output_close(int fd);

/* PREFIX.PID.NUMBERsuffix into path, so that no process and no call writes over
 * the file of another. False when it is too long. */
bool output_name(char path[OUTPUT_PATH_MAX], const char *prefix,
    size_t prefix_size, uint64_t number, const char *suffix);

/* A gzip file: the bytes as they are, in frames with a checksum. Nothing is
 * compressed: what compresses would need tables and time in the middle of
 * somebody's malloc. */
struct gzip {
    int fd;
    uint32_t crc;  /* of all bytes so far, inverted */
    uint32_t size; /* of all bytes so far, modulo 2^32 */
    uint32_t used_size;
    bool failed;
    uint8_t buffer[4096];
};

void gzip_init(struct gzip *gzip, int fd);
void gzip_write(struct gzip *gzip, const void *bytes, size_t size);
bool gzip_finish(struct gzip *gzip); /* false when any write failed */
