/*
 * sampler.c - which allocations of a thread are sampled (contract: sampler.h)
 *
 * The distance to the next point is exponential: -ln(u) times the mean, u
 * uniform. It forgets: after a point the next one is drawn anew from the end of
 * the sampled block, and the distribution is the same.
 */
#include "parts/sampler.h"

#define LN_2 0.69314718055994530942

double
sampler_minus_log(double x)
{
    double halvings = 0;

    /* To within a factor of two below 1, where the series is short. */
    while (x < 0x1p-16) {
        x *= 0x1p16;
        halvings += 16;
    }
    while (x < 0.70710678) {
        x *= 2;
        halvings++;
    }
    /* ln(x) = 2 artanh((x - 1) / (x + 1)) */
    double t = (x - 1) / (x + 1);
    double term = t;
    double sum = 0;
    for (int n = 1; n <= 15; n += 2) {
        sum += term / n;
        term *= t * t;
    }
    return halvings * LN_2 - 2 * sum;
}

double
sampler_one_minus_exp(double x)
{
    int halvings = 0;

    if (x > 64) {
        return 1;
    }
    while (x > 0.5) {
        x /= 2;
        halvings++;
    }
    /* x - x^2/2! + x^3/3! ... from its end */
    double sum = 0;
    for (int n = 14; n >= 1; n--) {
        sum = x / n * (1 - sum);
    }
    /* 1 - e^-2x = p (2 - p), of p = 1 - e^-x: nothing cancels. */
    while (halvings-- > 0) {
        sum *= 2 - sum;
    }
    return sum;
}

static int64_t
draw(struct sampler *sampler, uint64_t mean)
{
    double uniform =
        (double)((random_next(&sampler->random) >> 11) + 1) * 0x1p-53;
    double distance = sampler_minus_log(uniform) * (double)mean;

    return distance < 0x1p62 ? (int64_t)distance : (int64_t)1 << 62;
}

bool
sampler_point(struct sampler *sampler, uint64_t mean, uint64_t seed)
{
    if (!sampler->seeded) {
        random_seed(&sampler->random, seed);
        sampler->seeded = true;
        sampler->left += draw(sampler, mean);
        if (sampler->left >= 0) {
            return false;
        }
    }
    sampler->left = draw(sampler, mean);
    return true;
}

uint64_t
sampler_weight(size_t size, uint64_t mean)
{
    double chance = sampler_one_minus_exp((double)size / (double)mean);

    return (uint64_t)(SAMPLER_UNIT / chance + 0.5);
}
