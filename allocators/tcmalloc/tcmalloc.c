/*
 * tcmalloc.c - the tcmalloc design: its contents page and its door
 * (contract: tcmalloc.h)
 *
 *   front    slab.c         arrays of free objects, one for each class
 *            front.c        how a slab is refilled, emptied and sized
 *            threadcache.c  one slab a thread
 *            cpucache.c     or one a CPU
 *            cpuslab.h      pop and push there, by restartable sequences
 *   middle   transfer.c     batches on their way between fronts
 *            central.c      spans of one class, the fullest first
 *   back     pageheap.c     spans out of hugepages
 *            filler.c       packs spans into hugepages
 *            hugepage.c     the pages of one hugepage
 *            region.c       large spans end to end, across hugepages
 *            hugecache.c    free hugepages, and new ones from the OS
 *   owner    span.c         address -> page map -> span and size class
 *            classmap.c     address -> size class, by one load
 *   tables   sizemap.c      size -> class; sizerules.c makes the classes
 *   apart    pool.c         memory for all these structures
 *   sampled  ../sampled.c   the profile; ../guarded.c  blocks on guarded pages
 *   whole    heap.c         the tiers of one heap, options
 *            block.c        a block taken, resized, given back: the slow way
 *            inspect.c      statistics, walks, dumps
 *            extension.c    properties by name, limits, per-class text
 *
 * docs/designs/tcmalloc.md follows one block from malloc to mmap and back.
 *
 * The fast paths are here: a class by one load, a pop or a push on the thread's
 * own slab. They ask nothing that zeroes do not answer: a thread without a cache,
 * an address without an owner lead to class 0 or to an empty and full slab, and
 * so beside it: to the slab of the CPU, or to block.c. What a pair
 * costs is mostly its jumps, so there is none on the way but the return.
 */
#include "tcmalloc/tcmalloc.h"

#include <errno.h>
#include <string.h>

#include "family.h"
#include "tcmalloc/block.h"
#include "tcmalloc/cpucache.h"
#include "tcmalloc/inspect.h"
#include "tcmalloc/misuse.h"
#include "tcmalloc/threadcache.h"

#define ALIGN_DEFAULT ((size_t)1) /* what the class gives by itself */

/* ---- on any heap; NULL is the process's */

static struct tcm_heap *
heap_of(struct heap *heap)
{
    if (heap != NULL) {
        return (struct tcm_heap *)(void *)heap;
    }
    tcm_heap_start();
    return &tcm_heap_process;
}

static void *
take(struct heap *heap, size_t size, size_t align, bool zero)
{
    void *block = tcm_block_take(heap_of(heap), size, align, zero);

    if (block == NULL) {
        errno = ENOMEM;
    }
    return block;
}

static void
give(struct heap *heap, void *block)
{
    if (block != NULL) {
        tcm_block_give(heap_of(heap), block);
    }
}

/* A new block with the old one's contents. A block that is to shrink may stay
 * where it is when there is no memory to move it. */
static void *
move(struct heap *heap, void *block, size_t size)
{
    size_t old_size = tcm_block_size(heap_of(heap), block);
    int saved_errno = errno;
    void *moved = take(heap, size, ALIGN_DEFAULT, false);

    if (moved == NULL) {
        errno = size <= old_size ? saved_errno : errno;
        return size <= old_size ? block : NULL;
    }
    memcpy(moved, block, old_size < size ? old_size : size);
    give(heap, block);
    return moved;
}

static void *
ops_realloc(struct heap *heap, void *block, size_t size)
{
    if (block == NULL) {
        return take(heap, size, ALIGN_DEFAULT, false);
    }
    if (size == 0) {
        give(heap, block);
        return NULL;
    }
    return tcm_block_resize(heap_of(heap), block, size)
               ? block
               : move(heap, block, size);
}

static void *
ops_memalign(struct heap *heap, size_t align, size_t size)
{
    size_t power;

    return family_round_align(align, &power) ? take(heap, size, power, false)
                                             : NULL;
}

static void *
ops_calloc(struct heap *heap, size_t count, size_t size)
{
    size_t product;

    if (!family_product(count, size, &product)) {
        errno = ENOMEM;
        return NULL;
    }
    return take(heap, product, ALIGN_DEFAULT, true);
}

/* The size must be one that the block's class, or pages, would serve. */
static void
ops_free_sized(struct heap *heap, void *block, size_t size)
{
    if (block != NULL && size > tcm_block_size(heap_of(heap), block)) {
        tcm_misuse(TCM_WRONG_SIZE, block);
    }
    give(heap, block);
}

static void
ops_free_aligned_sized(
    struct heap *heap, void *block, size_t align, size_t size)
{
    if (align == 0 || ((uintptr_t)block & (align - 1)) != 0) {
        tcm_misuse(TCM_WRONG_ALIGN, block);
    }
    ops_free_sized(heap, block, size);
}

static size_t
ops_usable_size(struct heap *heap, const void *block)
{
    return block == NULL ? 0 : tcm_block_size(heap_of(heap), block);
}

static bool
ops_trim(struct heap *heap, size_t pad)
{
    (void)pad; /* There is no top that could keep it. */
    return tcm_heap_trim(heap_of(heap));
}

/* ---- the public family, on the process's heap */

/* What follows is apart from the fast paths, which then save no registers. */
#define APART __attribute__((noinline))
/* The fast paths begin where a fetch of instructions does. */
#define FAST_PATH __attribute__((aligned(CACHE_LINE)))

static APART void *
malloc_slowly(size_t size)
{
    return take(NULL, size, ALIGN_DEFAULT, false);
}

/* The calling thread's, whether or not the fast paths see it. */
static struct tcm_slab *
own_slab(void)
{
    return tcm_self != NULL ? &tcm_threadcache_of(tcm_self)->slab
                            : &tcm_slab_none;
}

static void *
pop_beside(unsigned size_class)
{
    void *object = tcm_slab_pop(own_slab(), size_class);

    return object == NULL && tcm_cpucaches.on ? tcm_cpuslab_pop(size_class)
                                              : object;
}

/* Where allocations are sampled the fast path sees no cache: each comes here and
 * is counted, and where no point is among its bytes it has what caches there
 * are. */
static APART void *
malloc_beside(size_t size)
{
    unsigned size_class = tcm_sizemap_class(size);
    void *object;

    if (!atomic_load_explicit(&tcm_block_counted, memory_order_relaxed) ||
        !sampler_covers(&tcm_block_sampler, size) ||
        (object = pop_beside(size_class)) == NULL) {
        return malloc_slowly(size);
    }
    (void)sampler_pass(&tcm_block_sampler, size);
    tcm_block_use(object, size_class);
    return object;
}

static inline void *
malloc_of_class(size_t size, unsigned size_class)
{
    void *object = tcm_slab_pop(tcm_self_slab, size_class);

    if (__builtin_expect(object != NULL, 1) ||
        (tcm_cpucaches_seen() &&
            (object = tcm_cpuslab_pop(size_class)) != NULL)) {
        tcm_block_use(object, size_class);
        return object;
    }
    return malloc_beside(size);
}

/* Apart, so that the smallest sizes ask about their size once. */
static APART FAST_PATH void *
malloc_larger(size_t size)
{
    return size <= TCM_CLASS_SIZE_MAX
               ? malloc_of_class(size, tcm_sizemap_class(size))
               : malloc_slowly(size);
}

FAST_PATH void *
tcm_malloc(size_t size)
{
    return __builtin_expect(size <= TCM_SMALL_MAX, 1)
               ? malloc_of_class(size, tcm_sizemap_class(size))
               : malloc_larger(size);
}

static APART void
free_slowly(void *block)
{
    give(NULL, block);
}

/* False for the slow path to see why not. A thread's own cache that is full gets
 * more room there, if it can: so it does not leave its blocks to the CPU's. */
static bool
push_beside(unsigned size_class, void *block)
{
    return tcm_self != NULL
               ? tcm_slab_push(own_slab(), size_class, block)
               : tcm_cpucaches.on && tcm_cpuslab_push(size_class, block);
}

/* The fast path sees no cache, or one that is full; or the block's class is not
 * in the class map. */
static APART void
free_beside(void *block)
{
    unsigned size_class =
        tcm_owner_class(tcm_owner_get(&tcm_heap_process.pageheap.map, block));

    if (tcm_sizemap_starts(size_class, block) &&
        push_beside(size_class, block)) {
        tcm_block_rest(block, size_class); /* This thread's still. */
    } else {
        free_slowly(block);
    }
}

FAST_PATH void
tcm_free(void *block)
{
    unsigned size_class = tcm_classmap_get(&tcm_classmap, block);
    struct tcm_slab *slab = tcm_self_slab;

    /* Class 0 starts nowhere. A thread that has a cache asks the CPU's beside
     * this path, as its own may be what refused the block. */
    if (__builtin_expect(tcm_sizemap_starts(size_class, block), 1) &&
        (__builtin_expect(tcm_slab_push(slab, size_class, block), 1) ||
            (__builtin_expect(
                 slab == &tcm_slab_none && tcm_cpucaches_seen(), 1) &&
                tcm_cpuslab_push(size_class, block)))) {
        tcm_block_rest(block, size_class); /* This thread's still. */
        return;
    }
    free_beside(block);
}

FAMILY_PUBLIC(tcm_)

/* ---- the door */

static struct heap *
ops_open(void)
{
    return (struct heap *)(void *)tcm_heap_new();
}

static void
ops_close(struct heap *heap)
{
    tcm_heap_delete(heap_of(heap));
}

static void *
ops_malloc(struct heap *heap, size_t size)
{
    return heap == NULL ? tcm_malloc(size)
                        : take(heap, size, ALIGN_DEFAULT, false);
}

static void
ops_free(struct heap *heap, void *block)
{
    if (heap == NULL) {
        tcm_free(block);
    } else {
        give(heap, block);
    }
}

static void
ops_thread_exit(struct heap *heap)
{
    local_drop(&heap_of(heap)->threadcaches);
}

static void
ops_stats(struct heap *heap, struct alloc_stats *stats)
{
    tcm_inspect_stats(heap_of(heap), stats);
}

static void
ops_check(struct heap *heap)
{
    tcm_inspect_check(heap_of(heap));
}

static void
ops_walk(struct heap *heap, alloc_walk_fn *visit, void *arg)
{
    tcm_inspect_walk(heap_of(heap), visit, arg);
}

static void
ops_dump(struct heap *heap, int fd)
{
    tcm_inspect_dump(heap_of(heap), fd);
}

FAMILY_OPS(tcm_ops, tcm_)

const struct alloc_ops tcm_ops = {
    .name = "tcmalloc",
    .open = ops_open,
    .close = ops_close,
    .malloc = ops_malloc,
    .calloc = ops_calloc,
    .realloc = ops_realloc,
    .reallocarray = ops_reallocarray,
    .memalign = ops_memalign,
    .aligned_alloc = ops_aligned_alloc,
    .posix_memalign = ops_posix_memalign,
    .valloc = ops_valloc,
    .pvalloc = ops_pvalloc,
    .free = ops_free,
    .free_sized = ops_free_sized,
    .free_aligned_sized = ops_free_aligned_sized,
    .usable_size = ops_usable_size,
    .trim = ops_trim,
    .thread_exit = ops_thread_exit,
    .stats = ops_stats,
    .check = ops_check,
    .walk = ops_walk,
    .dump = ops_dump,
};

int
tcm_malloc_info(int options, FILE *stream)
{
    return family_malloc_info(&tcm_ops, options, stream);
}
