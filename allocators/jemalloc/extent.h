/*
 * extent.h - a run of whole pages, and who has it
 *
 *     page cache (free) <--> extent <--> arena: a slab, or one large block
 *                              ^
 *                              address --> owner map
 *
 * An extent is in one state at a time. ACTIVE ones belong to an arena's bins or
 * to a caller; the others lie in a page cache of their arena: DIRTY pages hold
 * old contents and memory, MUZZY pages may be taken by the kernel, RETAINED
 * pages have only their addresses.
 *
 * The structure is two cache lines, since there is one for every slab: what only
 * one kind of extent needs lies in one place with what only the others need.
 *
 * The owner map leads from an address to its extent: every page of a slab, the
 * first page of a large block, the first and last of a free extent. An entry
 * packs the extent and its size class, so that free() reads no extent.
 *
 * Concurrency: an extent's arena never changes, not even while the structure
 * lies unused, so a stale reader may look at it. All else is guarded by the
 * lock that its state names. jem_owner_get takes no lock.
 * Failure: jem_owner_set returns false when the map cannot grow.
 * Design: jemalloc(3), "Implementation notes"; the radix tree is parts/pagemap.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jemalloc/size.h"
#include "parts/list.h"
#include "parts/pagemap.h"
#include "parts/tree.h"

#define JEM_NAME "jemalloc"

struct jem_arena;
struct profile_sample;

enum jem_extent_state {
    JEM_ACTIVE,
    JEM_DIRTY,
    JEM_MUZZY,
    JEM_RETAINED,
    JEM_STATE_COUNT
};

#define JEM_CLASS_NONE  254u /* no block: a free extent */
#define JEM_CLASS_GUARD 253u /* no block: the page behind one */

struct jem_extent {
    char *addr;
    size_t size;
    struct jem_arena *arena; /* for good */
    uint16_t arena_index;    /* for good */
    uint16_t free_count;     /* slab [bin] free regions */
    uint8_t state;           /* enum jem_extent_state */
    uint8_t size_class;      /* when ACTIVE */
    uint8_t shard;           /* slab: the bin's shard; else 0 */
    bool zeroed : 1;         /* every byte reads as zero */
    bool is_first : 1;       /* of its mapping */
    bool is_last : 1;
    /* free [page cache] by size; slab [bin] by address */
    struct tree_node node;
    union {
        struct list link;              /* free [page cache] by age */
        struct profile_sample *sample; /* large: its block in the profile */
        /* slab [bin]: bit r of word r / 64 is set when region r is free. */
        uint64_t free_bits[JEM_REGIONS_MAX / 64];
    };
};

static_assert(sizeof(struct jem_extent) == 128, "two cache lines");

static inline struct jem_extent *
jem_extent_of(const struct tree_node *node)
{
    return node == NULL ? NULL : TREE_OF(node, struct jem_extent, node);
}

/* Of an ACTIVE extent. */
static inline bool
jem_extent_is_slab(const struct jem_extent *extent)
{
    return extent->size_class < JEM_SMALL_COUNT;
}

/*
 * What the owner map says of an address, in one word, 0 for one not ours:
 *
 *     63 .. 56   | 55 .. 48    | 47 .. 6 | 5 .. 2     | 1 .. 0
 *     class + 1  | arena, high | extent  | arena, low | shard
 */
struct jem_owner {
    uintptr_t word;
};

#define JEM_OWNER_CLASS_SHIFT 56
#define JEM_OWNER_EXTENT_MASK (((uintptr_t)1 << 48) - 64)
#define JEM_OWNER_ARENAS_MAX  4096u
#define JEM_OWNER_SHARDS_MAX  4u

/* JEM_CLASS_NONE for a free extent, UINT_MAX for an address not ours. */
static inline unsigned
jem_owner_class(struct jem_owner owner)
{
    return (unsigned)(owner.word >> JEM_OWNER_CLASS_SHIFT) - 1;
}

/* Whether an extent of that class holds blocks: a slab, or a large block. */
static inline bool
jem_class_is_block(unsigned size_class)
{
    return size_class < JEM_CLASS_GUARD;
}

static inline unsigned
jem_owner_arena(struct jem_owner owner)
{
    return (unsigned)(owner.word >> 48 & 0xff) << 4 |
           (unsigned)(owner.word >> 2 & 0xf);
}

static inline unsigned
jem_owner_shard(struct jem_owner owner)
{
    return (unsigned)(owner.word & 3);
}

static inline struct jem_extent *
jem_owner_extent(struct jem_owner owner)
{
    return (struct jem_extent *)(owner.word & JEM_OWNER_EXTENT_MASK);
}

extern struct pagemap jem_owners;

static inline struct jem_owner
jem_owner_get(const void *addr)
{
    return (struct jem_owner){
        (uintptr_t)pagemap_get_shifted(&jem_owners, addr, JEM_PAGE_SHIFT)};
}

/* The extent that follows in the same mapping, or NULL at its end. */
static inline struct jem_extent *
jem_extent_behind(const struct jem_extent *extent)
{
    return extent->is_last
               ? NULL
               : jem_owner_extent(jem_owner_get(extent->addr + extent->size));
}

static inline struct jem_owner
jem_owner_in_leaf(const struct pagemap_leaf *leaf, const void *addr)
{
    return (struct jem_owner){
        (uintptr_t)pagemap_leaf_get(leaf, addr, JEM_PAGE_SHIFT)};
}

/* Before all else. */
void jem_owner_init(void);
/* Makes room for a region, so that the calls below cannot fail. */
bool jem_owner_reserve(const void *addr, size_t size);
/* Enters an extent: a free one has class JEM_CLASS_NONE. What was entered before
 * must be cleared, before addr, size or class change. */
void jem_owner_set(
    struct jem_extent *extent, unsigned size_class, unsigned shard);
void jem_owner_clear(const struct jem_extent *extent);
/* Takes a whole region out. */
void jem_owner_forget(const void *addr, size_t size);
