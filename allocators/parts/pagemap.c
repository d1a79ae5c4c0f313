/*
 * pagemap.c - from an address to the owner of its page (contract: pagemap.h)
 *
 * A leaf is put into the root by compare-and-swap; who comes second gives his
 * leaf back. That needs no lock, and so no rank, and nothing at fork. Leaves are
 * never removed before fini: a reader needs no protection.
 *
 * Three levels would need less address space and one more load in each free.
 * Address space is what there is most of.
 *
 * Invariants:
 *   I1  root[i], if not NULL, is a leaf with root_index i that is on `leaves`.
 *   I2  Every leaf on `leaves` stands in the root.
 */
#include "parts/pagemap.h"

#include "base/check.h"
#include "base/pages.h"
#include "base/print.h"

#define LEAF_ADDR_SIZE ((uintptr_t)1 << PAGEMAP_LEAF_SHIFT)
#define ADDR_END       ((uintptr_t)1 << PAGEMAP_ADDR_BITS)

static size_t
value_count(const struct pagemap *map)
{
    return (size_t)1 << (PAGEMAP_LEAF_SHIFT - map->page_shift);
}

static size_t
leaf_size(const struct pagemap *map)
{
    return pages_round_up(sizeof(struct pagemap_leaf) +
                          value_count(map) * sizeof(_Atomic(void *)));
}

void
pagemap_init(struct pagemap *map, unsigned page_shift)
{
    CHECK(page_shift >= 12 && page_shift <= 24);
    map->page_shift = page_shift;
    atomic_init(&map->leaves, NULL);
}

void
pagemap_fini(struct pagemap *map)
{
    struct pagemap_leaf *leaf =
        atomic_load_explicit(&map->leaves, memory_order_acquire);

    while (leaf != NULL) {
        struct pagemap_leaf *next = leaf->next;

        atomic_store_explicit(
            &map->root[leaf->root_index], NULL, memory_order_relaxed);
        pages_unmap(leaf, leaf_size(map));
        leaf = next;
    }
    atomic_store_explicit(&map->leaves, NULL, memory_order_relaxed);
}

/* Until this is done, I1 holds for get and set, and not for a walk. */
static void
enter_leaf(struct pagemap *map, struct pagemap_leaf *leaf)
{
    leaf->next = atomic_load_explicit(&map->leaves, memory_order_relaxed);
    /* Pairs with the acquire in pagemap_fini and the walks. */
    while (!atomic_compare_exchange_weak_explicit(&map->leaves, &leaf->next,
        leaf, memory_order_release, memory_order_relaxed)) {
    }
}

/* Huge pages are refused: a leaf is touched here and there. */
static bool
add_leaf(struct pagemap *map, size_t root_index)
{
    struct pagemap_leaf *seen = NULL;
    struct pagemap_leaf *leaf = pages_map(leaf_size(map), pages_os_size());

    if (leaf == NULL) {
        return false;
    }
    pages_huge(leaf, leaf_size(map), false);
    leaf->root_index = root_index;
    /* Release: pairs with the acquire in pagemap_get. */
    if (atomic_compare_exchange_strong_explicit(&map->root[root_index], &seen,
            leaf, memory_order_release, memory_order_relaxed)) {
        enter_leaf(map, leaf);
    } else {
        pages_unmap(leaf, leaf_size(map));
    }
    return true;
}

bool
pagemap_reserve(struct pagemap *map, const void *addr, size_t size)
{
    uintptr_t first = (uintptr_t)addr;

    if (size == 0) {
        return true;
    }
    if (first >= ADDR_END || size > ADDR_END - first) {
        return false;
    }
    size_t last_index = (first + size - 1) >> PAGEMAP_LEAF_SHIFT;
    for (size_t i = first >> PAGEMAP_LEAF_SHIFT; i <= last_index; i++) {
        if (atomic_load_explicit(&map->root[i], memory_order_relaxed) == NULL &&
            !add_leaf(map, i)) {
            return false;
        }
    }
    return true;
}

void
pagemap_set(struct pagemap *map, const void *addr, size_t size, void *value)
{
    uintptr_t page = (uintptr_t)addr >> map->page_shift;
    uintptr_t end = (uintptr_t)addr + size;

    for (; page << map->page_shift < end; page++) {
        uintptr_t bits = page << map->page_shift;
        struct pagemap_leaf *leaf = atomic_load_explicit(
            &map->root[bits >> PAGEMAP_LEAF_SHIFT], memory_order_acquire);

        CHECK(leaf != NULL);
        /* Pairs with the acquire in pagemap_get. */
        atomic_store_explicit(
            &leaf->values[(bits & (LEAF_ADDR_SIZE - 1)) >> map->page_shift],
            value, memory_order_release);
    }
}

static struct pagemap_leaf *
first_leaf(const struct pagemap *map)
{
    return atomic_load_explicit(&map->leaves, memory_order_acquire);
}

size_t
pagemap_meta_size(const struct pagemap *map)
{
    size_t size = 0;

    for (const struct pagemap_leaf *leaf = first_leaf(map); leaf != NULL;
         leaf = leaf->next) {
        size += leaf_size(map);
    }
    return size;
}

void
pagemap_check(const struct pagemap *map)
{
    size_t leaf_count = 0;

    for (struct pagemap_leaf *leaf = first_leaf(map); leaf != NULL;
         leaf = leaf->next) {
        CHECK(leaf->root_index < PAGEMAP_ROOT_COUNT);
        CHECK(atomic_load_explicit(&map->root[leaf->root_index],
                  memory_order_relaxed) == leaf); /* I2 */
        leaf_count++;
    }
    for (size_t i = 0; i < PAGEMAP_ROOT_COUNT; i++) {
        leaf_count -=
            atomic_load_explicit(&map->root[i], memory_order_relaxed) != NULL;
    }
    CHECK(leaf_count == 0); /* I1: with I2, as many here as there */
}

static void *
value_at(const struct pagemap_leaf *leaf, size_t index)
{
    return atomic_load_explicit(&leaf->values[index], memory_order_acquire);
}

/* "0xFIRST-0xEND: 0xVALUE" for each run of pages with one value. */
static void
dump_leaf(struct print *print, const struct pagemap *map,
    const struct pagemap_leaf *leaf)
{
    uintptr_t base = (uintptr_t)leaf->root_index << PAGEMAP_LEAF_SHIFT;
    size_t count = value_count(map);
    size_t first = 0;

    while (first < count) {
        void *value = value_at(leaf, first);
        size_t end = first + 1;

        while (end < count && value_at(leaf, end) == value) {
            end++;
        }
        if (value != NULL) {
            print_format(print, "  %p-%p: %p\n",
                (void *)(base + (first << map->page_shift)),
                (void *)(base + (end << map->page_shift)), value);
        }
        first = end;
    }
}

void
pagemap_dump(const struct pagemap *map, int fd)
{
    struct print print;

    print_init(&print, fd);
    print_format(&print,
        "pagemap %p: pages of %zu bytes, %zu bytes of leaves\n",
        (const void *)map, (size_t)1 << map->page_shift,
        pagemap_meta_size(map));
    for (const struct pagemap_leaf *leaf = first_leaf(map); leaf != NULL;
         leaf = leaf->next) {
        dump_leaf(&print, map, leaf);
    }
    print_flush(&print);
}
