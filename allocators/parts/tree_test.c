/*
 * tree_test.c - tree.h against a table of marks, and each invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/death.h"
#include "base/random.h"
#include "parts/tree.h"

#define KEYS 200

struct element {
    unsigned key;
    struct tree_node node;
};

/* The reference: is_in[k] says whether elements[k], of key k, is in. */
struct model {
    struct tree tree;
    struct element elements[KEYS];
    bool is_in[KEYS];
    size_t count;
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

static void
model_init(struct model *model)
{
    tree_init(&model->tree, compare);
    model->count = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        model->elements[i].key = i;
        model->is_in[i] = false;
    }
}

static void
model_flip(struct model *model, unsigned key)
{
    if (model->is_in[key]) {
        tree_remove(&model->tree, &model->elements[key].node);
        model->count--;
    } else {
        tree_insert(&model->tree, &model->elements[key].node);
        model->count++;
    }
    model->is_in[key] = !model->is_in[key];
}

/* The nearest element that is in, from key on in that direction. */
static struct tree_node *
model_nearest(struct model *model, unsigned key, int direction)
{
    for (int k = (int)key; k >= 0 && k < KEYS; k += direction) {
        if (model->is_in[k]) {
            return &model->elements[k].node;
        }
    }
    return NULL;
}

static void
assert_same(struct model *model)
{
    const struct tree_node *node;
    size_t seen = 0;

    tree_check(&model->tree);
    assert_int_equal(model->tree.count, model->count);
    assert_int_equal(model->tree.root == NULL, model->count == 0);
    TREE_EACH (node, &model->tree) {
        assert_true(model->is_in[key_of(node)]);
        seen++;
    }
    assert_int_equal(seen, model->count);
    assert_ptr_equal(tree_first(&model->tree), model_nearest(model, 0, 1));
    assert_ptr_equal(
        tree_last(&model->tree), model_nearest(model, KEYS - 1, -1));
}

static void
assert_finds(struct model *model, unsigned key)
{
    struct tree *tree = &model->tree;
    struct tree_node *node = &model->elements[key].node;

    assert_ptr_equal(
        tree_find(tree, probe, &key), model->is_in[key] ? node : NULL);
    assert_ptr_equal(
        tree_at_least(tree, probe, &key), model_nearest(model, key, 1));
    assert_ptr_equal(
        tree_at_most(tree, probe, &key), model_nearest(model, key, -1));
    if (model->is_in[key]) {
        assert_ptr_equal(tree_next(node), model_nearest(model, key + 1, 1));
        assert_ptr_equal(tree_prev(node),
            key == 0 ? NULL : model_nearest(model, key - 1, -1));
    }
}

static void
tree_agrees_with_model_under_random_steps(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct model model;
        struct random random;

        random_seed(&random, seed);
        model_init(&model);
        for (int step = 0; step < 1000; step++) {
            model_flip(&model, (unsigned)random_below(&random, KEYS));
            assert_same(&model);
            assert_finds(&model, (unsigned)random_below(&random, KEYS));
        }
    }
}

/* All trees that arise from the insertion orders of seven keys, and from each
 * the removal of every key, in a fixed order after it. */
static void
tree_is_right_for_every_order_of_seven(void **state)
{
    struct model model;

    (void)state;
    for (unsigned order = 0; order < 5040; order++) {
        unsigned keys[7] = {0, 1, 2, 3, 4, 5, 6};
        unsigned rest = order;

        model_init(&model);
        for (unsigned i = 0; i < 7; i++) {
            unsigned pick = i + rest % (7 - i);
            unsigned key = keys[pick];

            rest /= 7 - i;
            keys[pick] = keys[i];
            keys[i] = key;
            model_flip(&model, key);
        }
        tree_check(&model.tree);
        for (unsigned i = 0; i < 7; i++) {
            model_flip(&model, (i + order) % 7);
            tree_check(&model.tree);
        }
        assert_int_equal(model.tree.count, 0);
    }
}

static void
tree_stays_low_when_keys_rise(void **state)
{
    struct model model;

    (void)state;
    model_init(&model);
    for (unsigned i = 0; i < KEYS; i++) {
        model_flip(&model, i);
    }
    assert_same(&model);
    assert_true(model.tree.root->height <= 11); /* 1.45 log2(200) */
}

/* Breaks one invariant in a tree of seven, then checks it. */
static void
check_broken(void *arg)
{
    struct model model;
    struct tree_node *root, *leaf;

    model_init(&model);
    for (unsigned i = 0; i < 7; i++) {
        model_flip(&model, i * 2);
    }
    root = model.tree.root;
    leaf = tree_first(&model.tree);
    switch (*(int *)arg) {
    case 1:
        leaf->parent = root;
        break;
    case 2:
        model.elements[0].key = 5; /* now above its parent */
        break;
    case 3:
        leaf->height = 2;
        break;
    case 4: /* heights are right, but the left side is gone: no balance */
        root->child[0] = NULL;
        break;
    case 5:
        model.tree.count = 8;
        break;
    }
    tree_check(&model.tree);
}

static void
tree_check_finds_each_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "check failed: node->parent == parent",
        "check failed: previous == NULL || tree->compare",
        "check failed: node->height ==",
        "check failed: right_height <= left_height + 1",
        "check failed: check_subtree(tree, tree->root, NULL) == tree->count",
    };

    (void)state;
    for (int i = 1; i <= 5; i++) {
        assert_dies(check_broken, &i, messages[i - 1]);
    }
}

/* Every link of a node, overwritten, is seen from the node. */
static void
tree_joined_finds_each_broken_link(void **state)
{
    (void)state;
    struct model model;
    struct tree_node stray = {.height = 1};

    model_init(&model);
    for (unsigned key = 0; key < 7; key++) {
        model_flip(&model, key);
    }
    struct tree_node *root = model.tree.root;
    struct tree_node *inner = root->child[0];
    struct tree_node **links[] = {&inner->child[0], &inner->child[1],
        &inner->parent, &root->child[0], &inner->child[0]->parent,
        &inner->child[1]->parent};

    for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        struct tree_node *kept = *links[i];
        assert_true(tree_joined(&model.tree, inner));
        *links[i] = &stray;
        assert_false(tree_joined(&model.tree, inner));
        *links[i] = kept;
    }
    assert_true(tree_joined(&model.tree, root));
    assert_false(tree_joined(&model.tree, &stray));
}

static void
insert_twice(void *arg)
{
    struct model *model = arg;
    struct element twin = {.key = 3};

    tree_insert(&model->tree, &twin.node);
}

static void
tree_refuses_equal_nodes(void **state)
{
    struct model model;

    (void)state;
    model_init(&model);
    model_flip(&model, 3);
    assert_dies(insert_twice, &model, "check failed: order != 0");
}

static void
dump_tree(void *arg)
{
    tree_dump(arg, STDERR_FILENO);
}

static void
tree_dump_shows_nodes_in_order(void **state)
{
    char said[DEATH_TEXT_MAX], expected[400];
    struct model model;

    (void)state;
    model_init(&model);
    model_flip(&model, 5);
    model_flip(&model, 3);
    death_capture(dump_tree, &model.tree, said);
    snprintf(expected, sizeof(expected),
        "tree %p: 2 nodes, height 2\n"
        "  %p height 1 parent %p\n"
        "  %p height 2 parent 0x0\n",
        (void *)&model.tree, (void *)&model.elements[3].node,
        (void *)&model.elements[5].node, (void *)&model.elements[5].node);
    assert_string_equal(said, expected);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_agrees_with_model_under_random_steps),
        cmocka_unit_test(tree_is_right_for_every_order_of_seven),
        cmocka_unit_test(tree_stays_low_when_keys_rise),
        cmocka_unit_test(tree_check_finds_each_broken_invariant),
        cmocka_unit_test(tree_joined_finds_each_broken_link),
        cmocka_unit_test(tree_refuses_equal_nodes),
        cmocka_unit_test(tree_dump_shows_nodes_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
