/*
 * tcache.c - one thread's cache (contract: tcache.h)
 *
 * A refill takes a returned batch if there is one: it was a cache's content
 * before and becomes this one's by one exchange. Otherwise it cuts a few chunks
 * at once, more each time the bin runs empty, so that the arena's lock is taken
 * less and less often by a thread that keeps allocating. A spill keeps the newer
 * half, which is warm, and returns the older, each chunk to its own arena.
 *
 *   I1  bin.count is the length of the list, and at most limit; large_size is
 *       the sum of the chunk sizes in large bins.
 *   I2  Every chunk in a bin is used, to its arena, and of the bin's size.
 *   I3  The second word of every cached block is the heap's key.
 */
#include "ptmalloc/tcache.h"

#include "base/check.h"
#include "base/print.h"
#include "ptmalloc/heap.h"
#include "ptmalloc/returned.h"

#define SMALL_BYTES_MAX ((size_t)12 << 10) /* cached in a small bin */
#define SMALL_LIMIT_MIN 8u
#define SMALL_LIMIT_MAX 128u
#define LARGE_BYTES_MAX ((size_t)256 << 10)
#define LARGE_LIMIT_MAX 8u
#define FILL_BYTES_MAX  ((size_t)2 << 10)  /* cut for one refill */
#define RETURNED_MAX    ((size_t)1 << 20)  /* then an arena is consolidated */

struct ptm_tcache ptm_tcache_none;

static uint32_t
limit_of(unsigned bin, const struct ptm_tuning *tuning)
{
    size_t size = ptm_cache_bin_size(bin);
    if (size < CHUNK_MIN_SIZE || size > tuning->tcache_max) {
        return 0;
    }
    if (tuning->tcache_count != PTM_BY_SIZE) {
        return (uint32_t)tuning->tcache_count;
    }
    if (bin < PTM_SMALL_COUNT) {
        size_t count = SMALL_BYTES_MAX / size;
        return count < SMALL_LIMIT_MIN   ? SMALL_LIMIT_MIN
               : count > SMALL_LIMIT_MAX ? SMALL_LIMIT_MAX
                                         : (uint32_t)count;
    }
    size_t count = LARGE_BYTES_MAX / size;
    return count > LARGE_LIMIT_MAX ? LARGE_LIMIT_MAX : (uint32_t)count;
}

static void
set_count(struct ptm_tbin *tbin, uint32_t count)
{
    atomic_store_explicit(&tbin->count, count, memory_order_relaxed);
}

void
ptm_tcache_init(
    struct ptm_tcache *tcache, struct ptm_heap *heap, struct ptm_arena *arena)
{
    for (unsigned bin = 0; bin < PTM_CACHE_BINS; bin++) {
        tcache->bins[bin].limit = limit_of(bin, &heap->tuning);
        tcache->bins[bin].head = 0;
        set_count(&tcache->bins[bin], 0);
        tcache->fill_shift[bin] = 0;
    }
    atomic_store_explicit(&tcache->large_size, 0, memory_order_relaxed);
    tcache->fresh = true;
    tcache->key = heap->key;
    tcache->heap = heap;
    tcache->arena = arena;
    tcache->returned_to = arena;
}

_Noreturn void
ptm_tcache_broken(const void *block)
{
    check_misuse(PTM_NAME, "corrupted link in the thread cache", block);
}

static struct ptm_cached *
next_of(const struct ptm_cached *cached)
{
    uintptr_t next = ptm_mangle(&cached->next, cached->next);
    if (__builtin_expect((next & (CHUNK_ALIGN - 1)) != 0, 0)) {
        ptm_tcache_broken(cached);
    }
    return (struct ptm_cached *)next;
}

static void
set_next(struct ptm_cached *cached, struct ptm_cached *next)
{
    cached->next = ptm_mangle(&cached->next, (uintptr_t)next);
}

void
ptm_tcache_check_double_free(
    const struct ptm_tcache *tcache, unsigned bin, const void *block)
{
    const struct ptm_cached *cached =
        (const struct ptm_cached *)tcache->bins[bin].head;
    for (; cached != NULL; cached = next_of(cached)) {
        if (cached == block) {
            check_misuse(PTM_NAME, "double free detected in tcache", block);
        }
    }
}

/* ---- large bins, whose chunks are not all of one size */

static void
add_large(struct ptm_tcache *tcache, unsigned bin, size_t more)
{
    if (bin >= PTM_SMALL_COUNT) {
        atomic_store_explicit(&tcache->large_size,
            atomic_load_explicit(&tcache->large_size, memory_order_relaxed) +
                more,
            memory_order_relaxed);
    }
}

static size_t
size_of(const struct ptm_cached *cached)
{
    return ptm_head_size(chunk_of_block(cached));
}

void *
ptm_tcache_pop_any(struct ptm_tcache *tcache, unsigned bin)
{
    struct ptm_cached *cached = ptm_tcache_pop(&tcache->bins[bin]);
    add_large(tcache, bin, -size_of(cached));
    return cached;
}

void
ptm_tcache_push_any(struct ptm_tcache *tcache, unsigned bin, void *block)
{
    add_large(tcache, bin, size_of(block));
    ptm_tcache_push(tcache, &tcache->bins[bin], block);
}

static size_t
list_size(const struct ptm_cached *list)
{
    size_t size = 0;
    for (; list != NULL; list = next_of(list)) {
        size += size_of(list);
    }
    return size;
}

/* Takes all chunks out of a bin. */
static struct ptm_cached *
empty_bin(struct ptm_tcache *tcache, unsigned bin)
{
    struct ptm_tbin *tbin = &tcache->bins[bin];
    struct ptm_cached *list = (struct ptm_cached *)tbin->head;
    if (bin >= PTM_SMALL_COUNT) {
        add_large(tcache, bin, -list_size(list));
    }
    tbin->head = 0;
    set_count(tbin, 0);
    return list;
}

void
ptm_tcache_count(const struct ptm_tcache *tcache, size_t *count, size_t *size)
{
    *count = 0;
    *size = atomic_load_explicit(&tcache->large_size, memory_order_relaxed);
    for (unsigned bin = 0; bin < PTM_CACHE_BINS; bin++) {
        uint32_t in_bin = ptm_tbin_count(&tcache->bins[bin]);
        *count += in_bin;
        *size += bin < PTM_SMALL_COUNT ? in_bin * ptm_cache_bin_size(bin) : 0;
    }
}

/* ---- giving back */

static struct ptm_arena *
arena_of(const struct ptm_cached *cached)
{
    return ptm_subheap_of(cached)->arena;
}

/* Onto the arena's stack; when much lies there, it is joined again by whoever
 * notices, if the lock is free. */
static void
give_batch(struct ptm_arena *arena, unsigned bin, struct ptm_cached *batch,
    unsigned count)
{
    const struct ptm_tuning *tuning = &arena->heap->tuning;
    if (ptm_cache_bin_size(bin) > ptm_tuning_get(&tuning->returned_max)) {
        mtx_lock(&arena->lock);
        ptm_returned_free_batch_locked(arena, bin, batch, count);
        mtx_unlock(&arena->lock);
        return;
    }
    ptm_returned_push(arena, bin, batch, count);
    if (atomic_load_explicit(&arena->returned_size, memory_order_relaxed) >
            RETURNED_MAX &&
        mtx_trylock(&arena->lock)) {
        ptm_returned_free_locked(arena);
        mtx_unlock(&arena->lock);
    }
}

/* Returns the chunks of the list that are of the first one's arena, in one
 * batch; what is left is a shorter list. */
static struct ptm_cached *
return_first_arena(
    struct ptm_tcache *tcache, unsigned bin, struct ptm_cached *list)
{
    struct ptm_arena *arena = arena_of(list);
    struct ptm_cached *batch = list;
    struct ptm_cached *batch_last = list;
    struct ptm_cached *left = NULL;
    unsigned count = 1;
    for (struct ptm_cached *cached = next_of(list); cached != NULL;) {
        struct ptm_cached *next = next_of(cached);
        if (arena_of(cached) == arena) {
            set_next(batch_last, cached);
            batch_last = cached;
            count++;
        } else {
            set_next(cached, left);
            left = cached;
        }
        cached = next;
    }
    set_next(batch_last, NULL);
    give_batch(arena, bin, batch, count);
    tcache->returned_to = arena;
    return left;
}

static void
return_list(struct ptm_tcache *tcache, unsigned bin, struct ptm_cached *list)
{
    while (list != NULL) {
        list = return_first_arena(tcache, bin, list);
    }
}

void
ptm_tcache_spill(struct ptm_tcache *tcache, unsigned bin)
{
    struct ptm_tbin *tbin = &tcache->bins[bin];
    uint32_t kept = ptm_tbin_count(tbin) / 2;
    if (kept == 0) {
        return_list(tcache, bin, empty_bin(tcache, bin));
        return;
    }
    struct ptm_cached *list = (struct ptm_cached *)tbin->head;
    for (uint32_t i = 1; i < kept; i++) {
        list = next_of(list);
    }
    struct ptm_cached *older = next_of(list);
    set_next(list, NULL);
    set_count(tbin, kept);
    if (bin >= PTM_SMALL_COUNT) {
        add_large(tcache, bin, -list_size(older));
    }
    return_list(tcache, bin, older);
}

void
ptm_tcache_drain(struct ptm_tcache *tcache)
{
    for (unsigned bin = 0; bin < PTM_CACHE_BINS; bin++) {
        return_list(tcache, bin, empty_bin(tcache, bin));
    }
}

/* ---- refilling */

/* The bin's first chunk if it is large enough: in a large bin it may not be. */
static struct chunk *
pop_fitting(struct ptm_tcache *tcache, unsigned bin, size_t size)
{
    const struct ptm_cached *first =
        (const struct ptm_cached *)tcache->bins[bin].head;
    if (first == NULL || size_of(first) < size) {
        return NULL;
    }
    return chunk_of_block(ptm_tcache_pop_any(tcache, bin));
}

/* How many chunks to cut beside the one that is wanted. */
static unsigned
extra_count(struct ptm_tcache *tcache, unsigned bin, size_t size)
{
    unsigned wanted = 1u << tcache->fill_shift[bin];
    if (bin >= PTM_SMALL_COUNT || wanted > tcache->bins[bin].limit ||
        wanted * size > FILL_BYTES_MAX) {
        unsigned fit = (unsigned)(FILL_BYTES_MAX / size);
        unsigned limit = tcache->bins[bin].limit;
        wanted = bin >= PTM_SMALL_COUNT ? 1 : fit < limit ? fit : limit;
    } else {
        tcache->fill_shift[bin]++;
    }
    return wanted == 0 ? 0 : wanted - 1;
}

/* From what the arena has. */
static struct chunk *
refill_locked(struct ptm_tcache *tcache, struct ptm_arena *arena, unsigned bin,
    size_t size) REQUIRES(arena->lock)
{
    struct ptm_tbin *tbin = &tcache->bins[bin];
    unsigned count = 0;
    if (tbin->head == 0) {
        struct ptm_cached *batch = ptm_returned_pop_locked(arena, bin, &count);
        if (batch != NULL) {
            tbin->head = (uintptr_t)batch;
            set_count(tbin, count);
            if (bin >= PTM_SMALL_COUNT) {
                add_large(tcache, bin, list_size(batch));
            }
            struct chunk *chunk = pop_fitting(tcache, bin, size);
            if (chunk != NULL) {
                return chunk;
            }
        }
    }
    struct chunk *chunk = ptm_arena_take_locked(arena, size);
    if (chunk == NULL || tbin->head != 0) {
        return chunk;
    }
    for (unsigned left = extra_count(tcache, bin, size); left > 0; left--) {
        struct chunk *extra = ptm_arena_take_locked(arena, size);
        if (extra == NULL) {
            break;
        }
        if (chunk_size(extra) != size) { /* A whole chunk, a little larger. */
            ptm_arena_free_locked(arena, extra);
            break;
        }
        ptm_tcache_push_any(tcache, bin, chunk_block(extra));
    }
    return chunk;
}

/* The lock comes from ptm_heap_lock_arena, which the analysis cannot follow. */
struct chunk *
ptm_tcache_refill(struct ptm_tcache *tcache, size_t size) NO_LOCK_ANALYSIS
{
    unsigned bin = ptm_cache_bin(size);
    struct chunk *chunk = pop_fitting(tcache, bin, size);
    if (chunk != NULL) {
        return chunk;
    }
    tcache->fresh = false;
    struct ptm_arena *arena = ptm_heap_lock_arena(tcache->heap, tcache);
    chunk = refill_locked(tcache, arena, bin, size);
    if (chunk == NULL) {
        arena = ptm_heap_lock_richer_arena(tcache->heap, tcache, arena);
        ptm_returned_free_locked(arena);
        chunk = ptm_arena_alloc_locked(arena, size);
    }
    mtx_unlock(&arena->lock);
    return chunk;
}

void
ptm_tcache_each(
    const struct ptm_tcache *tcache, ptm_cached_fn *visit, void *arg)
{
    for (unsigned bin = 0; bin < PTM_CACHE_BINS; bin++) {
        const struct ptm_cached *cached =
            (const struct ptm_cached *)tcache->bins[bin].head;
        for (; cached != NULL; cached = next_of(cached)) {
            visit(cached, arg);
        }
    }
}

void
ptm_tcache_check(const struct ptm_tcache *tcache)
{
    size_t large_size = 0;
    for (unsigned bin = 0; bin < PTM_CACHE_BINS; bin++) {
        const struct ptm_tbin *tbin = &tcache->bins[bin];
        const struct ptm_cached *cached = (const struct ptm_cached *)tbin->head;
        uint32_t count = 0;
        for (; cached != NULL; cached = next_of(cached), count++) {
            size_t size = chunk_size(chunk_of_block(cached));
            CHECK(ptm_cache_bin(size) == bin); /* I2 */
            CHECK(cached->key == tcache->key); /* I3 */
            CHECK(count <= ptm_tbin_count(tbin));
            large_size += bin < PTM_SMALL_COUNT ? 0 : size;
        }
        CHECK(count == ptm_tbin_count(tbin)); /* I1 */
        CHECK(count <= tbin->limit);          /* I1 */
    }
    CHECK(large_size == atomic_load(&tcache->large_size)); /* I1 */
}

void
ptm_tcache_dump(const struct ptm_tcache *tcache, int fd)
{
    struct print print;
    size_t count, size;
    ptm_tcache_count(tcache, &count, &size);
    print_init(&print, fd);
    print_format(&print, "  tcache of arena %u: %zu in %zu chunks\n",
        tcache->arena->index, size, count);
    for (unsigned bin = 0; bin < PTM_CACHE_BINS; bin++) {
        const struct ptm_tbin *tbin = &tcache->bins[bin];
        if (ptm_tbin_count(tbin) > 0) {
            print_format(&print, "    bin %zu: %u of %u\n",
                ptm_cache_bin_size(bin), ptm_tbin_count(tbin), tbin->limit);
        }
    }
    print_flush(&print);
}
