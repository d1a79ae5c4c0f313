/*
 * smallbin_test.c - the lists of small chunks, and each invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/random.h"
#include "dlmalloc/smallbin.h"

#define CHUNKS 100

/* Free chunks, each with room for its foot. */
struct fixture {
    struct dlm_smallbins small;
    _Alignas(16) unsigned char memory[CHUNKS][DLM_SMALL_MAX + CHUNK_MIN_SIZE];
};

static struct fixture fixture;

static struct chunk *
new_chunk(unsigned i, size_t size)
{
    struct chunk *chunk = (struct chunk *)(void *)fixture.memory[i];

    chunk_set_free(chunk, size);
    return chunk;
}

static void
smallbin_pop_returns_newest_of_its_size(void **state)
{
    (void)state;
    dlm_smallbin_init(&fixture.small);
    for (unsigned i = 0; i < 3; i++) {
        dlm_smallbin_put(&fixture.small, new_chunk(i, 96), 96);
        dlm_smallbin_put(&fixture.small, new_chunk(10 + i, 112), 112);
    }
    assert_int_equal(dlm_smallbin_check(&fixture.small), 6);
    for (unsigned i = 3; i-- > 0;) {
        struct chunk *chunk = dlm_smallbin_pop(&fixture.small, 6);

        assert_ptr_equal(chunk, fixture.memory[i]);
    }
    assert_int_equal(fixture.small.map, (uint64_t)1 << 7);
    assert_int_equal(dlm_smallbin_check(&fixture.small), 3);
}

static void
smallbin_map_follows_random_steps(void **state)
{
    (void)state;
    struct random random;
    size_t sizes[CHUNKS] = {0}; /* 0: not in a bin */
    size_t count = 0;

    random_seed(&random, 7);
    dlm_smallbin_init(&fixture.small);
    for (unsigned step = 0; step < 5000; step++) {
        unsigned i = (unsigned)random_below(&random, CHUNKS);

        if (sizes[i] == 0) {
            sizes[i] = 16 * random_between(&random, 2, DLM_SMALL_COUNT - 1);
            dlm_smallbin_put(&fixture.small, new_chunk(i, sizes[i]), sizes[i]);
            count++;
        } else {
            struct chunk *chunk = (struct chunk *)(void *)fixture.memory[i];

            dlm_smallbin_remove(&fixture.small, chunk, sizes[i]);
            sizes[i] = 0;
            count--;
        }
        assert_int_equal(dlm_smallbin_check(&fixture.small), count);
    }
}

/* Breaks the bins in one of the ways; then the check must die. */
static void
check_broken(void *arg)
{
    struct chunk *chunk = new_chunk(0, 96);

    dlm_smallbin_init(&fixture.small);
    dlm_smallbin_put(&fixture.small, chunk, 96);
    dlm_smallbin_put(&fixture.small, new_chunk(1, 96), 96);
    switch (*(int *)arg) {
    case 0: /* I1: a bin unmarked */
        fixture.small.map = 0;
        break;
    case 1: /* I1: an empty bin marked */
        fixture.small.map |= 1 << 9;
        break;
    case 2: /* I2: another size */
        chunk_set_free(chunk, 112);
        break;
    case 3: /* I2: used */
        chunk->head |= CHUNK_FLAG_2;
        break;
    case 4: /* I2: the foot */
        *chunk_foot(chunk, 96) = 112;
        break;
    case 5: /* I3 */
        fixture.small.map |= 1;
        break;
    case 6:
        chunk->link.prev = &chunk->link;
        break;
    case 7: /* I1: an empty bin marked instead of the full one */
        fixture.small.map = 1 << 9;
        break;
    }
    dlm_smallbin_check(&fixture.small);
}

static void
smallbin_check_finds_each_breach(void **state)
{
    (void)state;
    const char *const lines[] = {
        "check failed: filled_count == (unsigned)__builtin_popcountll(map)",
        "check failed: filled_count == (unsigned)__builtin_popcountll(map)",
        "check failed: chunk->head == (size | CHUNK_PREV_USED)",
        "check failed: chunk->head == (size | CHUNK_PREV_USED)",
        "check failed: chunk_foot_matches(chunk)",
        "check failed: (map & 3) == 0",
        "check failed: list_joined(link)",
        "check failed: !list_empty(&small->bins[i])",
    };

    for (int way = 0; way < 8; way++) {
        assert_dies(check_broken, &way, lines[way]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smallbin_pop_returns_newest_of_its_size),
        cmocka_unit_test(smallbin_map_follows_random_steps),
        cmocka_unit_test(smallbin_check_finds_each_breach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
