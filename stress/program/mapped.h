/*
 * mapped.h - storage that grows, straight from the kernel
 *
 *     programs, their text, files --> mapped --> mmap, mremap
 *
 * The harness lives in the process that it tests, so it takes nothing from
 * malloc; and since faults are injected into the calls that allocators make to
 * the OS, it goes past that seam too.
 *
 * Concurrency: a struct buffer belongs to one thread.
 * Failure: false when the kernel refuses; nothing is changed, errno is kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Makes room for count elements in *data, which holds *capacity of them and
 * may be NULL with 0. What is there stays; what is new is zero. */
bool mapped_grow(
    void *data, size_t *capacity, size_t count, size_t element_size);
/* Gives all back: *data is NULL, *capacity 0. */
void mapped_drop(void *data, size_t *capacity, size_t element_size);

/* Bytes that are added at the end; all zero is an empty one. */
struct buffer {
    char *data;
    size_t size;
    size_t capacity;
};

/* Room for that many bytes more. */
bool buffer_reserve(struct buffer *buffer, size_t more_size);
bool buffer_add(struct buffer *buffer, const void *bytes, size_t size);
bool buffer_add_text(struct buffer *buffer, const char *text);
void buffer_fini(struct buffer *buffer); /* empty again, storage returned */
