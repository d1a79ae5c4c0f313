/*
 * central.h - the shared free list of one size class
 *
 * The middle tier's lower half. The transfer cache moves batches; the page heap
 * deals only in spans, runs of whole pages. A central list turns one into the
 * other:
 *
 *     transfer cache <-- objects --> central <-- span --> page heap
 *
 *     nonempty[0]  spans with 128 live objects and more    taken from first
 *     nonempty[1]  spans with 64 to 127                      |
 *       ...                                                  v
 *     nonempty[7]  spans with 1                            taken from last
 *     full         spans with no free object
 *
 * Concurrency: any thread, any time. Each call takes central.lock, of rank
 * MTX_CENTRAL, and may take MTX_PAGEHEAP inside it.
 * Failure: take() comes back short, even empty, when pages run out. An object
 * given to the wrong class, or twice, is misuse, and fatal.
 * Design: Zhou et al., "Characterizing a Memory Allocator at Warehouse Scale"
 * (ASPLOS 2024), span prioritization; docs/designs/tcmalloc.md, "The middle".
 */
#pragma once

#include "base/sync.h"
#include "parts/list.h"
#include "tcmalloc/pageheap.h"

#define TCM_CENTRAL_LISTS 8u

struct tcm_central {
    struct mtx lock;
    unsigned size_class; /* fixed at init */
    struct tcm_pageheap *pageheap;
    struct list nonempty[TCM_CENTRAL_LISTS]; /* [lock] fullest first */
    struct list full;                        /* [lock] */
    size_t span_count;                       /* [lock] */
    size_t free_count; /* [lock] free objects in all spans */
};

void tcm_central_init(struct tcm_central *central,
    struct tcm_pageheap *pageheap, unsigned size_class);
void tcm_central_fini(struct tcm_central *central);

/* Moves up to count free objects into batch[]; returns how many. */
size_t tcm_central_take(
    struct tcm_central *central, void **batch, size_t count);

/* Takes back count objects; wholly free spans go on to the page heap. */
void tcm_central_give(
    struct tcm_central *central, void *const *batch, size_t count);

/* True when the object, one of this class, is free here. */
bool tcm_central_holds(struct tcm_central *central, const void *object);

/* Every span of the list; the body must not change it. With the lock held, or
 * the heap quiet. */
#define TCM_CENTRAL_EACH(link, index, central)                                 \
    for (index = 0; index <= TCM_CENTRAL_LISTS; index++)                       \
        LIST_EACH (link, tcm_central_list(central, index))

/* nonempty, then full. */
static inline const struct list *
tcm_central_list(const struct tcm_central *central, unsigned index)
{
    return index < TCM_CENTRAL_LISTS ? &central->nonempty[index]
                                     : &central->full;
}

/* True when there is no span on any list and none is counted: then its check has
 * nothing to find. With the heap quiet; takes no lock. */
static inline bool
tcm_central_is_idle(const struct tcm_central *central)
{
    bool is_idle = central->span_count == 0 && central->free_count == 0;

    for (unsigned i = 0; i <= TCM_CENTRAL_LISTS; i++) {
        is_idle &= list_empty(tcm_central_list(central, i));
    }
    return is_idle;
}

void tcm_central_check(struct tcm_central *central); /* aborts if broken */
void tcm_central_dump(struct tcm_central *central, int fd);
