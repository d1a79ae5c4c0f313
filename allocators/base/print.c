/*
 * print.c - printing without malloc or stdio (contract: print.h)
 *
 * One buffer on the caller's stack holds a whole line in nearly every use, so
 * that a line reaches the file in one write and lines of two threads do not
 * mix. stdio is no choice: it takes locks and, for a first use, memory.
 */
#include "base/print.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

/* A sink wants a NUL behind the text. */
#define PRINT_FULL (sizeof(((struct print *)NULL)->buffer) - 1)

void
print_init(struct print *print, int fd)
{
    print->fd = fd;
    print->sink = NULL;
    print->used_size = 0;
}

void
print_init_sink(struct print *print, print_sink_fn *sink, void *arg)
{
    print->fd = -1;
    print->sink = sink;
    print->sink_arg = arg;
    print->used_size = 0;
}

static void
flush_to_sink(struct print *print)
{
    if (print->used_size > 0) {
        print->buffer[print->used_size] = '\0';
        print->used_size = 0;
        print->sink(print->sink_arg, print->buffer);
    }
}

void
print_flush(struct print *print)
{
    int saved_errno = errno;
    size_t done = 0;

    if (print->sink != NULL) {
        flush_to_sink(print);
        return;
    }
    while (done < print->used_size) {
        ssize_t count =
            write(print->fd, print->buffer + done, print->used_size - done);
        if (count > 0) {
            done += (size_t)count;
        } else if (count == 0 || errno != EINTR) {
            break; /* Nobody can be told. */
        }
    }
    print->used_size = 0;
    errno = saved_errno;
}

void
print_chars(struct print *print, const char *chars, size_t size)
{
    while (size > 0) {
        size_t room = PRINT_FULL - print->used_size;
        size_t count = size < room ? size : room;

        memcpy(print->buffer + print->used_size, chars, count);
        print->used_size += count;
        chars += count;
        size -= count;
        if (print->used_size == PRINT_FULL) {
            print_flush(print);
        }
    }
}

void
print_text(struct print *print, const char *text)
{
    print_chars(print, text, strlen(text));
}

static void
print_digits(struct print *print, uint64_t value, unsigned base)
{
    char digits[20]; /* 2^64 has 20 decimal digits */
    size_t at = sizeof(digits);

    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    print_chars(print, digits + at, sizeof(digits) - at);
}

void
print_decimal(struct print *print, uint64_t value)
{
    print_digits(print, value, 10);
}

void
print_signed(struct print *print, int64_t value)
{
    if (value < 0) {
        print_chars(print, "-", 1);
        print_digits(print, -(uint64_t)value, 10); /* INT64_MIN has none else */
    } else {
        print_digits(print, (uint64_t)value, 10);
    }
}

void
print_hex(struct print *print, uint64_t value)
{
    print_chars(print, "0x", 2);
    print_digits(print, value, 16);
}

/* One conversion, whose letters begin after '%'. Returns their end. */
static const char *
print_conversion(struct print *print, const char *letter, va_list *args)
{
    char c;

    switch (*letter) {
    case 's':
        print_text(print, va_arg(*args, const char *));
        return letter + 1;
    case 'u':
        print_decimal(print, va_arg(*args, unsigned));
        return letter + 1;
    case 'd':
        print_signed(print, va_arg(*args, int));
        return letter + 1;
    case 'x':
        print_hex(print, va_arg(*args, unsigned));
        return letter + 1;
    case 'p':
        print_hex(print, (uintptr_t)va_arg(*args, void *));
        return letter + 1;
    case 'c':
        c = (char)va_arg(*args, int);
        print_chars(print, &c, 1);
        return letter + 1;
    case '%':
        print_chars(print, "%", 1);
        return letter + 1;
    case 'z':
        CHECK(letter[1] == 'u');
        print_decimal(print, va_arg(*args, size_t));
        return letter + 2;
    case 'l':
        CHECK(letter[1] == 'u' || letter[1] == 'x');
        if (letter[1] == 'u') {
            print_decimal(print, va_arg(*args, unsigned long));
        } else {
            print_hex(print, va_arg(*args, unsigned long));
        }
        return letter + 2;
    default:
        CHECK(!"a conversion that print_format knows");
        return letter;
    }
}

void
print_format(struct print *print, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    while (*format != '\0') {
        size_t plain = strcspn(format, "%");

        print_chars(print, format, plain);
        format += plain;
        if (*format == '%') {
            format = print_conversion(print, format + 1, &args);
        }
    }
    va_end(args);
}
