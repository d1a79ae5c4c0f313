/*
 * sampled.h - the sampled profile of one heap
 *
 *     a design's slow path --> sampled --> sampler: is this one?
 *                                     \--> stack: who asks
 *                                     \--> profile, files
 *
 * What a design does for it: every allocation passes sampled_pick. One that is
 * picked is made a block of whole pages of its own, whatever its size, so that
 * freeing it comes the slow way too; the design keeps the sample with its pages
 * and gives it back when the block is freed. The fast paths know nothing of all
 * this: where the profile is on, threads are not shown their caches, so that
 * each allocation comes beside them and is counted.
 *
 * Concurrency: any thread, with no lock of rank MTX_PROFILE or above held.
 * Failure: sampled_add returns NULL when out of memory: the block is not in the
 * profile. A file that cannot be written: false, and a line on stderr where
 * nobody asked for it by a call.
 * Design: docs/designs/tcmalloc.md, "Profiling".
 */
#pragma once

#include "base/sync.h"
#include "parts/profile.h"
#include "parts/sampler.h"

/* How a design writes its files. */
struct sampled_form {
    const char *design; /* its name */
    const char *suffix; /* of a file's name */
    bool (*write)(const struct profile *profile, int fd);
};

struct sampled_options {
    uint64_t mean;      /* bytes from sample to sample; 0: no profile */
    const char *prefix; /* of files' names */
    size_t prefix_size;
    bool final;        /* a file when the process ends */
    uint64_t interval; /* a file each time so much was allocated; 0: none */
};

struct sampled {
    bool on; /* fixed at start, as are the next three */
    const struct sampled_form *form;
    struct sampled_options options;
    uint64_t seed;
    _Atomic uint64_t thread_count; /* samplers seeded */
    struct mtx lock;
    struct profile profile;    /* [lock] */
    uint64_t next_file_size;   /* [lock] allocated bytes that are due a file */
    uint64_t next_file_number; /* [lock] */
};

/* In zeroed memory. Without enough of it, or with mean 0, the profile stays
 * off. */
void sampled_init(struct sampled *sampled, struct meta *meta,
    const struct sampled_form *form, const struct sampled_options *options);

/* For sampled_pick alone. */
bool sampled_point(struct sampled *sampled, struct sampler *sampler);

/* Counts size bytes; true when the block is to be sampled. sampler is the
 * calling thread's. Only where the profile is on. */
static inline bool
sampled_pick(struct sampled *sampled, struct sampler *sampler, size_t size)
{
    return !sampler_pass(sampler, size == 0 ? 1 : size) &&
           sampled_point(sampled, sampler);
}

/* The caller's callers have got a block of that size. */
struct profile_sample *sampled_add(struct sampled *sampled, size_t size);
/* sample is not NULL. */
void sampled_remove(struct sampled *sampled, struct profile_sample *sample);

/* What was allocated and lives, in full. */
struct profile_sums sampled_live(struct sampled *sampled);

/* Writes the profile to a file of that name; NULL: of the next name in turn. */
bool sampled_write(struct sampled *sampled, const char *path);
/* When the process ends. */
void sampled_end(struct sampled *sampled);
