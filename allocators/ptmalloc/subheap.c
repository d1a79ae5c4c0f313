/*
 * subheap.c - aligned regions that grow and shrink (contract: subheap.h)
 *
 *   I1  sizeof(struct ptm_subheap) <= lead_size <= usable_size <=
 *       PTM_SUBHEAP_SIZE; usable_size is whole OS pages.
 *   I2  What lies past usable_size is inaccessible, and zero when it comes back.
 */
#include "ptmalloc/subheap.h"

#include "base/check.h"
#include "base/pages.h"
#include "base/print.h"

struct ptm_subheap *
ptm_subheap_new(
    struct ptm_arena *arena, size_t lead_size, size_t size, bool huge)
{
    ASSERT(lead_size >= sizeof(struct ptm_subheap) && size >= lead_size);
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
    if (huge) { /* Refused: small pages do. */
        (void)pages_huge(subheap, PTM_SUBHEAP_SIZE, true);
    }
    subheap->arena = arena;
    subheap->older = NULL;
    subheap->usable_size = usable_size;
    subheap->lead_size = lead_size;
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

void
ptm_subheap_check(const struct ptm_subheap *subheap)
{
    CHECK(ptm_subheap_of(subheap) == subheap);
    CHECK(subheap->lead_size >= sizeof *subheap);       /* I1 */
    CHECK(subheap->lead_size <= subheap->usable_size);  /* I1 */
    CHECK(subheap->usable_size <= PTM_SUBHEAP_SIZE);    /* I1 */
    CHECK(subheap->usable_size % pages_os_size() == 0); /* I1 */
}

void
ptm_subheap_dump(const struct ptm_subheap *subheap, int fd)
{
    struct print print;
    print_init(&print, fd);
    print_format(&print, "    subheap %p: usable %zu of %zu\n",
        (const void *)subheap, subheap->usable_size, PTM_SUBHEAP_SIZE);
    print_flush(&print);
}
