/*
 * meta.c - memory for the allocator's own structures, apart from user pages
 * (contract: meta.h)
 *
 * Each mapping opens with its link and size; pieces are cut off from low to
 * high. A piece that does not fit the newest mapping makes another, and the
 * rest of the old one is given up: pieces are small next to a mapping.
 *
 *     | block: next, size | piece | piece | ... next -->            end |
 */
#include "base/meta.h"

#include "base/check.h"
#include "base/pages.h"

#define BLOCK_SIZE ((size_t)256 << 10)

struct meta_block {
    struct meta_block *next;
    size_t size;
};

static size_t
round_to_line(size_t size)
{
    return (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
}

void
meta_init(struct meta *meta, void *first, size_t first_size)
{
    mtx_init(&meta->lock, MTX_BASE);
    size_t lead = (size_t)(-(uintptr_t)first & (CACHE_LINE - 1));
    meta->blocks = NULL;
    meta->end = (char *)first + first_size;
    meta->next = lead < first_size ? (char *)first + lead : meta->end;
    meta->mapped_size = 0;
}

void
meta_fini(struct meta *meta)
{
    struct meta_block *block = meta->blocks;
    while (block != NULL) {
        struct meta_block *next = block->next;
        (void)pages_unmap(block, block->size); /* Refused: nothing is left to
                                                  do with it but leave it. */
        block = next;
    }
    mtx_fini(&meta->lock);
}

static bool
map_block_locked(struct meta *meta, size_t piece_size) REQUIRES(meta->lock)
{
    size_t size = round_to_line(sizeof(struct meta_block)) + piece_size;
    size = pages_round_up(size > BLOCK_SIZE ? size : BLOCK_SIZE);
    struct meta_block *block = pages_map(size, pages_os_size());
    if (block == NULL) {
        return false;
    }
    block->next = meta->blocks;
    block->size = size;
    meta->blocks = block;
    meta->next = (char *)block + round_to_line(sizeof *block);
    meta->end = (char *)block + size;
    meta->mapped_size += size;
    return true;
}

static void *
take_locked(struct meta *meta, size_t size) REQUIRES(meta->lock)
{
    if ((size_t)(meta->end - meta->next) < size &&
        !map_block_locked(meta, size)) {
        return NULL;
    }
    void *piece = meta->next;
    meta->next += size;
    return piece;
}

void *
meta_take(struct meta *meta, size_t size)
{
    ASSERT(size > 0 && size < (size_t)1 << 32);
    mtx_lock(&meta->lock);
    void *piece = take_locked(meta, round_to_line(size));
    mtx_unlock(&meta->lock);
    return piece;
}

size_t
meta_mapped_size(struct meta *meta)
{
    mtx_lock(&meta->lock);
    size_t size = meta->mapped_size;
    mtx_unlock(&meta->lock);
    return size;
}
