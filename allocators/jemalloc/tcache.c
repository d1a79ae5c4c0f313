/*
 * tcache.c - one thread's cache (contract: tcache.h)
 *
 * A fill takes part of the capacity, a flush gives back half, the older half:
 * what was freed last is warm. How much a fill takes follows use: a bin that
 * ran empty between two collections takes twice as much next time, one that
 * never came near takes half.
 *
 *   I1  empty <= floor <= top <= full, within the slots of the class.
 *   I2  Every block in a bin is a used block of that class to the arenas.
 *
 * Rejected: a low-water mark kept by malloc itself, which costs a compare and
 * a store in the fast path; the floor gives half its precision for nothing.
 */
#include "jemalloc/tcache.h"

#include <assert.h>
#include <string.h>

#include "base/check.h"
#include "jemalloc/heap.h"

#define COLLECT_EVENTS  16 /* events between two collections */
#define TICK_EVENTS     64 /* events between two looks at the clock */
#define FILL_SHIFT_MAX  6
#define FILL_SHIFT_NEW  4 /* a thread may be short-lived: it begins modestly */
#define SMALL_BYTES_MAX ((size_t)12 << 10) /* in one small bin at first */
#define SMALL_SLOTS_MIN 10u
#define SMALL_SLOTS_MAX 200u
#define LARGE_BYTES_MAX ((size_t)256 << 10) /* cached in one large bin */
#define GROWN_BYTES_MAX ((size_t)16 << 10)  /* in a bin that has grown */
#define GROWN_SLOTS_MAX 2048u

static_assert((TICK_EVENTS & (TICK_EVENTS - 1)) == 0, "used as a mask");
static_assert((COLLECT_EVENTS & (COLLECT_EVENTS - 1)) == 0, "used as a mask");

/* No address has this leaf index. */
struct jem_tcache jem_tcache_none = {.leaf_index = UINTPTR_MAX};

static unsigned
clamp(size_t value, unsigned min, unsigned max)
{
    return value < min ? min : value > max ? max : (unsigned)value;
}

/* How many blocks of a class a bin may hold at first: even, at least 2. */
static unsigned
first_capacity(unsigned class)
{
    size_t size = jem_class_size(class);
    if (class >= JEM_SMALL_COUNT) {
        return clamp(LARGE_BYTES_MAX / size, 2, SMALL_SLOTS_MAX) & ~1u;
    }
    unsigned most =
        clamp(SMALL_BYTES_MAX / size, SMALL_SLOTS_MIN, SMALL_SLOTS_MAX);
    return clamp(2 * (size_t)jem_slab_shapes[class].region_count,
               SMALL_SLOTS_MIN, most) &
           ~1u;
}

/* How many at most: the slots that are there for it. */
static unsigned
slot_count(unsigned class)
{
    return clamp(GROWN_BYTES_MAX / jem_class_size(class), first_capacity(class),
        GROWN_SLOTS_MAX);
}

size_t
jem_tcache_size(void)
{
    size_t slots = 0;
    for (unsigned class = 0; class < JEM_TCACHE_CLASSES; class ++) {
        slots += slot_count(class);
    }
    return sizeof(struct jem_tcache) + slots * sizeof(void *);
}

void
jem_tcache_init(
    struct jem_tcache *tcache, struct jem_heap *heap, unsigned shard)
{
    void **slot = tcache->slots;
    for (unsigned class = 0; class < JEM_TCACHE_CLASSES; class ++) {
        struct jem_tbin *bin = &tcache->bins[class];
        bin->empty = bin->floor = slot;
        jem_tbin_set_top(bin, slot);
        bin->full = slot;
        slot += slot_count(class);
        tcache->uses[class] =
            (struct jem_tbin_use){.fill_shift = FILL_SHIFT_NEW};
    }
    tcache->heap = heap;
    tcache->class_limit = 0;
    tcache->shard = shard;
    tcache->is_explicit = false;
    tcache->counting = false;
    tcache->allocated_size = 0;
    tcache->deallocated_size = 0;
    jem_tcache_reset_peak(tcache);
    tcache->settled = false;
    tcache->event_count = 0;
    tcache->collect_class = 0;
    tcache->leaf_index = UINTPTR_MAX;
    tcache->leaf = NULL;
}

void
jem_tcache_reset_peak(struct jem_tcache *tcache)
{
    tcache->peak_size = 0;
    tcache->peak_base = tcache->allocated_size - tcache->deallocated_size;
}

/* ---- flushing */

/* Gives the `count` oldest blocks of a bin back. */
static void
flush_oldest(struct jem_tcache *tcache, unsigned class, size_t count)
{
    struct jem_tbin *bin = &tcache->bins[class];
    size_t kept = jem_tbin_count(bin) - count;
    if (class < JEM_SMALL_COUNT) {
        jem_arena_give_small(tcache->heap, bin->empty, count);
    } else {
        for (size_t i = 0; i < count; i++) {
            jem_arena_give_large(
                jem_owner_extent(jem_owner_get(bin->empty[i])));
        }
    }
    memmove(bin->empty, bin->empty + count, kept * sizeof(void *));
    jem_tbin_set_top(bin, bin->empty + kept);
    bin->floor = bin->empty;
}

void
jem_tcache_drain(struct jem_tcache *tcache)
{
    for (unsigned class = 0; class < JEM_TCACHE_CLASSES; class ++) {
        struct jem_tbin *bin = &tcache->bins[class];
        flush_oldest(tcache, class, jem_tbin_count(bin));
    }
}

void
jem_tcache_limit(struct jem_tcache *tcache, unsigned class_limit)
{
    ASSERT(class_limit <= JEM_TCACHE_CLASSES);
    for (unsigned class = 0; class < JEM_TCACHE_CLASSES; class ++) {
        struct jem_tbin *bin = &tcache->bins[class];
        bool was_cached = class < tcache->class_limit;
        if (class >= class_limit) {
            flush_oldest(tcache, class, jem_tbin_count(bin));
            bin->full = bin->empty;
        } else if (!was_cached) {
            bin->full = bin->empty + first_capacity(class);
        }
    }
    tcache->class_limit = class_limit;
    tcache->collect_class = 0;
}

/* ---- collecting */

/* Flushes what one bin did not need since its last turn. */
static void
collect_bin(struct jem_tcache *tcache, unsigned class)
{
    struct jem_tbin *bin = &tcache->bins[class];
    struct jem_tbin_use *use = &tcache->uses[class];
    size_t unused = (size_t)(bin->floor - bin->empty);
    if (unused > 0 && !use->floor_hit) {
        flush_oldest(tcache, class, unused - unused / 4);
        if (use->fill_shift < FILL_SHIFT_MAX &&
            jem_tbin_capacity(bin) >> (use->fill_shift + 1) != 0) {
            use->fill_shift++;
        }
    } else if (use->floor_hit && use->fill_shift > 1) {
        use->fill_shift--;
    }
    if (jem_tbin_count(bin) < first_capacity(class) && !use->full_hit) {
        bin->full = bin->empty + first_capacity(class);
    }
    bin->floor = bin->empty + jem_tbin_count(bin) / 2;
    use->floor_hit = false;
    use->full_hit = false;
}

/* After each fill or flush: now and then a bin is collected, and pages decay. */
static void
count_event(struct jem_tcache *tcache)
{
    unsigned event = ++tcache->event_count;
    if ((event & (COLLECT_EVENTS - 1)) == 0) {
        unsigned class = tcache->collect_class;
        tcache->collect_class = (class + 1) % tcache->class_limit;
        collect_bin(tcache, class);
    }
    if ((event & (TICK_EVENTS - 1)) == 0) {
        jem_heap_tick(tcache->heap, tcache->arena, event / TICK_EVENTS);
    }
}

/* ---- the two borders */

void
jem_tcache_move_leaf(struct jem_tcache *tcache, const void *block)
{
    tcache->leaf = pagemap_find_leaf(&jem_owners, block);
    tcache->leaf_index = (uintptr_t)block >> PAGEMAP_LEAF_SHIFT;
}

void *
jem_tcache_refill(struct jem_tcache *tcache, unsigned size_class, bool *zeroed)
{
    struct jem_tbin *bin = &tcache->bins[size_class];
    *zeroed = false;
    tcache->settled = true;
    tcache->uses[size_class].floor_hit = true;
    bin->floor = bin->empty;
    if (jem_tbin_count(bin) != 0) {
        return jem_tbin_pop(bin, jem_tbin_top(bin));
    }
    void *block = NULL;
    if (size_class >= JEM_SMALL_COUNT) {
        block =
            jem_arena_take_large(tcache->arena, size_class, JEM_PAGE, zeroed);
    } else {
        size_t wanted =
            jem_tbin_capacity(bin) >> tcache->uses[size_class].fill_shift;
        size_t filled = jem_arena_take_small(tcache->arena, tcache->shard,
            size_class, bin->empty, wanted == 0 ? 1 : wanted);
        /* The lowest address is to be used first: it must be on top. */
        for (size_t i = 0; i < filled / 2; i++) {
            void *low = bin->empty[i];
            bin->empty[i] = bin->empty[filled - 1 - i];
            bin->empty[filled - 1 - i] = low;
        }
        jem_tbin_set_top(bin, bin->empty + filled);
        block = filled == 0 ? NULL : jem_tbin_pop(bin, jem_tbin_top(bin));
    }
    count_event(tcache);
    return block;
}

void
jem_tcache_spill(struct jem_tcache *tcache, unsigned size_class, void *block)
{
    struct jem_tbin *bin = &tcache->bins[size_class];
    struct jem_tbin_use *use = &tcache->uses[size_class];
    void **end = bin->empty + slot_count(size_class);
    use->full_hit = true;
    if (use->floor_hit && bin->full != end) {
        size_t grown = 2 * jem_tbin_capacity(bin);
        bin->full =
            grown < (size_t)(end - bin->empty) ? bin->empty + grown : end;
        jem_tbin_push(bin, jem_tbin_top(bin), block);
        return;
    }
    flush_oldest(tcache, size_class, jem_tbin_capacity(bin) / 2);
    jem_tbin_push(bin, jem_tbin_top(bin), block);
    count_event(tcache);
}

void
jem_tcache_check(const struct jem_tcache *tcache)
{
    for (unsigned class = 0; class < JEM_TCACHE_CLASSES; class ++) {
        const struct jem_tbin *bin = &tcache->bins[class];
        void **top = jem_tbin_top(bin);
        CHECK(bin->empty <= bin->floor && bin->floor <= top); /* I1 */
        CHECK(top <= bin->full);
        CHECK(class < tcache->class_limit || bin->full == bin->empty);
        for (void **slot = bin->empty; slot != top; slot++) { /* I2 */
            struct jem_owner owner = jem_owner_get(*slot);
            CHECK(owner.word != 0 && jem_owner_class(owner) == class);
            CHECK(class >= JEM_SMALL_COUNT ||
                  !jem_slab_region_is_free(jem_owner_extent(owner), *slot));
        }
    }
}
