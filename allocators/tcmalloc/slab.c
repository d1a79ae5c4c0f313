/*
 * slab.c - the arrays of free objects that a front cache is made of (contract:
 * slab.h)
 *
 * Invariants, of each class:
 *   I1  begin <= current <= limit, begin <= end <= limit.
 *   I2  The slots past begin up to current hold objects, that at begin NULL.
 *   I3  current passes end only when end has been lowered below it.
 */
#include "tcmalloc/slab.h"

#include <assert.h>
#include <string.h>

#include "base/check.h"
#include "base/print.h"

static_assert(offsetof(struct tcm_slab, heads) == 0 &&
                  sizeof(struct tcm_slab_head) == sizeof(void *),
    "the head of class 0 is slot 0");

#define SMALL_MAX  16u
#define HEAD_SLOTS ((uint32_t)(sizeof(struct tcm_slab) / sizeof(void *)))

static uint32_t
room(unsigned size_class, enum tcm_slab_shape shape)
{
    uint32_t full = tcm_classes[size_class].front_max;

    return shape == TCM_SLAB_SMALL && full > SMALL_MAX ? SMALL_MAX : full;
}

/* The slot at which the class's run begins; that of the class after the last is
 * the end of all. */
static uint32_t
run_begin(unsigned size_class, enum tcm_slab_shape shape)
{
    uint32_t begin = HEAD_SLOTS;

    for (unsigned i = 1; i < size_class; i++) {
        begin += room(i, shape) + 1;
    }
    return begin;
}

size_t
tcm_slab_size(enum tcm_slab_shape shape)
{
    return run_begin(TCM_CLASS_COUNT, shape) * sizeof(void *);
}

void
tcm_slab_init(struct tcm_slab *slab, enum tcm_slab_shape shape)
{
    uint32_t begin = HEAD_SLOTS;

    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        struct tcm_slab_run *run = &slab->runs[i];

        run->begin = begin;
        run->limit = begin + room(i, shape);
        atomic_init(&slab->heads[i].current, begin);
        atomic_init(&slab->heads[i].end, begin);
        begin = run->limit + 1;
    }
}

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t
tcm_slab_pop_many(
    struct tcm_slab *slab, unsigned size_class, void **batch, size_t count)
{
    struct tcm_slab_head *head = &slab->heads[size_class];
    uint32_t current = tcm_slab_load(&head->current);

    count = smaller(count, tcm_slab_count(slab, size_class));
    current -= (uint32_t)count;
    memcpy(batch, tcm_slab_slot(slab, current + 1), count * sizeof *batch);
    tcm_slab_store(&head->current, current);
    return count;
}

size_t
tcm_slab_push_many(struct tcm_slab *slab, unsigned size_class,
    void *const *batch, size_t count)
{
    struct tcm_slab_head *head = &slab->heads[size_class];
    uint32_t current = tcm_slab_load(&head->current);
    uint32_t end = tcm_slab_load(&head->end);

    count = current < end ? smaller(count, end - current) : 0; /* I3 */
    memcpy(tcm_slab_slot(slab, current + 1), batch, count * sizeof *batch);
    tcm_slab_store(&head->current, current + (uint32_t)count);
    return count;
}

bool
tcm_slab_holds(struct tcm_slab *slab, unsigned size_class, const void *object)
{
    uint32_t begin = slab->runs[size_class].begin;
    /* As in tcm_slab_newest. */
    uint32_t slot = atomic_load_explicit(
        &slab->heads[size_class].current, memory_order_acquire);

    for (; slot > begin; slot--) {
        if (*tcm_slab_slot(slab, slot) == object) {
            return true;
        }
    }
    return false;
}

void
tcm_slab_check(struct tcm_slab *slab)
{
    CHECK(*tcm_slab_slot(slab, 0) == NULL);
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        const struct tcm_slab_run *run = &slab->runs[i];
        uint32_t current = tcm_slab_load(&slab->heads[i].current);
        uint32_t end = tcm_slab_load(&slab->heads[i].end);

        CHECK(run->begin <= current && current <= run->limit); /* I1 */
        CHECK(run->begin <= end && end <= run->limit);
        CHECK(*tcm_slab_slot(slab, run->begin) == NULL); /* I2 */
        for (uint32_t slot = current; slot > run->begin; slot--) {
            CHECK(*tcm_slab_slot(slab, slot) != NULL);
        }
    }
}

void
tcm_slab_dump(struct tcm_slab *slab, int fd)
{
    struct print print;

    print_init(&print, fd);
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        if (tcm_slab_capacity(slab, i) > 0) {
            print_format(&print, "  class %u of %u bytes: %u of %u objects\n",
                i, tcm_classes[i].size, tcm_slab_count(slab, i),
                tcm_slab_capacity(slab, i));
        }
    }
    print_flush(&print);
}
