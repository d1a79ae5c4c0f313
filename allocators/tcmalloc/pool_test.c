/*
 * pool_test.c - structures come one behind another, and again; the invariants
 * broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/pages.h"
#include "tcmalloc/pool.h"

#define SIZE  ((size_t)120)
#define COUNT 200u /* more than a chunk holds */

static struct tcm_pool pool;
static struct meta meta;
static char first_meta[(size_t)8 << 10];

static int
set_up(void **state)
{
    (void)state;
    meta_init(&meta, first_meta, sizeof first_meta);
    tcm_pool_init(&pool, &meta, SIZE);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    pages_fail_at(0, false);
    meta_fini(&meta);
    return 0;
}

static char *
take(void)
{
    char *structure = tcm_pool_take(&pool);

    assert_non_null(structure);
    tcm_pool_check(&pool);
    return structure;
}

static void
structures_of_a_chunk_lie_end_to_end(void **state)
{
    char *first = take();

    (void)state;
    for (size_t i = 1; i < 30; i++) {
        assert_ptr_equal(take(), first + i * SIZE);
    }
}

static void
structures_do_not_overlap(void **state)
{
    char *structures[COUNT];

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        structures[i] = take();
        memset(structures[i], (int)i, SIZE);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        for (size_t at = 0; at < SIZE; at++) {
            assert_int_equal((unsigned char)structures[i][at], i);
        }
    }
}

static void
the_newest_given_back_is_taken_first(void **state)
{
    char *one = take(), *two = take();

    (void)state;
    tcm_pool_give(&pool, one);
    tcm_pool_give(&pool, two);
    tcm_pool_check(&pool);
    assert_ptr_equal(take(), two);
    assert_ptr_equal(take(), one);
}

static void
out_of_memory_only_what_was_given_back_comes(void **state)
{
    char *one = take();

    (void)state;
    pages_fail_at(1, true);
    while (tcm_pool_take(&pool) != NULL) {
    }
    tcm_pool_give(&pool, one);
    assert_ptr_equal(take(), one);
    assert_null(tcm_pool_take(&pool));
    pages_fail_at(0, false);
    (void)take();
}

/* ---- the invariants broken */

static void
break_pool(void *index)
{
    char *structure = take();

    if (*(unsigned *)index == 0) { /* I1 */
        tcm_pool_give(&pool, structure);
        tcm_pool_give(&pool, take());
        tcm_pool_give(&pool, structure);
    } else {
        pool.next = pool.end + 1; /* I2 */
    }
    tcm_pool_check(&pool);
}

static void
check_finds_each_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "slow != fast",
        "pool->next <= pool->end",
    };

    (void)state;
    assert_each_dies(break_pool, messages, 2);
}

static void
dump(void *unused)
{
    (void)unused;
    tcm_pool_dump(&pool, STDERR_FILENO);
}

static void
dump_tells_what_is_free(void **state)
{
    (void)state;
    tcm_pool_give(&pool, take());
    assert_prints(dump, NULL, "pool of 120 bytes: 1 free, 3976 bytes uncut\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(structures_of_a_chunk_lie_end_to_end),
        TEST(structures_do_not_overlap),
        TEST(the_newest_given_back_is_taken_first),
        TEST(out_of_memory_only_what_was_given_back_comes),
        TEST(check_finds_each_broken_invariant),
        TEST(dump_tells_what_is_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
