/*
 * bulk.c - many blocks at once (contract: bulk.h)
 *
 * The sizes are added up first, so that nothing is undone: one chunk is taken
 * for all blocks, and for the array when the caller has none, and then cut from
 * front to back. The last block gets what is left over.
 */
#include "dlmalloc/bulk.h"

#include <errno.h>
#include <string.h>

#include "dlmalloc/block.h"

/* What is asked for. sizes is NULL when all blocks have equal_size. */
struct bulk {
    size_t count;
    size_t equal_size;
    const size_t *sizes;
};

static size_t
size_of(const struct bulk *bulk, size_t i)
{
    return bulk->sizes == NULL ? bulk->equal_size : bulk->sizes[i];
}

/* Adds the chunk for one more request. False if the sum is too large. */
static bool
add(size_t *sum, size_t request)
{
    return request <= DLM_REQUEST_MAX &&
           !__builtin_add_overflow(
               *sum, chunk_size_for(request, DLM_OVERHEAD), sum) &&
           *sum <= DLM_REQUEST_MAX;
}

static bool
add_all(const struct bulk *bulk, size_t *sum)
{
    if (bulk->sizes == NULL) {
        size_t product;

        return bulk->equal_size <= DLM_REQUEST_MAX &&
               !__builtin_mul_overflow(bulk->count,
                   chunk_size_for(bulk->equal_size, DLM_OVERHEAD), &product) &&
               !__builtin_add_overflow(*sum, product, sum) &&
               *sum <= DLM_REQUEST_MAX;
    }
    for (size_t i = 0; i < bulk->count; i++) {
        if (!add(sum, bulk->sizes[i])) {
            return false;
        }
    }
    return true;
}

/* A chunk in a segment: one with a mapping of its own cannot be cut. */
static struct chunk *
take_whole(struct dlm_heap *heap, size_t size) REQUIRES(heap->lock)
{
    struct chunk *chunk = dlm_bins_take(heap, size);

    if (chunk == NULL && dlm_segment_grow(heap, size)) {
        chunk = dlm_bins_take(heap, size);
    }
    return chunk;
}

/* Cuts a used chunk in two, the first of that size. Returns the second. */
static struct chunk *
cut(struct dlm_heap *heap, struct chunk *chunk, size_t size)
    REQUIRES(heap->lock)
{
    size_t rest_size = chunk_size(chunk) - size;
    struct chunk *rest = chunk_at(chunk, size);

    dlm_chunk_use(heap, rest, rest_size);
    dlm_chunk_use(heap, chunk, size);
    return rest;
}

static void
cut_all(struct dlm_heap *heap, struct chunk *chunk, const struct bulk *bulk,
    void **blocks) REQUIRES(heap->lock)
{
    for (size_t i = 0; i + 1 < bulk->count; i++) {
        size_t size = chunk_size_for(size_of(bulk, i), DLM_OVERHEAD);

        blocks[i] = chunk_block(chunk);
        chunk = cut(heap, chunk, size);
    }
    blocks[bulk->count - 1] = chunk_block(chunk);
}

/* The array, if the caller has none, is cut first: a count of 0 is an array
 * of no elements. */
static void **
take_locked(struct dlm_heap *heap, const struct bulk *bulk, void **blocks,
    size_t array_size, size_t sum) REQUIRES(heap->lock)
{
    struct chunk *chunk = take_whole(heap, sum);

    if (chunk == NULL) {
        return NULL;
    }
    if (blocks == NULL) {
        blocks = chunk_block(chunk);
        if (bulk->count > 0) {
            chunk = cut(heap, chunk, chunk_size_for(array_size, DLM_OVERHEAD));
        }
    }
    if (bulk->count > 0) {
        cut_all(heap, chunk, bulk, blocks);
    }
    ASSERT_HEAP(dlm_inspect_sometimes(heap));
    return blocks;
}

static void **
take(struct dlm_heap *heap, const struct bulk *bulk, void **blocks)
{
    size_t array_size = 0;
    size_t sum = 0;

    if (blocks != NULL && bulk->count == 0) {
        return blocks;
    }
    if ((blocks == NULL &&
            (__builtin_mul_overflow(bulk->count, sizeof(void *), &array_size) ||
                !add(&sum, array_size))) ||
        !add_all(bulk, &sum)) {
        errno = ENOMEM;
        return NULL;
    }
    mtx_lock(&heap->lock);
    void **taken = take_locked(heap, bulk, blocks, array_size, sum);
    mtx_unlock(&heap->lock);
    if (taken == NULL) {
        errno = ENOMEM;
    }
    return taken;
}

void **
dlm_bulk_take_equal(
    struct dlm_heap *heap, size_t count, size_t size, void **blocks)
{
    const struct bulk bulk = {.count = count, .equal_size = size};
    void **taken = take(heap, &bulk, blocks);

    for (size_t i = 0; taken != NULL && i < count; i++) {
        memset(taken[i], 0, size);
    }
    return taken;
}

void **
dlm_bulk_take(
    struct dlm_heap *heap, size_t count, const size_t *sizes, void **blocks)
{
    const struct bulk bulk = {.count = count, .sizes = sizes};

    return take(heap, &bulk, blocks);
}

/* Blocks with mappings of their own are few, and freed one by one. */
static void
give_others(struct dlm_heap *heap, void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dlm_block_give(heap, blocks[i]);
        blocks[i] = NULL;
    }
}

void
dlm_bulk_give(struct dlm_heap *heap, void **blocks, size_t count)
{
    mtx_lock(&heap->lock);
    for (size_t i = 0; i < count; i++) {
        struct chunk *chunk = chunk_of_block(blocks[i]);

        if (blocks[i] != NULL && dlm_block_is_sound(heap, chunk)) {
            dlm_bins_give(heap, chunk, chunk_size(chunk));
            blocks[i] = NULL;
        }
    }
    mtx_unlock(&heap->lock);
    give_others(heap, blocks, count);
}
