/*
 * tuning.h - what a user may tune, by mallopt or by the environment
 *
 *     DLM_OPTIONS="mmap_threshold:1m,top_pad:64k" --> struct dlm_tuning
 *     dlm_mallopt(M_TRIM_THRESHOLD, 1 << 20)      -->
 *
 *   mmap_threshold  requests of at least this size get mappings of their own
 *                   when no free chunk serves them. Dynamic until it is set:
 *                   it rises to the size of such a block that is freed, since
 *                   a program that frees one is likely to ask for another
 *   trim_threshold  a top larger than this is given back to the OS. Dynamic
 *                   too: twice mmap_threshold
 *   top_pad         how much more than needed top grows, and keeps at a trim
 *   mmap_max        how many blocks may have mappings of their own
 *
 * Concurrency: guarded by the lock of the heap that it is part of.
 * Failure: mallopt's: 0 for what it does not know or a bad value.
 * Design: mallopt(3); Lea, "A Memory Allocator", Memory mapping.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DLM_OFF SIZE_MAX /* a threshold that nothing reaches */

struct dlm_tuning {
    size_t mmap_threshold;
    size_t trim_threshold;
    size_t top_pad;
    size_t mmap_max;
    bool is_dynamic; /* no one has set a threshold */
};

#define DLM_TUNING_DEFAULT                                                     \
    {                                                                          \
        .mmap_threshold = (size_t)256 << 10,                                   \
        .trim_threshold = (size_t)2 << 20, .top_pad = (size_t)128 << 10,       \
        .mmap_max = (size_t)65536, .is_dynamic = true                          \
    }

/* From the environment: DLM_OPTIONS. */
void dlm_tuning_read(struct dlm_tuning *tuning);

/* mallopt(3): 1, or 0 and nothing changed. */
int dlm_tuning_set(struct dlm_tuning *tuning, int parameter, int value);

/* A directly mapped block of that size was freed. */
void dlm_tuning_learn(struct dlm_tuning *tuning, size_t size);
