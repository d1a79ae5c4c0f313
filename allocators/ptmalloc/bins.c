/*
 * bins.c - the free chunks of one arena (contract: bins.h)
 *
 * The unsorted bin saves the sorting of chunks that are soon asked for again or
 * joined with a neighbour. What is passed over there is sorted on the way, so
 * that no chunk is looked at twice. The large bins of the classic design are
 * lists by ranges of sizes, each kept in order; one tree has no ranges to tune
 * and finds the best fit in a logarithm.
 *
 *   I1  A chunk here is free: its foot repeats its size, the next chunk's
 *       PREV_USED is clear, and its own is set.
 *   I2  A chunk is in exactly one of: unsorted; the small bin of its size; the
 *       tree, and then IN_TREE is set and its size is above PTM_SMALL_MAX.
 *   I3  A small bin that is not empty has its bit in small_map.
 *   I4  last_remainder, if not NULL, is in the unsorted bin.
 *   I5  free_size is the sum of the sizes of all chunks here.
 */
#include "ptmalloc/bins.h"

#include "base/pages.h"
#include "base/poison.h"
#include "base/print.h"
#include "ptmalloc/subheap.h"

/* A large free chunk in the tree: the node stands where the links would. */
struct large_chunk {
    size_t prev_foot;
    size_t head;
    struct tree_node node;
};

static_assert(sizeof(struct large_chunk) <= PTM_SMALL_MAX, "it fits");

static struct chunk *
chunk_of_node(const struct tree_node *node)
{
    return node == NULL ? NULL
                        : (struct chunk *)(void *)TREE_OF(
                              node, struct large_chunk, node);
}

static struct tree_node *
node_of(struct chunk *chunk)
{
    return &((struct large_chunk *)(void *)chunk)->node;
}

static int
compare_large(const struct tree_node *a, const struct tree_node *b)
{
    const struct chunk *x = chunk_of_node(a);
    const struct chunk *y = chunk_of_node(b);
    if (chunk_size(x) != chunk_size(y)) {
        return chunk_size(x) < chunk_size(y) ? -1 : 1;
    }
    return (x > y) - (x < y);
}

static int
probe_size(const struct tree_node *node, const void *key)
{
    return chunk_size(chunk_of_node(node)) < *(const size_t *)key ? -1 : 1;
}

void
ptm_bins_init(struct ptm_bins *bins)
{
    *bins = (struct ptm_bins){.free_size = 0};
    list_init(&bins->unsorted);
    for (size_t bin = 0; bin < PTM_SMALL_COUNT; bin++) {
        list_init(&bins->small[bin]);
    }
    tree_init(&bins->large, compare_large);
}

/* ---- in and out */

void
ptm_bins_poison(const struct chunk *chunk)
{
    size_t size = chunk_size(chunk);
    if (size > sizeof(struct large_chunk)) {
        poison_free((const char *)chunk + sizeof(struct large_chunk),
            size - sizeof(struct large_chunk));
    }
}

/* Between the list's head and its first chunk, if that still points back. */
static void
push_chunk(struct list *list, struct chunk *chunk)
{
    if (__builtin_expect(list->next->prev != list, 0)) {
        ptm_misuse("corrupted unsorted chunks", chunk_of_link(list->next));
    }
    chunk_push(list, chunk);
}

void
ptm_bins_push(struct ptm_bins *bins, struct chunk *chunk)
{
    ptm_bins_poison(chunk);
    push_chunk(&bins->unsorted, chunk);
    bins->free_size += chunk_size(chunk);
}

/* Into its small bin, or the tree. */
static void
sort_chunk(struct ptm_bins *bins, struct chunk *chunk)
{
    size_t size = chunk_size(chunk);
    ptm_bins_poison(chunk);
    bins->free_size += size;
    if (size <= PTM_SMALL_MAX) {
        size_t bin = size / CHUNK_ALIGN;
        push_chunk(&bins->small[bin], chunk);
        bins->small_map[bin / 64] |= (uint64_t)1 << (bin % 64); /* I3 */
        return;
    }
    chunk->head |= PTM_IN_TREE;
    tree_insert(&bins->large, node_of(chunk));
}

void
ptm_bins_remove(struct ptm_bins *bins, struct chunk *chunk)
{
    if (!ptm_subheap_holds(chunk, chunk_size(chunk)) ||
        !chunk_foot_matches(chunk)) { /* I1 */
        ptm_misuse("corrupted size vs. prev_size", chunk);
    }
    bins->free_size -= chunk_size(chunk);
    if (chunk == bins->last_remainder) {
        bins->last_remainder = NULL;
    }
    if ((chunk->head & PTM_IN_TREE) != 0) {
        if (!tree_joined(&bins->large, node_of(chunk))) {
            ptm_misuse("corrupted links of a large chunk", chunk);
        }
        tree_remove(&bins->large, node_of(chunk));
        chunk->head &= ~PTM_IN_TREE;
    } else if (!chunk_unlink(chunk)) {
        ptm_misuse("corrupted double-linked list", chunk);
    }
    poison_use(chunk, chunk_size(chunk));
}

/* ---- cutting */

/* Marks a free chunk, in no bin, as used: all of it. */
static void
use_whole(struct chunk *chunk)
{
    ptm_head_set_prev_used(chunk_next(chunk), true);
}

/* Makes the free chunk, in no bin, used with just size bytes; the rest becomes
 * an unsorted chunk. Returns the rest, or NULL when there is none. */
static struct chunk *
use_part(struct ptm_bins *bins, struct chunk *chunk, size_t size)
{
    size_t rest_size = chunk_size(chunk) - size;
    if (rest_size < CHUNK_MIN_SIZE) {
        use_whole(chunk);
        return NULL;
    }
    struct chunk *rest = chunk_at(chunk, size);
    chunk->head = size | (chunk->head & PTM_PREV_USED);
    chunk_set_free(rest, rest_size);
    ptm_bins_push(bins, rest);
    return rest;
}

/* ---- taking */

static struct chunk *
take_small_exact(struct ptm_bins *bins, size_t size)
{
    struct list *bin = &bins->small[size / CHUNK_ALIGN];
    if (list_empty(bin)) {
        return NULL;
    }
    struct chunk *chunk = chunk_of_link(bin->prev); /* the oldest */
    ptm_bins_remove(bins, chunk);
    use_whole(chunk);
    return chunk;
}

static void
check_unsorted(const struct chunk *chunk)
{
    size_t size = chunk_size(chunk);
    if (size < CHUNK_MIN_SIZE || !ptm_subheap_holds(chunk, size)) {
        ptm_misuse("invalid size (unsorted)", chunk);
    }
    if ((chunk_next(chunk)->head & PTM_PREV_USED) != 0) { /* I1 */
        ptm_misuse("invalid next->prev_inuse (unsorted)", chunk);
    }
}

/* Goes through the unsorted bin, oldest first: a chunk of just this size is
 * taken, the others are sorted. */
static struct chunk *
take_unsorted(struct ptm_bins *bins, size_t size, size_t sort_max)
{
    while (!list_empty(&bins->unsorted) && sort_max-- > 0) {
        struct chunk *chunk = chunk_of_link(bins->unsorted.prev);
        check_unsorted(chunk);
        if (chunk == bins->last_remainder && size <= PTM_SMALL_MAX &&
            bins->unsorted.next == &chunk->link &&
            chunk_size(chunk) >= size + CHUNK_MIN_SIZE) {
            ptm_bins_remove(bins, chunk);
            bins->last_remainder = use_part(bins, chunk, size);
            return chunk;
        }
        ptm_bins_remove(bins, chunk);
        if (chunk_size(chunk) == size) {
            use_whole(chunk);
            return chunk;
        }
        sort_chunk(bins, chunk);
    }
    return NULL;
}

/* The first small bin from `bin` on that is not empty, or 0. */
static size_t
next_small_bin(struct ptm_bins *bins, size_t bin)
{
    while (bin < PTM_SMALL_COUNT) {
        uint64_t bits = bins->small_map[bin / 64] >> (bin % 64);
        if (bits == 0) {
            bin = (bin / 64 + 1) * 64;
            continue;
        }
        bin += (size_t)__builtin_ctzl(bits);
        if (!list_empty(&bins->small[bin])) {
            return bin;
        }
        bins->small_map[bin / 64] &= ~((uint64_t)1 << (bin % 64));
    }
    return 0;
}

/* The least sorted chunk that is large enough, split. */
static struct chunk *
take_best(struct ptm_bins *bins, size_t size)
{
    struct chunk *chunk = NULL;
    if (size <= PTM_SMALL_MAX) {
        size_t bin = next_small_bin(bins, size / CHUNK_ALIGN);
        if (bin != 0) {
            chunk = chunk_of_link(bins->small[bin].prev);
        }
    }
    if (chunk == NULL) {
        chunk = chunk_of_node(tree_at_least(&bins->large, probe_size, &size));
    }
    if (chunk == NULL) {
        return NULL;
    }
    ptm_bins_remove(bins, chunk);
    struct chunk *rest = use_part(bins, chunk, size);
    if (rest != NULL && size <= PTM_SMALL_MAX) {
        bins->last_remainder = rest;
    }
    return chunk;
}

struct chunk *
ptm_bins_take(struct ptm_bins *bins, size_t size, size_t sort_max)
{
    struct chunk *chunk = NULL;
    ASSERT(size >= CHUNK_MIN_SIZE && size % CHUNK_ALIGN == 0);
    if (size <= PTM_SMALL_MAX) {
        chunk = take_small_exact(bins, size);
    }
    if (chunk == NULL) {
        chunk = take_unsorted(bins, size, sort_max);
    }
    return chunk != NULL ? chunk : take_best(bins, size);
}

/* ---- giving memory back */

/* Whole pages inside a free chunk, past its links. */
static bool
purge_chunk(const struct chunk *chunk)
{
    size_t page_size = pages_os_size();
    uintptr_t first =
        ((uintptr_t)chunk + sizeof(struct large_chunk) + page_size - 1) &
        ~(page_size - 1);
    uintptr_t end = ((uintptr_t)chunk + chunk_size(chunk)) & ~(page_size - 1);
    return first < end && pages_purge((void *)first, end - first);
}

bool
ptm_bins_purge(struct ptm_bins *bins)
{
    bool any = false;
    const struct tree_node *node;
    const struct list *link;
    TREE_EACH (node, &bins->large) {
        any |= purge_chunk(chunk_of_node(node));
    }
    LIST_EACH (link, &bins->unsorted) {
        any |= purge_chunk(chunk_of_link(link));
    }
    return any;
}

/* ---- checking */

static void
each_in_list(
    const struct list *list, bool is_unsorted, ptm_binned_fn *visit, void *arg)
{
    const struct list *link;
    LIST_EACH (link, list) {
        visit(chunk_of_link(link), is_unsorted, arg);
    }
}

void
ptm_bins_each(const struct ptm_bins *bins, ptm_binned_fn *visit, void *arg)
{
    const struct tree_node *node;
    each_in_list(&bins->unsorted, true, visit, arg);
    for (size_t bin = 0; bin < PTM_SMALL_COUNT; bin++) {
        each_in_list(&bins->small[bin], false, visit, arg);
    }
    TREE_EACH (node, &bins->large) {
        visit(chunk_of_node(node), false, arg);
    }
}

size_t
ptm_bins_count(const struct ptm_bins *bins)
{
    size_t count = list_count(&bins->unsorted) + bins->large.count;
    for (size_t bin = 0; bin < PTM_SMALL_COUNT; bin++) {
        count += list_count(&bins->small[bin]);
    }
    return count;
}

static size_t
check_free(const struct chunk *chunk)
{
    CHECK(((uintptr_t)chunk & (CHUNK_ALIGN - 1)) == 0);
    CHECK(chunk_size(chunk) >= CHUNK_MIN_SIZE);
    CHECK(chunk_foot_matches(chunk));                      /* I1 */
    CHECK((chunk_next(chunk)->head & PTM_PREV_USED) == 0); /* I1 */
    CHECK((chunk->head & PTM_PREV_USED) != 0);             /* I1 */
    return chunk_size(chunk);
}

static size_t
check_small(const struct ptm_bins *bins)
{
    size_t size = 0;
    const struct list *link;
    for (size_t bin = 0; bin < PTM_SMALL_COUNT; bin++) {
        list_check(&bins->small[bin]);
        LIST_EACH (link, &bins->small[bin]) {
            CHECK(
                chunk_size(chunk_of_link(link)) == bin * CHUNK_ALIGN); /* I2 */
            CHECK((bins->small_map[bin / 64] >> (bin % 64) & 1) != 0); /* I3 */
            size += check_free(chunk_of_link(link));
        }
    }
    return size;
}

void
ptm_bins_check(const struct ptm_bins *bins)
{
    size_t size = check_small(bins);
    bool remainder_found = bins->last_remainder == NULL;
    const struct tree_node *node;
    const struct list *link;
    list_check(&bins->unsorted);
    LIST_EACH (link, &bins->unsorted) {
        const struct chunk *chunk = chunk_of_link(link);
        CHECK((chunk->head & PTM_IN_TREE) == 0); /* I2 */
        remainder_found |= chunk == bins->last_remainder;
        size += check_free(chunk);
    }
    CHECK(remainder_found); /* I4 */
    tree_check(&bins->large);
    TREE_EACH (node, &bins->large) {
        CHECK((chunk_of_node(node)->head & PTM_IN_TREE) != 0);  /* I2 */
        CHECK(chunk_size(chunk_of_node(node)) > PTM_SMALL_MAX); /* I2 */
        size += check_free(chunk_of_node(node));
    }
    CHECK(size == bins->free_size); /* I5 */
}

void
ptm_bins_dump(const struct ptm_bins *bins, int fd)
{
    struct print print;
    size_t small_count =
        ptm_bins_count(bins) - list_count(&bins->unsorted) - bins->large.count;
    print_init(&print, fd);
    print_format(&print,
        "    bins: free %zu in chunks: unsorted %zu, small %zu, large %zu\n",
        bins->free_size, list_count(&bins->unsorted), small_count,
        bins->large.count);
    print_flush(&print);
}
