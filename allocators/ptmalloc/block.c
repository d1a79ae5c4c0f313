/*
 * block.c - one block's life on a heap (contract: block.h)
 *
 * Small and middling requests are for a thread's cache, which refills from an
 * arena; those past the threshold get mappings, and if the kernel refuses, an
 * arena is tried all the same.
 */
#include "ptmalloc/block.h"

#include <string.h>

#include "base/check.h"
#include "ptmalloc/direct.h"
#include "ptmalloc/returned.h"

/* ---- arenas */

static struct chunk *
alloc_locked(struct ptm_arena *arena, size_t align, size_t size)
    REQUIRES(arena->lock)
{
    return align > CHUNK_ALIGN
               ? ptm_arena_alloc_aligned_locked(arena, align, size)
               : ptm_arena_alloc_locked(arena, size);
}

/* Which arena is locked is known only when it runs, so clang's analysis cannot
 * follow. The caller's arena, then, when it is out of memory, what it can scrape
 * together, then every arena whose lock is free. */
static struct chunk *
alloc_in_arena(struct ptm_heap *heap, struct ptm_tcache *tcache, size_t align,
    size_t size) NO_LOCK_ANALYSIS
{
    struct ptm_arena *arena = ptm_heap_lock_arena(heap, tcache);
    struct chunk *chunk = alloc_locked(arena, align, size);
    if (chunk == NULL) {
        ptm_returned_free_locked(arena);
        chunk = alloc_locked(arena, align, size);
    }
    mtx_unlock(&arena->lock);
    if (chunk == NULL) {
        struct ptm_arena *other = ptm_heap_lock_other_arena(heap, arena);
        if (other != NULL) {
            ptm_returned_free_locked(other);
            chunk = alloc_locked(other, align, size);
            mtx_unlock(&other->lock);
        }
    }
    return chunk;
}

/* ---- taking */

static bool
wants_mapping(struct ptm_heap *heap, size_t size)
{
    return size >= ptm_tuning_get(&heap->tuning.mmap_threshold) &&
           ptm_tuning_get(&heap->direct_count) <
               ptm_tuning_get(&heap->tuning.mmap_max);
}

static struct chunk *
take_chunk(
    struct ptm_heap *heap, struct ptm_tcache *tcache, size_t size, size_t align)
{
    struct chunk *chunk = NULL;
    bool fits_arena = size + align <= PTM_ARENA_REQUEST_MAX;
    if (!fits_arena || wants_mapping(heap, size)) {
        chunk = ptm_direct_map(heap, size, align);
        if (chunk != NULL || !fits_arena) {
            return chunk;
        }
    }
    size_t chunk_bytes = chunk_size_for(size, CHUNK_HEAD_SIZE);
    if (tcache != NULL && align <= CHUNK_ALIGN &&
        chunk_bytes <= PTM_CACHE_MAX) {
        chunk = ptm_tcache_refill(tcache, chunk_bytes);
    }
    return chunk != NULL ? chunk
                         : alloc_in_arena(heap, tcache, align, chunk_bytes);
}

static size_t
usable_size(const struct chunk *chunk)
{
    size_t head = ptm_head(chunk);
    size_t overhead =
        (head & PTM_MAPPED) != 0 ? CHUNK_BLOCK_OFFSET : CHUNK_HEAD_SIZE;
    return (head & ~CHUNK_FLAGS) - overhead;
}

void *
ptm_block_take(struct ptm_heap *heap, struct ptm_tcache *tcache, size_t size,
    size_t align, bool zero)
{
    if (size > PTRDIFF_MAX || align > PTRDIFF_MAX ||
        size > PTRDIFF_MAX - align) {
        return NULL;
    }
    struct chunk *chunk = take_chunk(heap, tcache, size, align);
    if (chunk == NULL) {
        return NULL;
    }
    void *block = chunk_block(chunk);
    if (zero && (ptm_head(chunk) & PTM_MAPPED) == 0) {
        memset(block, 0, size);
    } else if (!zero && ptm_tuning_get(&heap->tuning.perturb) != 0) {
        memset(block, (int)ptm_tuning_get(&heap->tuning.perturb) ^ 0xff,
            usable_size(chunk));
    }
    return block;
}

/* ---- giving */

/* The chunk of a block, as far as its address and head tell. */
static struct chunk *
checked_chunk(const void *block)
{
    struct chunk *chunk = chunk_of_block(block);
    if (((uintptr_t)block & (CHUNK_ALIGN - 1)) != 0 || block == NULL) {
        check_misuse(PTM_NAME, "invalid pointer", block);
    }
    size_t head = ptm_head(chunk);
    size_t size = head & ~CHUNK_FLAGS;
    if (size < CHUNK_MIN_SIZE || size > PTRDIFF_MAX ||
        (head & (PTM_IN_TREE | CHUNK_FLAG_NONE)) != 0) {
        check_misuse(PTM_NAME, "invalid size", block);
    }
    return chunk;
}

static struct ptm_arena *
checked_arena(struct ptm_heap *heap, const struct chunk *chunk)
{
    struct ptm_arena *arena = ptm_subheap_of(chunk)->arena;
    if (arena->heap != heap) {
        check_misuse(PTM_NAME, "block of another heap", chunk_block(chunk));
    }
    return arena;
}

/* A block that no cache takes: back to its arena. */
static void
give_to_arena(struct ptm_arena *arena, struct chunk *chunk)
{
    mtx_lock(&arena->lock);
    ptm_arena_free_locked(arena, chunk);
    mtx_unlock(&arena->lock);
}

void
ptm_block_give(struct ptm_heap *heap, struct ptm_tcache *tcache, void *block)
{
    struct chunk *chunk = checked_chunk(block);
    if ((ptm_head(chunk) & PTM_MAPPED) != 0) {
        ptm_direct_unmap(heap, chunk);
        return;
    }
    struct ptm_arena *arena = checked_arena(heap, chunk);
    size_t size = ptm_head_size(chunk);
    if (ptm_tuning_get(&heap->tuning.perturb) != 0) {
        memset(block, (int)ptm_tuning_get(&heap->tuning.perturb),
            size - CHUNK_HEAD_SIZE);
    }
    if (tcache == NULL || size > PTM_CACHE_MAX) {
        give_to_arena(arena, chunk);
        return;
    }
    unsigned bin = ptm_cache_bin(size);
    struct ptm_tbin *tbin = &tcache->bins[bin];
    if (((struct ptm_cached *)block)->key == tcache->key) {
        ptm_tcache_check_double_free(tcache, bin, block);
    }
    if (tbin->limit == 0) {
        give_to_arena(arena, chunk);
        return;
    }
    if (tcache->fresh) {
        ptm_heap_follow(tcache, arena);
    }
    if (ptm_tbin_count(tbin) >= tbin->limit) {
        ptm_tcache_spill(tcache, bin);
    }
    ptm_tcache_push_any(tcache, bin, block);
}

/* ---- resizing */

/* Where the block stands; false when it must move. */
static bool
resize_in_arena(struct ptm_heap *heap, struct chunk *chunk, size_t size)
{
    if (size > PTM_ARENA_REQUEST_MAX) {
        return false;
    }
    size_t chunk_bytes = chunk_size_for(size, CHUNK_HEAD_SIZE);
    size_t old_bytes = ptm_head_size(chunk);
    if (chunk_bytes <= old_bytes && old_bytes - chunk_bytes < CHUNK_MIN_SIZE) {
        return true;
    }
    struct ptm_arena *arena = checked_arena(heap, chunk);
    mtx_lock(&arena->lock);
    bool resized = ptm_arena_resize_locked(arena, chunk, chunk_bytes);
    mtx_unlock(&arena->lock);
    return resized;
}

static void *
move_block(
    struct ptm_heap *heap, struct ptm_tcache *tcache, void *block, size_t size)
{
    void *moved = ptm_block_take(heap, tcache, size, 1, false);
    if (moved != NULL) {
        size_t old_size = usable_size(chunk_of_block(block));
        memcpy(moved, block, old_size < size ? old_size : size);
        ptm_block_give(heap, tcache, block);
    }
    return moved;
}

void *
ptm_block_resize(
    struct ptm_heap *heap, struct ptm_tcache *tcache, void *block, size_t size)
{
    struct chunk *chunk = checked_chunk(block);
    if (size > PTRDIFF_MAX - PTM_SUBHEAP_SIZE) {
        return NULL;
    }
    if ((ptm_head(chunk) & PTM_MAPPED) == 0) {
        return resize_in_arena(heap, chunk, size)
                   ? block
                   : move_block(heap, tcache, block, size);
    }
    if (wants_mapping(heap, size)) {
        struct chunk *resized = ptm_direct_resize(heap, chunk, size);
        if (resized != NULL) {
            return chunk_block(resized);
        }
    }
    void *moved = move_block(heap, tcache, block, size);
    if (moved == NULL && ptm_direct_usable_size(chunk) >= size) {
        return block; /* No smaller one is to be had. */
    }
    return moved;
}

/* A chunk is as large as asked for, or 16 more where no chunk can be cut off, or
 * comes from the large cache bin of the size. A mapping may have stayed large. */
bool
ptm_block_is_of(const void *block, size_t size)
{
    const struct chunk *chunk = checked_chunk(block);
    if (size > usable_size(chunk)) {
        return false;
    }
    size_t have = ptm_head_size(chunk);
    size_t need = chunk_size_for(size, CHUNK_HEAD_SIZE);
    return (ptm_head(chunk) & PTM_MAPPED) != 0 || have <= need + CHUNK_ALIGN ||
           (have <= PTM_CACHE_MAX &&
               ptm_cache_bin(have) == ptm_cache_bin(need));
}

size_t
ptm_block_usable_size(struct ptm_heap *heap, const void *block)
{
    struct chunk *chunk = checked_chunk(block);
    (void)heap;
    return usable_size(chunk);
}
