/*
 * bin.c - the regions of one small class in one arena (contract: bin.h)
 *
 * Full slabs are on no structure: a free finds its slab through the owner map
 * and puts it back on the tree. An empty slab goes back to the page cache at
 * once, but for the current one, which would only be fetched again.
 *
 *   I1  A slab of this bin is current, on nonfull, or full, and only one.
 *   I2  slab->free_count is the number of bits set in free_bits.
 *   I3  free_count is the sum of free_count over current and nonfull.
 *   I4  A slab on nonfull has a free region and a used one.
 *   I5  What the stash holds is of this bin's slabs, and used there.
 */
#include "jemalloc/bin.h"

#include <string.h>

#include "base/check.h"
#include "base/print.h"

#define STASH_BYTES_MAX (4u << 10)
#define STASH_COUNT_MIN 16u

static const struct jem_slab_shape *
shape_of(const struct jem_bin *bin)
{
    return &jem_slab_shapes[bin->size_class];
}

/* How much the stash may hold: few large regions, since they are memory that
 * nobody uses. */
static unsigned
stash_capacity(const struct jem_bin *bin)
{
    unsigned count = STASH_BYTES_MAX / shape_of(bin)->region_size;
    return count < STASH_COUNT_MIN ? STASH_COUNT_MIN
           : count > JEM_STASH_MAX ? JEM_STASH_MAX
                                   : count;
}

static int
compare_slabs(const struct tree_node *a, const struct tree_node *b)
{
    const char *x = jem_extent_of(a)->addr;
    const char *y = jem_extent_of(b)->addr;
    return (x > y) - (x < y);
}

void
jem_bin_init(struct jem_bin *bin, unsigned size_class, unsigned shard)
{
    mtx_init(&bin->lock, MTX_BIN);
    bin->size_class = size_class;
    bin->shard = shard;
    jem_bin_clear_counts(bin);
    jem_bin_reset(bin);
}

void
jem_bin_clear_counts(struct jem_bin *bin)
{
    mtx_lock(&bin->lock);
    bin->contended_count = 0;
    bin->taken_count = 0;
    bin->given_count = 0;
    bin->slabs_made_count = 0;
    bin->slabs_used_again = 0;
    bin->fill_count = 0;
    bin->flush_count = 0;
    mtx_unlock(&bin->lock);
}

void
jem_bin_reset(struct jem_bin *bin)
{
    mtx_lock(&bin->lock);
    bin->given_count = bin->taken_count; /* Nobody holds any. */
    bin->current = NULL;
    tree_init(&bin->nonfull, compare_slabs);
    bin->slab_count = 0;
    bin->free_count = 0;
    bin->stash_count = 0;
    bin->stash_low = 0;
    mtx_unlock(&bin->lock);
}

void
jem_bin_fini(struct jem_bin *bin)
{
    mtx_fini(&bin->lock);
}

/* ---- regions of one slab */

static void
set_all_free(struct jem_extent *slab, unsigned region_count)
{
    memset(slab->free_bits, 0, sizeof slab->free_bits);
    for (unsigned r = 0; r < region_count; r += 64) {
        unsigned left = region_count - r;
        slab->free_bits[r / 64] =
            left >= 64 ? UINT64_MAX : ((uint64_t)1 << left) - 1;
    }
    slab->free_count = (uint16_t)region_count;
}

/* Moves up to count regions of the slab into batch[], lowest first. */
static size_t
draw_regions(struct jem_extent *slab, const struct jem_slab_shape *shape,
    void **batch, size_t count)
{
    size_t taken = 0;
    size_t wanted = count < slab->free_count ? count : slab->free_count;
    for (unsigned word = 0; taken < wanted; word++) {
        uint64_t bits = slab->free_bits[word];
        for (; bits != 0 && taken < wanted; bits &= bits - 1) {
            size_t region = word * 64 + (unsigned)__builtin_ctzl(bits);
            batch[taken++] = slab->addr + region * shape->region_size;
        }
        slab->free_bits[word] = bits;
    }
    slab->free_count = (uint16_t)(slab->free_count - taken);
    return taken;
}

static unsigned
region_of(const struct jem_extent *slab, const void *block)
{
    const struct jem_slab_shape *shape = &jem_slab_shapes[slab->size_class];
    size_t offset = (size_t)((const char *)block - slab->addr);
    unsigned region = jem_slab_region(shape, offset);
    if ((size_t)region * shape->region_size != offset) {
        check_misuse(JEM_NAME, "free of an address inside a block", block);
    }
    return region;
}

bool
jem_slab_region_is_free(const struct jem_extent *slab, const void *block)
{
    unsigned region = region_of(slab, block);
    return (slab->free_bits[region / 64] >> (region % 64) & 1) != 0;
}

bool
jem_bin_holds(
    struct jem_bin *bin, const struct jem_extent *slab, const void *block)
{
    mtx_lock(&bin->lock);
    bool held = jem_slab_region_is_free(slab, block);
    for (unsigned i = 0; i < bin->stash_count && !held; i++) {
        held = bin->stash[i] == block;
    }
    mtx_unlock(&bin->lock);
    return held;
}

static void
put_region(struct jem_extent *slab, const void *block)
{
    unsigned region = region_of(slab, block);
    uint64_t bit = (uint64_t)1 << (region % 64);
    if ((slab->free_bits[region / 64] & bit) != 0) {
        check_misuse(JEM_NAME, "double free", block);
    }
    slab->free_bits[region / 64] |= bit;
    slab->free_count++;
}

/* ---- taking */

static struct jem_extent *
new_slab_locked(struct jem_bin *bin, struct jem_pagecache *cache)
    REQUIRES(bin->lock)
{
    const struct jem_slab_shape *shape = shape_of(bin);
    struct jem_extent *slab = jem_pagecache_take(
        cache, shape->slab_size, JEM_PAGE, bin->size_class, bin->shard);
    if (slab == NULL) {
        return NULL;
    }
    set_all_free(slab, shape->region_count);
    bin->slab_count++;
    bin->slabs_made_count++;
    bin->free_count += shape->region_count;
    return slab;
}

/* Makes a slab with a free region current; false when there is none. */
static bool
change_current_locked(struct jem_bin *bin, struct jem_pagecache *cache)
    REQUIRES(bin->lock)
{
    struct jem_extent *slab = jem_extent_of(tree_first(&bin->nonfull));
    if (slab != NULL) {
        tree_remove(&bin->nonfull, &slab->node);
        bin->slabs_used_again++;
    } else {
        slab = new_slab_locked(bin, cache);
    }
    bin->current = slab;
    return slab != NULL;
}

static size_t
take_stashed_locked(struct jem_bin *bin, void **batch, size_t count)
    REQUIRES(bin->lock)
{
    size_t taken = count < bin->stash_count ? count : bin->stash_count;
    bin->stash_count -= (unsigned)taken;
    memcpy(batch, bin->stash + bin->stash_count, taken * sizeof(void *));
    if (bin->stash_low > bin->stash_count) {
        bin->stash_low = bin->stash_count;
    }
    return taken;
}

static size_t
take_locked(struct jem_bin *bin, struct jem_pagecache *cache, void **batch,
    size_t count) REQUIRES(bin->lock)
{
    size_t taken = take_stashed_locked(bin, batch, count);
    while (taken < count) {
        if ((bin->current == NULL || bin->current->free_count == 0) &&
            !change_current_locked(bin, cache)) {
            break; /* Out of pages. A short batch is no error here. */
        }
        size_t drawn = draw_regions(
            bin->current, shape_of(bin), batch + taken, count - taken);
        bin->free_count -= drawn;
        taken += drawn;
    }
    return taken;
}

static void
lock_bin(struct jem_bin *bin) ACQUIRES(bin->lock)
{
    bool waited = mtx_held(&bin->lock);
    mtx_lock(&bin->lock);
    bin->contended_count += waited;
}

size_t
jem_bin_take(struct jem_bin *bin, struct jem_pagecache *cache, void **batch,
    size_t count)
{
    lock_bin(bin);
    size_t taken = take_locked(bin, cache, batch, count);
    bin->taken_count += taken;
    bin->fill_count++;
    mtx_unlock(&bin->lock);
    return taken;
}

/* ---- giving */

static void
retire_slab_locked(struct jem_bin *bin, struct jem_pagecache *cache,
    struct jem_extent *slab) REQUIRES(bin->lock)
{
    bin->slab_count--;
    bin->free_count -= slab->free_count;
    jem_pagecache_give(cache, slab);
}

static void
give_one_locked(struct jem_bin *bin, struct jem_pagecache *cache,
    struct jem_extent *slab, void *block) REQUIRES(bin->lock)
{
    put_region(slab, block);
    bin->free_count++;
    if (slab == bin->current) {
        return;
    }
    unsigned region_count = shape_of(bin)->region_count;
    if (slab->free_count == region_count) { /* I4 */
        if (region_count > 1) {
            tree_remove(&bin->nonfull, &slab->node);
        }
        retire_slab_locked(bin, cache, slab);
    } else if (slab->free_count == 1) {
        tree_insert(&bin->nonfull, &slab->node);
    }
}

/* Sends the count oldest of the stash to their slabs. The slabs' structures are
 * far apart and cold, so all are asked for before the first is used. */
static void
drain_locked(struct jem_bin *bin, struct jem_pagecache *cache, unsigned count)
    REQUIRES(bin->lock)
{
    struct jem_extent *slabs[JEM_STASH_MAX];
    for (unsigned i = 0; i < count; i++) {
        slabs[i] = jem_owner_extent(jem_owner_get(bin->stash[i]));
        __builtin_prefetch(slabs[i], 1);
        __builtin_prefetch(slabs[i]->free_bits, 1);
    }
    for (unsigned i = 0; i < count; i++) {
        give_one_locked(bin, cache, slabs[i], bin->stash[i]);
    }
    bin->stash_count -= count;
    memmove(bin->stash, bin->stash + count, bin->stash_count * sizeof(void *));
    bin->stash_low = bin->stash_count;
}

void
jem_bin_drain(struct jem_bin *bin, struct jem_pagecache *cache, bool all)
{
    mtx_lock(&bin->lock);
    drain_locked(bin, cache, all ? bin->stash_count : bin->stash_low);
    mtx_unlock(&bin->lock);
}

/* What the owner map says of this bin's regions, but for the extent. */
static bool
is_of_bin(const struct jem_bin *bin, const struct jem_pagecache *cache,
    struct jem_owner owner)
{
    return jem_owner_arena(owner) == cache->arena_index &&
           jem_owner_shard(owner) == bin->shard;
}

size_t
jem_bin_give(struct jem_bin *bin, struct jem_pagecache *cache, void **batch,
    size_t count)
{
    size_t left = 0;
    unsigned capacity = stash_capacity(bin);
    lock_bin(bin);
    for (size_t i = 0; i < count; i++) {
        if (!is_of_bin(bin, cache, jem_owner_get(batch[i]))) {
            batch[left++] = batch[i];
            continue;
        }
        if (bin->stash_count == capacity) {
            drain_locked(bin, cache, capacity / 2);
        }
        bin->stash[bin->stash_count++] = batch[i];
    }
    bin->given_count += count - left;
    bin->flush_count++;
    mtx_unlock(&bin->lock);
    return left;
}

/* ---- checking */

static void
check_slab(const struct jem_bin *bin, const struct jem_extent *slab)
{
    size_t free_count = 0;
    for (size_t word = 0; word < JEM_REGIONS_MAX / 64; word++) {
        free_count += (size_t)__builtin_popcountl(slab->free_bits[word]);
    }
    CHECK(slab->free_count == free_count); /* I2 */
    CHECK(slab->size_class == bin->size_class);
    CHECK(slab->shard == bin->shard);
    CHECK(slab->size == shape_of(bin)->slab_size);
    CHECK(jem_owner_extent(jem_owner_get(slab->addr)) == slab);
}

void
jem_bin_check(struct jem_bin *bin)
{
    struct tree_node *node;
    size_t free_count = 0;
    mtx_lock(&bin->lock);
    tree_check(&bin->nonfull);
    TREE_EACH (node, &bin->nonfull) {
        const struct jem_extent *slab = jem_extent_of(node);
        check_slab(bin, slab);
        CHECK(slab != bin->current); /* I1 */
        CHECK(slab->free_count > 0); /* I4 */
        CHECK(slab->free_count < shape_of(bin)->region_count);
        free_count += slab->free_count;
    }
    if (bin->current != NULL) {
        check_slab(bin, bin->current);
        free_count += bin->current->free_count;
    }
    CHECK(bin->free_count == free_count); /* I3 */
    CHECK(bin->stash_low <= bin->stash_count);
    for (unsigned i = 0; i < bin->stash_count; i++) { /* I5 */
        struct jem_owner owner = jem_owner_get(bin->stash[i]);
        const struct jem_extent *slab = jem_owner_extent(owner);
        CHECK(jem_owner_class(owner) == bin->size_class);
        CHECK(jem_owner_shard(owner) == bin->shard);
        CHECK(!jem_slab_region_is_free(slab, bin->stash[i]));
    }
    mtx_unlock(&bin->lock);
}

void
jem_bin_dump(struct jem_bin *bin, int fd)
{
    struct print print;
    mtx_lock(&bin->lock);
    print_init(&print, fd);
    print_format(&print, "    bin %u.%u: size %u slabs %zu free %zu stash %u\n",
        bin->size_class, bin->shard, shape_of(bin)->region_size,
        bin->slab_count, bin->free_count, bin->stash_count);
    print_flush(&print);
    mtx_unlock(&bin->lock);
}
