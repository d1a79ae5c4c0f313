/*
 * classmap.h - from an address to the size class of its page, by one load
 *
 *     begin                                           begin + 16 GiB
 *     | 0 0 0 3 3 7 7 7 7 0 0 5 ... 0 0 2 2 2 1 9 0 0 |    one byte a page
 *
 * The page map (span.h) knows every address and takes two loads, one behind the
 * other. Most heaps lie within a few GiB of addresses, and free() mostly wants
 * the class alone: for the addresses of one window it stands here too.
 *
 * Class 0 is "ask the page map": a page of a large span or of none, and all that
 * lies outside of the window.
 *
 * Concurrency: tcm_classmap_get by any thread, any time, without a lock. The
 * others with the page heap's lock held. Who has a block's address from a thread
 * that saw its page set sees that too.
 * Failure: none.
 * Design: docs/designs/tcmalloc.md, "Pages, spans and owners".
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "tcmalloc/sizerules.h"

#define TCM_CLASSMAP_SHIFT 34 /* logarithm of the window's bytes */
#define TCM_CLASSMAP_PAGES                                                     \
    ((uintptr_t)1 << (TCM_CLASSMAP_SHIFT - TCM_PAGE_SHIFT))

/* In zeroed memory, untouched where there are no blocks. */
struct tcm_classmap {
    _Atomic uintptr_t begin; /* 0: no address has been covered yet */
    _Atomic uint8_t classes[TCM_CLASSMAP_PAGES];
};

/* The process's heap's. */
extern struct tcm_classmap tcm_classmap;

/* The first call lays the window where addr and what is likely to be mapped
 * next lie in it. */
void tcm_classmap_cover(struct tcm_classmap *map, const void *addr);
/* Of the pages of [addr, addr + size) that lie in the window. */
void tcm_classmap_set(struct tcm_classmap *map, const void *addr, size_t size,
    unsigned size_class);

static inline unsigned
tcm_classmap_get(const struct tcm_classmap *map, const void *addr)
{
    uintptr_t begin = atomic_load_explicit(&map->begin, memory_order_relaxed);
    uintptr_t page = ((uintptr_t)addr - begin) >> TCM_PAGE_SHIFT;

    /* Relaxed: nothing is read through it. */
    return __builtin_expect(page < TCM_CLASSMAP_PAGES, 1)
               ? atomic_load_explicit(&map->classes[page], memory_order_relaxed)
               : 0;
}
