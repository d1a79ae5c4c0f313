/*
 * random.h - seeded randomness: the only kind there is
 *
 * A generator is a value; equal seeds give equal sequences on every machine.
 *
 * Concurrency: a generator belongs to one thread. Failure: none.
 * Design: Steele, Lea, Flood, "Fast splittable pseudorandom number generators"
 * (OOPSLA 2014) for seeding; Blackman and Vigna, "Scrambled linear
 * pseudorandom number generators" (2018), xoshiro256**.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state[4];
};

void random_seed(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
/* Uniform in 0 .. bound-1; bound is at least 1. */
uint64_t random_below(struct random *random, uint64_t bound);
/* Uniform in low .. high, both included. */
uint64_t random_between(struct random *random, uint64_t low, uint64_t high);
/* True in one case of n. */
bool random_one_in(struct random *random, uint64_t n);
/* A size whose logarithm is uniform: small ones are common, all occur. */
uint64_t random_log_between(struct random *random, uint64_t low, uint64_t high);
/* A 64-bit hash, for deriving seeds: mixes every bit of value. */
uint64_t random_mix(uint64_t value);
