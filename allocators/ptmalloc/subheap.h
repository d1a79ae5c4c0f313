/*
 * subheap.h - aligned regions that grow and shrink: an arena's memory
 *
 *     arena: chunks, top <-- subheap --> pages
 *
 * Addresses are reserved in pieces of PTM_SUBHEAP_SIZE, aligned to that size, so
 * that a chunk's address leads to its subheap by masking, and from there to its
 * arena. Only the low part is usable: it grows when the arena's top runs short
 * and shrinks when the top is long.
 *
 *     | struct ptm_subheap | lead | chunks ...        top | reserved ...   |
 *     ^ address & mask            ^- lead_size            ^- usable_size
 *
 * Concurrency: the arena's lock guards its subheaps. ptm_subheap_of needs none:
 * a subheap's arena never changes, and it stays while a chunk of it is in use.
 * Failure: NULL or false when the OS refuses, with nothing changed.
 * Design: glibc wiki, "MallocInternals", "Arenas and Heaps"; Gloger, ptmalloc.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sync.h"
#include "ptmalloc/head.h"

#define PTM_SUBHEAP_SIZE ((size_t)64 << 20)

struct ptm_arena;

struct ptm_subheap {
    _Alignas(CACHE_LINE) struct ptm_arena *arena; /* for good */
    struct ptm_subheap *older; /* [arena] the arena's one before this */
    size_t usable_size;        /* [arena] from the subheap's own address on */
    size_t lead_size;          /* for good; where the first chunk begins */
};

static inline struct ptm_subheap *
ptm_subheap_of(const void *addr)
{
    return (struct ptm_subheap *)((uintptr_t)addr & ~(PTM_SUBHEAP_SIZE - 1));
}

/* Where the usable part ends. */
static inline char *
ptm_subheap_end(const struct ptm_subheap *subheap)
{
    return (char *)(uintptr_t)subheap + subheap->usable_size;
}

/* True when the bytes end in the usable part of the subheap they begin in. */
static inline bool
ptm_subheap_holds(const void *addr, size_t size)
{
    size_t offset = (uintptr_t)addr & (PTM_SUBHEAP_SIZE - 1);
    size_t usable_size = ptm_subheap_of(addr)->usable_size;
    return offset <= usable_size && size <= usable_size - offset;
}

static inline struct chunk *
ptm_subheap_first_chunk(const struct ptm_subheap *subheap)
{
    return chunk_at(subheap, subheap->lead_size);
}

/* A subheap with that much room before its first chunk, itself included, and at
 * least size usable bytes in all. Backed by huge pages where the kernel does
 * that on request and `huge` asks for it. */
struct ptm_subheap *ptm_subheap_new(
    struct ptm_arena *arena, size_t lead_size, size_t size, bool huge);
void ptm_subheap_delete(struct ptm_subheap *subheap);

/* Makes at least size bytes usable, or leaves no more than that; both round to
 * OS pages. */
bool ptm_subheap_grow(struct ptm_subheap *subheap, size_t size);
bool ptm_subheap_shrink(struct ptm_subheap *subheap, size_t size);

void ptm_subheap_check(const struct ptm_subheap *subheap);
void ptm_subheap_dump(const struct ptm_subheap *subheap, int fd);
