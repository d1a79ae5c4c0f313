/*
 * block.c - the calls past malloc and free (contract: block.h)
 *
 * realloc tries, in this order: the chunk as it is; the free memory behind it,
 * be it a chunk, the victim or top, which is made larger; for a mapping, mremap.
 * Only then it copies. The copy runs without the lock: the old block is the
 * caller's, and nobody knows the new one yet.
 *
 * Mappings go back to the OS without the lock, too: to unmap much memory takes
 * long. One that the OS refuses to take back becomes a segment, so that its
 * memory is not lost.
 */
#include "dlmalloc/block.h"

#include <string.h>

#include "base/check.h"
#include "base/pages.h"
#include "family.h"

/* A block smaller than this does not keep a mapping of its own. */
#define DIRECT_KEEP_MIN ((size_t)64 << 10)

/* No alignment is larger; glibc's limit. */
#define ALIGN_MAX (SIZE_MAX / 2 + 1)

/* ---- take */

/* No free chunk is large enough: memory from the OS. */
static struct chunk *
take_more(struct dlm_heap *heap, size_t size) REQUIRES(heap->lock)
{
    if (dlm_direct_wanted(heap, size)) {
        struct chunk *chunk = dlm_direct_take(heap, size, CHUNK_ALIGN);

        if (chunk != NULL) {
            return chunk;
        }
    }
    return dlm_segment_grow(heap, size) ? dlm_bins_take(heap, size) : NULL;
}

/* A used chunk of at least that size, or NULL. */
static inline struct chunk *
take_chunk(struct dlm_heap *heap, size_t size) REQUIRES(heap->lock)
{
    struct chunk *chunk = dlm_bins_take_quickly(heap, size);

    if (chunk == NULL) {
        chunk = dlm_bins_take(heap, size);
    }
    if (chunk == NULL) {
        chunk = take_more(heap, size);
    }
    ASSERT_HEAP(dlm_inspect_sometimes(heap));
    return chunk;
}

static void *
out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

void *
dlm_block_take_locked(struct dlm_heap *heap, size_t size)
{
    if (size > DLM_REQUEST_MAX) {
        return out_of_memory();
    }
    mtx_lock(&heap->lock);
    struct chunk *chunk = take_chunk(heap, chunk_size_for(size, DLM_OVERHEAD));
    mtx_unlock(&heap->lock);
    return chunk == NULL ? out_of_memory() : chunk_block(chunk);
}

void *
dlm_block_take_zeroed(struct dlm_heap *heap, size_t count, size_t size)
{
    size_t product;

    if (!family_product(count, size, &product) || product > DLM_REQUEST_MAX) {
        return out_of_memory();
    }
    mtx_lock(&heap->lock);
    struct chunk *chunk =
        take_chunk(heap, chunk_size_for(product, DLM_OVERHEAD));
    bool is_fresh = chunk != NULL && (chunk->head & DLM_DIRECT) != 0;
    mtx_unlock(&heap->lock);
    if (chunk == NULL) {
        return out_of_memory();
    }
    void *block = chunk_block(chunk);
    return is_fresh ? block : memset(block, 0, product);
}

/* ---- cutting used chunks */

/* A used chunk becomes longer or shorter. */
static void
set_size(struct dlm_heap *heap, struct chunk *chunk, size_t size)
    REQUIRES(heap->lock)
{
    chunk->head = size | DLM_USED | (chunk->head & CHUNK_PREV_USED);
    *chunk_foot(chunk, size) = dlm_footer(heap, size);
}

/* Cuts a used chunk to size and frees the rest, if that can be a chunk. */
static void
shrink(struct dlm_heap *heap, struct chunk *chunk, size_t size)
    REQUIRES(heap->lock)
{
    size_t rest_size = chunk_size(chunk) - size;

    if (rest_size >= CHUNK_MIN_SIZE) {
        struct chunk *rest = chunk_at(chunk, size);

        dlm_chunk_use(heap, rest, rest_size);
        set_size(heap, chunk, size);
        dlm_bins_give(heap, rest, rest_size);
    }
}

/* ---- aligned */

/* Frees the part of a new chunk before the first aligned block in it that
 * leaves room for a chunk. Returns the chunk of that block. */
static struct chunk *
cut_lead(struct dlm_heap *heap, struct chunk *chunk, size_t align)
    REQUIRES(heap->lock)
{
    size_t lead = -(uintptr_t)chunk_block(chunk) & (align - 1);
    size_t size = chunk_size(chunk);

    if (lead == 0) {
        return chunk;
    }
    if (lead < CHUNK_MIN_SIZE) {
        lead += align; /* which is at least CHUNK_MIN_SIZE */
    }
    struct chunk *aligned = chunk_at(chunk, lead);
    dlm_chunk_use(heap, aligned, size - lead);
    set_size(heap, chunk, lead);
    dlm_bins_give(heap, chunk, lead);
    return aligned;
}

static struct chunk *
take_aligned(struct dlm_heap *heap, size_t align, size_t size)
    REQUIRES(heap->lock)
{
    size_t whole_size;

    if (__builtin_add_overflow(size, align + CHUNK_MIN_SIZE, &whole_size) ||
        whole_size > DLM_REQUEST_MAX) {
        return NULL;
    }
    if (dlm_direct_wanted(heap, whole_size)) {
        struct chunk *chunk = dlm_direct_take(heap, size, align);

        if (chunk != NULL) {
            return chunk;
        }
    }
    struct chunk *chunk = dlm_bins_take(heap, whole_size);
    if (chunk == NULL && dlm_segment_grow(heap, whole_size)) {
        chunk = dlm_bins_take(heap, whole_size);
    }
    if (chunk != NULL) {
        chunk = cut_lead(heap, chunk, align);
        shrink(heap, chunk, size);
    }
    return chunk;
}

/* glibc rounds an alignment that is no power of two up to one. */
static size_t
round_align(size_t align)
{
    size_t power = CHUNK_MIN_SIZE;

    while (power < align) {
        power *= 2;
    }
    return power;
}

void *
dlm_block_take_aligned(struct dlm_heap *heap, size_t align, size_t size)
{
    if (align <= CHUNK_ALIGN) {
        return dlm_block_take(heap, size);
    }
    if (align > ALIGN_MAX) {
        errno = EINVAL;
        return NULL;
    }
    if (size > DLM_REQUEST_MAX) {
        return out_of_memory();
    }
    mtx_lock(&heap->lock);
    struct chunk *chunk = take_aligned(
        heap, round_align(align), chunk_size_for(size, DLM_OVERHEAD));
    ASSERT_HEAP(dlm_inspect_sometimes(heap));
    mtx_unlock(&heap->lock);
    return chunk == NULL ? out_of_memory() : chunk_block(chunk);
}

/* ---- give */

/* The mapping of a block that lies in no segment, checked. */
static struct dlm_direct *
find_direct(struct dlm_heap *heap, const void *block) REQUIRES(heap->lock)
{
    const struct chunk *chunk = chunk_of_block(block);
    struct dlm_direct *direct = dlm_direct_holding(heap, chunk);

    if (direct == NULL || direct->chunk != chunk ||
        !dlm_direct_is_sound(heap, direct)) {
        dlm_misuse_block(heap, block);
    }
    return direct;
}

static void
give_direct(struct dlm_heap *heap, struct dlm_direct *direct)
    RELEASES(heap->lock)
{
    size_t mapped_size = direct->mapped_size;

    dlm_tuning_learn(&heap->tuning, mapped_size);
    dlm_direct_leave(heap, direct);
    mtx_unlock(&heap->lock);
    if (!pages_unmap(direct, mapped_size)) {
        mtx_lock(&heap->lock);
        dlm_segment_adopt(heap, direct, mapped_size);
        mtx_unlock(&heap->lock);
    }
}

void
dlm_block_give_locked(struct dlm_heap *heap, void *block)
{
    struct chunk *chunk = chunk_of_block(block);

    if (block == NULL) {
        return;
    }
    mtx_lock(&heap->lock);
    if (dlm_block_is_sound(heap, chunk)) {
        dlm_bins_give(heap, chunk, chunk_size(chunk));
        ASSERT_HEAP(dlm_inspect_sometimes(heap));
        mtx_unlock(&heap->lock);
    } else {
        give_direct(heap, find_direct(heap, block));
    }
}

/* Whether a chunk in a segment can come from a request for size: what is left
 * over is less than a chunk. */
static bool
can_be_sized(size_t chunk_bytes, size_t size)
{
    if (size > DLM_REQUEST_MAX) {
        return false;
    }
    size_t least = chunk_size_for(size, DLM_OVERHEAD);
    return least <= chunk_bytes && chunk_bytes - least < CHUNK_MIN_SIZE;
}

static bool
is_of_size(struct dlm_heap *heap, const void *block, size_t size)
    REQUIRES(heap->lock)
{
    const struct chunk *chunk = chunk_of_block(block);

    if (dlm_block_is_sound(heap, chunk)) {
        return can_be_sized(chunk_size(chunk), size);
    }
    const struct dlm_direct *direct = find_direct(heap, block);
    return size <= DLM_REQUEST_MAX &&
           dlm_direct_size_for(direct, chunk_size_for(size, DLM_OVERHEAD)) ==
               direct->mapped_size;
}

void
dlm_block_give_sized(struct dlm_heap *heap, void *block, size_t size)
{
    if (block == NULL) {
        return;
    }
    mtx_lock(&heap->lock);
    if (!is_of_size(heap, block, size)) {
        dlm_misuse_wrong("wrong size in free", block);
    }
    mtx_unlock(&heap->lock);
    dlm_block_give(heap, block);
}

void
dlm_block_give_aligned_sized(
    struct dlm_heap *heap, void *block, size_t align, size_t size)
{
    if (align == 0 || (align & (align - 1)) != 0 ||
        ((uintptr_t)block & (align - 1)) != 0) {
        dlm_misuse_wrong("wrong alignment in free", block);
    }
    dlm_block_give_sized(heap, block, size);
}

/* ---- resize */

/* Takes memory that is free behind a used chunk, at least `need` bytes of it.
 * Returns how much, or 0. */
static size_t
take_behind(struct dlm_heap *heap, struct chunk *next, size_t need)
    REQUIRES(heap->lock)
{
    if (next == heap->top) {
        if (need + CHUNK_MIN_SIZE > heap->top_size &&
            !dlm_segment_extend(heap, need)) {
            return 0;
        }
        return chunk_size(dlm_bins_take_top(heap, need));
    }
    if ((next->head & DLM_USED) != 0 || chunk_size(next) < need) {
        return 0;
    }
    if (next == heap->victim) {
        return chunk_size(dlm_bins_take_victim(heap, need));
    }
    size_t size = chunk_size(next);
    dlm_bins_remove_checked(heap, next);
    chunk_at(next, size)->head |= CHUNK_PREV_USED;
    poison_use(chunk_block(next), size - DLM_OVERHEAD);
    return size;
}

static bool
resize_in_place(struct dlm_heap *heap, struct chunk *chunk, size_t size)
    REQUIRES(heap->lock)
{
    size_t old_size = chunk_size(chunk);

    if (size > old_size) {
        size_t gained =
            take_behind(heap, chunk_at(chunk, old_size), size - old_size);

        if (gained == 0) {
            return false;
        }
        set_size(heap, chunk, old_size + gained);
    }
    shrink(heap, chunk, size);
    return true;
}

/* Resized where it is, or by moving its mapping; NULL: it must be copied. Sets
 * *usable_size to what the block had. */
static struct chunk *
resize_locked(struct dlm_heap *heap, void *block, size_t size,
    size_t *usable_size) REQUIRES(heap->lock)
{
    struct chunk *chunk = chunk_of_block(block);

    if (dlm_block_is_sound(heap, chunk)) {
        *usable_size = chunk_size(chunk) - DLM_OVERHEAD;
        return resize_in_place(heap, chunk, size) ? chunk : NULL;
    }
    struct dlm_direct *direct = find_direct(heap, block);
    *usable_size = chunk_size(chunk) - DLM_OVERHEAD;
    return size < DIRECT_KEEP_MIN ? NULL
                                  : dlm_direct_resize(heap, direct, size);
}

static void *
move(struct dlm_heap *heap, void *block, size_t usable_size, size_t size)
{
    void *moved = dlm_block_take(heap, size);

    if (moved != NULL) {
        memcpy(moved, block, size < usable_size ? size : usable_size);
        dlm_block_give(heap, block);
    }
    return moved;
}

void *
dlm_block_resize(struct dlm_heap *heap, void *block, size_t size)
{
    size_t usable_size;

    if (block == NULL) {
        return dlm_block_take(heap, size);
    }
    if (size == 0) {
        dlm_block_give(heap, block);
        return NULL;
    }
    if (size > DLM_REQUEST_MAX) {
        return out_of_memory();
    }
    mtx_lock(&heap->lock);
    struct chunk *chunk = resize_locked(
        heap, block, chunk_size_for(size, DLM_OVERHEAD), &usable_size);
    ASSERT_HEAP(dlm_inspect_sometimes(heap));
    mtx_unlock(&heap->lock);
    return chunk != NULL ? chunk_block(chunk)
                         : move(heap, block, usable_size, size);
}

/* ---- asking and trimming */

size_t
dlm_block_usable_size(struct dlm_heap *heap, const void *block)
{
    const struct chunk *chunk = chunk_of_block(block);

    if (block == NULL) {
        return 0;
    }
    mtx_lock(&heap->lock);
    if (!dlm_block_is_sound(heap, chunk)) {
        (void)find_direct(heap, block);
    }
    size_t size = chunk_size(chunk) - DLM_OVERHEAD;
    mtx_unlock(&heap->lock);
    return size;
}

bool
dlm_block_trim(struct dlm_heap *heap, size_t pad)
{
    mtx_lock(&heap->lock);
    bool any = heap->cookie != 0 && dlm_segment_trim(heap, pad);
    any |= heap->cookie != 0 && dlm_segment_purge(heap);
    mtx_unlock(&heap->lock);
    return any;
}
