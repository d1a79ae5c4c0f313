/*
 * fuzz_tree.c - parts/tree.h against a table of marks
 *
 * Each byte flips one of 128 keys: out of the tree if it is in, else in. Then
 * the tree's order, balance and searches are as the table has them.
 */
#include "base/check.h"
#include "fuzz/input.h"
#include "parts/tree.h"

#define KEYS 128

struct element {
    unsigned key;
    struct tree_node node;
};

static unsigned
key_of(const struct tree_node *node)
{
    return TREE_OF(node, const struct element, node)->key;
}

static int
compare(const struct tree_node *a, const struct tree_node *b)
{
    return (key_of(a) > key_of(b)) - (key_of(a) < key_of(b));
}

static int
probe(const struct tree_node *node, const void *key)
{
    unsigned wanted = *(const unsigned *)key;

    return (key_of(node) > wanted) - (key_of(node) < wanted);
}

/* The nearest element that is in, from key on in that direction. */
static struct tree_node *
find_nearest(struct element *elements, const bool *is_in, int key, int step)
{
    for (; key >= 0 && key < KEYS; key += step) {
        if (is_in[key]) {
            return &elements[key].node;
        }
    }
    return NULL;
}

static void
check_searches(const struct tree *tree, struct element *elements,
    const bool *is_in, unsigned key)
{
    struct tree_node *above = find_nearest(elements, is_in, (int)key, 1);
    struct tree_node *below = find_nearest(elements, is_in, (int)key, -1);

    CHECK(tree_at_least(tree, probe, &key) == above);
    CHECK(tree_at_most(tree, probe, &key) == below);
    CHECK(tree_find(tree, probe, &key) == (above == below ? above : NULL));
    CHECK(tree_first(tree) == find_nearest(elements, is_in, 0, 1));
    CHECK(tree_last(tree) == find_nearest(elements, is_in, KEYS - 1, -1));
    if (above != NULL) {
        int found = (int)key_of(above);
        CHECK(tree_next(above) == find_nearest(elements, is_in, found + 1, 1));
        CHECK(tree_prev(above) == find_nearest(elements, is_in, found - 1, -1));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size};
    struct element elements[KEYS];
    bool is_in[KEYS] = {false};
    size_t count = 0;
    struct tree tree;

    tree_init(&tree, compare);
    while (input_more(&input)) {
        unsigned key = input_below(&input, KEYS);
        struct element *element = &elements[key];

        if (is_in[key]) {
            tree_remove(&tree, &element->node);
            count--;
        } else {
            element->key = key;
            tree_insert(&tree, &element->node);
            count++;
        }
        is_in[key] = !is_in[key];
        tree_check(&tree);
        CHECK(tree.count == count);
        check_searches(&tree, elements, is_in, key);
    }
    return 0;
}
