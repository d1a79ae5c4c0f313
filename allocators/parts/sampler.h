/*
 * sampler.h - which allocations of a thread are sampled, by bytes
 *
 *     bytes allocated:  ----+-------+--+----------------+------->
 *     points, at random:    |       |  |                |
 *
 * Points are spread over the bytes that a thread allocates, a mean number of
 * bytes apart, as if each byte were a point by the same small chance. A block
 * with a point in it is sampled, so a block of s bytes is with the chance
 * p = 1 - exp(-s / mean), whatever was allocated before. Counting it as 1 / p
 * blocks makes every total right on average.
 *
 * Concurrency: a sampler belongs to one thread.
 * Failure: none.
 * Design: gperftools, "Heap profiling"; google/tcmalloc's docs/sampling.md;
 * Kingman, "Poisson Processes" (1993), 2.1 and 5.2.
 */
#pragma once

#include <stddef.h>

#include "base/random.h"

/* All zero: seeded at its first use. */
struct sampler {
    int64_t left; /* bytes up to the next point */
    bool seeded;
    struct random random;
};

/* Counts bytes; false when a point is among them, and sampler_point is next. */
static inline bool
sampler_pass(struct sampler *sampler, size_t size)
{
    sampler->left -= (int64_t)size;
    return __builtin_expect(sampler->left >= 0, 1);
}

/* True when sampler_pass would be, for a caller that may yet not allocate. */
static inline bool
sampler_covers(const struct sampler *sampler, size_t size)
{
    return sampler->left >= (int64_t)size;
}

/* After sampler_pass said no. True: the block is sampled. A new sampler is first
 * seeded, and its first point drawn. mean is at least 1. */
bool sampler_point(struct sampler *sampler, uint64_t mean, uint64_t seed);

/* How many blocks of that size one sampled one stands for, in units of
 * 1 / SAMPLER_UNIT. */
#define SAMPLER_UNIT 1024u
uint64_t sampler_weight(size_t size, uint64_t mean);

/* -ln(x) for x in (0, 1]; 1 - exp(-x) for x >= 0. To 10 digits, without libm. */
double sampler_minus_log(double x);
double sampler_one_minus_exp(double x);
