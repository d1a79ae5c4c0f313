/*
 * sampled.c - the sampled profile of one heap (contract: sampled.h)
 *
 * The stack is taken before the lock: the unwinder may wait for the dynamic
 * loader's lock, whose holder may be waiting for this one to allocate.
 */
#include "sampled.h"

#include <string.h>

#include "base/machine.h"
#include "base/output.h"
#include "base/print.h"
#include "base/stack.h"

/* The caller's text may change, or go. */
static bool
keep_prefix(struct sampled *sampled, struct meta *meta)
{
    struct sampled_options *options = &sampled->options;
    char *prefix = meta_take(meta, options->prefix_size + 1);

    if (prefix == NULL) {
        return false;
    }
    memcpy(prefix, options->prefix, options->prefix_size);
    options->prefix = prefix;
    return true;
}

void
sampled_init(struct sampled *sampled, struct meta *meta,
    const struct sampled_form *form, const struct sampled_options *options)
{
    sampled->form = form;
    sampled->options = *options;
    if (options->mean == 0 || !keep_prefix(sampled, meta) ||
        !profile_init(&sampled->profile, meta, options->mean)) {
        return;
    }
    mtx_init(&sampled->lock, MTX_PROFILE);
    sampled->seed = machine.random();
    sampled->next_file_size =
        options->interval == 0 ? UINT64_MAX : options->interval;
    sampled->on = true;
}

bool
sampled_point(struct sampled *sampled, struct sampler *sampler)
{
    uint64_t thread = 0;

    if (!sampler->seeded) {
        /* Relaxed: a number that no other thread has. */
        thread = atomic_fetch_add_explicit(
            &sampled->thread_count, 1, memory_order_relaxed);
    }
    return sampler_point(
        sampler, sampled->options.mean, random_mix(sampled->seed + thread));
}

/* True when a file is due. */
static bool
count_for_file_locked(struct sampled *sampled) REQUIRES(sampled->lock)
{
    bool due = sampled->profile.all.full_size >= sampled->next_file_size;

    if (due) {
        sampled->next_file_size =
            sampled->profile.all.full_size + sampled->options.interval;
    }
    return due;
}

struct profile_sample *
sampled_add(struct sampled *sampled, size_t size)
{
    uintptr_t frames[STACK_DEPTH_MAX];
    size_t depth = stack_capture(frames);

    mtx_lock(&sampled->lock);
    struct profile_sample *sample =
        profile_add(&sampled->profile, frames, depth, size == 0 ? 1 : size);
    bool due = count_for_file_locked(sampled);
    mtx_unlock(&sampled->lock);
    if (due) {
        (void)sampled_write(sampled, NULL);
    }
    return sample;
}

void
sampled_remove(struct sampled *sampled, struct profile_sample *sample)
{
    mtx_lock(&sampled->lock);
    profile_remove(&sampled->profile, sample);
    mtx_unlock(&sampled->lock);
}

struct profile_sums
sampled_live(struct sampled *sampled)
{
    struct profile_sums sums = {0};

    if (sampled->on) {
        mtx_lock(&sampled->lock);
        sums = sampled->profile.live;
        mtx_unlock(&sampled->lock);
    }
    return sums;
}

/* ---- files */

static void
complain(const struct sampled *sampled, const char *path)
{
    struct print print;

    print_init(&print, 2);
    print_format(&print, "malstrom-%s: cannot write the profile: \"%s\"\n",
        sampled->form->design, path);
    print_flush(&print);
}

static bool
write_locked(struct sampled *sampled, const char *path) REQUIRES(sampled->lock)
{
    int fd = output_create(path);

    if (fd < 0) {
        return false;
    }
    bool written = sampled->form->write(&sampled->profile, fd);
    return output_close(fd) && written;
}

static bool
write_next_locked(struct sampled *sampled) REQUIRES(sampled->lock)
{
    const struct sampled_options *options = &sampled->options;
    char path[OUTPUT_PATH_MAX];
    bool written = output_name(path, options->prefix, options->prefix_size,
                       sampled->next_file_number++, sampled->form->suffix) &&
                   write_locked(sampled, path);

    if (!written) {
        complain(sampled, path);
    }
    return written;
}

bool
sampled_write(struct sampled *sampled, const char *path)
{
    if (!sampled->on) {
        return false;
    }
    mtx_lock(&sampled->lock);
    bool written =
        path == NULL ? write_next_locked(sampled) : write_locked(sampled, path);
    mtx_unlock(&sampled->lock);
    return written;
}

void
sampled_end(struct sampled *sampled)
{
    if (sampled->on && sampled->options.final) {
        (void)sampled_write(sampled, NULL);
    }
}
