/*
 * pagemap.h - from an address to the owner of its page
 *
 *     address:  47 .. 30 | 29 .. page_shift | rest
 *                  |             |
 *               root[] ------> leaf[] ------> value, or NULL
 *
 * A radix tree of two levels over 48-bit addresses: a leaf covers one GiB. The
 * root stands in the structure (2 MiB, touched only where it is used), so that
 * a lookup is two loads.
 *
 * Concurrency: pagemap_get by any thread, any time, without a lock. Set and
 * reserve by any thread, too, as long as each page has one setter at a time:
 * its owner. A get that follows the set of a page (the block's address came
 * from a thread that saw it) sees that set; what was written before the set is
 * then seen too.
 * Failure: pagemap_reserve returns false when out of memory, or for addresses
 * past 48 bits; pages already reserved stay so. Setting what is not reserved
 * is our bug and aborts.
 * Design: tcmalloc's and jemalloc's documentation of their page maps; Morrison,
 * "PATRICIA" (1968) for the kind.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGEMAP_ADDR_BITS  48
#define PAGEMAP_LEAF_SHIFT 30 /* a leaf covers 2^30 bytes of addresses */
#define PAGEMAP_ROOT_COUNT                                                     \
    ((size_t)1 << (PAGEMAP_ADDR_BITS - PAGEMAP_LEAF_SHIFT))

struct pagemap_leaf {
    struct pagemap_leaf *next; /* all leaves of the map, newest first */
    size_t root_index;
    _Atomic(void *) values[]; /* one for each page */
};

struct pagemap {
    unsigned page_shift;                   /* fixed at init */
    _Atomic(struct pagemap_leaf *) leaves; /* the newest */
    _Atomic(struct pagemap_leaf *) root[PAGEMAP_ROOT_COUNT];
};

/* The map's own bytes must be zero, as fresh pages and .bss are: the root is
 * not touched. page_shift is the logarithm of the page's size, 12 to 24. */
void pagemap_init(struct pagemap *map, unsigned page_shift);
void pagemap_fini(struct pagemap *map); /* gives all leaves back */

/* Makes room for size bytes of addresses from addr on. */
bool pagemap_reserve(struct pagemap *map, const void *addr, size_t size);

/* Every page that [addr, addr + size) touches gets the value; NULL clears. */
void pagemap_set(
    struct pagemap *map, const void *addr, size_t size, void *value);

/* The leaf of addr, whatever addr is, or NULL. Leaves stay where they are until
 * pagemap_fini, so a caller may remember the one that it uses most. */
static inline const struct pagemap_leaf *
pagemap_find_leaf(const struct pagemap *map, const void *addr)
{
    uintptr_t index = (uintptr_t)addr >> PAGEMAP_LEAF_SHIFT;

    if (__builtin_expect(index >= sizeof map->root / sizeof map->root[0], 0)) {
        return NULL;
    }
    /* Pairs with the release in add_leaf. */
    return atomic_load_explicit(&map->root[index], memory_order_acquire);
}

/* The value of the page of addr in its leaf. */
static inline void *
pagemap_leaf_get(
    const struct pagemap_leaf *leaf, const void *addr, unsigned page_shift)
{
    uintptr_t in_leaf =
        (uintptr_t)addr & (((uintptr_t)1 << PAGEMAP_LEAF_SHIFT) - 1);

    /* Pairs with the release in pagemap_set. */
    return atomic_load_explicit(
        &leaf->values[in_leaf >> page_shift], memory_order_acquire);
}

/* pagemap_get for a caller that knows the page's size when it is compiled. */
static inline void *
pagemap_get_shifted(
    const struct pagemap *map, const void *addr, unsigned page_shift)
{
    const struct pagemap_leaf *leaf = pagemap_find_leaf(map, addr);

    return __builtin_expect(leaf == NULL, 0)
               ? NULL
               : pagemap_leaf_get(leaf, addr, page_shift);
}

/* The value of the page of addr, whatever addr is; NULL when there is none. */
static inline void *
pagemap_get(const struct pagemap *map, const void *addr)
{
    return pagemap_get_shifted(map, addr, map->page_shift);
}

size_t pagemap_meta_size(const struct pagemap *map); /* of all leaves */

void pagemap_check(const struct pagemap *map);        /* aborts if broken */
void pagemap_dump(const struct pagemap *map, int fd); /* runs of one value */
