/*
 * slotpool.c - slots for a trace's blocks (contract: slotpool.h)
 *
 * A block that stays with its list takes the slot that the list emptied last:
 * few slots are in use, and the text packs well. One that passes on takes the
 * slot that the list emptied first: the likeliest to be known by the other.
 *
 * Why a wait is then unambiguous. List b learns of the point where list a
 * emptied slot s; only afterwards does a fill s for b. Between the two nobody
 * else uses s, for s was a's to give. So when b comes to wait for s, all earlier
 * uses of s are over, and the first block it can meet is the one meant.
 *
 * A list knows only what it waited for itself, not what those it waited for
 * knew. Full vector clocks would find more slots to use again; slots are cheap.
 */
#include "program/slotpool.h"

#include <string.h>

#include "base/check.h"
#include "program/mapped.h"

#define SLACK_MAX 4096 /* entries taken from the front before they are moved */

void
slotpool_fini(struct slotpool *pool)
{
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        mapped_drop(&pool->lists[i].entries, &pool->lists[i].capacity,
            sizeof(struct emptied));
    }
}

bool
slotpool_knows(
    const struct slotpool *pool, unsigned list, unsigned other, uint32_t point)
{
    return list == other || pool->known[list][other] >= point;
}

void
slotpool_learn(
    struct slotpool *pool, unsigned list, unsigned other, uint32_t point)
{
    if (pool->known[list][other] < point) {
        pool->known[list][other] = point;
    }
}

uint32_t
slotpool_take(struct slotpool *pool, unsigned list, unsigned next)
{
    struct emptied_list *emptied = &pool->lists[list];

    if (emptied->first < emptied->end) {
        if (list == next) {
            return emptied->entries[--emptied->end].slot;
        }
        struct emptied oldest = emptied->entries[emptied->first];
        if (slotpool_knows(pool, next, list, oldest.point)) {
            emptied->first++;
            return oldest.slot;
        }
    }
    return pool->next_slot < PROGRAM_SLOTS_MAX ? pool->next_slot++
                                               : SLOTPOOL_NONE;
}

/* Moves the entries to the front, now and then. */
static void
take_up_slack(struct emptied_list *emptied)
{
    size_t count = emptied->end - emptied->first;

    if (emptied->first >= SLACK_MAX && emptied->first >= count) {
        memcpy(emptied->entries, emptied->entries + emptied->first,
            count * sizeof(struct emptied));
        emptied->first = 0;
        emptied->end = count;
    }
}

bool
slotpool_give(
    struct slotpool *pool, unsigned list, uint32_t slot, uint32_t point)
{
    struct emptied_list *emptied = &pool->lists[list];

    ASSERT(slot < pool->next_slot);
    take_up_slack(emptied);
    if (!mapped_grow(&emptied->entries, &emptied->capacity, emptied->end + 1,
            sizeof(struct emptied))) {
        return false;
    }
    emptied->entries[emptied->end++] = (struct emptied){slot, point};
    return true;
}
