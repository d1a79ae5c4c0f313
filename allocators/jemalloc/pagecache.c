/*
 * pagecache.c - an arena's pages (contract: pagecache.h)
 *
 * Free extents are joined at once. The oldest are purged first. While madvise
 * runs, the extents are ACTIVE and in no set, so the lock is free and neighbours
 * leave them alone.
 *
 *   I1  free[s] holds the extents of that state and no others.
 *   I2  The first and last page of a free extent map to it, class NONE.
 *   I3  No two free extents of one state are neighbours, but for those that a
 *       purge in flight kept apart.
 *   I4  Every byte of every region belongs to exactly one extent; is_first and
 *       is_last say which ones lie at the region's ends.
 *   I5  A retained extent that says zeroed reads as zero.
 *   I6  large_size and large_count tell of the ACTIVE extents that have a large
 *       class. Extents that a purge in flight holds have class NONE. guard_count
 *       tells of those of class GUARD, a page each.
 *   I7  With the lock free every extent is in the owner map, so that a region
 *       can be walked; also in a child of fork, whatever other threads did.
 *
 * What can fail is done first: a cut takes its new structures before it
 * changes anything.
 */
#include "jemalloc/pagecache.h"

#include <string.h>

#include "base/check.h"
#include "base/machine.h"
#include "base/pages.h"
#include "base/print.h"

#define PURGE_BATCH 16

/* ---- free extents */

static void
insert_locked(struct jem_pagecache *cache, struct jem_extent *extent,
    enum jem_extent_state state) REQUIRES(cache->lock)
{
    extent->state = (uint8_t)state;
    jem_owner_set(extent, JEM_CLASS_NONE, 0);
    jem_freeset_insert(&cache->free[state], extent);
}

static void
remove_locked(struct jem_pagecache *cache, struct jem_extent *extent)
    REQUIRES(cache->lock)
{
    jem_freeset_remove(&cache->free[extent->state], extent);
    jem_owner_clear(extent);
    extent->state = JEM_ACTIVE;
}

/* ---- extent structures */

static void
drop_structure_locked(struct jem_pagecache *cache, struct jem_extent *extent)
    REQUIRES(cache->lock)
{
    list_push(&cache->spare, &extent->link);
    cache->spare_count++;
}

/* Makes count structures ready for new_structure_locked. */
static bool
reserve_structures_locked(struct jem_pagecache *cache, unsigned count)
    REQUIRES(cache->lock)
{
    const struct list *link = cache->spare.next;
    for (; count > 0 && link != &cache->spare; count--) {
        link = link->next;
    }
    for (; count > 0; count--) {
        struct jem_extent *extent = meta_take(cache->meta, sizeof *extent);
        if (extent == NULL) {
            return false;
        }
        extent->arena = cache->arena;
        extent->arena_index = (uint16_t)cache->arena_index;
        list_init(&extent->link);
        drop_structure_locked(cache, extent);
    }
    return true;
}

static struct jem_extent *
new_structure_locked(struct jem_pagecache *cache, char *addr, size_t size,
    bool zeroed) REQUIRES(cache->lock)
{
    struct list *link = list_pop(&cache->spare);
    ASSERT(link != NULL); /* The caller has reserved it. */
    cache->spare_count--;
    struct jem_extent *extent = LIST_OF(link, struct jem_extent, link);
    extent->addr = addr;
    extent->size = size;
    extent->state = JEM_ACTIVE;
    extent->size_class = JEM_CLASS_NONE;
    extent->zeroed = zeroed;
    extent->is_first = false;
    extent->is_last = false;
    return extent;
}

/* ---- joining and cutting */

/* The extent that begins or ends at addr, an address of this page cache, if it
 * is free and in that state. */
static struct jem_extent *
free_at(const char *addr, enum jem_extent_state state)
{
    struct jem_owner owner = jem_owner_get(addr);
    struct jem_extent *extent = jem_owner_extent(owner);
    return jem_owner_class(owner) == JEM_CLASS_NONE && extent->state == state
               ? extent
               : NULL;
}

/* The neighbours that are in that state; NULL at the region's ends. */
static struct jem_extent *
free_before(const struct jem_extent *extent, enum jem_extent_state state)
{
    return extent->is_first ? NULL : free_at(extent->addr - 1, state);
}

static struct jem_extent *
free_behind(const struct jem_extent *extent, enum jem_extent_state state)
{
    return extent->is_last ? NULL : free_at(extent->addr + extent->size, state);
}

static void
absorb_locked(struct jem_pagecache *cache, struct jem_extent *extent,
    struct jem_extent *other) REQUIRES(cache->lock)
{
    remove_locked(cache, other);
    if (other->addr < extent->addr) {
        extent->addr = other->addr;
    }
    extent->size += other->size;
    extent->zeroed = extent->zeroed && other->zeroed;
    extent->is_first = extent->is_first || other->is_first;
    extent->is_last = extent->is_last || other->is_last;
    drop_structure_locked(cache, other);
}

/* Makes an active extent free, joined with its neighbours of that state. */
static void
free_locked(struct jem_pagecache *cache, struct jem_extent *extent,
    enum jem_extent_state state) REQUIRES(cache->lock)
{
    struct jem_extent *before = free_before(extent, state);
    struct jem_extent *behind = free_behind(extent, state);
    if (before != NULL) {
        absorb_locked(cache, extent, before);
    }
    if (behind != NULL) {
        absorb_locked(cache, extent, behind);
    }
    insert_locked(cache, extent, state);
}

/* Cuts the active extent to [offset, offset + size); what is over becomes free.
 * Two structures must be reserved. */
static void
cut_locked(struct jem_pagecache *cache, struct jem_extent *extent,
    size_t offset, size_t size, enum jem_extent_state rest_state)
    REQUIRES(cache->lock)
{
    size_t tail_size = extent->size - offset - size;
    if (offset != 0) {
        struct jem_extent *lead =
            new_structure_locked(cache, extent->addr, offset, extent->zeroed);
        lead->is_first = extent->is_first;
        extent->is_first = false;
        insert_locked(cache, lead, rest_state);
    }
    extent->addr += offset;
    extent->size = size;
    if (tail_size != 0) {
        struct jem_extent *tail = new_structure_locked(
            cache, extent->addr + size, tail_size, extent->zeroed);
        tail->is_last = extent->is_last;
        extent->is_last = false;
        free_locked(cache, tail, rest_state);
    }
}

/* ---- taking */

static size_t
offset_to_align(const char *addr, size_t align)
{
    return (size_t)(-(uintptr_t)addr & (align - 1));
}

/* Takes an extent with room for size at align out of one kind. */
static struct jem_extent *
take_free_locked(struct jem_pagecache *cache, enum jem_extent_state state,
    size_t size, size_t align) REQUIRES(cache->lock)
{
    const struct jem_freeset *set = &cache->free[state];
    struct jem_extent *extent = align > JEM_PAGE
                                    ? jem_freeset_fit_aligned(set, size, align)
                                    : jem_freeset_fit(set, size);
    if (extent == NULL) {
        return NULL;
    }
    remove_locked(cache, extent);
    size_t offset = offset_to_align(extent->addr, align);
    cut_locked(cache, extent, offset, size, state);
    return extent;
}

/* ---- regions */

/* Maps a region with room for size at align, and takes the extent from it. */
static struct jem_extent *
take_mapped_locked(struct jem_pagecache *cache, size_t size, size_t align)
    REQUIRES(cache->lock)
{
    struct jem_region *region = jem_regions_map(&cache->regions, size, align);
    if (region == NULL) {
        return NULL;
    }
    struct jem_extent *extent =
        new_structure_locked(cache, region->addr, region->size, true);
    extent->is_first = true;
    extent->is_last = true;
    cut_locked(cache, extent, 0, size, JEM_RETAINED);
    return extent;
}

/* Gives a region back that is wholly this retained extent. */
static bool
unmap_locked(struct jem_pagecache *cache, struct jem_region **place,
    struct jem_extent *extent) REQUIRES(cache->lock)
{
    remove_locked(cache, extent);
    if (!jem_regions_unmap(&cache->regions, place)) {
        insert_locked(cache, extent, JEM_RETAINED);
        return false;
    }
    drop_structure_locked(cache, extent);
    return true;
}

/* Gives back the regions that are wholly retained. One that the kernel will
 * not take stays. */
static void
unmap_retained_locked(struct jem_pagecache *cache) REQUIRES(cache->lock)
{
    struct jem_region **place = &cache->regions.first;
    while (*place != NULL) {
        struct jem_extent *extent =
            jem_owner_extent(jem_owner_get((*place)->addr));
        bool is_whole = extent->state == JEM_RETAINED && extent->is_last;
        if (!is_whole || !unmap_locked(cache, place, extent)) {
            place = &(*place)->next;
        }
    }
}

static struct jem_extent *
take_locked(struct jem_pagecache *cache, size_t size, size_t align)
    REQUIRES(cache->lock)
{
    if (!reserve_structures_locked(cache, 4)) {
        return NULL;
    }
    for (unsigned s = JEM_DIRTY; s <= JEM_RETAINED; s++) {
        struct jem_extent *extent =
            take_free_locked(cache, (enum jem_extent_state)s, size, align);
        if (extent != NULL) {
            return extent;
        }
    }
    return take_mapped_locked(cache, size, align);
}

/* ---- guard pages */

/* Makes the last page of an extent its guard: an extent of its own. A structure
 * must be reserved. */
static void
put_guard_locked(struct jem_pagecache *cache, struct jem_extent *extent)
    REQUIRES(cache->lock)
{
    extent->size -= JEM_PAGE;
    struct jem_extent *guard = new_structure_locked(
        cache, extent->addr + extent->size, JEM_PAGE, false);
    guard->is_last = extent->is_last;
    extent->is_last = false;
    (void)pages_decommit(guard->addr, JEM_PAGE);
    jem_owner_set(guard, JEM_CLASS_GUARD, 0);
    cache->guard_count++;
}

/* Makes a guard page part of the extent before it. One that the kernel will not
 * make accessible stays a guard, of what comes to lie before it. */
static void
take_guard_locked(struct jem_pagecache *cache, struct jem_extent *extent)
    REQUIRES(cache->lock)
{
    if (extent->is_last) {
        return;
    }
    struct jem_owner owner = jem_owner_get(extent->addr + extent->size);
    struct jem_extent *guard = jem_owner_extent(owner);
    if (jem_owner_class(owner) != JEM_CLASS_GUARD ||
        !pages_commit(guard->addr, JEM_PAGE)) {
        return;
    }
    jem_owner_clear(guard);
    drop_structure_locked(cache, guard);
    extent->size += JEM_PAGE;
    extent->is_last = guard->is_last;
    cache->guard_count--;
}

/* Where the coming and going of extents of that class is counted. */
static struct jem_extent_use *
use_locked(struct jem_pagecache *cache, unsigned size_class)
    REQUIRES(cache->lock)
{
    return size_class < JEM_SMALL_COUNT
               ? &cache->slab_use
               : &cache->large_uses[size_class - JEM_SMALL_COUNT];
}

/* Enters an extent in use, or takes it out; the owner map and I6. */
static void
enter_locked(struct jem_pagecache *cache, struct jem_extent *extent,
    unsigned size_class, unsigned shard) REQUIRES(cache->lock)
{
    jem_owner_set(extent, size_class, shard);
    if (!jem_extent_is_slab(extent)) {
        cache->large_size += extent->size;
        cache->large_count++;
    }
}

static void
leave_locked(struct jem_pagecache *cache, struct jem_extent *extent)
    REQUIRES(cache->lock)
{
    jem_owner_clear(extent);
    if (!jem_extent_is_slab(extent)) {
        cache->large_size -= extent->size;
        cache->large_count--;
    }
}

struct jem_extent *
jem_pagecache_take(struct jem_pagecache *cache, size_t size, size_t align,
    unsigned size_class, unsigned shard)
{
    ASSERT(size > 0 && size % JEM_PAGE == 0);
    if (size > PTRDIFF_MAX || align > PTRDIFF_MAX - size) {
        return NULL;
    }
    if (cache->guard) {
        size += JEM_PAGE;
    }
    mtx_lock(&cache->lock);
    struct jem_extent *extent = take_locked(cache, size, align);
    if (extent != NULL && cache->guard) {
        put_guard_locked(cache, extent);
    }
    if (extent != NULL) {
        use_locked(cache, size_class)->taken_count++;
        enter_locked(cache, extent, size_class, shard);
    }
    mtx_unlock(&cache->lock);
    return extent;
}

/* ---- purging */

static struct jem_decay *
decay_of(struct jem_pagecache *cache, enum jem_extent_state state)
{
    return state == JEM_DIRTY ? &cache->dirty_decay : &cache->muzzy_decay;
}

/* Takes the oldest extents until at most limit pages are left. */
static unsigned
stash_locked(struct jem_pagecache *cache, enum jem_extent_state state,
    size_t limit_pages, struct jem_extent **stash) REQUIRES(cache->lock)
{
    struct jem_freeset *set = &cache->free[state];
    unsigned count = 0;
    while (count < PURGE_BATCH && jem_freeset_pages(set) > limit_pages) {
        struct jem_extent *extent = jem_freeset_oldest(set);
        remove_locked(cache, extent);
        jem_owner_set(extent, JEM_CLASS_NONE, 0); /* I7 */
        stash[count++] = extent;
    }
    return count;
}

/* Gives one extent's memory back; says what kind it is now. */
static enum jem_extent_state
purge_extent(
    struct jem_extent *extent, enum jem_extent_state state, bool keep_muzzy)
{
    if (state == JEM_DIRTY && keep_muzzy &&
        pages_purge_lazily(extent->addr, extent->size)) {
        return JEM_MUZZY;
    }
    extent->zeroed = pages_purge(extent->addr, extent->size);
    return JEM_RETAINED;
}

/* Purges one kind down to the limit; gives the lock up around each batch. */
static void
purge_locked(struct jem_pagecache *cache, enum jem_extent_state state,
    size_t limit_pages, bool keep_muzzy) REQUIRES(cache->lock)
{
    struct jem_extent *stash[PURGE_BATCH];
    enum jem_extent_state now[PURGE_BATCH];
    struct jem_purge_use *use = &cache->purges[state];
    unsigned count = stash_locked(cache, state, limit_pages, stash);
    use->sweep_count += count != 0;
    for (; count > 0; count = stash_locked(cache, state, limit_pages, stash)) {
        mtx_unlock(&cache->lock);
        for (unsigned i = 0; i < count; i++) {
            now[i] = purge_extent(stash[i], state, keep_muzzy);
        }
        mtx_lock(&cache->lock);
        use->call_count += count;
        for (unsigned i = 0; i < count; i++) {
            use->pages += stash[i]->size / JEM_PAGE;
            jem_owner_clear(stash[i]);
            free_locked(cache, stash[i], now[i]);
        }
    }
    if (!cache->regions.retain) {
        unmap_retained_locked(cache);
    }
}

static void
decay_locked(struct jem_pagecache *cache, enum jem_extent_state state,
    uint64_t now_ns) REQUIRES(cache->lock)
{
    struct jem_decay *decay = decay_of(cache, state);
    bool moved = jem_decay_advance(
        decay, now_ns, jem_freeset_pages(&cache->free[state]));
    if (moved || decay->time_ms == 0) {
        purge_locked(
            cache, state, decay->limit_pages, cache->muzzy_decay.time_ms != 0);
    }
}

void
jem_pagecache_tick(struct jem_pagecache *cache)
{
    uint64_t now_ns = machine.clock_ns();
    if (mtx_trylock(&cache->lock)) {
        decay_locked(cache, JEM_DIRTY, now_ns);
        decay_locked(cache, JEM_MUZZY, now_ns);
        mtx_unlock(&cache->lock);
    }
}

void
jem_pagecache_decay(struct jem_pagecache *cache)
{
    uint64_t now_ns = machine.clock_ns();
    mtx_lock(&cache->lock);
    decay_locked(cache, JEM_DIRTY, now_ns);
    decay_locked(cache, JEM_MUZZY, now_ns);
    mtx_unlock(&cache->lock);
}

int64_t
jem_pagecache_decay_ms(struct jem_pagecache *cache, enum jem_extent_state state)
{
    mtx_lock(&cache->lock);
    int64_t decay_ms = decay_of(cache, state)->time_ms;
    mtx_unlock(&cache->lock);
    return decay_ms;
}

bool
jem_pagecache_purge(struct jem_pagecache *cache)
{
    mtx_lock(&cache->lock);
    bool any = jem_freeset_pages(&cache->free[JEM_DIRTY]) +
                   jem_freeset_pages(&cache->free[JEM_MUZZY]) !=
               0;
    purge_locked(cache, JEM_DIRTY, 0, false);
    purge_locked(cache, JEM_MUZZY, 0, false);
    mtx_unlock(&cache->lock);
    return any;
}

void
jem_pagecache_set_decay(
    struct jem_pagecache *cache, enum jem_extent_state state, int64_t decay_ms)
{
    uint64_t now_ns = machine.clock_ns();
    mtx_lock(&cache->lock);
    jem_decay_set(decay_of(cache, state), decay_ms, now_ns,
        jem_freeset_pages(&cache->free[state]));
    decay_locked(cache, state, now_ns);
    mtx_unlock(&cache->lock);
}

size_t
jem_pagecache_grow_limit(struct jem_pagecache *cache)
{
    mtx_lock(&cache->lock);
    size_t limit = cache->regions.grow_limit;
    mtx_unlock(&cache->lock);
    return limit;
}

bool
jem_pagecache_set_grow_limit(struct jem_pagecache *cache, size_t limit)
{
    mtx_lock(&cache->lock);
    bool is_set = jem_regions_limit(&cache->regions, limit);
    mtx_unlock(&cache->lock);
    return is_set;
}

/* ---- giving and resizing */

static void
give_locked(struct jem_pagecache *cache, struct jem_extent *extent)
    REQUIRES(cache->lock)
{
    leave_locked(cache, extent);
    use_locked(cache, extent->size_class)->given_count++;
    extent->zeroed = false;
    if (cache->guard) {
        take_guard_locked(cache, extent);
    }
    free_locked(cache, extent, JEM_DIRTY);
}

void
jem_pagecache_give(struct jem_pagecache *cache, struct jem_extent *extent)
{
    ASSERT(extent->arena == cache->arena && extent->state == JEM_ACTIVE);
    mtx_lock(&cache->lock);
    give_locked(cache, extent);
    if (cache->dirty_decay.time_ms == 0) {
        purge_locked(cache, JEM_DIRTY, 0, cache->muzzy_decay.time_ms != 0);
    }
    mtx_unlock(&cache->lock);
}

/* Joins the extent with the pages behind it, when they are free and enough. */
static bool
grow_locked(struct jem_pagecache *cache, struct jem_extent *extent,
    size_t new_size) REQUIRES(cache->lock)
{
    size_t more = new_size - extent->size;
    for (unsigned s = JEM_DIRTY; s <= JEM_RETAINED; s++) {
        enum jem_extent_state state = (enum jem_extent_state)s;
        struct jem_extent *behind = free_behind(extent, state);
        if (behind == NULL || behind->size < more) {
            continue;
        }
        remove_locked(cache, behind);
        cut_locked(cache, behind, 0, more, state);
        extent->size = new_size;
        extent->zeroed = extent->zeroed && behind->zeroed;
        extent->is_last = behind->is_last;
        drop_structure_locked(cache, behind);
        return true;
    }
    return false;
}

static bool
resize_locked(struct jem_pagecache *cache, struct jem_extent *extent,
    size_t new_size) REQUIRES(cache->lock)
{
    if (cache->guard || !reserve_structures_locked(cache, 2)) {
        return false;
    }
    if (new_size > extent->size) {
        return grow_locked(cache, extent, new_size);
    }
    extent->zeroed = false; /* The tail has been the caller's. */
    cut_locked(cache, extent, 0, new_size, JEM_DIRTY);
    return true;
}

bool
jem_pagecache_resize(
    struct jem_pagecache *cache, struct jem_extent *extent, unsigned size_class)
{
    unsigned old_class = extent->size_class;
    size_t new_size = jem_class_size(size_class);
    ASSERT(new_size != extent->size && new_size % JEM_PAGE == 0);
    mtx_lock(&cache->lock);
    leave_locked(cache, extent);
    bool resized = resize_locked(cache, extent, new_size);
    if (resized) {
        use_locked(cache, old_class)->given_count++;
        use_locked(cache, size_class)->taken_count++;
    }
    enter_locked(cache, extent, resized ? size_class : old_class, 0);
    mtx_unlock(&cache->lock);
    return resized;
}

/* ---- life */

/* Without the lock: a visitor may take locks that come before it. */
void
jem_pagecache_each_large(struct jem_pagecache *cache,
    void (*visit)(struct jem_extent *extent, void *arg), void *arg)
{
    mtx_lock(&cache->lock);
    struct jem_region *region = cache->regions.first;
    mtx_unlock(&cache->lock);
    for (; region != NULL; region = region->next) {
        struct jem_extent *extent;
        JEM_REGION_EACH (extent, region) {
            if (extent->state == JEM_ACTIVE && !jem_extent_is_slab(extent) &&
                jem_class_is_block(extent->size_class)) {
                visit(extent, arg);
            }
        }
    }
}

void
jem_pagecache_reset(struct jem_pagecache *cache)
{
    mtx_lock(&cache->lock);
    for (struct jem_region *region = cache->regions.first; region != NULL;
         region = region->next) {
        struct jem_extent *extent;
        JEM_REGION_EACH (extent, region) { /* What is given stays `extent`. */
            if (extent->state == JEM_ACTIVE &&
                jem_class_is_block(extent->size_class)) {
                give_locked(cache, extent);
            }
        }
    }
    mtx_unlock(&cache->lock);
}

void
jem_pagecache_unmap(struct jem_pagecache *cache)
{
    mtx_lock(&cache->lock);
    purge_locked(cache, JEM_DIRTY, 0, false);
    purge_locked(cache, JEM_MUZZY, 0, false);
    unmap_retained_locked(cache);
    jem_regions_start_small(&cache->regions);
    mtx_unlock(&cache->lock);
}

void
jem_pagecache_init(struct jem_pagecache *cache, struct jem_arena *arena,
    unsigned arena_index, struct meta *meta, struct jem_mapped *mapped,
    const struct jem_options *options)
{
    uint64_t now_ns = machine.clock_ns();
    mtx_init(&cache->lock, MTX_EXTENT);
    cache->arena = arena;
    cache->arena_index = arena_index;
    cache->meta = meta;
    for (unsigned s = JEM_DIRTY; s <= JEM_RETAINED; s++) {
        jem_freeset_init(&cache->free[s]);
    }
    jem_decay_init(&cache->dirty_decay, options->dirty_decay_ms, now_ns);
    jem_decay_init(&cache->muzzy_decay, options->muzzy_decay_ms, now_ns);
    list_init(&cache->spare);
    cache->spare_count = 0;
    jem_regions_init(&cache->regions, meta, mapped, options);
    cache->guard_count = 0;
    cache->large_size = 0;
    cache->large_count = 0;
    cache->guard = options->guard;
    jem_pagecache_clear_counts(cache);
}

void
jem_pagecache_clear_counts(struct jem_pagecache *cache)
{
    mtx_lock(&cache->lock);
    memset(cache->purges, 0, sizeof cache->purges);
    memset(&cache->slab_use, 0, sizeof cache->slab_use);
    memset(cache->large_uses, 0, sizeof cache->large_uses);
    mtx_unlock(&cache->lock);
}

void
jem_pagecache_fini(struct jem_pagecache *cache)
{
    jem_regions_fini(&cache->regions);
    mtx_fini(&cache->lock);
}

/* ---- checking */

static void
check_set_locked(struct jem_pagecache *cache, enum jem_extent_state state)
    REQUIRES(cache->lock)
{
    const struct jem_freeset *set = &cache->free[state];
    struct tree_node *node;
    jem_freeset_check(set);
    TREE_EACH (node, &set->by_size) {
        const struct jem_extent *extent = jem_extent_of(node);
        const char *last = extent->addr + extent->size - 1;
        CHECK(extent->state == state && extent->arena == cache->arena);
        CHECK(jem_owner_extent(jem_owner_get(extent->addr)) == extent);
        CHECK(jem_owner_extent(jem_owner_get(last)) == extent); /* I2 */
        CHECK(free_behind(extent, state) == NULL);              /* I3 */
    }
}

/* Walks every region: extents follow one another without a gap. */
static void
check_regions_locked(struct jem_pagecache *cache) REQUIRES(cache->lock)
{
    size_t large_size = 0;
    size_t large_count = 0;
    size_t guard_count = 0;
    for (struct jem_region *region = cache->regions.first; region != NULL;
         region = region->next) {
        char *end = region->addr + region->size;
        for (char *addr = region->addr; addr < end;) {
            struct jem_owner owner = jem_owner_get(addr);
            struct jem_extent *extent = jem_owner_extent(owner);
            CHECK(owner.word != 0); /* I7 */
            CHECK(extent->addr == addr && extent->size > 0);
            CHECK(extent->arena == cache->arena);
            CHECK(extent->size <= (size_t)(end - addr)); /* I4 */
            CHECK(extent->is_first == (addr == region->addr));
            CHECK(extent->is_last == (addr + extent->size == end));
            if (!jem_extent_is_slab(extent) &&
                jem_class_is_block(extent->size_class)) {
                large_size += extent->size;
                large_count++;
            }
            guard_count += extent->size_class == JEM_CLASS_GUARD;
            addr += extent->size;
        }
    }
    CHECK(large_size == cache->large_size); /* I6 */
    CHECK(large_count == cache->large_count);
    CHECK(guard_count == cache->guard_count);
}

void
jem_pagecache_check(struct jem_pagecache *cache)
{
    mtx_lock(&cache->lock);
    jem_regions_check(&cache->regions);
    check_regions_locked(cache);
    for (unsigned s = JEM_DIRTY; s <= JEM_RETAINED; s++) {
        check_set_locked(cache, (enum jem_extent_state)s);
    }
    CHECK(list_count(&cache->spare) == cache->spare_count);
    mtx_unlock(&cache->lock);
}

void
jem_pagecache_dump(struct jem_pagecache *cache, int fd)
{
    static const char *const names[] = {"active", "dirty", "muzzy", "retained"};
    struct print print;
    print_init(&print, fd);
    mtx_lock(&cache->lock);
    print_format(&print, "    pages: mapped %zu bytes, %zu large in %zu\n",
        cache->regions.mapped_size, cache->large_count, cache->large_size);
    for (unsigned s = JEM_DIRTY; s <= JEM_RETAINED; s++) {
        print_format(&print, "    %s: %zu pages in %zu extents\n", names[s],
            jem_freeset_pages(&cache->free[s]), cache->free[s].by_size.count);
    }
    mtx_unlock(&cache->lock);
    print_flush(&print);
}
