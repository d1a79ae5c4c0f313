/*
 * extended.c - jemalloc's own allocation calls: mallocx and its family
 * (contract: jemalloc.h)
 *
 * The flags are one int: the logarithm of the alignment in its lowest six bits,
 * then zeroing, then a cache's index plus 2, then an arena's index plus 1.
 *
 *     31 ... 20   | 19 ... 8    | 6    | 5 ... 0
 *     arena + 1   | cache + 2   | zero | log2(alignment)
 *
 * A call that names an arena and no cache bypasses the thread's cache, so that
 * the block comes from that arena. One that names both has the cache draw from
 * that arena from then on.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "jemalloc/block.h"
#include "jemalloc/jemalloc.h"

#define ALIGN_BITS  63
#define CACHE_SHIFT 8
#define CACHE_MASK  0xfffu
#define ARENA_SHIFT 20
#define ARENA_MASK  0xfffu

enum {
    CACHE_AUTO, /* the calling thread's */
    CACHE_NONE,
    CACHE_FIRST /* explicit cache 0 */
};

/* Who serves a call. */
struct source {
    struct jem_heap *heap;
    struct jem_tcache *tcache; /* or NULL */
    struct jem_arena *arena;   /* or NULL: none, out of memory */
};

static size_t
align_of(int flags)
{
    return (size_t)1 << ((unsigned)flags & ALIGN_BITS);
}

static bool
wants_zero(int flags)
{
    return (flags & JEM_MALLOCX_ZERO) != 0;
}

static unsigned
cache_field(int flags)
{
    return (unsigned)flags >> CACHE_SHIFT & CACHE_MASK;
}

static unsigned
arena_field(int flags)
{
    return (unsigned)flags >> ARENA_SHIFT & ARENA_MASK;
}

/* The cache that the flags name for giving a block; NULL for none. */
static struct jem_tcache *
cache_for(struct jem_heap *heap, int flags, const void *block)
{
    unsigned field = cache_field(flags);
    if (field == CACHE_AUTO) {
        return jem_heap_tcache(heap);
    }
    if (field == CACHE_NONE) {
        return NULL;
    }
    struct jem_tcache *tcache = jem_heap_cache(heap, field - CACHE_FIRST);
    if (tcache == NULL) {
        check_misuse(JEM_NAME, "no cache of that index", block);
    }
    return tcache;
}

static struct jem_arena *
arena_for(struct jem_heap *heap, unsigned index)
{
    struct jem_arena *arena = jem_heap_arena(heap, index);
    return arena != NULL && jem_arena_exists(arena) ? arena : NULL;
}

static void
choose_source(struct source *source, int flags)
{
    struct jem_heap *heap = jem_heap_main();
    *source = (struct source){heap, NULL, NULL};
    if (heap == NULL) {
        return;
    }
    unsigned arena_index = arena_field(flags);
    if (arena_index == 0) {
        struct jem_tcache *own = jem_heap_tcache(heap);
        source->tcache = cache_for(heap, flags, NULL);
        source->arena = source->tcache != NULL ? source->tcache->arena
                        : own != NULL          ? own->arena
                                               : jem_heap_any_arena(heap);
        return;
    }
    source->arena = arena_for(heap, arena_index - 1);
    if (source->arena != NULL && cache_field(flags) >= CACHE_FIRST) {
        source->tcache = cache_for(heap, flags, NULL);
        jem_heap_point_cache(heap, source->tcache, source->arena);
    }
}

/* A block whose every usable byte is zero, if so told. */
static void *
take(size_t size, int flags)
{
    struct source source;
    unsigned class = jem_block_class_for(size, align_of(flags));
    void *block = NULL;
    choose_source(&source, flags);
    if (class != JEM_CLASS_NONE && source.arena != NULL) {
        block = jem_block_take_from(source.heap, source.tcache, source.arena,
            jem_class_size(class), align_of(flags), wants_zero(flags));
    }
    if (block == NULL) {
        errno = ENOMEM;
    }
    return block;
}

void *
jem_mallocx(size_t size, int flags)
{
    return take(size, flags);
}

static size_t
usable_size(const void *block)
{
    return jem_block_size(jem_heap_main(), block);
}

static bool
is_aligned(const void *block, int flags)
{
    return ((uintptr_t)block & (align_of(flags) - 1)) == 0;
}

/* Makes the block one of that class in place; false if it cannot be. */
static bool
resize(void *block, unsigned class, int flags)
{
    struct jem_heap *heap = jem_heap_main();
    size_t old_size = usable_size(block);
    if (!is_aligned(block, flags) || !jem_block_resize_to(heap, block, class)) {
        return false;
    }
    size_t size = jem_class_size(class);
    if (wants_zero(flags) && size > old_size) {
        memset((char *)block + old_size, 0, size - old_size);
    }
    return true;
}

static void
give(void *block, int flags)
{
    struct jem_heap *heap = jem_heap_main();
    jem_block_give(heap, cache_for(heap, flags, block), block);
}

void *
jem_rallocx(void *block, size_t size, int flags)
{
    unsigned class = jem_block_class_for(size, align_of(flags));
    if (resize(block, class, flags)) {
        return block;
    }
    size_t old_size = usable_size(block);
    void *moved = take(size, flags);
    if (moved != NULL) {
        size_t new_size = usable_size(moved);
        memcpy(moved, block, old_size < new_size ? old_size : new_size);
        give(block, flags);
    }
    return moved;
}

size_t
jem_xallocx(void *block, size_t size, size_t extra, int flags)
{
    size_t align = align_of(flags);
    unsigned least_class = jem_block_class_for(size, align);
    if (least_class == JEM_CLASS_NONE) {
        return usable_size(block);
    }
    size_t most = extra > PTRDIFF_MAX - size ? PTRDIFF_MAX : size + extra;
    unsigned class = jem_block_class_for(most, align);
    while (!resize(block, class, flags) && class > least_class) {
        class --;
    }
    return usable_size(block);
}

size_t
jem_sallocx(const void *block, int flags)
{
    (void)flags;
    return usable_size(block);
}

void
jem_dallocx(void *block, int flags)
{
    give(block, flags);
}

void
jem_sdallocx(void *block, size_t size, int flags)
{
    if (!is_aligned(block, flags) ||
        !jem_block_serves(jem_heap_main(), block, size, align_of(flags))) {
        check_misuse(JEM_NAME, "wrong size in free", block);
    }
    give(block, flags);
}

size_t
jem_nallocx(size_t size, int flags)
{
    unsigned class = jem_block_class_for(size, align_of(flags));
    return class == JEM_CLASS_NONE || jem_class_size(class) > PTRDIFF_MAX
               ? 0
               : jem_class_size(class);
}
