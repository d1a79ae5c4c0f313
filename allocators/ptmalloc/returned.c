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
 *   I2  Each chunk on returned[bin] is used, to this arena, which it is of; its
 *       size is the bin's, its key the heap's.
 *   I3  When the heap is quiet, returned_size is the sum of the bins' sizes over
 *       all chunks on the stacks.
 */
#include "ptmalloc/returned.h"

#include "base/check.h"
#include "ptmalloc/heap.h"

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

/* The next chunk of a batch; NULL after the last. */
static struct ptm_cached *
next_of(const struct ptm_cached *cached)
{
    uintptr_t next = ptm_mangle(&cached->next, cached->next);
    if ((next & (CHUNK_ALIGN - 1)) != 0) {
        check_misuse(PTM_NAME, "corrupted link in a returned batch", cached);
    }
    return (struct ptm_cached *)next;
}

void
ptm_returned_free_batch_locked(struct ptm_arena *arena, unsigned bin,
    struct ptm_cached *head, unsigned count)
{
    struct ptm_cached *cached = head;
    for (; count > 0; count--) {
        struct chunk *chunk = chunk_of_block(cached);
        struct ptm_cached *next = next_of(cached);
        size_t size = chunk_size(chunk);
        if (size > PTM_CACHE_MAX || ptm_cache_bin(size) != bin) { /* I2 */
            ptm_misuse("corrupted size in a returned batch", chunk);
        }
        cached->key = 0;
        ptm_cached_use(cached);
        ptm_arena_free_locked(arena, chunk);
        cached = next;
    }
}

void
ptm_returned_free_locked(struct ptm_arena *arena)
{
    for (unsigned bin = 0; bin < PTM_CACHE_BINS; bin++) {
        struct ptm_cached *head;
        unsigned count;
        while ((head = ptm_returned_pop_locked(arena, bin, &count)) != NULL) {
            ptm_returned_free_batch_locked(arena, bin, head, count);
        }
    }
}

/* ---- walking and checking */

static void
each_of_stack(uintptr_t word, ptm_cached_fn *visit, void *arg)
{
    while (word != 0) {
        const struct ptm_cached *head =
            (const struct ptm_cached *)(word & BATCH_HEAD_MASK);
        const struct ptm_cached *cached = head;
        for (uintptr_t left = word >> BATCH_COUNT_SHIFT; left > 0; left--) {
            visit(cached, arg);
            cached = next_of(cached);
        }
        word = head->batch;
    }
}

void
ptm_returned_each_locked(
    struct ptm_arena *arena, ptm_cached_fn *visit, void *arg)
{
    for (unsigned bin = 0; bin < PTM_CACHE_BINS; bin++) {
        /* Pairs with the release in ptm_returned_push. */
        each_of_stack(
            atomic_load_explicit(&arena->returned[bin], memory_order_acquire),
            visit, arg);
    }
}

struct census {
    const struct ptm_arena *arena;
    size_t size; /* by the bins' sizes */
    unsigned bin;
};

static void
count_cached(const struct ptm_cached *cached, void *arg)
{
    struct census *census = arg;
    (void)cached;
    census->size += ptm_cache_bin_size(census->bin);
}

static void
check_cached(const struct ptm_cached *cached, void *arg)
{
    const struct census *census = arg;
    CHECK(ptm_cache_bin(ptm_head_size(chunk_of_block(cached))) ==
          census->bin);                                    /* I2 */
    CHECK(ptm_subheap_of(cached)->arena == census->arena); /* I2 */
    CHECK(cached->key == census->arena->heap->key);        /* I2 */
    count_cached(cached, arg);
}

/* Returns the sum of the bins' sizes over all chunks. */
static size_t
count_all(const struct ptm_arena *arena, ptm_cached_fn *visit)
{
    struct census census = {.arena = arena};
    for (; census.bin < PTM_CACHE_BINS; census.bin++) {
        each_of_stack(
            atomic_load(&arena->returned[census.bin]), visit, &census);
    }
    return census.size;
}

void
ptm_returned_recount(struct ptm_arena *arena)
{
    atomic_store_explicit(&arena->returned_size, count_all(arena, count_cached),
        memory_order_relaxed);
}

void
ptm_returned_check_locked(struct ptm_arena *arena)
{
    size_t size = count_all(arena, check_cached);
    CHECK(size == atomic_load(&arena->returned_size)); /* I3 */
}
