/*
 * tuning.c - what a user may tune (contract: tuning.h)
 *
 * Setting any of the four by hand ends the dynamic adjustment, as glibc's
 * mallopt has it. M_ARENA_MAX and M_ARENA_TEST are accepted because one heap
 * satisfies every limit on their number.
 */
#include "dlmalloc/tuning.h"

#include <malloc.h>

#include "base/env.h"

#define MMAP_THRESHOLD_MAX ((size_t)32 << 20) /* for the dynamic one */

void
dlm_tuning_read(struct dlm_tuning *tuning)
{
    uint64_t mmap_threshold = tuning->mmap_threshold;
    uint64_t trim_threshold = tuning->trim_threshold;
    uint64_t top_pad = tuning->top_pad;
    uint64_t mmap_max = tuning->mmap_max;
    const struct env_option options[] = {
        {"mmap_threshold", ENV_SIZE, &mmap_threshold, NULL, 0, UINT64_MAX},
        {"trim_threshold", ENV_SIZE, &trim_threshold, NULL, 0, UINT64_MAX},
        {"top_pad", ENV_SIZE, &top_pad, NULL, 0, (uint64_t)1 << 40},
        {"mmap_max", ENV_SIZE, &mmap_max, NULL, 0, UINT64_MAX},
    };

    if (env_read("dlmalloc", "DLM_OPTIONS", options,
            sizeof(options) / sizeof(options[0])) == 0) {
        return;
    }
    tuning->mmap_threshold = mmap_threshold;
    tuning->trim_threshold = trim_threshold;
    tuning->top_pad = top_pad;
    tuning->mmap_max = mmap_max;
    tuning->is_dynamic = false;
}

int
dlm_tuning_set(struct dlm_tuning *tuning, int parameter, int value)
{
    /* -1 turns a threshold off; other values below 0 mean nothing. */
    if (value < -1 || (value == -1 && parameter != M_TRIM_THRESHOLD &&
                          parameter != M_MMAP_THRESHOLD)) {
        return 0;
    }
    size_t size = value == -1 ? DLM_OFF : (size_t)value;

    switch (parameter) {
    case M_MMAP_THRESHOLD:
        tuning->mmap_threshold = size;
        break;
    case M_TRIM_THRESHOLD:
        tuning->trim_threshold = size;
        break;
    case M_TOP_PAD:
        tuning->top_pad = size;
        break;
    case M_MMAP_MAX:
        tuning->mmap_max = size;
        break;
    case M_ARENA_MAX:
    case M_ARENA_TEST:
        return value > 0;
    default:
        return 0;
    }
    tuning->is_dynamic = false;
    return 1;
}

void
dlm_tuning_learn(struct dlm_tuning *tuning, size_t size)
{
    if (tuning->is_dynamic && size > tuning->mmap_threshold &&
        size <= MMAP_THRESHOLD_MAX) {
        tuning->mmap_threshold = size;
        tuning->trim_threshold = 2 * size;
    }
}
