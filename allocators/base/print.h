/*
 * print.h - printing without malloc or stdio
 *
 *     dumps, statistics, misuse reports --> print --> write(2)
 *
 * A small buffer on the caller's stack, written when full and at the end. It
 * is safe in a signal handler, in a forked child and inside a heap lock; with a
 * sink, as safe as that is.
 *
 * Concurrency: a struct print belongs to one thread.
 * Failure: a failed write is dropped; interrupted ones go on. errno is kept.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Takes what is printed in place of a file; text ends in NUL. */
typedef void print_sink_fn(void *arg, const char *text);

struct print {
    int fd;
    print_sink_fn *sink; /* or NULL */
    void *sink_arg;
    size_t used_size;
    char buffer[512];
};

void print_init(struct print *print, int fd);
void print_init_sink(struct print *print, print_sink_fn *sink, void *arg);
void print_flush(struct print *print);

void print_text(struct print *print, const char *text);
void print_chars(struct print *print, const char *chars, size_t size);
void print_decimal(struct print *print, uint64_t value);
void print_signed(struct print *print, int64_t value);
void print_hex(struct print *print, uint64_t value); /* with 0x */

/* %s %u (unsigned) %d (int) %zu (size_t) %lu (uint64_t as unsigned long)
 * %x (unsigned, with 0x) %lx (unsigned long, with 0x) %p %c %%; nothing else:
 * no width, no flag. */
void print_format(struct print *print, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
