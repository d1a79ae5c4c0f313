/*
 * record_subject.h - what the recorded test program does, for it and its test
 *
 *     record_test --> malstrom's recorder --> record_subject MODE
 *
 * Both sides draw the same steps, so that the test knows what must be found.
 *
 * Concurrency: pure. Failure: none.
 */
#pragma once

#include <stdint.h>

#define SUBJECT_STEPS 3000
#define SUBJECT_SLOTS 100

enum subject_kind {
    SUBJECT_MALLOC,
    SUBJECT_CALLOC,
    SUBJECT_REALLOC,
    SUBJECT_REALLOCARRAY,
    SUBJECT_MEMALIGN,
    SUBJECT_ALIGNED_ALLOC,
    SUBJECT_POSIX_MEMALIGN,
    SUBJECT_VALLOC,
    SUBJECT_PVALLOC,
    SUBJECT_FREE,
    SUBJECT_KIND_COUNT
};

struct subject_step {
    enum subject_kind kind;
    unsigned slot;
    unsigned size;  /* 1 and more */
    unsigned count; /* of the counted kinds */
    unsigned align; /* of the aligned kinds */
};

static inline uint64_t
subject_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static inline struct subject_step
subject_draw(uint64_t *state)
{
    struct subject_step step;

    step.kind = (enum subject_kind)(subject_next(state) % SUBJECT_KIND_COUNT);
    step.slot = (unsigned)(subject_next(state) % SUBJECT_SLOTS);
    step.size = 1 + (unsigned)(subject_next(state) % 5000);
    step.count = 1 + (unsigned)(subject_next(state) % 10);
    step.align = 16u << subject_next(state) % 9;
    return step;
}
