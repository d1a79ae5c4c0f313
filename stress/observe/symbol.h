/*
 * symbol.h - code addresses as function, file and line
 *
 *     program counters --> addr2line, once for all --> "bin_take bin.c:117"
 *
 * Concurrency: one thread, between runs.
 * Failure: where addr2line or the debugging information is missing a name is
 * the address in hexadecimal.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SYMBOL_NAME_MAX 120

struct symbol {
    uintptr_t pc; /* a return address: the call before it is meant */
    char name[SYMBOL_NAME_MAX];
};

void symbol_find(struct symbol *symbols, size_t count);
