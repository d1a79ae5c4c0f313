/*
 * subheap.c - aligned regions that grow and shrink (contract: subheap.h)
 *
 *   I1  sizeof(struct ptm_subheap) <= usable_size <= PTM_SUBHEAP_SIZE, whole OS
 *       pages.
 *   I2  What lies past usable_size is inaccessible, and zero when it comes back.
 */
#include "ptmalloc/subheap.h"

#include "base/check.h"
#include "base/pages.h"

struct ptm_subheap *
ptm_subheap_new(struct ptm_arena *arena, size_t size)
{
    if (size > PTM_SUBHEAP_SIZE) {
        return NULL;
    }
    size_t usable_size = pages_round_up(size);
    struct ptm_subheap *subheap =
        pages_reserve(PTM_SUBHEAP_SIZE, PTM_SUBHEAP_SIZE);
    if (subheap == NULL) {
        return NULL;
    }
    if (!pages_commit(subheap, usable_size)) {
        (void)pages_unmap(subheap, PTM_SUBHEAP_SIZE);
        return NULL;
    }
    subheap->arena = arena;
    subheap->usable_size = usable_size;
    return subheap;
}

void
ptm_subheap_delete(struct ptm_subheap *subheap)
{
    /* Refused: the addresses stay ours, without use. */
    (void)pages_unmap(subheap, PTM_SUBHEAP_SIZE);
}

bool
ptm_subheap_grow(struct ptm_subheap *subheap, size_t size)
{
    if (size > PTM_SUBHEAP_SIZE) {
        return false;
    }
    size_t usable_size = pages_round_up(size);
    ASSERT(usable_size >= subheap->usable_size);
    if (usable_size > subheap->usable_size &&
        !pages_commit((char *)subheap + subheap->usable_size,
            usable_size - subheap->usable_size)) {
        return false;
    }
    subheap->usable_size = usable_size;
    return true;
}

bool
ptm_subheap_shrink(struct ptm_subheap *subheap, size_t size)
{
    size_t usable_size = pages_round_up(size);
    ASSERT(usable_size >= sizeof *subheap);
    if (usable_size >= subheap->usable_size ||
        !pages_decommit((char *)subheap + usable_size,
            subheap->usable_size - usable_size)) {
        return false;
    }
    subheap->usable_size = usable_size;
    return true;
}
