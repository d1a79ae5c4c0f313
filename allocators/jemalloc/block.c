/*
 * block.c - one block's life on a heap (contract: block.h)
 *
 * A small class serves an alignment up to a page when its size is a multiple
 * of it, because slabs begin at pages. Larger alignments, and those that no
 * small class serves, get an extent of their own, which never comes from a
 * cache when it is aligned above a page, but may go to one: the next user of
 * the class does not mind.
 */
#include "jemalloc/block.h"

#include <string.h>

#include "base/check.h"

#define JUNK_NEW  0xa5
#define JUNK_FREE 0x5a

unsigned
jem_block_class_for(size_t size, size_t align)
{
    if (size > PTRDIFF_MAX || align > PTRDIFF_MAX) {
        return JEM_CLASS_NONE;
    }
    if (align <= JEM_PAGE) {
        size_t rounded = (size + align - 1) & ~(align - 1);
        unsigned class = jem_size_class(rounded);
        while (class < JEM_SMALL_COUNT &&
               (jem_class_size(class) & (align - 1)) != 0) {
            class ++;
        }
        return class;
    }
    unsigned class = jem_size_class(size);
    return class < JEM_SMALL_COUNT ? JEM_SMALL_COUNT : class;
}

static void *
take_small(struct jem_heap *heap, struct jem_tcache *tcache, unsigned class)
{
    bool zeroed;
    if (tcache != NULL) {
        return jem_tcache_refill(tcache, class, &zeroed);
    }
    void *block = NULL;
    struct jem_arena *arena = jem_heap_any_arena(heap);
    if (arena != NULL) {
        (void)jem_arena_take_small(arena, 0, class, &block, 1);
    }
    return block;
}

static void *
take_large(struct jem_heap *heap, struct jem_tcache *tcache, unsigned class,
    size_t align, bool *zeroed)
{
    if (tcache != NULL && class < JEM_TCACHE_CLASSES && align <= JEM_PAGE) {
        return jem_tcache_refill(tcache, class, zeroed);
    }
    struct jem_arena *arena =
        tcache != NULL ? tcache->arena : jem_heap_any_arena(heap);
    if (arena == NULL) {
        return NULL;
    }
    return jem_arena_take_large(arena, class, align, zeroed);
}

void *
jem_block_take(struct jem_heap *heap, struct jem_tcache *tcache, size_t size,
    size_t align, bool zero)
{
    bool zeroed = false;
    unsigned class = jem_block_class_for(size, align);
    if (class == JEM_CLASS_NONE) {
        return NULL;
    }
    void *block = class < JEM_SMALL_COUNT
                      ? take_small(heap, tcache, class)
                      : take_large(heap, tcache, class, align, &zeroed);
    if (block == NULL) {
        return NULL;
    }
    if (zero || heap->options.zero) {
        if (!zeroed) {
            memset(block, 0, zero ? size : jem_class_size(class));
        }
    } else if (heap->options.junk) {
        memset(block, JUNK_NEW, jem_class_size(class));
    }
    return block;
}

unsigned
jem_block_class(struct jem_heap *heap, const void *block)
{
    struct jem_owner owner = jem_owner_get(block);
    unsigned class = jem_owner_class(owner);
    if (class >= JEM_CLASS_NONE) {
        check_misuse(JEM_NAME, "not a block of this heap", block);
    }
    const struct jem_extent *extent = jem_owner_extent(owner);
    if (extent->arena->heap != heap) {
        check_misuse(JEM_NAME, "block of another heap", block);
    }
    if (class >= JEM_SMALL_COUNT && extent->addr != block) {
        check_misuse(JEM_NAME, "address inside a block", block);
    }
    return class;
}

static void
give_uncached(struct jem_heap *heap, unsigned class, void *block)
{
    if (class < JEM_SMALL_COUNT) {
        jem_arena_give_small(heap, &block, 1);
    } else {
        jem_arena_give_large(jem_owner_extent(jem_owner_get(block)));
    }
}

void
jem_block_give(struct jem_heap *heap, struct jem_tcache *tcache, void *block)
{
    unsigned class = jem_block_class(heap, block);
    if (heap->options.junk) {
        memset(block, JUNK_FREE, jem_class_size(class));
    }
    if (tcache == NULL || class >= JEM_TCACHE_CLASSES) {
        give_uncached(heap, class, block);
        return;
    }
    if (!tcache->settled) {
        jem_heap_settle(heap, tcache,
            jem_heap_peek_arena(heap, jem_owner_arena(jem_owner_get(block))));
    }
    jem_tcache_move_leaf(tcache, block);
    struct jem_tbin *bin = &tcache->bins[class];
    void **top = jem_tbin_top(bin);
    if (top != bin->full) {
        jem_tbin_push(bin, top, block);
    } else {
        jem_tcache_spill(tcache, class, block);
    }
}

bool
jem_block_resize(struct jem_heap *heap, void *block, size_t size)
{
    unsigned old_class = jem_block_class(heap, block);
    unsigned class = jem_block_class_for(size, 1);
    if (class == old_class) {
        return true;
    }
    if (class == JEM_CLASS_NONE || class < JEM_SMALL_COUNT ||
        old_class < JEM_SMALL_COUNT) {
        return false;
    }
    return jem_arena_resize_large(
        jem_owner_extent(jem_owner_get(block)), class);
}
