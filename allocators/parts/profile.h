/*
 * profile.h - sampled allocations, by the stack that made them
 *
 *     profile_add(stack, size) --> site: counts, frames --> sample
 *                                   ^                         | the block's
 *     profile_remove(sample) -------+-------------------------+
 *
 * A site is a stack that allocates; a sample is one sampled block that lives,
 * and whoever owns the block keeps its address with it. Both stand in metadata
 * memory; a sample is used again, a site is for ever.
 *
 * Concurrency: the caller's lock guards a profile.
 * Failure: profile_init returns false, profile_add NULL, when out of memory.
 * Design: gperftools, "Heap profiling"; jemalloc(3), "opt.prof".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/meta.h"

struct profile_sums {
    uint64_t count, size; /* as sampled */
    /* What they stand for; the count in units of 1 / SAMPLER_UNIT. */
    uint64_t full_count, full_size;
};

struct profile_site {
    struct profile_site *next; /* in its bucket */
    struct profile_sums all;   /* since the start */
    struct profile_sums live;  /* of them, not freed */
    size_t depth;
    uintptr_t frames[]; /* return addresses, innermost first */
};

struct profile_sample {
    union {
        struct profile_site *site;
        struct profile_sample *next; /* when it is free */
    };
    struct profile_sums sums;
};

/* One address of some stack. */
struct profile_code {
    struct profile_code *next; /* in its bucket */
    uintptr_t addr;
    uint64_t mapping; /* for who writes a file: which one it lies in */
};

#define PROFILE_BUCKETS 4096u

struct profile {
    struct meta *meta;
    uint64_t mean; /* bytes from point to point; see sampler.h */
    struct profile_site **sites;
    struct profile_code **codes;
    struct profile_sample *free;
    struct profile_sums all, live;
    size_t site_count;
};

bool profile_init(struct profile *profile, struct meta *meta, uint64_t mean);

/* A block of that size has been sampled. size is at least 1. */
struct profile_sample *profile_add(struct profile *profile,
    const uintptr_t *frames, size_t depth, size_t size);
/* It has been freed. */
void profile_remove(struct profile *profile, struct profile_sample *sample);

/* Every entry of a table: sites or codes. */
#define PROFILE_EACH(entry, table)                                             \
    for (size_t bucket = 0; bucket < PROFILE_BUCKETS; bucket++)                \
        for (entry = (table)[bucket]; entry != NULL; entry = entry->next)

void profile_check(const struct profile *profile); /* aborts if broken */
