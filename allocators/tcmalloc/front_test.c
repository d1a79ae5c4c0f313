/*
 * front_test.c - capacity follows misses, and moves between classes, the pool
 * and the transfer caches; its invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcmalloc/testheap.h"

#define SIZE   ((size_t)64)
#define CLASS  tcm_sizemap_class(SIZE)
#define OTHER  tcm_sizemap_class(2 * SIZE)
#define FIRST  8u   /* a class's first capacity */
#define MOST   128u /* four batches: its last, where all misses are of a kind */
#define PLENTY ((size_t)1 << 20)

static struct tcm_front front;
static struct tcm_front_pool pool;

/* A front with that much room of its own, and that much in the pool. */
static struct tcm_slab *
open_front(size_t own_room, size_t pool_room)
{
    struct tcm_slab *slab =
        meta_take(&heap->meta, tcm_slab_size(TCM_SLAB_FULL));

    assert_non_null(slab);
    tcm_slab_init(slab, TCM_SLAB_FULL);
    atomic_init(&pool.room, pool_room);
    tcm_front_init(
        &front, slab, &tcm_front_owned, heap->transfers, &pool, own_room);
    return slab;
}

static void
close_front(void)
{
    tcm_front_drain(&front);
    tcm_front_check(&front);
    tcm_front_fini(&front);
}

static void *
refill(unsigned size_class)
{
    void *object = tcm_front_refill(&front, size_class);

    tcm_front_check(&front);
    return object;
}

/* Takes what the slab has, and one object more. */
static void *
miss_empty(struct tcm_slab *slab)
{
    while (tcm_slab_pop(slab, CLASS) != NULL) {
    }
    return refill(CLASS);
}

/* Gives until the slab is full, and one object more. */
static void
miss_full(struct tcm_slab *slab)
{
    void *object;

    do {
        assert_int_equal(
            tcm_central_take(&heap->transfers[CLASS].central, &object, 1), 1);
    } while (tcm_slab_push(slab, CLASS, object));
    tcm_front_spill(&front, CLASS, object);
    tcm_front_check(&front);
}

static void
the_first_refill_takes_half_of_a_small_capacity(void **state)
{
    struct tcm_slab *slab = open_front(PLENTY, 0);

    (void)state;
    assert_non_null(refill(CLASS));
    assert_int_equal(tcm_slab_capacity(slab, CLASS), FIRST);
    assert_int_equal(tcm_slab_count(slab, CLASS), FIRST / 2 - 1);
    assert_int_equal(tcm_front_cached_size(&front), (FIRST / 2 - 1) * SIZE);
    assert_int_equal(front.room, PLENTY - FIRST * SIZE);
    close_front();
}

static void
misses_of_one_kind_double_the_capacity_up_to_four_batches(void **state)
{
    struct tcm_slab *slab = open_front(PLENTY, 0);

    (void)state;
    for (uint32_t wanted = FIRST; wanted <= 8 * MOST; wanted *= 2) {
        assert_non_null(miss_empty(slab));
        assert_int_equal(
            tcm_slab_capacity(slab, CLASS), wanted < MOST ? wanted : MOST);
    }
    close_front();
}

static void
misses_of_both_kinds_double_it_up_to_the_room_in_the_slab(void **state)
{
    struct tcm_slab *slab = open_front(PLENTY, 0);
    uint32_t limit = slab->runs[CLASS].limit - slab->runs[CLASS].begin;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        assert_non_null(miss_empty(slab));
        miss_full(slab);
    }
    assert_int_equal(tcm_slab_capacity(slab, CLASS), limit);
    close_front();
}

static void
a_spill_without_room_sends_half_on(void **state)
{
    struct tcm_slab *slab = open_front(FIRST * SIZE, 0);
    struct tcm_transfer *transfer = &heap->transfers[CLASS];

    (void)state;
    assert_non_null(refill(CLASS));
    miss_full(slab);
    assert_int_equal(tcm_slab_capacity(slab, CLASS), FIRST);
    assert_int_equal(tcm_slab_count(slab, CLASS), FIRST / 2 + 1);
    assert_int_equal(transfer->count, FIRST / 2);
    close_front();
}

/* A class that needs room gets half of what another has. */
static void
without_room_other_classes_pay(void **state)
{
    struct tcm_slab *slab = open_front(FIRST * SIZE, 0);

    (void)state;
    assert_non_null(refill(CLASS));
    while (tcm_slab_count(slab, CLASS) < FIRST) {
        void *object;
        (void)tcm_central_take(&heap->transfers[CLASS].central, &object, 1);
        assert_true(tcm_slab_push(slab, CLASS, object));
    }
    assert_non_null(refill(OTHER));
    assert_int_equal(tcm_slab_capacity(slab, CLASS), FIRST / 2);
    assert_int_equal(tcm_slab_capacity(slab, OTHER), FIRST / 4);
    assert_int_equal(tcm_slab_count(slab, CLASS), FIRST / 2);
    assert_int_equal(heap->transfers[CLASS].count, FIRST / 2);
    close_front();
}

static void
room_comes_from_the_pool_and_goes_back(void **state)
{
    (void)open_front(0, PLENTY);
    (void)state;
    assert_non_null(refill(CLASS));
    assert_true(front.claimed >= FIRST * SIZE);
    assert_int_equal(atomic_load(&pool.room), PLENTY - front.claimed);
    tcm_front_drain(&front);
    assert_int_equal(front.claimed, 0);
    assert_int_equal(atomic_load(&pool.room), PLENTY);
    assert_non_null(refill(CLASS));
    tcm_front_fini(&front);
    assert_int_equal(atomic_load(&pool.room), PLENTY);
}

static void
without_any_room_each_object_is_fetched_alone(void **state)
{
    struct tcm_slab *slab = open_front(0, 0);
    void *object = refill(CLASS);

    (void)state;
    assert_non_null(object);
    assert_int_equal(tcm_slab_capacity(slab, CLASS), 0);
    tcm_front_spill(&front, CLASS, object);
    assert_int_equal(tcm_slab_count(slab, CLASS), 0);
    assert_true(tcm_transfer_holds(&heap->transfers[CLASS], object));
    close_front();
}

static void
drain_leaves_nothing_behind(void **state)
{
    struct tcm_slab *slab = open_front(PLENTY, 0);

    (void)state;
    assert_non_null(refill(CLASS));
    assert_non_null(refill(OTHER));
    tcm_front_drain(&front);
    tcm_front_check(&front);
    assert_int_equal(tcm_front_cached_size(&front), 0);
    assert_int_equal(tcm_slab_capacity(slab, CLASS), 0);
    assert_int_equal(front.room, PLENTY);
    assert_int_equal(heap->transfers[OTHER].count, FIRST / 2 - 1);
    tcm_front_fini(&front);
}

static void
out_of_memory_a_refill_is_null(void **state)
{
    struct tcm_slab *slab = open_front(PLENTY, 0);

    (void)state;
    pages_fail_at(1, true);
    assert_null(refill(CLASS));
    pages_fail_at(0, false);
    assert_int_equal(tcm_slab_count(slab, CLASS), 0);
    assert_non_null(refill(CLASS));
    close_front();
}

/* ---- the invariant broken */

static void
break_front(void *index)
{
    struct tcm_slab *slab = open_front(PLENTY, 0);

    (void)refill(CLASS);
    if (*(unsigned *)index == 0) {
        front.room--; /* I1 */
    } else {          /* I1: capacity that nobody paid for */
        tcm_slab_store(&slab->heads[OTHER].end, slab->runs[OTHER].begin + 1);
    }
    tcm_front_check(&front);
}

static void
check_finds_the_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "sum_locked(front) == front->own_room + front->claimed",
        "sum_locked(front) == front->own_room + front->claimed",
    };

    (void)state;
    assert_each_dies(break_front, messages, 2);
}

static void
dump(void *unused)
{
    (void)unused;
    tcm_front_dump(&front, STDERR_FILENO);
}

static void
dump_tells_room_misses_and_classes(void **state)
{
    (void)state;
    (void)open_front(FIRST * SIZE, 0);
    (void)refill(CLASS);
    assert_prints(dump, NULL,
        "front: 192 bytes cached, 0 of room, 1 misses\n"
        "  class 5 of 64 bytes: 3 of 8 objects\n");
    close_front();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(the_first_refill_takes_half_of_a_small_capacity),
        HEAP_TEST(misses_of_one_kind_double_the_capacity_up_to_four_batches),
        HEAP_TEST(misses_of_both_kinds_double_it_up_to_the_room_in_the_slab),
        HEAP_TEST(a_spill_without_room_sends_half_on),
        HEAP_TEST(without_room_other_classes_pay),
        HEAP_TEST(room_comes_from_the_pool_and_goes_back),
        HEAP_TEST(without_any_room_each_object_is_fetched_alone),
        HEAP_TEST(drain_leaves_nothing_behind),
        HEAP_TEST(out_of_memory_a_refill_is_null),
        HEAP_TEST(check_finds_the_broken_invariant),
        HEAP_TEST(dump_tells_room_misses_and_classes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
