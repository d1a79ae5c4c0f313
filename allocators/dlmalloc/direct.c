/*
 * direct.c - blocks in mappings of their own (contract: direct.h)
 *
 * glibc and the original keep no record of such blocks. A tree costs a few
 * comparisons beside a system call and thousands of cycles of page faults, and
 * gains that a heap can be closed, walked and checked as a whole, and that a
 * free that comes twice finds no mapping instead of faulting.
 *
 * Invariants, whenever the lock is free:
 *   I1  heap->directs holds each mapping, and direct_size is the sum of their
 *       sizes.
 *   I2  A chunk ends with the last page of its mapping, but for the footer and
 *       its word of padding.
 */
#include "dlmalloc/direct.h"

#include "base/check.h"
#include "base/pages.h"
#include "dlmalloc/bins.h"

static_assert(sizeof(struct dlm_direct) % CHUNK_ALIGN == 0,
    "the chunk behind it is aligned");

/* The least distance from a mapping's start to the block. */
#define BLOCK_OFFSET_MIN (sizeof(struct dlm_direct) + CHUNK_BLOCK_OFFSET)

static int
compare(const struct tree_node *a, const struct tree_node *b)
{
    return ((uintptr_t)a > (uintptr_t)b) - ((uintptr_t)a < (uintptr_t)b);
}

static int
probe(const struct tree_node *node, const void *key)
{
    return compare(node, key);
}

void
dlm_direct_init(struct dlm_heap *heap)
{
    tree_init(&heap->directs, compare);
}

static void
enter(struct dlm_heap *heap, struct dlm_direct *direct) REQUIRES(heap->lock)
{
    tree_insert(&heap->directs, &direct->node);
    heap->direct_size += direct->mapped_size;
    dlm_heap_count(heap, direct->mapped_size, 0);
}

void
dlm_direct_leave(struct dlm_heap *heap, struct dlm_direct *direct)
{
    tree_remove(&heap->directs, &direct->node);
    heap->direct_size -= direct->mapped_size;
    dlm_heap_count(heap, 0, direct->mapped_size);
}

/* Makes the chunk that begins there fill the mapping: I2. */
static struct chunk *
set_chunk(struct dlm_heap *heap, struct dlm_direct *direct, size_t offset)
{
    struct chunk *chunk = chunk_at(direct, offset);
    size_t size = direct->mapped_size - offset - CHUNK_BLOCK_OFFSET;

    direct->chunk = chunk;
    chunk->head = size | DLM_USED | DLM_DIRECT;
    *chunk_foot(chunk, size) = dlm_footer(heap, size);
    return chunk;
}

/*
 * A mapping in which a block may begin at *block_offset, a multiple of align
 * in memory. Up to a page that is near the start. Beyond, the addresses before
 * the aligned one are cut off, but for the page that holds the record.
 */
static struct dlm_direct *
map(size_t size, size_t align, size_t *block_offset, size_t *mapped_size)
{
    size_t page_size = pages_os_size();
    bool is_wide = align > page_size;
    size_t least = is_wide ? page_size : align;

    *block_offset = (BLOCK_OFFSET_MIN + least - 1) & ~(least - 1);
    *mapped_size = pages_round_up(*block_offset + size);
    if (*mapped_size == 0) {
        return NULL;
    }
    if (!is_wide) {
        return pages_map(*mapped_size, page_size);
    }
    size_t lead = align - *block_offset;
    size_t whole_size;
    if (__builtin_add_overflow(*mapped_size, lead, &whole_size)) {
        return NULL;
    }
    char *whole = pages_map(whole_size, align);
    if (whole == NULL || lead == 0) {
        return (struct dlm_direct *)(void *)whole;
    }
    if (!pages_unmap(whole, lead)) {
        (void)pages_unmap(whole, whole_size); /* untouched: costs no memory */
        return NULL;
    }
    return (struct dlm_direct *)(void *)(whole + lead);
}

struct chunk *
dlm_direct_take(struct dlm_heap *heap, size_t size, size_t align)
{
    size_t block_offset;
    size_t mapped_size;
    struct dlm_direct *direct = map(size, align, &block_offset, &mapped_size);

    if (direct == NULL) {
        return NULL;
    }
    if (heap->cookie == 0) {
        dlm_heap_start(heap); /* This may be the heap's first call. */
    }
    direct->mapped_size = mapped_size;
    enter(heap, direct);
    return set_chunk(heap, direct, block_offset - CHUNK_BLOCK_OFFSET);
}

struct dlm_direct *
dlm_direct_holding(const struct dlm_heap *heap, const void *addr)
{
    struct tree_node *node =
        heap->cookie == 0 ? NULL : tree_at_most(&heap->directs, probe, addr);

    if (node == NULL) {
        return NULL;
    }
    struct dlm_direct *direct = dlm_direct_of(node);
    return (uintptr_t)addr - (uintptr_t)direct < direct->mapped_size ? direct
                                                                     : NULL;
}

bool
dlm_direct_is_sound(
    const struct dlm_heap *heap, const struct dlm_direct *direct)
{
    const struct chunk *chunk = direct->chunk;
    size_t offset = (uintptr_t)chunk - (uintptr_t)direct;
    size_t size = direct->mapped_size - offset - CHUNK_BLOCK_OFFSET;

    return chunk->head == (size | DLM_USED | DLM_DIRECT) &&
           *chunk_foot(chunk, size) == dlm_footer(heap, size);
}

size_t
dlm_direct_size_for(const struct dlm_direct *direct, size_t size)
{
    size_t offset = (uintptr_t)direct->chunk - (uintptr_t)direct;

    return pages_round_up(offset + size + CHUNK_BLOCK_OFFSET);
}

struct chunk *
dlm_direct_resize(struct dlm_heap *heap, struct dlm_direct *direct, size_t size)
{
    size_t offset = (uintptr_t)direct->chunk - (uintptr_t)direct;
    size_t old_size = direct->mapped_size;
    size_t mapped_size = dlm_direct_size_for(direct, size);

    if (mapped_size == old_size || mapped_size == 0) {
        return mapped_size == 0 ? NULL : direct->chunk;
    }
    dlm_direct_leave(heap, direct);
    struct dlm_direct *moved = pages_remap(direct, old_size, mapped_size, true);
    if (moved == NULL) {
        enter(heap, direct);
        return NULL;
    }
    moved->mapped_size = mapped_size;
    enter(heap, moved);
    return set_chunk(heap, moved, offset);
}
