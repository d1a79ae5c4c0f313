/*
 * tcache.h - one thread's cache: a list of free chunks a bin
 *
 *     malloc, free --> tcache --(batches)--> arenas
 *
 * Chunks of one size (small bins), or of one class (large ones), in a singly
 * linked list with a count. The link lies in the block, mangled with its own
 * address; the word behind it holds the heap's key, so that a second free of
 * the same block is seen.
 *
 * Concurrency: a tcache belongs to one thread. refill and spill take an arena's
 * lock, or push onto its returned stacks without it. Any thread may count what
 * lies in it: the counts are atomic words that only the owner writes.
 * Failure: refill returns NULL when out of memory. A chunk freed twice, or with
 * a broken link, is misuse, and fatal.
 * Design: glibc wiki, "MallocInternals", "Thread Local Cache (tcache)"; Check
 * Point Research, "Safe-Linking" (2020).
 */
#pragma once

#include "base/local.h"
#include "ptmalloc/arena.h"

struct ptm_tbin {
    uintptr_t head;         /* the first block, or 0 */
    _Atomic uint32_t count; /* its thread writes, statistics read */
    uint32_t limit;         /* count never exceeds it; 0: nothing is cached */
};

struct ptm_tcache {
    struct local local;
    uintptr_t key; /* the heap's */
    struct ptm_tbin bins[PTM_CACHE_BINS];
    struct ptm_heap *heap;
    struct ptm_arena *arena;            /* the last one used */
    bool fresh;                         /* the thread has allocated nothing */
    struct ptm_arena *returned_to;      /* the last that got a batch */
    uint8_t fill_shift[PTM_CACHE_BINS]; /* the next fill takes 1 << this */
    _Atomic size_t large_size;          /* of all chunks in large bins */
};

static inline struct ptm_tcache *
ptm_tcache_of(struct local *local)
{
    return (struct ptm_tcache *)(void *)local;
}

/* Empty and full at once. */
extern struct ptm_tcache ptm_tcache_none;

/* In zeroed memory, or one used before; what that still holds, after fork, is
 * lost: its thread may have been in the middle of a change. */
void ptm_tcache_init(
    struct ptm_tcache *tcache, struct ptm_heap *heap, struct ptm_arena *arena);

/* A chunk for a request of that chunk size; the cache had none. */
struct chunk *ptm_tcache_refill(struct ptm_tcache *tcache, size_t size);
/* Makes room in the bin by giving half of it back. */
void ptm_tcache_spill(struct ptm_tcache *tcache, unsigned bin);
/* Empties all bins. */
void ptm_tcache_drain(struct ptm_tcache *tcache);

/* A block whose second word is the key: dies if it is in the bin. */
void ptm_tcache_check_double_free(
    const struct ptm_tcache *tcache, unsigned bin, const void *block);
_Noreturn void ptm_tcache_broken(const void *block);

/* What any thread may ask; right for good when the owner is still. */
void ptm_tcache_count(
    const struct ptm_tcache *tcache, size_t *count, size_t *size);

static inline uint32_t
ptm_tbin_count(const struct ptm_tbin *bin)
{
    return atomic_load_explicit(&bin->count, memory_order_relaxed);
}

/* A plain add: there is one writer. */
static inline void
ptm_tbin_add(struct ptm_tbin *bin, uint32_t more)
{
    atomic_store_explicit(
        &bin->count, ptm_tbin_count(bin) + more, memory_order_relaxed);
}

/* Takes the first chunk of a small bin that is not empty. */
static inline void *
ptm_tcache_pop(struct ptm_tbin *bin)
{
    struct ptm_cached *cached = (struct ptm_cached *)bin->head;
    uintptr_t next = ptm_mangle(&cached->next, cached->next);
    if (__builtin_expect((next & (CHUNK_ALIGN - 1)) != 0, 0)) {
        ptm_tcache_broken(cached);
    }
    bin->head = next;
    ptm_tbin_add(bin, -1u);
    cached->key = 0;
    ptm_cached_use(cached);
    return cached;
}

/* Puts a block in front of a small bin that has room. */
static inline void
ptm_tcache_push(struct ptm_tcache *tcache, struct ptm_tbin *bin, void *block)
{
    struct ptm_cached *cached = block;
    cached->key = tcache->key;
    cached->next = ptm_mangle(&cached->next, bin->head);
    bin->head = (uintptr_t)cached;
    ptm_tbin_add(bin, 1);
    ptm_cached_free(cached);
}

/* The same for bins of any size. */
void *ptm_tcache_pop_any(struct ptm_tcache *tcache, unsigned bin);
void ptm_tcache_push_any(struct ptm_tcache *tcache, unsigned bin, void *block);

/* Every cached chunk. Wants the owner still. */
void ptm_tcache_each(
    const struct ptm_tcache *tcache, ptm_cached_fn *visit, void *arg);

void ptm_tcache_check(const struct ptm_tcache *tcache); /* aborts if broken */
void ptm_tcache_dump(const struct ptm_tcache *tcache, int fd);
