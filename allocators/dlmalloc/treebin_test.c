/*
 * treebin_test.c - the tries against a table of sizes, each invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/random.h"
#include "dlmalloc/treebin.h"

#define CHUNKS   200
#define SIZE_MIN ((size_t)1 << DLM_TREE_SHIFT)

/* The sizes are far larger than the nodes that stand for them, so no foot is
 * written: only heads are set. dlm_treebin_check, which reads feet, is tested
 * on real memory below. */
struct model {
    struct dlm_treebins trees;
    struct dlm_node nodes[CHUNKS];
    size_t sizes[CHUNKS]; /* 0: not in */
    size_t count;
};

static struct model model;

static void
model_flip(unsigned i, size_t size)
{
    struct chunk *chunk = &model.nodes[i].chunk;

    if (model.sizes[i] == 0) {
        model.sizes[i] = size;
        chunk->head = size | CHUNK_PREV_USED;
        dlm_treebin_put(&model.trees, chunk, size);
        model.count++;
    } else {
        dlm_treebin_remove(&model.trees, chunk);
        model.sizes[i] = 0;
        model.count--;
    }
}

/* Whether a chunk is the only one in the trie of that size. */
static bool
is_alone(unsigned chunk, size_t size)
{
    bool is_alone = true;

    for (unsigned i = 0; i < CHUNKS; i++) {
        is_alone &=
            i == chunk || model.sizes[i] == 0 ||
            dlm_treebin_index(model.sizes[i]) != dlm_treebin_index(size);
    }
    return is_alone;
}

static void
model_grow(unsigned i, size_t size)
{
    struct chunk *chunk = &model.nodes[i].chunk;

    if (model.sizes[i] == 0 || size <= model.sizes[i]) {
        return;
    }
    assert_int_equal(dlm_treebin_can_grow(&model.trees, chunk, size),
        dlm_treebin_index(size) == dlm_treebin_index(model.sizes[i]) &&
            is_alone(i, size));
    if (dlm_treebin_can_grow(&model.trees, chunk, size)) {
        model.sizes[i] = size;
        chunk->head = size | CHUNK_PREV_USED;
    }
}

/* The least size that is in and not below; SIZE_MAX if none. */
static size_t
model_find(size_t size)
{
    size_t best = SIZE_MAX;

    for (unsigned i = 0; i < CHUNKS; i++) {
        if (model.sizes[i] >= size && model.sizes[i] < best) {
            best = model.sizes[i];
        }
    }
    return best;
}

static void
count_node(struct dlm_node *node, void *arg)
{
    size_t *count = arg;

    assert_int_equal(chunk_size(&node->chunk), model.sizes[node - model.nodes]);
    (*count)++;
}

static void
assert_same_answers(struct random *random, size_t max)
{
    size_t seen = 0;

    for (unsigned i = 0; i < 8; i++) {
        size_t size = random_log_between(random, 32, 2 * max) & ~(size_t)15;
        size_t best = model_find(size);
        struct chunk *chunk = dlm_treebin_find(&model.trees, size);

        assert_int_equal(chunk == NULL, best == SIZE_MAX);
        if (chunk != NULL) {
            assert_int_equal(chunk_size(chunk), best);
        }
    }
    dlm_treebin_each(&model.trees, count_node, &seen);
    assert_int_equal(seen, model.count);
}

static void
treebin_find_is_best_fit_under_random_steps(void **state)
{
    (void)state;
    const size_t max[] = {
        2 * SIZE_MIN, 100 * SIZE_MIN, (size_t)1 << 40, (size_t)1 << 46};
    struct random random;

    random_seed(&random, 11);
    for (unsigned round = 0; round < 4; round++) {
        memset(&model, 0, sizeof(model));
        dlm_treebin_init(&model.trees);
        for (unsigned step = 0; step < 4000; step++) {
            size_t size =
                random_log_between(&random, SIZE_MIN, max[round]) & ~15ul;

            model_grow((unsigned)random_below(&random, CHUNKS), size);
            model_flip((unsigned)random_below(&random, CHUNKS), size);
            assert_same_answers(&random, max[round]);
        }
    }
}

static void
treebin_index_rises_with_size(void **state)
{
    (void)state;
    unsigned last = 0;

    assert_int_equal(dlm_treebin_index(SIZE_MIN), 0);
    assert_int_equal(dlm_treebin_index(SIZE_MIN * 3 / 2 - 16), 0);
    assert_int_equal(dlm_treebin_index(SIZE_MIN * 3 / 2), 1);
    assert_int_equal(dlm_treebin_index(SIZE_MIN * 2), 2);
    for (size_t size = SIZE_MIN; size < (size_t)1 << 62; size += size / 7) {
        unsigned index = dlm_treebin_index(size & ~(size_t)15);

        assert_true(index >= last && index < DLM_TREE_COUNT);
        last = index;
    }
    assert_int_equal(last, DLM_TREE_COUNT - 1);
}

static void
treebin_prefers_a_twin_outside_the_trie(void **state)
{
    (void)state;
    memset(&model, 0, sizeof(model));
    dlm_treebin_init(&model.trees);
    for (unsigned i = 0; i < 3; i++) {
        model_flip(i, 2048);
    }
    /* The first stands in the trie. */
    assert_non_null(model.nodes[0].slot);
    assert_ptr_not_equal(
        dlm_treebin_find(&model.trees, 2000), &model.nodes[0].chunk);
    model_flip(0, 0); /* A twin takes its place. */
    assert_int_equal(chunk_size(dlm_treebin_find(&model.trees, 2048)), 2048);
    model_flip(1, 0);
    model_flip(2, 0);
    assert_null(dlm_treebin_find(&model.trees, 32));
    assert_int_equal(model.trees.map, 0);
}

/* ---- real memory, for the check */

#define REAL 6
static _Alignas(16) unsigned char memory[REAL][4096 + CHUNK_MIN_SIZE];

static struct chunk *
real_chunk(unsigned i, size_t size)
{
    struct chunk *chunk = (struct chunk *)(void *)memory[i];

    chunk_set_free(chunk, size);
    return chunk;
}

static void
put_real(void)
{
    const size_t sizes[REAL] = {1024, 1040, 1520, 1024, 3000 & ~15, 4096};

    dlm_treebin_init(&model.trees);
    for (unsigned i = 0; i < REAL; i++) {
        dlm_treebin_put(&model.trees, real_chunk(i, sizes[i]), sizes[i]);
    }
}

static void
treebin_check_counts_whole_tries(void **state)
{
    (void)state;
    put_real();
    assert_int_equal(dlm_treebin_check(&model.trees), REAL);
}

/* Breaks the tries in one of the ways; then the check must die. */
static void
check_broken(void *arg)
{
    struct dlm_node *root;
    struct dlm_node *below;

    put_real();
    root = model.trees.roots[0];
    below = root->child[0] != NULL ? root->child[0] : root->child[1];
    switch (*(int *)arg) {
    case 0: /* I1: unmarked */
        model.trees.map &= ~(uint64_t)1;
        break;
    case 1: /* I1: an empty bin marked */
        model.trees.map |= 1 << 20;
        break;
    case 2: /* I2: not of this bin */
        chunk_set_free(&below->chunk, 2048);
        break;
    case 3: /* I2: on the wrong path */
        root->child[1] = root->child[0];
        root->child[1]->slot = &root->child[1];
        root->child[0] = NULL;
        break;
    case 4: /* I3: two nodes of one size */
        chunk_set_free(&below->chunk, chunk_size(&root->chunk));
        break;
    case 5: /* I3: a twin with a slot */
        dlm_treebin_node((struct chunk *)(void *)memory[3])->slot =
            &root->child[1];
        break;
    case 6: /* I4 */
        below->slot = &model.trees.roots[5];
        break;
    case 7:
        root->chunk.head |= CHUNK_FLAG_2;
        break;
    case 8:
        *chunk_foot(&below->chunk, chunk_size(&below->chunk)) = 32;
        break;
    case 9: /* I1: an empty bin marked instead of a full one */
        model.trees.map ^= 1 | 1 << 20;
        break;
    }
    dlm_treebin_check(&model.trees);
}

static void
treebin_check_finds_each_breach(void **state)
{
    (void)state;
    const char *const lines[] = {
        "check failed: filled_count == (unsigned)__builtin_popcountll(map)",
        "check failed: filled_count == (unsigned)__builtin_popcountll(map)",
        "check failed: dlm_treebin_index(size) == index",
        "check failed: depth == 0 || key >> (WORD_BITS - depth) == path",
        "check failed: find_in(trees->roots[index], size, key) == node",
        "->slot == NULL",
        "check failed: *node->slot == node",
        "check failed: node->chunk.head == (size | CHUNK_PREV_USED)",
        "check failed: chunk_foot_matches(&node->chunk)",
        "check failed: trees->roots[i] != NULL",
    };

    for (int way = 0; way < 10; way++) {
        assert_dies(check_broken, &way, lines[way]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(treebin_find_is_best_fit_under_random_steps),
        cmocka_unit_test(treebin_index_rises_with_size),
        cmocka_unit_test(treebin_prefers_a_twin_outside_the_trie),
        cmocka_unit_test(treebin_check_counts_whole_tries),
        cmocka_unit_test(treebin_check_finds_each_breach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
