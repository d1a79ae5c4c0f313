/*
 * random.c - seeded randomness (contract: random.h)
 *
 * The state is filled by SplitMix64, which maps every seed, 0 included, to a
 * state that is not all zero and unlike that of the next seed.
 */
#include "base/random.h"

#include "base/check.h"

#define GOLDEN_GAMMA 0x9e3779b97f4a7c15u

uint64_t
random_mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

void
random_seed(struct random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += GOLDEN_GAMMA;
        random->state[i] = random_mix(seed);
    }
}

static uint64_t
rotate_left(uint64_t value, unsigned count)
{
    return (value << count) | (value >> (64 - count));
}

uint64_t
random_next(struct random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* The high half of next * bound is uniform once the few products are drawn
 * again whose low half falls into the remainder of 2^64 / bound. */
uint64_t
random_below(struct random *random, uint64_t bound)
{
    ASSERT(bound > 0);
    uint64_t remainder = -bound % bound;
    unsigned __int128 product;

    do {
        product = (unsigned __int128)random_next(random) * bound;
    } while ((uint64_t)product < remainder);
    return (uint64_t)(product >> 64);
}

uint64_t
random_between(struct random *random, uint64_t low, uint64_t high)
{
    ASSERT(low <= high);
    uint64_t span = high - low;

    if (span == UINT64_MAX) {
        return random_next(random);
    }
    return low + random_below(random, span + 1);
}

bool
random_one_in(struct random *random, uint64_t n)
{
    return random_below(random, n) == 0;
}

static unsigned
bit_length(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

/* A uniform bit length, then a uniform value of that length. */
uint64_t
random_log_between(struct random *random, uint64_t low, uint64_t high)
{
    ASSERT(low <= high);
    unsigned length =
        (unsigned)random_between(random, bit_length(low), bit_length(high));
    uint64_t first = length == 0 ? 0 : (uint64_t)1 << (length - 1);
    uint64_t last = length == 0 ? 0 : first + (first - 1);

    return random_between(
        random, first < low ? low : first, last > high ? high : last);
}
