/*
 * tuning.c - what a user may tune (contract: tuning.h)
 *
 * The thresholds follow use as glibc's manual has it: a program that frees a
 * mapping will probably ask for its like again, and then an arena serves it
 * without the kernel.
 */
#include "ptmalloc/tuning.h"

#include <malloc.h>

#include "base/env.h"
#include "ptmalloc/arena.h"

#define ARENAS_A_CPU       8u
#define ARENA_TEST         8u
#define MMAP_THRESHOLD_MIN ((size_t)128 << 10)
#define TOP_PAD            ((size_t)128 << 10)
#define MMAP_MAX           ((size_t)65536)
#define UNSORTED_MAX       ((size_t)1000)
#define MXFAST_MAX         (20 * sizeof(size_t)) /* as mallopt(3) has it */
#define UNSET              (UINT64_MAX - 1)

static void
set(_Atomic size_t *value, size_t to)
{
    atomic_store_explicit(value, to, memory_order_relaxed);
}

/* A top that is padded beyond its subheap ends with it. */
static size_t
pad_of(uint64_t size)
{
    return size < PTM_SUBHEAP_SIZE ? size : PTM_SUBHEAP_SIZE;
}

/* The largest chunk for requests up to that size; 0 for none. */
static size_t
chunk_max_of(uint64_t request)
{
    return request == 0 ? 0
           : request >= PTM_CACHE_MAX
               ? PTM_CACHE_MAX
               : chunk_size_for(request, CHUNK_HEAD_SIZE);
}

static void
set_defaults(struct ptm_tuning *tuning)
{
    *tuning = (struct ptm_tuning){
        .mmap_threshold = MMAP_THRESHOLD_MIN,
        .trim_threshold = 2 * MMAP_THRESHOLD_MIN,
        .top_pad = TOP_PAD,
        .mmap_max = MMAP_MAX,
        .arena_test = ARENA_TEST,
        .returned_max = PTM_CACHE_MAX,
        .unsorted_max = UNSORTED_MAX,
        .is_dynamic = true,
        .tcache_count = PTM_BY_SIZE,
        .tcache_max = PTM_CACHE_MAX,
    };
}

/* The four that end the following of use. */
struct thresholds {
    uint64_t mmap, trim, top_pad, mmap_max;
};

static void
set_thresholds(struct ptm_tuning *tuning, const struct thresholds *wanted)
{
    if (wanted->mmap != UNSET) {
        set(&tuning->mmap_threshold, wanted->mmap);
    }
    if (wanted->trim != UNSET) {
        set(&tuning->trim_threshold, wanted->trim);
    }
    if (wanted->top_pad != UNSET) {
        set(&tuning->top_pad, pad_of(wanted->top_pad));
    }
    if (wanted->mmap_max != UNSET) {
        set(&tuning->mmap_max, wanted->mmap_max);
    }
    if (wanted->mmap != UNSET || wanted->trim != UNSET ||
        wanted->top_pad != UNSET || wanted->mmap_max != UNSET) {
        atomic_store_explicit(&tuning->is_dynamic, false, memory_order_relaxed);
    }
}

void
ptm_tuning_read(struct ptm_tuning *tuning)
{
    struct thresholds wanted = {UNSET, UNSET, UNSET, UNSET};
    uint64_t mxfast = PTM_CACHE_MAX, tcache_max = PTM_CACHE_MAX;
    int64_t arena_max = 0, arena_test = ARENA_TEST, perturb = 0, hugetlb = 0;
    int64_t tcache_count = -1, unsorted_limit = UNSORTED_MAX;
    const struct env_option known[] = {
        {"arena_max", ENV_NUMBER, &arena_max, NULL, 0, PTM_ARENAS_MAX},
        {"arena_test", ENV_NUMBER, &arena_test, NULL, 1, PTM_ARENAS_MAX},
        {"hugetlb", ENV_NUMBER, &hugetlb, NULL, 0, 1},
        {"mmap_max", ENV_SIZE, &wanted.mmap_max, NULL, 0, INT32_MAX},
        {"mmap_threshold", ENV_SIZE, &wanted.mmap, NULL, 0,
            PTM_ARENA_REQUEST_MAX},
        {"mxfast", ENV_SIZE, &mxfast, NULL, 0, PTM_CACHE_MAX},
        {"perturb", ENV_NUMBER, &perturb, NULL, 0, 255},
        {"tcache_count", ENV_NUMBER, &tcache_count, NULL, 0, 65535},
        {"tcache_max", ENV_SIZE, &tcache_max, NULL, 0, PTM_CACHE_MAX},
        {"tcache_unsorted_limit", ENV_NUMBER, &unsorted_limit, NULL, 0,
            INT32_MAX},
        {"top_pad", ENV_SIZE, &wanted.top_pad, NULL, 0, UINT64_MAX},
        {"trim_threshold", ENV_SIZE, &wanted.trim, NULL, 0, UINT64_MAX},
    };
    set_defaults(tuning);
    (void)env_read(
        PTM_NAME, "PTM_OPTIONS", known, sizeof known / sizeof known[0]);
    set_thresholds(tuning, &wanted);
    set(&tuning->arena_max, (size_t)arena_max);
    set(&tuning->arena_test, (size_t)arena_test);
    set(&tuning->returned_max, chunk_max_of(mxfast));
    set(&tuning->unsorted_max,
        unsorted_limit == 0 ? SIZE_MAX : (size_t)unsorted_limit);
    set(&tuning->perturb, (size_t)perturb);
    tuning->tcache_count =
        tcache_count < 0 ? PTM_BY_SIZE : (size_t)tcache_count;
    tuning->tcache_max = chunk_max_of(tcache_max);
    tuning->is_huge = hugetlb != 0;
}

static int
set_fixed(struct ptm_tuning *tuning, _Atomic size_t *value, size_t to)
{
    set(value, to);
    atomic_store_explicit(&tuning->is_dynamic, false, memory_order_relaxed);
    return 1;
}

static int
set_if(bool valid, _Atomic size_t *value, size_t to)
{
    if (valid) {
        set(value, to);
    }
    return valid;
}

int
ptm_tuning_set(struct ptm_tuning *tuning, int parameter, int value)
{
    size_t size = (size_t)value;
    switch (parameter) {
    case M_TRIM_THRESHOLD: /* -1, the largest size there is, means never */
        return value >= -1 && set_fixed(tuning, &tuning->trim_threshold, size);
    case M_MMAP_THRESHOLD:
        return size <= PTM_ARENA_REQUEST_MAX &&
               set_fixed(tuning, &tuning->mmap_threshold, size);
    case M_TOP_PAD:
        return value >= 0 && set_fixed(tuning, &tuning->top_pad, pad_of(size));
    case M_MMAP_MAX:
        return value >= 0 && set_fixed(tuning, &tuning->mmap_max, size);
    case M_ARENA_MAX:
        return set_if(value >= 0, &tuning->arena_max, size);
    case M_ARENA_TEST:
        return set_if(value > 0, &tuning->arena_test, size);
    case M_MXFAST:
        return set_if(
            size <= MXFAST_MAX, &tuning->returned_max, chunk_max_of(size));
    case M_PERTURB:
        return set_if(true, &tuning->perturb, size & 0xff);
    case M_CHECK_ACTION:
        return 1;
    default:
        return 0;
    }
}

void
ptm_tuning_learn(struct ptm_tuning *tuning, size_t size)
{
    if (atomic_load_explicit(&tuning->is_dynamic, memory_order_relaxed) &&
        size > ptm_tuning_get(&tuning->mmap_threshold) &&
        size <= PTM_ARENA_REQUEST_MAX) {
        set(&tuning->mmap_threshold, size);
        set(&tuning->trim_threshold, 2 * size);
    }
}

unsigned
ptm_tuning_arena_limit(const struct ptm_tuning *tuning, unsigned cpu_count)
{
    size_t limit = ptm_tuning_get(&tuning->arena_max);
    if (limit == 0) {
        size_t test = ptm_tuning_get(&tuning->arena_test);
        limit = (size_t)ARENAS_A_CPU * cpu_count;
        limit = limit < test ? test : limit;
    }
    return limit < PTM_ARENAS_MAX ? (unsigned)limit : PTM_ARENAS_MAX;
}
