/*
 * profile.c - sampled allocations, by the stack that made them (contract:
 * profile.h)
 *
 * Two hash tables with chains: of sites, by all of their frames, and of code
 * addresses, since a profile's file names each address once. Few programs
 * allocate from more than some thousand places.
 *
 * Invariants:
 *   I1  `all` and `live` are the sums over the sites.
 *   I2  A site's `live` is the sum over its samples in use, and at most `all`.
 *   I3  Each frame of a site is in codes, once.
 */
#include "parts/profile.h"

#include <string.h>

#include "base/check.h"
#include "base/random.h"
#include "parts/sampler.h"

/* ---- sums */

static void
add_sums(struct profile_sums *sums, const struct profile_sums *more)
{
    sums->count += more->count;
    sums->size += more->size;
    sums->full_count += more->full_count;
    sums->full_size += more->full_size;
}

static void
subtract_sums(struct profile_sums *sums, const struct profile_sums *less)
{
    sums->count -= less->count;
    sums->size -= less->size;
    sums->full_count -= less->full_count;
    sums->full_size -= less->full_size;
}

/* ---- the tables */

bool
profile_init(struct profile *profile, struct meta *meta, uint64_t mean)
{
    size_t size = PROFILE_BUCKETS * sizeof(void *);

    *profile = (struct profile){.meta = meta, .mean = mean};
    profile->sites = meta_take(meta, size);
    profile->codes = meta_take(meta, size);
    return profile->sites != NULL && profile->codes != NULL;
}

static uint64_t
hash_frames(const uintptr_t *frames, size_t depth)
{
    uint64_t hash = depth;

    for (size_t i = 0; i < depth; i++) {
        hash = random_mix(hash ^ frames[i]);
    }
    return hash;
}

static bool
enter_code(struct profile *profile, uintptr_t addr)
{
    struct profile_code **bucket =
        &profile->codes[random_mix(addr) % PROFILE_BUCKETS];
    struct profile_code *code = *bucket;

    while (code != NULL && code->addr != addr) {
        code = code->next;
    }
    if (code != NULL) {
        return true;
    }
    code = meta_take(profile->meta, sizeof *code);
    if (code == NULL) {
        return false;
    }
    code->addr = addr;
    code->next = *bucket;
    *bucket = code;
    return true;
}

static struct profile_site *
new_site(struct profile *profile, const uintptr_t *frames, size_t depth)
{
    for (size_t i = 0; i < depth; i++) {
        if (!enter_code(profile, frames[i])) {
            return NULL;
        }
    }
    struct profile_site *site =
        meta_take(profile->meta, sizeof *site + depth * sizeof *frames);
    if (site != NULL) {
        site->depth = depth;
        memcpy(site->frames, frames, depth * sizeof *frames);
        profile->site_count++;
    }
    return site;
}

static struct profile_site *
find_site(struct profile *profile, const uintptr_t *frames, size_t depth)
{
    struct profile_site **bucket =
        &profile->sites[hash_frames(frames, depth) % PROFILE_BUCKETS];
    struct profile_site *site;

    for (site = *bucket; site != NULL; site = site->next) {
        if (site->depth == depth &&
            memcmp(site->frames, frames, depth * sizeof *frames) == 0) {
            return site;
        }
    }
    site = new_site(profile, frames, depth);
    if (site != NULL) {
        site->next = *bucket;
        *bucket = site;
    }
    return site;
}

/* ---- samples */

static struct profile_sample *
take_sample(struct profile *profile)
{
    struct profile_sample *sample = profile->free;

    if (sample == NULL) {
        return meta_take(profile->meta, sizeof *sample);
    }
    profile->free = sample->next;
    return sample;
}

struct profile_sample *
profile_add(
    struct profile *profile, const uintptr_t *frames, size_t depth, size_t size)
{
    uint64_t weight = sampler_weight(size, profile->mean);
    struct profile_site *site = find_site(profile, frames, depth);
    struct profile_sample *sample = site == NULL ? NULL : take_sample(profile);

    if (sample == NULL) {
        return NULL;
    }
    sample->site = site;
    sample->sums = (struct profile_sums){1, size, weight,
        (uint64_t)((double)size * (double)weight / SAMPLER_UNIT + 0.5)};
    add_sums(&site->all, &sample->sums);
    add_sums(&site->live, &sample->sums);
    add_sums(&profile->all, &sample->sums);
    add_sums(&profile->live, &sample->sums);
    return sample;
}

void
profile_remove(struct profile *profile, struct profile_sample *sample)
{
    subtract_sums(&sample->site->live, &sample->sums);
    subtract_sums(&profile->live, &sample->sums);
    sample->next = profile->free;
    profile->free = sample;
}

/* ---- looking */

static void
check_site(const struct profile_site *site)
{
    CHECK(site->live.count <= site->all.count); /* I2 */
    CHECK(site->live.size <= site->all.size);
    CHECK(site->live.full_size <= site->all.full_size);
}

void
profile_check(const struct profile *profile)
{
    struct profile_sums all = {0}, live = {0};
    const struct profile_site *site;
    size_t count = 0;

    PROFILE_EACH (site, profile->sites) {
        check_site(site);
        add_sums(&all, &site->all);
        add_sums(&live, &site->live);
        count++;
    }
    CHECK(count == profile->site_count);
    CHECK(memcmp(&all, &profile->all, sizeof all) == 0); /* I1 */
    CHECK(memcmp(&live, &profile->live, sizeof live) == 0);
}
