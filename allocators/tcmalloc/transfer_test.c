/*
 * transfer_test.c - what the array keeps, passes on and gives out again; each
 * part of its invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcmalloc/testheap.h"

#define SIZE  ((size_t)4096)
#define ROOM  128u /* objects of this size in the array */
#define COUNT 200u

static void *objects[COUNT];

static struct tcm_transfer *
transfer_of(size_t size)
{
    return &heap->transfers[tcm_sizemap_class(size)];
}

/* Objects in nobody's cache, and the array empty. */
static struct tcm_transfer *
empty_transfer(void)
{
    struct tcm_transfer *transfer = transfer_of(SIZE);

    assert_int_equal(
        tcm_central_take(&transfer->central, objects, COUNT), COUNT);
    assert_int_equal(transfer->count, 0);
    return transfer;
}

/* The array then holds so many. */
static void
give(struct tcm_transfer *transfer, size_t count, size_t held)
{
    tcm_transfer_give(transfer, objects, count);
    tcm_transfer_check(transfer);
    assert_int_equal(transfer->count, held);
}

static void
drain(struct tcm_transfer *transfer, bool all, size_t held)
{
    tcm_transfer_drain(transfer, all);
    tcm_transfer_check(transfer);
    assert_int_equal(transfer->count, held);
}

static void
capacity_is_bounded_in_bytes_and_in_slots(void **state)
{
    (void)state;
    assert_int_equal(transfer_of(SIZE)->capacity, ROOM);
    assert_int_equal(transfer_of(8)->capacity, TCM_TRANSFER_SLOTS);
    assert_int_equal(transfer_of(TCM_CLASS_SIZE_MAX)->capacity, 1);
}

static void
the_newest_objects_leave_first(void **state)
{
    struct tcm_transfer *transfer = empty_transfer();
    void *batch[3];

    (void)state;
    give(transfer, 10, 10);
    assert_int_equal(tcm_transfer_take(transfer, batch, 3, 0), 3);
    assert_memory_equal(batch, &objects[7], sizeof batch);
    assert_int_equal(transfer->count, 7);
    tcm_transfer_check(transfer);
}

static void
only_an_empty_array_asks_the_central_list(void **state)
{
    struct tcm_transfer *transfer = empty_transfer();
    void *batch[32];

    (void)state;
    give(transfer, 3, 3);
    assert_int_equal(tcm_transfer_take(transfer, batch, 32, 5), 3);
    assert_int_equal(tcm_transfer_take(transfer, batch, 32, 5), 5);
    assert_int_equal(transfer->count, 0);
    tcm_transfer_check(transfer);
}

static void
what_has_no_room_goes_to_the_central_list(void **state)
{
    struct tcm_transfer *transfer = empty_transfer();

    (void)state;
    give(transfer, ROOM + 2, ROOM); /* the last two are a whole span */
    assert_int_equal(transfer->central.span_count, COUNT / 2 - 1);
    assert_ptr_equal(
        tcm_owner_get(&heap->pageheap.map, objects[ROOM]), TCM_OWNER_FREED);
}

static void
drain_moves_what_was_not_needed_since_the_last(void **state)
{
    struct tcm_transfer *transfer = empty_transfer();
    void *batch[60];

    (void)state;
    give(transfer, 100, 100);
    drain(transfer, false, 100); /* all of it is new */
    assert_int_equal(tcm_transfer_take(transfer, batch, 60, 0), 60);
    tcm_transfer_give(transfer, batch, 60);
    drain(transfer, false, 60); /* 40 were never needed */
    drain(transfer, false, 0);
}

static void
drain_of_all_moves_all(void **state)
{
    struct tcm_transfer *transfer = empty_transfer();

    (void)state;
    give(transfer, 100, 100);
    drain(transfer, true, 0);
    assert_int_equal(transfer->central.span_count, (COUNT - 100) / 2);
}

static void
holds_what_is_free_here_or_in_the_central_list(void **state)
{
    struct tcm_transfer *transfer = empty_transfer();

    (void)state;
    tcm_transfer_give(transfer, &objects[0], 1);
    tcm_central_give(&transfer->central, &objects[2], 1);
    assert_true(tcm_transfer_holds(transfer, objects[0]));
    assert_false(tcm_transfer_holds(transfer, objects[1]));
    assert_true(tcm_transfer_holds(transfer, objects[2]));
}

static void
out_of_pages_nothing_comes(void **state)
{
    struct tcm_transfer *transfer = transfer_of(SIZE);
    void *batch[4];

    (void)state;
    pages_fail_at(1, true);
    assert_int_equal(tcm_transfer_take(transfer, batch, 4, 4), 0);
    pages_fail_at(0, false);
    tcm_transfer_check(transfer);
    assert_int_equal(tcm_transfer_take(transfer, batch, 4, 4), 4);
}

/* ---- the invariant broken */

static void
break_transfer(void *index)
{
    struct tcm_transfer *transfer = empty_transfer();

    tcm_transfer_give(transfer, objects, 10);
    switch (*(unsigned *)index) {
    case 0:
        transfer->capacity = 9; /* I1 */
        break;
    case 1:
        transfer->low_count = 11; /* I1 */
        break;
    default: /* another class's */
        (void)tcm_central_take(
            &transfer_of(2 * SIZE)->central, &transfer->slots[4], 1);
    }
    tcm_transfer_check(transfer);
}

static void
check_finds_each_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "transfer->count <= transfer->capacity",
        "transfer->low_count <= transfer->count",
        "tcm_owner_class(owner) == ",
    };

    (void)state;
    assert_each_dies(break_transfer, messages, 3);
}

static void
dump(void *transfer)
{
    tcm_transfer_dump(transfer, STDERR_FILENO);
}

static void
dump_is_silent_of_a_class_not_in_use(void **state)
{
    struct tcm_transfer *transfer = empty_transfer();

    (void)state;
    give(transfer, 10, 10);
    assert_prints(dump, transfer, "transfer 43: 10 of 128 objects\ncentral ");
    assert_prints(dump, transfer_of(2 * SIZE), NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(capacity_is_bounded_in_bytes_and_in_slots),
        HEAP_TEST(the_newest_objects_leave_first),
        HEAP_TEST(only_an_empty_array_asks_the_central_list),
        HEAP_TEST(what_has_no_room_goes_to_the_central_list),
        HEAP_TEST(drain_moves_what_was_not_needed_since_the_last),
        HEAP_TEST(drain_of_all_moves_all),
        HEAP_TEST(holds_what_is_free_here_or_in_the_central_list),
        HEAP_TEST(out_of_pages_nothing_comes),
        HEAP_TEST(check_finds_each_broken_invariant),
        HEAP_TEST(dump_is_silent_of_a_class_not_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
