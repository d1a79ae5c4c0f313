/*
 * tree.h - balanced search tree, its nodes inside the caller's elements
 *
 *     struct tree --> root node --> left, right      (each in an element)
 *
 * Ordered by a function of the caller's, which must be a total order on what
 * is in the tree at one time: break ties by address. Free extents ordered by
 * (size, address) make tree_at_least a best fit, the lowest among equals.
 *
 * Concurrency: none of its own; whoever guards the tree guards its nodes.
 * Failure: none; no memory is taken. Two equal nodes are our bug and abort.
 * Design: Adelson-Velsky and Landis (1962); Knuth, "The Art of Computer
 * Programming" 3, 6.2.3. Height is at most 1.45 log2(count).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct tree_node {
    struct tree_node *child[2]; /* 0 the lesser, 1 the greater */
    struct tree_node *parent;
    unsigned height; /* of this subtree; a leaf's is 1 */
};

/* Negative, 0 or positive, as a is less than, equal to or greater than b. */
typedef int tree_compare_fn(
    const struct tree_node *a, const struct tree_node *b);
/* The same for a node and a key of the caller's, monotonic in the order. */
typedef int tree_probe_fn(const struct tree_node *node, const void *key);

struct tree {
    struct tree_node *root;
    tree_compare_fn *compare;
    size_t count;
};

/* The element that holds this node. */
#define TREE_OF(node, type, member)                                            \
    ((type *)((uintptr_t)(node)-offsetof(type, member)))

/* Every node in order; the body must not change the tree. */
#define TREE_EACH(node, tree)                                                  \
    for (node = tree_first(tree); node != NULL; node = tree_next(node))

void tree_init(struct tree *tree, tree_compare_fn *compare);

void tree_insert(struct tree *tree, struct tree_node *node);
void tree_remove(struct tree *tree, struct tree_node *node);

/* The parent and the children of a node of the tree point back: costs three
 * loads, finds an overwritten link. */
bool tree_joined(const struct tree *tree, const struct tree_node *node);

/* The node that is equal to the key, or NULL. */
struct tree_node *tree_find(
    const struct tree *tree, tree_probe_fn *probe, const void *key);
/* The least node that is not below the key, or NULL: best fit. */
struct tree_node *tree_at_least(
    const struct tree *tree, tree_probe_fn *probe, const void *key);
/* The greatest node that is not above the key, or NULL. */
struct tree_node *tree_at_most(
    const struct tree *tree, tree_probe_fn *probe, const void *key);

struct tree_node *tree_first(const struct tree *tree); /* NULL when empty */
struct tree_node *tree_last(const struct tree *tree);
struct tree_node *tree_next(const struct tree_node *node); /* NULL at the end */
struct tree_node *tree_prev(const struct tree_node *node);

void tree_check(const struct tree *tree);        /* aborts if broken */
void tree_dump(const struct tree *tree, int fd); /* a line a node, in order */
