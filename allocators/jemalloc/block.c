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

/* ---- counting, for the threads that have asked */

void
jem_block_count(struct jem_tcache *tcache)
{
    jem_tcache_limit(tcache, 0);
    tcache->counting = true;
}

static void
count_bytes(const struct jem_heap *heap, size_t taken_size, size_t given_size)
{
    struct jem_tcache *self = jem_heap_self(heap);
    if (self->counting && self->heap == heap) {
        self->allocated_size += taken_size;
        self->deallocated_size += given_size;
        /* Below zero where others' blocks are freed. */
        int64_t above = (int64_t)(self->allocated_size -
                                  self->deallocated_size - self->peak_base);
        if (above > (int64_t)self->peak_size) {
            self->peak_size = (uint64_t)above;
        }
    }
}

/* ---- taking */

static void *
take_uncached(struct jem_arena *arena, unsigned shard, unsigned class,
    size_t align, bool *zeroed)
{
    void *block = NULL;
    if (arena == NULL) {
        return NULL;
    }
    if (class >= JEM_SMALL_COUNT) {
        return jem_arena_take_large(arena, class, align, zeroed);
    }
    (void)jem_arena_take_small(arena, shard, class, &block, 1);
    return block;
}

/* The calling thread's, on the process's heap. */
static _Thread_local struct sampler sampler TLS_INITIAL_EXEC;

/* A block that is in the profile is a guarded one, or has an extent of its own: a
 * small class becomes a large one. Blocks of explicit arenas go with their arena,
 * so they are not guarded. */
static __attribute__((noinline)) void *
take_sampled(struct jem_heap *heap, struct jem_arena *arena, size_t size,
    size_t align, bool *zeroed)
{
    unsigned class = jem_block_class_for(size, align);
    unsigned large = class < JEM_SMALL_COUNT ? JEM_SMALL_COUNT : class;
    void *block = NULL;

    if (arena != NULL && arena->index < heap->auto_count) {
        block =
            guarded_take_sampled(&heap->guarded, &heap->sampled, size, align);
    }
    if (block != NULL) {
        *zeroed = true;
        return block;
    }
    block = take_uncached(arena, 0, large, align, zeroed);
    if (block != NULL) {
        jem_owner_extent(jem_owner_get(block))->sample =
            sampled_add(&heap->sampled, jem_class_size(class));
    }
    return block;
}

static void
leave_profile(struct jem_heap *heap, unsigned class, const void *block)
{
    if (!heap->sampled.on || class < JEM_SMALL_COUNT) {
        return;
    }
    struct jem_extent *extent = jem_owner_extent(jem_owner_get(block));
    if (extent->sample != NULL) {
        sampled_remove(&heap->sampled, extent->sample);
        extent->sample = NULL; /* The extent may go to a cache. */
    }
}

static void *
take_class(struct jem_tcache *tcache, struct jem_arena *arena, unsigned class,
    size_t align, bool *zeroed)
{
    bool is_cached = tcache != NULL && class < tcache->class_limit &&
                     (class < JEM_SMALL_COUNT || align <= JEM_PAGE);
    return is_cached ? jem_tcache_refill(tcache, class, zeroed)
                     : take_uncached(arena, tcache == NULL ? 0 : tcache->shard,
                           class, align, zeroed);
}

/* What the options want the fresh bytes of a block to be. */
static void
fill_fresh(const struct jem_heap *heap, void *bytes, size_t size)
{
    if (heap->options.zero) {
        memset(bytes, 0, size);
    } else if (jem_options_junk_new(&heap->options)) {
        memset(bytes, JUNK_NEW, size);
    }
}

void *
jem_block_take_from(struct jem_heap *heap, struct jem_tcache *tcache,
    struct jem_arena *arena, size_t size, size_t align, bool zero)
{
    bool zeroed = false;
    unsigned class = jem_block_class_for(size, align);
    if (class == JEM_CLASS_NONE) {
        return NULL;
    }
    size_t usable_size = jem_class_size(class);
    void *block = NULL;
    if (heap->sampled.on && jem_heap_samples(heap) &&
        sampled_pick(&heap->sampled, &sampler, usable_size)) {
        block = take_sampled(heap, arena, size, align, &zeroed);
        usable_size = block == NULL ? usable_size : jem_block_size(heap, block);
    }
    if (block == NULL) {
        block = take_class(tcache, arena, class, align, &zeroed);
    }
    if (block == NULL) {
        return NULL;
    }
    if (zero && !zeroed) {
        memset(block, 0, size);
    } else if (!zero) {
        fill_fresh(heap, block, usable_size);
    }
    count_bytes(heap, usable_size, 0);
    return block;
}

void *
jem_block_take(struct jem_heap *heap, struct jem_tcache *tcache, size_t size,
    size_t align, bool zero)
{
    struct jem_arena *arena =
        tcache != NULL ? tcache->arena : jem_heap_any_arena(heap);
    return jem_block_take_from(heap, tcache, arena, size, align, zero);
}

unsigned
jem_block_class(struct jem_heap *heap, const void *block)
{
    struct jem_owner owner = jem_owner_get(block);
    unsigned class = jem_owner_class(owner);
    if (!jem_class_is_block(class)) {
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

size_t
jem_block_size(struct jem_heap *heap, const void *block)
{
    return guarded_owns(&heap->guarded, block)
               ? guarded_size(&heap->guarded, block)
               : jem_class_size(jem_block_class(heap, block));
}

bool
jem_block_serves(
    struct jem_heap *heap, const void *block, size_t size, size_t align)
{
    unsigned wanted = jem_block_class_for(size, align);
    if (guarded_owns(&heap->guarded, block)) {
        return wanted ==
               jem_block_class_for(guarded_size(&heap->guarded, block), align);
    }
    unsigned class = jem_block_class(heap, block);
    return class == wanted || (heap->sampled.on && wanted < JEM_SMALL_COUNT &&
                                  class == JEM_SMALL_COUNT);
}

/* ---- giving */

/* The second of two frees of one small block. */
static void
check_not_free(unsigned class, const void *block)
{
    if (class < JEM_SMALL_COUNT) {
        struct jem_owner owner = jem_owner_get(block);
        const struct jem_extent *slab = jem_owner_extent(owner);
        struct jem_bin *bin = &slab->arena->bins[jem_owner_shard(owner)][class];
        if (jem_bin_holds(bin, slab, block)) {
            check_misuse(JEM_NAME, "double free", block);
        }
    }
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
    if (guarded_owns(&heap->guarded, block)) {
        count_bytes(heap, 0, guarded_size(&heap->guarded, block));
        guarded_give_sampled(&heap->guarded, &heap->sampled, block);
        return;
    }
    unsigned class = jem_block_class(heap, block);
    if (heap->options.check_free) {
        check_not_free(class, block);
    }
    if (jem_options_junk_free(&heap->options)) {
        memset(block, JUNK_FREE, jem_class_size(class));
    }
    leave_profile(heap, class, block);
    count_bytes(heap, 0, jem_class_size(class));
    if (tcache == NULL || class >= tcache->class_limit) {
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

/* ---- resizing */

bool
jem_block_resize_to(struct jem_heap *heap, void *block, unsigned size_class)
{
    if (guarded_owns(&heap->guarded, block)) {
        return false;
    }
    unsigned old_class = jem_block_class(heap, block);
    if (size_class == old_class) {
        return true;
    }
    if (size_class == JEM_CLASS_NONE || size_class < JEM_SMALL_COUNT ||
        old_class < JEM_SMALL_COUNT ||
        !jem_arena_resize_large(
            jem_owner_extent(jem_owner_get(block)), size_class)) {
        return false;
    }
    size_t old_size = jem_class_size(old_class);
    size_t size = jem_class_size(size_class);
    struct jem_extent *extent = jem_owner_extent(jem_owner_get(block));
    if (heap->sampled.on && extent->sample != NULL) {
        leave_profile(heap, old_class, block);
        extent->sample = sampled_add(&heap->sampled, size);
    }
    if (size > old_size) {
        fill_fresh(heap, (char *)block + old_size, size - old_size);
    }
    count_bytes(heap, size, old_size);
    return true;
}

bool
jem_block_resize(struct jem_heap *heap, void *block, size_t size)
{
    return jem_block_resize_to(heap, block, jem_block_class_for(size, 1));
}
