/*
 * tree.c - balanced search tree (contract: tree.h)
 *
 * An AVL tree with parent links. One walk upwards, which makes heights and
 * balance good again until a height stays as it was, serves insertion and
 * removal alike; red-black trees need a case analysis for each. Heights are
 * stored rather than differences of heights, for the same reason.
 *
 *            top                 pivot
 *           /   \                /   \
 *          a    pivot   ==>    top    c      lift(top, 1): pivot rises, b
 *               /   \         /   \          changes hands, order stays
 *              b     c       a     b
 *
 * Invariants, between calls; check_subtree() checks each:
 *   I1  A child's parent is the node that has it as child; the root's is NULL.
 *   I2  In-order, nodes rise strictly by compare.
 *   I3  height is 1 + the larger of the children's heights (none: 0).
 *   I4  The heights of two siblings differ by at most 1.
 *   I5  count is the number of nodes.
 */
#include "parts/tree.h"

#include "base/print.h"

static unsigned
height_of(const struct tree_node *node)
{
    return node == NULL ? 0 : node->height;
}

/* Which child of its parent the node is; 0 for the root. */
static int
side_of(const struct tree_node *node)
{
    return node->parent != NULL && node->parent->child[1] == node;
}

/* Returns whether the height has changed. */
static bool
update_height(struct tree_node *node)
{
    unsigned left = height_of(node->child[0]);
    unsigned right = height_of(node->child[1]);
    unsigned height = 1 + (left > right ? left : right);
    bool changed = height != node->height;

    node->height = height;
    return changed;
}

/* Puts node, which may be NULL, where `old` stands below its parent. */
static void
replace_child(struct tree *tree, struct tree_node *old, struct tree_node *node)
{
    if (old->parent == NULL) {
        tree->root = node;
    } else {
        old->parent->child[side_of(old)] = node;
    }
    if (node != NULL) {
        node->parent = old->parent;
    }
}

/* The child on that side rises above top; returns it. See the picture. */
static struct tree_node *
lift(struct tree *tree, struct tree_node *top, int side)
{
    struct tree_node *pivot = top->child[side];
    struct tree_node *middle = pivot->child[!side];

    replace_child(tree, top, pivot);
    top->child[side] = middle;
    if (middle != NULL) {
        middle->parent = top;
    }
    pivot->child[!side] = top;
    top->parent = pivot;
    update_height(top);
    update_height(pivot);
    return pivot;
}

/* Restores I4 at node, whose children's heights differ by at most 2; returns
 * the node that stands there then. */
static struct tree_node *
balance(struct tree *tree, struct tree_node *node)
{
    unsigned left = height_of(node->child[0]);
    unsigned right = height_of(node->child[1]);

    if (left <= right + 1 && right <= left + 1) {
        return node;
    }
    int heavy = right > left;
    struct tree_node *child = node->child[heavy];
    if (height_of(child->child[!heavy]) > height_of(child->child[heavy])) {
        lift(tree, child, !heavy);
    }
    return lift(tree, node, heavy);
}

/* Restores I3 and I4 from node up. A subtree as high as before is unseen from
 * above, so the walk ends there. */
static void
repair_upwards(struct tree *tree, struct tree_node *node)
{
    while (node != NULL) {
        unsigned height_before = node->height;

        update_height(node);
        node = balance(tree, node);
        if (node->height == height_before) {
            return;
        }
        node = node->parent;
    }
}

void
tree_init(struct tree *tree, tree_compare_fn *compare)
{
    *tree = (struct tree){.compare = compare};
}

void
tree_insert(struct tree *tree, struct tree_node *node)
{
    struct tree_node *parent = NULL;
    struct tree_node **place = &tree->root;

    while (*place != NULL) {
        int order = tree->compare(node, *place);

        CHECK(order != 0); /* I2 */
        parent = *place;
        place = &parent->child[order > 0];
    }
    *node = (struct tree_node){.parent = parent, .height = 1};
    *place = node;
    tree->count++;
    repair_upwards(tree, parent);
}

/* A node with two children changes places with its successor, which has no
 * lesser child: elements do not move in memory, so links do. Returns where the
 * heights may be wrong. */
static struct tree_node *
replace_by_successor(struct tree *tree, struct tree_node *node)
{
    struct tree_node *next = tree_next(node);
    struct tree_node *lowest = next->parent;

    if (lowest == node) {
        lowest = next;
    } else {
        replace_child(tree, next, next->child[1]);
        next->child[1] = node->child[1];
        next->child[1]->parent = next;
    }
    replace_child(tree, node, next);
    next->child[0] = node->child[0];
    next->child[0]->parent = next;
    next->height = node->height;
    return lowest;
}

void
tree_remove(struct tree *tree, struct tree_node *node)
{
    struct tree_node *lowest = node->parent;

    ASSERT(tree->count > 0);
    if (node->child[0] != NULL && node->child[1] != NULL) {
        lowest = replace_by_successor(tree, node);
    } else {
        replace_child(tree, node, node->child[node->child[0] == NULL]);
    }
    tree->count--;
    repair_upwards(tree, lowest);
}

bool
tree_joined(const struct tree *tree, const struct tree_node *node)
{
    const struct tree_node *left = node->child[0];
    const struct tree_node *right = node->child[1];
    const struct tree_node *parent = node->parent;

    return (left == NULL || left->parent == node) &&
           (right == NULL || right->parent == node) &&
           (parent == NULL ? tree->root == node
                           : parent->child[side_of(node)] == node);
}

struct tree_node *
tree_find(const struct tree *tree, tree_probe_fn *probe, const void *key)
{
    struct tree_node *node = tree_at_least(tree, probe, key);

    return node != NULL && probe(node, key) == 0 ? node : NULL;
}

struct tree_node *
tree_at_least(const struct tree *tree, tree_probe_fn *probe, const void *key)
{
    struct tree_node *node = tree->root;
    struct tree_node *best = NULL;

    while (node != NULL) {
        bool fits = probe(node, key) >= 0;

        best = fits ? node : best;
        node = node->child[!fits];
    }
    return best;
}

struct tree_node *
tree_at_most(const struct tree *tree, tree_probe_fn *probe, const void *key)
{
    struct tree_node *node = tree->root;
    struct tree_node *best = NULL;

    while (node != NULL) {
        bool fits = probe(node, key) <= 0;

        best = fits ? node : best;
        node = node->child[fits];
    }
    return best;
}

static struct tree_node *
find_outermost(struct tree_node *node, int side)
{
    while (node != NULL && node->child[side] != NULL) {
        node = node->child[side];
    }
    return node;
}

struct tree_node *
tree_first(const struct tree *tree)
{
    return find_outermost(tree->root, 0);
}

struct tree_node *
tree_last(const struct tree *tree)
{
    return find_outermost(tree->root, 1);
}

/* The neighbour in order: below if there is a subtree on that side, else the
 * first ancestor that has the node on its other side. */
static struct tree_node *
find_neighbour(const struct tree_node *node, int side)
{
    if (node->child[side] != NULL) {
        return find_outermost(node->child[side], !side);
    }
    while (node->parent != NULL && side_of(node) == side) {
        node = node->parent;
    }
    return node->parent;
}

struct tree_node *
tree_next(const struct tree_node *node)
{
    return find_neighbour(node, 1);
}

struct tree_node *
tree_prev(const struct tree_node *node)
{
    return find_neighbour(node, 0);
}

/* Returns the number of nodes. The depth of the recursion is bounded by I4,
 * which is checked on the way down by means of the stored heights. */
static size_t
check_subtree(const struct tree *tree, const struct tree_node *node,
    const struct tree_node *parent)
{
    if (node == NULL) {
        return 0;
    }
    const struct tree_node *left = node->child[0];
    const struct tree_node *right = node->child[1];
    unsigned left_height = height_of(left);
    unsigned right_height = height_of(right);

    CHECK(node->parent == parent); /* I1 */
    CHECK(
        node->height ==
        1 + (left_height > right_height ? left_height : right_height)); /* I3 */
    CHECK(left_height <= right_height + 1);                             /* I4 */
    CHECK(right_height <= left_height + 1);                             /* I4 */
    return 1 + check_subtree(tree, left, node) +
           check_subtree(tree, right, node);
}

void
tree_check(const struct tree *tree)
{
    CHECK(check_subtree(tree, tree->root, NULL) == tree->count); /* I5 */

    const struct tree_node *previous = NULL;
    const struct tree_node *node;
    TREE_EACH (node, tree) {
        CHECK(previous == NULL || tree->compare(previous, node) < 0); /* I2 */
        previous = node;
    }
}

void
tree_dump(const struct tree *tree, int fd)
{
    struct print print;
    const struct tree_node *node;

    print_init(&print, fd);
    print_format(&print, "tree %p: %zu nodes, height %u\n", (const void *)tree,
        tree->count, height_of(tree->root));
    TREE_EACH (node, tree) {
        print_format(&print, "  %p height %u parent %p\n", (const void *)node,
            node->height, (const void *)node->parent);
    }
    print_flush(&print);
}
