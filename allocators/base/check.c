/*
 * check.c - the three ways to stop (contract: check.h)
 *
 * Each builds its line in a buffer on the stack and writes it with one call,
 * then aborts. Nothing else is done: the heap may be broken.
 */
#include "base/check.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/print.h"

void
check_failed(const char *condition, const char *file, int line)
{
    struct print print;

    print_init(&print, STDERR_FILENO);
    print_format(&print, "%s:%d: check failed: %s\n", file, line, condition);
    print_flush(&print);
    abort();
}

void
check_misuse(const char *design, const char *what, const void *block)
{
    struct print print;

    print_init(&print, STDERR_FILENO);
    print_format(&print, "malstrom-%s: %s: %p\n", design, what, block);
    print_flush(&print);
    abort();
}
