/*
 * treebin.c - the tries of large free chunks (contract: treebin.h)
 *
 * A binary search tree would have to be kept balanced; a trie over the bits of
 * the size is shallow by itself, and a node is moved by changing one pointer to
 * it. Every node holds a chunk, so no memory is needed for inner nodes: a chunk
 * may stand anywhere on the path that its bits name.
 *
 * Bins are half powers of two: 1024..1535, 1536..2047, 2048..3071 ... The bits
 * below the one that tells the two halves apart are the key, highest first. The
 * last bin takes all that is larger and keys by all bits.
 *
 * Invariants, whenever the heap's lock is free:
 *   I1  Bit i of the map is set if and only if roots[i] is not NULL.
 *   I2  A node's size belongs to its bin, and the bits on the path to a node
 *       are the first bits of its key.
 *   I3  No two nodes of a bin's trie have the same size; further chunks of that
 *       size are in the ring of the one that is there, and have no slot.
 *   I4  *node->slot is the node.
 */
#include "dlmalloc/treebin.h"

#include "base/check.h"
#include "base/print.h"
#include "dlmalloc/misuse.h"

#define WORD_BITS 64

void
dlm_treebin_init(struct dlm_treebins *trees)
{
    trees->map = 0;
    for (unsigned i = 0; i < DLM_TREE_COUNT; i++) {
        trees->roots[i] = NULL;
    }
}

static unsigned
highest_bit(size_t size)
{
    return WORD_BITS - 1 - (unsigned)__builtin_clzl(size);
}

unsigned
dlm_treebin_index(size_t size)
{
    unsigned top_bit = highest_bit(size);
    unsigned half = (unsigned)(size >> (top_bit - 1) & 1);
    unsigned index = 2 * (top_bit - DLM_TREE_SHIFT) + half;

    return index < DLM_TREE_COUNT ? index : DLM_TREE_COUNT - 1;
}

/* The key: the bits of size that tell chunks of one bin apart, highest first. */
static uint64_t
key_of(unsigned index, size_t size)
{
    if (index == DLM_TREE_COUNT - 1) {
        return size;
    }
    /* The bin fixes the top bit and the one below. */
    return size << (WORD_BITS + 1 - (index / 2 + DLM_TREE_SHIFT));
}

static void
place(struct dlm_node **slot, struct dlm_node *node)
{
    *slot = node;
    node->slot = slot;
}

/* ---- putting in */

static void
put_at(struct dlm_node **slot, struct dlm_node *node, size_t size, uint64_t key)
{
    struct dlm_node *at;

    while ((at = *slot) != NULL) {
        if (chunk_size(&at->chunk) == size) {
            node->slot = NULL; /* I3 */
            chunk_push(&at->chunk.link, &node->chunk);
            return;
        }
        slot = &at->child[key >> (WORD_BITS - 1)];
        key <<= 1;
    }
    list_init(&node->chunk.link);
    place(slot, node);
}

void
dlm_treebin_put(struct dlm_treebins *trees, struct chunk *chunk, size_t size)
{
    struct dlm_node *node = dlm_treebin_node(chunk);
    unsigned index = dlm_treebin_index(size);

    node->child[0] = NULL;
    node->child[1] = NULL;
    node->purged_size = 0;
    trees->map |= (uint64_t)1 << index;
    put_at(&trees->roots[index], node, size, key_of(index, size));
}

/* ---- taking out */

static void
check_slot(struct dlm_node *node)
{
    if (node->slot == NULL || *node->slot != node) {
        dlm_misuse_free(&node->chunk); /* I4 */
    }
}

/* Cuts a leaf off below the node; NULL when it is a leaf itself. */
static struct dlm_node *
cut_leaf(struct dlm_node *node)
{
    struct dlm_node *leaf = NULL;
    struct dlm_node *below = node;

    do {
        below = below->child[1] != NULL ? below->child[1] : below->child[0];
        leaf = below != NULL ? below : leaf;
    } while (below != NULL);
    if (leaf != NULL) {
        check_slot(leaf);
        *leaf->slot = NULL;
    }
    return leaf;
}

/* Puts heir where node stands. heir may be NULL: then node is a leaf. */
static void
replace(struct dlm_node *node, struct dlm_node *heir)
{
    check_slot(node);
    *node->slot = heir;
    if (heir == NULL) {
        return;
    }
    heir->slot = node->slot;
    for (unsigned b = 0; b < 2; b++) {
        heir->child[b] = node->child[b];
        if (heir->child[b] != NULL) {
            check_slot(heir->child[b]);
            heir->child[b]->slot = &heir->child[b];
        }
    }
}

void
dlm_treebin_remove(struct dlm_treebins *trees, struct chunk *chunk)
{
    struct dlm_node *node = dlm_treebin_node(chunk);
    struct dlm_node *twin = NULL;

    if (!list_empty(&chunk->link)) {
        twin = dlm_treebin_node(chunk_of_link(chunk->link.next));
        if (!chunk_unlink(chunk)) {
            dlm_misuse_free(chunk);
        }
        if (node->slot == NULL) {
            return; /* A twin of it is in the trie. */
        }
    }
    unsigned index = dlm_treebin_index(chunk_size(chunk));
    struct dlm_node *heir = twin != NULL ? twin : cut_leaf(node);
    replace(node, heir);
    if (trees->roots[index] == NULL) {
        trees->map &= ~((uint64_t)1 << index);
    }
}

/* A trie of one chunk looks the same whatever the chunk's size. */
bool
dlm_treebin_can_grow(
    const struct dlm_treebins *trees, struct chunk *chunk, size_t size)
{
    const struct dlm_node *node = dlm_treebin_node(chunk);
    unsigned index = dlm_treebin_index(size);

    return trees->roots[index] == node && list_empty(&chunk->link) &&
           node->child[0] == NULL && node->child[1] == NULL;
}

/* ---- searching */

/* The least chunk of a whole subtree: it stands somewhere on the way that keeps
 * to the lesser child. */
static struct dlm_node *
least_below(struct dlm_node *node)
{
    struct dlm_node *least = node;

    while (node != NULL) {
        if (chunk_size(&node->chunk) < chunk_size(&least->chunk)) {
            least = node;
        }
        node = node->child[node->child[0] == NULL];
    }
    return least;
}

/* The least chunk of a trie that is not below size, or NULL. */
static struct dlm_node *
find_in(struct dlm_node *node, size_t size, uint64_t key)
{
    struct dlm_node *best = NULL;
    struct dlm_node *greater = NULL; /* the last subtree of all greater ones */

    for (; node != NULL; key <<= 1) {
        size_t at_size = chunk_size(&node->chunk);
        unsigned bit = (unsigned)(key >> (WORD_BITS - 1));

        if (at_size >= size &&
            (best == NULL || at_size < chunk_size(&best->chunk))) {
            best = node;
        }
        if (at_size == size) {
            return best;
        }
        if (bit == 0 && node->child[1] != NULL) {
            greater = node->child[1];
        }
        node = node->child[bit];
    }
    greater = least_below(greater);
    if (best == NULL || (greater != NULL && chunk_size(&greater->chunk) <
                                                chunk_size(&best->chunk))) {
        best = greater;
    }
    return best;
}

/* A twin in the ring is as good as the node, and cheaper to take out. */
static struct chunk *
twin_of(struct dlm_node *node)
{
    return chunk_of_link(node->chunk.link.next);
}

struct chunk *
dlm_treebin_find(const struct dlm_treebins *trees, size_t size)
{
    struct dlm_node *best = NULL;
    uint64_t above = trees->map;

    if (size >= (size_t)1 << DLM_TREE_SHIFT) {
        unsigned index = dlm_treebin_index(size);

        best = find_in(trees->roots[index], size, key_of(index, size));
        above &= ~(((uint64_t)2 << index) - 1);
    }
    if (best == NULL && above != 0) {
        best = least_below(trees->roots[__builtin_ctzl(above)]);
    }
    return best == NULL ? NULL : twin_of(best);
}

/* ---- walking: depth first, without a stack, by way of the slots */

/* The node that holds this slot, which is not a root's. */
static struct dlm_node *
holder_of(struct dlm_node **slot, unsigned b)
{
    return (struct dlm_node *)((uintptr_t)(slot - b) -
                               offsetof(struct dlm_node, child));
}

/* The next node of a trie in preorder; *path holds the bits so far, *depth how
 * many. NULL at the end. */
static struct dlm_node *
next_node(struct dlm_node *node, uint64_t *path, unsigned *depth)
{
    for (unsigned b = 0; b < 2; b++) {
        if (node->child[b] != NULL) {
            *path = *path << 1 | b;
            *depth += 1;
            return node->child[b];
        }
    }
    while (*depth > 0) {
        unsigned b = *path & 1;
        struct dlm_node *parent = holder_of(node->slot, b);

        *path >>= 1;
        *depth -= 1;
        if (b == 0 && parent->child[1] != NULL) {
            *path = *path << 1 | 1;
            *depth += 1;
            return parent->child[1];
        }
        node = parent;
    }
    return NULL;
}

void
dlm_treebin_each(const struct dlm_treebins *trees,
    void (*visit)(struct dlm_node *node, void *arg), void *arg)
{
    for (unsigned i = 0; i < DLM_TREE_COUNT; i++) {
        uint64_t path = 0;
        unsigned depth = 0;

        for (struct dlm_node *node = trees->roots[i]; node != NULL;
             node = next_node(node, &path, &depth)) {
            struct list *link = &node->chunk.link;

            do {
                visit(dlm_treebin_node(chunk_of_link(link)), arg);
                link = link->next;
            } while (link != &node->chunk.link);
        }
    }
}

/* ---- checking and printing */

static size_t
check_ring(const struct dlm_node *node)
{
    size_t count = 1;
    const struct list *link;

    LIST_EACH (link, &node->chunk.link) {
        const struct chunk *twin = chunk_of_link(link);

        CHECK(list_joined(link));
        CHECK(twin->head == node->chunk.head);
        CHECK(chunk_foot_matches(twin));
        CHECK(((const struct dlm_node *)(const void *)twin)->slot == NULL);
        count++;
    }
    return count;
}

static size_t
check_trie(const struct dlm_treebins *trees, unsigned index)
{
    size_t count = 0;
    uint64_t path = 0;
    unsigned depth = 0;

    for (struct dlm_node *node = trees->roots[index]; node != NULL;
         node = next_node(node, &path, &depth)) {
        size_t size = chunk_size(&node->chunk);
        uint64_t key = key_of(index, size);

        CHECK(node->chunk.head == (size | CHUNK_PREV_USED));
        CHECK(chunk_foot_matches(&node->chunk));
        CHECK(dlm_treebin_index(size) == index);                 /* I2 */
        CHECK(depth == 0 || key >> (WORD_BITS - depth) == path); /* I2 */
        CHECK(*node->slot == node);                              /* I4 */
        CHECK(find_in(trees->roots[index], size, key) == node);  /* I3 */
        count += check_ring(node);
    }
    return count;
}

size_t
dlm_treebin_check(const struct dlm_treebins *trees)
{
    uint64_t map = trees->map;
    unsigned filled_count = 0;
    size_t count = 0;

    for (unsigned i = 0; i < DLM_TREE_COUNT; i++) {
        filled_count += trees->roots[i] != NULL;
    }
    CHECK(filled_count == (unsigned)__builtin_popcountll(map)); /* I1 */
    for (; map != 0; map &= map - 1) {
        unsigned i = (unsigned)__builtin_ctzll(map);

        CHECK(trees->roots[i] != NULL); /* I1 */
        count += check_trie(trees, i);
    }
    return count;
}

static size_t
count_trie(const struct dlm_treebins *trees, unsigned index)
{
    size_t count = 0;
    uint64_t path = 0;
    unsigned depth = 0;

    for (struct dlm_node *node = trees->roots[index]; node != NULL;
         node = next_node(node, &path, &depth)) {
        count += 1 + list_count(&node->chunk.link);
    }
    return count;
}

void
dlm_treebin_dump(const struct dlm_treebins *trees, int fd)
{
    struct print print;

    print_init(&print, fd);
    for (unsigned i = 0; i < DLM_TREE_COUNT; i++) {
        size_t count = count_trie(trees, i);

        if (count > 0) {
            size_t power = (size_t)1 << (i / 2 + DLM_TREE_SHIFT);

            print_format(&print, "  tree bin %u: %zu of %zu bytes and more\n",
                i, count, power + (i % 2) * power / 2);
        }
    }
    print_flush(&print);
}
