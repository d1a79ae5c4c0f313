/*
 * direct.c - large blocks with mappings of their own (contract: direct.h)
 *
 *   I1  direct_size and direct_count are the sum and count over `direct`.
 *   I2  Whoever has direct_lock reads the header of a mapping on the list: its
 *       owner writes there with the lock only, and never to the offset.
 */
#include "ptmalloc/direct.h"

#include "base/check.h"
#include "base/pages.h"
#include "base/print.h"

#define HEADER_SIZE (sizeof(struct ptm_direct) + CHUNK_BLOCK_OFFSET)

static struct ptm_direct *
direct_of(const struct chunk *chunk)
{
    struct ptm_direct *direct =
        (struct ptm_direct *)((uintptr_t)chunk - chunk->prev_foot);
    if (((uintptr_t)direct & (pages_os_size() - 1)) != 0 ||
        direct->offset != chunk->prev_foot ||
        direct->map_size != chunk->prev_foot + chunk_size(chunk)) {
        check_misuse(
            PTM_NAME, "invalid pointer to a mapped chunk", chunk_block(chunk));
    }
    return direct;
}

static void
enter_locked(struct ptm_heap *heap, struct ptm_direct *direct)
    REQUIRES(heap->direct_lock)
{
    list_push(&heap->direct, &direct->link);
    heap->direct_size += direct->map_size;
    heap->direct_count++;
    if (heap->direct_count > heap->direct_count_peak) {
        heap->direct_count_peak = heap->direct_count;
    }
    if (heap->direct_size > heap->direct_peak) {
        heap->direct_peak = heap->direct_size;
    }
}

static void
leave_locked(struct ptm_heap *heap, struct ptm_direct *direct)
    REQUIRES(heap->direct_lock)
{
    list_remove(&direct->link);
    heap->direct_size -= direct->map_size;
    heap->direct_count--;
}

static struct chunk *
place_chunk(const struct ptm_direct *direct)
{
    struct chunk *chunk = chunk_at(direct, direct->offset);
    chunk->prev_foot = direct->offset;
    chunk->head =
        (direct->map_size - direct->offset) | PTM_MAPPED | PTM_PREV_USED;
    return chunk;
}

struct chunk *
ptm_direct_map(struct ptm_heap *heap, size_t size, size_t align)
{
    align = align < CHUNK_ALIGN ? CHUNK_ALIGN : align;
    size_t map_size = size + HEADER_SIZE + align;
    map_size = pages_round_up(map_size);
    if (map_size < size || map_size > PTRDIFF_MAX) {
        return NULL;
    }
    struct ptm_direct *direct = pages_map(map_size, pages_os_size());
    if (direct == NULL) {
        return NULL;
    }
    if (heap->tuning.is_huge) { /* Refused: small pages do. */
        (void)pages_huge(direct, map_size, true);
    }
    direct->map_size = map_size;
    uintptr_t block =
        ((uintptr_t)direct + HEADER_SIZE + align - 1) & ~(align - 1);
    direct->offset = block - CHUNK_BLOCK_OFFSET - (uintptr_t)direct;
    struct chunk *chunk = place_chunk(direct);
    mtx_lock(&heap->direct_lock);
    enter_locked(heap, direct);
    mtx_unlock(&heap->direct_lock);
    return chunk;
}

void
ptm_direct_unmap(struct ptm_heap *heap, struct chunk *chunk)
{
    struct ptm_direct *direct = direct_of(chunk);
    mtx_lock(&heap->direct_lock);
    ptm_tuning_learn(&heap->tuning, chunk_size(chunk));
    leave_locked(heap, direct);
    mtx_unlock(&heap->direct_lock);
    /* Refused: the mapping stays, without use. */
    (void)pages_unmap(direct, direct->map_size);
}

static struct ptm_direct *
remap_locked(struct ptm_heap *heap, struct ptm_direct *direct, size_t map_size)
    REQUIRES(heap->direct_lock)
{
    leave_locked(heap, direct);
    struct ptm_direct *moved =
        pages_remap(direct, direct->map_size, map_size, true);
    if (moved != NULL) {
        direct = moved;
        direct->map_size = map_size;
    }
    enter_locked(heap, direct);
    return moved;
}

struct chunk *
ptm_direct_resize(struct ptm_heap *heap, struct chunk *chunk, size_t size)
{
    struct ptm_direct *direct = direct_of(chunk);
    size_t offset = chunk->prev_foot;
    size_t map_size = pages_round_up(offset + CHUNK_BLOCK_OFFSET + size);
    if (map_size < size || map_size > PTRDIFF_MAX) {
        return NULL;
    }
    if (map_size == direct->map_size) {
        return chunk;
    }
    mtx_lock(&heap->direct_lock);
    direct = remap_locked(heap, direct, map_size);
    mtx_unlock(&heap->direct_lock);
    return direct == NULL ? NULL : place_chunk(direct);
}

void
ptm_direct_unmap_all(struct ptm_heap *heap)
{
    struct list *link;
    while ((link = list_pop(&heap->direct)) != NULL) {
        struct ptm_direct *direct = LIST_OF(link, struct ptm_direct, link);
        (void)pages_unmap(direct, direct->map_size);
    }
}

void
ptm_direct_check(struct ptm_heap *heap)
{
    size_t size = 0, count = 0;
    const struct list *link;
    mtx_lock(&heap->direct_lock);
    list_check(&heap->direct);
    LIST_EACH (link, &heap->direct) {
        size += LIST_OF(link, const struct ptm_direct, link)->map_size;
        count++;
    }
    CHECK(size == heap->direct_size && count == heap->direct_count); /* I1 */
    mtx_unlock(&heap->direct_lock);
}

void
ptm_direct_dump(struct ptm_heap *heap, int fd)
{
    struct print print;
    const struct list *link;
    print_init(&print, fd);
    mtx_lock(&heap->direct_lock);
    print_format(&print, "  direct mappings: %zu in %zu, at most %zu in %zu\n",
        heap->direct_size, ptm_tuning_get(&heap->direct_count),
        heap->direct_peak, heap->direct_count_peak);
    LIST_EACH (link, &heap->direct) {
        print_format(&print, "    %p: %zu\n", (const void *)link,
            LIST_OF(link, const struct ptm_direct, link)->map_size);
    }
    mtx_unlock(&heap->direct_lock);
    print_flush(&print);
}
