/*
 * hugecache.c - free hugepages, and where new ones come from (contract:
 * hugecache.h)
 *
 * Each state has its ranges in two trees: by size for the best fit, by address
 * to join neighbours. Ranges of unlike states are not joined: a dirty range
 * that swallowed clean neighbours would be purged for nothing.
 *
 * How much may stay dirty follows what is in use: a quarter of it, and at least
 * dirty_min. A program that frees and takes large blocks in turn then never
 * waits for the OS; one that has shrunk for good gives most of it back.
 *
 * The first mappings are not advised to be huge: a small program then holds the
 * pages that it touches and no more.
 *
 * Invariants:
 *   I1  A range is in both trees of its state; ranges do not overlap.
 *   I2  No two ranges of one state touch.
 *   I3  count[state] is the sum over the ranges of that state.
 *   I4  No two mappings touch.
 *   I5  mapped_count is the sum over the mappings.
 */
#include "tcmalloc/hugecache.h"

#include "base/check.h"
#include "base/pages.h"
#include "base/print.h"

#define HUGE_FROM  ((size_t)4)  /* hugepages mapped before the first advice */
#define GROWTH_MAX ((size_t)32) /* at most so many more than asked for */

static struct tcm_hugerange *
range_by_size(const struct tree_node *node)
{
    return node == NULL ? NULL : TREE_OF(node, struct tcm_hugerange, by_size);
}

static struct tcm_hugerange *
range_by_addr(const struct tree_node *node)
{
    return node == NULL ? NULL : TREE_OF(node, struct tcm_hugerange, by_addr);
}

static char *
range_end(const struct tcm_hugerange *range)
{
    return range->addr + (range->count << TCM_HUGEPAGE_SHIFT);
}

static int
compare_addr(const struct tree_node *a, const struct tree_node *b)
{
    const char *left = range_by_addr(a)->addr;
    const char *right = range_by_addr(b)->addr;

    return left < right ? -1 : left > right;
}

static int
compare_size(const struct tree_node *a, const struct tree_node *b)
{
    const struct tcm_hugerange *left = range_by_size(a);
    const struct tcm_hugerange *right = range_by_size(b);

    if (left->count != right->count) {
        return left->count < right->count ? -1 : 1;
    }
    return left->addr < right->addr ? -1 : left->addr > right->addr;
}

/* Never equal: the least of those that are long enough. */
static int
probe_count(const struct tree_node *node, const void *key)
{
    return range_by_size(node)->count < *(const size_t *)key ? -1 : 1;
}

static int
probe_addr(const struct tree_node *node, const void *key)
{
    const char *addr = range_by_addr(node)->addr;

    return addr < (const char *)key ? -1 : addr > (const char *)key;
}

void
tcm_hugecache_init(
    struct tcm_hugecache *cache, struct meta *meta, size_t dirty_min, bool huge)
{
    *cache = (struct tcm_hugecache){
        .dirty_min = dirty_min, .meta = meta, .huge = huge};
    for (unsigned state = 0; state < TCM_RANGE_STATES; state++) {
        tree_init(&cache->by_size[state], compare_size);
        tree_init(&cache->by_addr[state], compare_addr);
    }
    tcm_pool_init(&cache->ranges, meta, sizeof(struct tcm_hugerange));
}

void
tcm_hugecache_fini(struct tcm_hugecache *cache)
{
    for (struct tcm_mapping *mapping = cache->mappings; mapping != NULL;
         mapping = mapping->next) {
        (void)pages_unmap(mapping->addr, mapping->size); /* Refused: nothing
                                                            is left to do. */
    }
    cache->mappings = NULL;
}

/* ---- ranges */

static void
enter(struct tcm_hugecache *cache, struct tcm_hugerange *range, char *addr,
    size_t count, enum tcm_hugerange_state state)
{
    range->addr = addr;
    range->count = count;
    range->state = state;
    cache->count[state] += count;
    tree_insert(&cache->by_size[state], &range->by_size);
    tree_insert(&cache->by_addr[state], &range->by_addr);
}

static void
leave(struct tcm_hugecache *cache, struct tcm_hugerange *range)
{
    cache->count[range->state] -= range->count;
    tree_remove(&cache->by_size[range->state], &range->by_size);
    tree_remove(&cache->by_addr[range->state], &range->by_addr);
}

/* Enters a range and joins it with neighbours of its state. */
static void
enter_joined(struct tcm_hugecache *cache, struct tcm_hugerange *range,
    char *addr, size_t count, enum tcm_hugerange_state state)
{
    const struct tree *tree = &cache->by_addr[state];
    struct tcm_hugerange *before =
        range_by_addr(tree_at_most(tree, probe_addr, addr));
    struct tcm_hugerange *after =
        range_by_addr(tree_at_least(tree, probe_addr, addr));

    if (before != NULL && range_end(before) == addr) {
        leave(cache, before);
        addr = before->addr;
        count += before->count;
        tcm_pool_give(&cache->ranges, before);
    }
    if (after != NULL && after->addr == addr + (count << TCM_HUGEPAGE_SHIFT)) {
        leave(cache, after);
        count += after->count;
        tcm_pool_give(&cache->ranges, after);
    }
    enter(cache, range, addr, count, state);
}

struct tcm_hugerange *
tcm_hugecache_spare(struct tcm_hugecache *cache)
{
    return tcm_pool_take(&cache->ranges);
}

void
tcm_hugecache_drop_spare(
    struct tcm_hugecache *cache, struct tcm_hugerange *spare)
{
    tcm_pool_give(&cache->ranges, spare);
}

/* ---- the OS */

static size_t
growth(const struct tcm_hugecache *cache, size_t count)
{
    size_t more = cache->mapped_count / 4;

    more = more > GROWTH_MAX ? GROWTH_MAX : more;
    return count > more ? count : more;
}

/* Takes the mapping that touches [addr, addr + size) off the list, or NULL. */
static struct tcm_mapping *
take_neighbour(struct tcm_hugecache *cache, const char *addr, size_t size)
{
    struct tcm_mapping **place = &cache->mappings;

    while (*place != NULL && (*place)->addr + (*place)->size != addr &&
           addr + size != (*place)->addr) {
        place = &(*place)->next;
    }
    struct tcm_mapping *found = *place;
    if (found != NULL) {
        *place = found->next;
    }
    return found;
}

/* Enters a mapping, joined with those that it touches: a range of hugepages may
 * lie across them. Uses unused_mapping, or one that it joins. */
static void
enter_mapping(struct tcm_hugecache *cache, char *addr, size_t size)
{
    struct tcm_mapping *mapping = cache->unused_mapping;
    struct tcm_mapping *neighbour;

    cache->unused_mapping = NULL;
    while ((neighbour = take_neighbour(cache, addr, size)) != NULL) {
        addr = neighbour->addr < addr ? neighbour->addr : addr;
        size += neighbour->size;
        cache->unused_mapping = neighbour;
    }
    *mapping = (struct tcm_mapping){cache->mappings, addr, size};
    cache->mappings = mapping;
}

static char *
map(struct tcm_hugecache *cache, size_t count, size_t align)
{
    size_t size = count << TCM_HUGEPAGE_SHIFT;

    if (cache->unused_mapping == NULL) {
        cache->unused_mapping =
            meta_take(cache->meta, sizeof *cache->unused_mapping);
    }
    char *addr = cache->unused_mapping == NULL ? NULL : pages_map(size, align);
    if (addr == NULL) {
        return NULL;
    }
    if (cache->huge && cache->mapped_count + count > HUGE_FROM) {
        (void)pages_huge(addr, size, true); /* advice only */
    }
    enter_mapping(cache, addr, size);
    cache->mapped_count += count;
    return addr;
}

/* A clean range of at least that many hugepages, aligned as a whole. */
static bool
grow(struct tcm_hugecache *cache, size_t count, size_t align)
{
    struct tcm_hugerange *range = tcm_hugecache_spare(cache);
    size_t grown = growth(cache, count);

    if (range == NULL) {
        return false;
    }
    char *addr = map(cache, grown, align);
    if (addr == NULL && grown > count) {
        grown = count;
        addr = map(cache, grown, align);
    }
    if (addr == NULL) {
        tcm_hugecache_drop_spare(cache, range);
        return false;
    }
    enter_joined(cache, range, addr, grown, TCM_RANGE_CLEAN);
    return true;
}

/* ---- take and give */

static char *
align_up(char *addr, size_t align)
{
    return addr + (-(uintptr_t)addr & (align - 1));
}

/* An address in the range where that many aligned hugepages begin, or NULL. */
static char *
fit_in(const struct tcm_hugerange *range, size_t count, size_t align)
{
    char *addr = align_up(range->addr, align);
    char *end = range_end(range);
    size_t size = count << TCM_HUGEPAGE_SHIFT;

    return addr < end && (size_t)(end - addr) >= size ? addr : NULL;
}

/* The best fit; of large alignments the first fit. */
static struct tcm_hugerange *
find(const struct tcm_hugecache *cache, enum tcm_hugerange_state state,
    size_t count, size_t align)
{
    struct tree_node *node =
        tree_at_least(&cache->by_size[state], probe_count, &count);

    while (node != NULL && fit_in(range_by_size(node), count, align) == NULL) {
        node = tree_next(node);
    }
    return range_by_size(node);
}

/* Cuts [addr, addr + count hugepages) out of the range. False when there are
 * no structures for what is left. */
static bool
cut(struct tcm_hugecache *cache, struct tcm_hugerange *range, char *addr,
    size_t count, struct tcm_hugerange **spare)
{
    char *begin = range->addr;
    char *end = range_end(range);
    char *cut_end = addr + (count << TCM_HUGEPAGE_SHIFT);
    struct tcm_hugerange *head = NULL;
    struct tcm_hugerange *tail = NULL;

    if ((begin < addr && (head = tcm_hugecache_spare(cache)) == NULL) ||
        (cut_end < end && (tail = tcm_hugecache_spare(cache)) == NULL)) {
        if (head != NULL) {
            tcm_hugecache_drop_spare(cache, head);
        }
        return false;
    }
    leave(cache, range);
    if (head != NULL) {
        enter(cache, head, begin, (size_t)(addr - begin) >> TCM_HUGEPAGE_SHIFT,
            range->state);
    }
    if (tail != NULL) {
        enter(cache, tail, cut_end,
            (size_t)(end - cut_end) >> TCM_HUGEPAGE_SHIFT, range->state);
    }
    *spare = range;
    return true;
}

char *
tcm_hugecache_take(struct tcm_hugecache *cache, size_t count, size_t align,
    struct tcm_hugerange **spare, bool *clean)
{
    enum tcm_hugerange_state state = TCM_RANGE_DIRTY;
    struct tcm_hugerange *range = find(cache, state, count, align);

    if (range == NULL) {
        state = TCM_RANGE_CLEAN;
        range = find(cache, state, count, align);
    }
    if (range == NULL && grow(cache, count, align)) {
        range = find(cache, state, count, align);
        CHECK(range != NULL);
    }
    if (range == NULL) {
        return NULL;
    }
    char *addr = fit_in(range, count, align);
    *clean = state == TCM_RANGE_CLEAN;
    return cut(cache, range, addr, count, spare) ? addr : NULL;
}

/* So many dirty hugepages may stay. */
static size_t
dirty_limit(const struct tcm_hugecache *cache)
{
    size_t used_count = cache->mapped_count - cache->count[TCM_RANGE_DIRTY] -
                        cache->count[TCM_RANGE_CLEAN];
    size_t quarter = used_count / 4;

    return quarter > cache->dirty_min ? quarter : cache->dirty_min;
}

void
tcm_hugecache_give(struct tcm_hugecache *cache, char *addr, size_t count,
    struct tcm_hugerange *spare, bool clean)
{
    enum tcm_hugerange_state state = clean ? TCM_RANGE_CLEAN : TCM_RANGE_DIRTY;

    enter_joined(cache, spare, addr, count, state);
    size_t limit = dirty_limit(cache);
    if (cache->count[TCM_RANGE_DIRTY] > limit) {
        tcm_hugecache_release(cache, limit);
    }
}

/* Purges up to count hugepages of the range, from its end. */
static size_t
purge(struct tcm_hugecache *cache, struct tcm_hugerange *range, size_t count)
{
    struct tcm_hugerange *spare;

    count = count < range->count ? count : range->count;
    char *addr = range_end(range) - (count << TCM_HUGEPAGE_SHIFT);
    if (!cut(cache, range, addr, count, &spare)) {
        return 0;
    }
    bool done = pages_purge(addr, count << TCM_HUGEPAGE_SHIFT);
    enter_joined(
        cache, spare, addr, count, done ? TCM_RANGE_CLEAN : TCM_RANGE_DIRTY);
    return done ? count : 0;
}

size_t
tcm_hugecache_release(struct tcm_hugecache *cache, size_t keep)
{
    size_t released = 0;

    while (cache->count[TCM_RANGE_DIRTY] > keep) {
        struct tcm_hugerange *largest =
            range_by_size(tree_last(&cache->by_size[TCM_RANGE_DIRTY]));
        size_t purged =
            purge(cache, largest, cache->count[TCM_RANGE_DIRTY] - keep);

        if (purged == 0) {
            break;
        }
        released += purged;
    }
    return released;
}

static void
check_mappings(const struct tcm_hugecache *cache)
{
    const struct tcm_mapping *mapping, *other;
    size_t sum = 0;

    for (mapping = cache->mappings; mapping != NULL; mapping = mapping->next) {
        const char *end = mapping->addr + mapping->size;

        for (other = cache->mappings; other != NULL; other = other->next) {
            CHECK(other == mapping || end < other->addr ||
                  other->addr + other->size < mapping->addr); /* I4 */
        }
        sum += mapping->size;
    }
    CHECK(sum >> TCM_HUGEPAGE_SHIFT == cache->mapped_count); /* I5 */
}

void
tcm_hugecache_check(const struct tcm_hugecache *cache)
{
    check_mappings(cache);
    tcm_pool_check(&cache->ranges);
    for (unsigned state = 0; state < TCM_RANGE_STATES; state++) {
        const struct tree *by_addr = &cache->by_addr[state];
        const char *last_end = NULL;
        const struct tree_node *node;
        size_t count = 0;

        tree_check(by_addr);
        tree_check(&cache->by_size[state]);
        CHECK(by_addr->count == cache->by_size[state].count); /* I1 */
        TREE_EACH (node, by_addr) {
            const struct tcm_hugerange *range = range_by_addr(node);

            CHECK(range->state == state && range->count > 0);
            CHECK(last_end == NULL || range->addr > last_end); /* I1, I2 */
            last_end = range_end(range);
            count += range->count;
        }
        CHECK(count == cache->count[state]); /* I3 */
    }
    CHECK(cache->count[TCM_RANGE_DIRTY] + cache->count[TCM_RANGE_CLEAN] <=
          cache->mapped_count);
}

void
tcm_hugecache_dump(const struct tcm_hugecache *cache, int fd)
{
    static const char *const names[] = {"dirty", "clean"};
    struct print print;

    print_init(&print, fd);
    print_format(
        &print, "huge cache: %zu hugepages mapped\n", cache->mapped_count);
    for (unsigned state = 0; state < TCM_RANGE_STATES; state++) {
        const struct tree_node *node;

        print_format(&print, "  %s: %zu hugepages in", names[state],
            cache->count[state]);
        TREE_EACH (node, &cache->by_addr[state]) {
            const struct tcm_hugerange *range = range_by_addr(node);

            print_format(&print, " %p+%zu", (void *)range->addr, range->count);
        }
        print_text(&print, "\n");
    }
    print_flush(&print);
}
