/*
 * classmap.c - from an address to the size class of its page (contract:
 * classmap.h)
 *
 * The kernel hands out addresses from high to low, below what is mapped. So the
 * window ends little above the first address.
 *
 * Rejected: a byte for every page of the address space, which needs no window
 * and 32 GiB of addresses, more than a limit of them may allow; a leaf of the
 * page map that each thread remembers, which is one load more, and which a heap
 * of two leaves misses every other time.
 *
 *   I1  A page in the window has the class of the small span that it is in, or 0.
 */
#include "tcmalloc/classmap.h"

#define ABOVE ((uintptr_t)1 << (TCM_CLASSMAP_SHIFT - 4))

struct tcm_classmap tcm_classmap;

void
tcm_classmap_cover(struct tcm_classmap *map, const void *addr)
{
    uintptr_t end = ((uintptr_t)addr & ~(ABOVE - 1)) + 2 * ABOVE;
    uintptr_t size = (uintptr_t)1 << TCM_CLASSMAP_SHIFT;

    if (atomic_load_explicit(&map->begin, memory_order_relaxed) == 0) {
        /* Relaxed: who has not seen it asks the page map. */
        atomic_store_explicit(&map->begin, end > size ? end - size : TCM_PAGE,
            memory_order_relaxed);
    }
}

void
tcm_classmap_set(struct tcm_classmap *map, const void *addr, size_t size,
    unsigned size_class)
{
    uintptr_t begin = atomic_load_explicit(&map->begin, memory_order_relaxed);
    uintptr_t end = (uintptr_t)addr + size;

    for (uintptr_t at = (uintptr_t)addr; at < end; at += TCM_PAGE) {
        uintptr_t page = (at - begin) >> TCM_PAGE_SHIFT;

        if (page < TCM_CLASSMAP_PAGES) {
            /* Relaxed: the class of a page is all that it says. */
            atomic_store_explicit(
                &map->classes[page], (uint8_t)size_class, memory_order_relaxed);
        }
    }
}
