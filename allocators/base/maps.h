/*
 * maps.h - what is mapped where in this process, read without malloc
 *
 *     /proc/self/maps --> maps --> profiles: which address is whose code
 *
 * Concurrency: any thread. Mappings that change meanwhile may be missed.
 * Failure: false when the file cannot be read to its end; what was shown is
 * true. errno is kept.
 * Design: proc(5), /proc/pid/maps.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maps_entry {
    uintptr_t begin, end;
    uint64_t offset; /* in the file */
    bool executable;
    const char *path; /* "" when there is none; valid during the call */
};

typedef void maps_fn(const struct maps_entry *entry, void *arg);

bool maps_each(maps_fn *visit, void *arg);

/* The whole file as it is, to a file. */
bool maps_copy(int fd);
