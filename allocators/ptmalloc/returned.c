/*
 * returned.c - the batches that caches give back (contract: returned.h)
 *
 * The head of a batch holds the word that was on the stack before it: the batch
 * below, and its count in the 16 bits that an address does not use.
 *
 *     returned[bin] --> | next  key  batch |--batch--> | next  key  batch |--> 0
 *                          |next                          |next
 *                       chunk --> chunk                chunk
 *
 *   I1  Only the holder of the arena's lock pops. So what it saw on top stays
 *       in the stack until it takes it, and the classic ABA cannot happen.
 */
#include "ptmalloc/returned.h"

#include "base/check.h"

#define BATCH_COUNT_SHIFT 48
#define BATCH_HEAD_MASK   (((uintptr_t)1 << BATCH_COUNT_SHIFT) - 1)

void
ptm_returned_push(struct ptm_arena *arena, unsigned bin,
    struct ptm_cached *head, unsigned count)
{
    uintptr_t word = (uintptr_t)head | (uintptr_t)count << BATCH_COUNT_SHIFT;
    uintptr_t below =
        atomic_load_explicit(&arena->returned[bin], memory_order_relaxed);
    ASSERT(count > 0 && count < 65536);
    do {
        head->batch = below;
        /* Pairs with the acquire in ptm_returned_pop_locked. */
    } while (!atomic_compare_exchange_weak_explicit(&arena->returned[bin],
        &below, word, memory_order_release, memory_order_relaxed));
    atomic_fetch_add_explicit(&arena->returned_size,
        count * ptm_cache_bin_size(bin), memory_order_relaxed);
}

/* I1: the `batch` word is right when the exchange succeeds. */
struct ptm_cached *
ptm_returned_pop_locked(struct ptm_arena *arena, unsigned bin, unsigned *count)
{
    uintptr_t word =
        atomic_load_explicit(&arena->returned[bin], memory_order_acquire);
    struct ptm_cached *head;
    do {
        head = (struct ptm_cached *)(word & BATCH_HEAD_MASK);
        if (head == NULL) {
            return NULL;
        }
        /* Pairs with the release in ptm_returned_push. */
    } while (!atomic_compare_exchange_weak_explicit(&arena->returned[bin],
        &word, head->batch, memory_order_acquire, memory_order_acquire));
    *count = (unsigned)(word >> BATCH_COUNT_SHIFT);
    atomic_fetch_sub_explicit(&arena->returned_size,
        *count * ptm_cache_bin_size(bin), memory_order_relaxed);
    return head;
}

void
ptm_returned_free_locked(struct ptm_arena *arena)
{
    for (unsigned bin = 0; bin < PTM_CACHE_BINS; bin++) {
        struct ptm_cached *cached;
        unsigned count;
        while ((cached = ptm_returned_pop_locked(arena, bin, &count)) != NULL) {
            for (; count > 0; count--) {
                uintptr_t next = ptm_mangle(&cached->next, cached->next);
                cached->key = 0;
                ptm_cached_use(cached);
                ptm_arena_free_locked(arena, chunk_of_block(cached));
                cached = (struct ptm_cached *)next;
            }
        }
    }
}
