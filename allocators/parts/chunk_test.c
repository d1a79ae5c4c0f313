/*
 * chunk_test.c - chunks laid out by hand, and each invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/death.h"
#include "parts/chunk.h"

#define USED CHUNK_FLAG_2

/* Used 48, free 64, used 32, and the word that ends a region. */
struct region {
    _Alignas(16) unsigned char bytes[48 + 64 + 32 + CHUNK_OVERHEAD_FOOT];
    struct chunk *first, *middle, *last, *end;
};

static bool
is_used(const struct chunk *chunk)
{
    return (chunk->head & USED) != 0;
}

static void
region_init(struct region *region)
{
    memset(region->bytes, 0, sizeof(region->bytes));
    region->first = (struct chunk *)(void *)region->bytes;
    region->middle = chunk_at(region->first, 48);
    region->last = chunk_at(region->middle, 64);
    region->end = chunk_at(region->last, 32);
    region->first->head = 48 | CHUNK_PREV_USED | USED;
    chunk_set_free(region->middle, 64);
    region->last->head = 32 | USED;
}

/* Checks the region's chunks; returns how many there are. */
static unsigned
check_run(const struct region *region)
{
    bool prev_used = true;
    unsigned count = 0;

    for (const struct chunk *chunk = region->first; chunk != region->end;
         chunk = chunk_next(chunk)) {
        chunk_check(chunk, region->end, is_used(chunk), prev_used);
        prev_used = is_used(chunk);
        count++;
    }
    return count;
}

static void
chunk_neighbours_are_found_both_ways(void **state)
{
    (void)state;
    struct region region;

    region_init(&region);
    assert_ptr_equal(chunk_next(region.first), region.middle);
    assert_ptr_equal(chunk_next(region.middle), region.last);
    assert_ptr_equal(chunk_prev(region.last), region.middle);
    assert_int_equal(chunk_size(region.last), 32);
    assert_int_equal(chunk_flags(region.last), USED);
    assert_int_equal(check_run(&region), 3);
}

static void
chunk_of_block_undoes_block(void **state)
{
    (void)state;
    struct region region;

    region_init(&region);
    void *block = chunk_block(region.middle);
    assert_int_equal((uintptr_t)block % CHUNK_ALIGN, 0);
    assert_ptr_equal(chunk_of_block(block), region.middle);
    assert_ptr_equal(chunk_of_link(&region.middle->link), region.middle);
}

static void
chunk_size_holds_every_request(void **state)
{
    (void)state;
    const size_t overheads[] = {CHUNK_HEAD_SIZE, CHUNK_OVERHEAD_FOOT};

    for (unsigned i = 0; i < 2; i++) {
        for (size_t request = 0; request < 2000; request++) {
            size_t size = chunk_size_for(request, overheads[i]);

            assert_int_equal(size % CHUNK_ALIGN, 0);
            assert_true(size >= CHUNK_MIN_SIZE);
            assert_true(size - overheads[i] >= request);
            assert_true(size == CHUNK_MIN_SIZE ||
                        size - overheads[i] < request + CHUNK_ALIGN);
        }
    }
}

static void
chunk_unlink_undoes_push(void **state)
{
    (void)state;
    struct chunk chunks[3];
    struct list list;

    list_init(&list);
    for (unsigned i = 0; i < 3; i++) {
        chunk_push(&list, &chunks[i]);
    }
    assert_ptr_equal(chunk_of_link(list_first(&list)), &chunks[2]);
    assert_true(chunk_unlink(&chunks[1]));
    list_check(&list);
    assert_true(chunk_unlink(&chunks[2]));
    assert_true(chunk_unlink(&chunks[0]));
    assert_true(list_empty(&list));
}

static void
chunk_unlink_refuses_broken_links(void **state)
{
    (void)state;
    struct chunk chunks[2], forged;
    struct list list, before;

    list_init(&list);
    chunk_push(&list, &chunks[0]);
    chunk_push(&list, &chunks[1]);
    list_init(&forged.link);
    chunks[0].link.next = &forged.link;
    before = list;
    assert_false(chunk_unlink(&chunks[0]));
    assert_memory_equal(&list, &before, sizeof(list));
    chunks[1].link.prev = &forged.link;
    assert_false(chunk_unlink(&chunks[1]));
}

/* Breaks the region in one of the ways; then the check must die. */
static void
check_broken(void *arg)
{
    struct region region;

    region_init(&region);
    switch (*(int *)arg) {
    case 0: /* I1: too small */
        region.first->head = 16 | CHUNK_PREV_USED | USED;
        break;
    case 1: /* I1: beyond the end */
        region.last->head = 48 | USED;
        break;
    case 2: /* I1: the bit that is no flag */
        region.first->head |= CHUNK_FLAG_NONE;
        break;
    case 3: /* I2 */
        region.last->head |= CHUNK_PREV_USED;
        break;
    case 4: /* I3 */
        region.last->prev_foot = 48;
        break;
    case 5: /* I4 */
        region.last->head &= ~USED;
        region.end->prev_foot = 32;
        break;
    }
    check_run(&region);
}

static void
chunk_check_finds_each_breach(void **state)
{
    (void)state;
    const char *const lines[] = {
        "check failed: size >= CHUNK_MIN_SIZE",
        "check failed: size <= (uintptr_t)end - (uintptr_t)chunk",
        "check failed: (chunk_flags(chunk) & CHUNK_FLAG_NONE) == 0",
        "check failed: prev_used == ((chunk->head & CHUNK_PREV_USED) != 0)",
        "check failed: is_used || chunk_foot_matches(chunk)",
        "check failed: is_used || prev_used",
    };

    for (int way = 0; way < 6; way++) {
        assert_dies(check_broken, &way, lines[way]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunk_neighbours_are_found_both_ways),
        cmocka_unit_test(chunk_of_block_undoes_block),
        cmocka_unit_test(chunk_size_holds_every_request),
        cmocka_unit_test(chunk_unlink_undoes_push),
        cmocka_unit_test(chunk_unlink_refuses_broken_links),
        cmocka_unit_test(chunk_check_finds_each_breach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
