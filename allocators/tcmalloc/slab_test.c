/*
 * slab_test.c - what a slab's arrays hold, and where they end; each invariant
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
#include "tcmalloc/slab.h"

#define CLASS 5u
#define ROOM  10u /* the class's capacity */

static struct tcm_slab *slab;
static char objects[2 * ROOM]; /* their addresses are what it holds */
static void *batch[2 * ROOM];

static size_t
memory_size(void)
{
    return pages_round_up(tcm_slab_size(TCM_SLAB_FULL));
}

static int
map(void **state)
{
    (void)state;
    slab = pages_map(memory_size(), pages_os_size());
    for (unsigned i = 0; i < 2 * ROOM; i++) {
        batch[i] = &objects[i];
    }
    return slab == NULL;
}

static int
unmap(void **state)
{
    (void)state;
    return !pages_unmap(slab, memory_size());
}

static void
set_capacity(uint32_t capacity)
{
    tcm_slab_store(&slab->heads[CLASS].end, slab->runs[CLASS].begin + capacity);
}

static int
set_up(void **state)
{
    (void)state;
    memset(slab, 0, memory_size());
    tcm_slab_init(slab, TCM_SLAB_SMALL);
    set_capacity(ROOM);
    return 0;
}

static void
push_all(void)
{
    for (unsigned i = 0; i < ROOM; i++) {
        assert_true(tcm_slab_push(slab, CLASS, &objects[i]));
    }
    tcm_slab_check(slab);
}

static void
zeroed_memory_neither_pops_nor_pushes(void **state)
{
    (void)state;
    memset(slab, 0, memory_size());
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        assert_null(tcm_slab_pop(slab, i));
        assert_false(tcm_slab_push(slab, i, objects));
    }
}

static void
a_fresh_slab_is_empty_and_without_capacity(void **state)
{
    (void)state;
    set_capacity(0);
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        assert_int_equal(tcm_slab_count(slab, i), 0);
        assert_int_equal(tcm_slab_capacity(slab, i), 0);
        assert_null(tcm_slab_pop(slab, i));
        assert_false(tcm_slab_push(slab, i, objects));
    }
    tcm_slab_check(slab);
}

/* Each run has one slot more than room, for the NULL before it. */
static void
runs_lie_end_to_end_in_both_shapes(void **state)
{
    (void)state;
    for (enum tcm_slab_shape shape = TCM_SLAB_FULL; shape <= TCM_SLAB_SMALL;
         shape++) {
        uint32_t end = sizeof *slab / sizeof(void *);

        tcm_slab_init(slab, shape);
        for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
            uint32_t room = tcm_classes[i].front_max;

            room = shape == TCM_SLAB_SMALL && room > 16 ? 16 : room;
            assert_int_equal(slab->runs[i].begin, end);
            assert_int_equal(slab->runs[i].limit, end + room);
            end += room + 1;
        }
        assert_int_equal(tcm_slab_size(shape), end * sizeof(void *));
    }
}

static void
the_last_pushed_is_popped_first(void **state)
{
    (void)state;
    push_all();
    assert_int_equal(tcm_slab_count(slab, CLASS), ROOM);
    for (unsigned i = ROOM; i-- > 0;) {
        assert_ptr_equal(tcm_slab_newest(slab, CLASS), &objects[i]);
        assert_ptr_equal(tcm_slab_pop(slab, CLASS), &objects[i]);
    }
    assert_null(tcm_slab_newest(slab, CLASS));
    assert_null(tcm_slab_pop(slab, CLASS));
    tcm_slab_check(slab);
}

static void
a_full_run_takes_no_more(void **state)
{
    (void)state;
    push_all();
    assert_false(tcm_slab_push(slab, CLASS, &objects[ROOM]));
    assert_int_equal(tcm_slab_push_many(slab, CLASS, &batch[ROOM], 1), 0);
    assert_int_equal(tcm_slab_count(slab, CLASS), ROOM);
}

static void
the_newest_object_is_not_pushed_twice(void **state)
{
    (void)state;
    assert_true(tcm_slab_push(slab, CLASS, &objects[0]));
    assert_false(tcm_slab_push(slab, CLASS, &objects[0]));
    assert_int_equal(tcm_slab_count(slab, CLASS), 1);
}

static void
many_are_moved_as_far_as_they_fit(void **state)
{
    void *popped[ROOM];

    (void)state;
    assert_int_equal(tcm_slab_push_many(slab, CLASS, batch, 2 * ROOM), ROOM);
    tcm_slab_check(slab);
    assert_int_equal(tcm_slab_pop_many(slab, CLASS, popped, 4), 4);
    assert_memory_equal(popped, &batch[ROOM - 4], 4 * sizeof *popped);
    assert_int_equal(tcm_slab_pop_many(slab, CLASS, popped, ROOM), ROOM - 4);
    assert_memory_equal(popped, batch, (ROOM - 4) * sizeof *popped);
    assert_int_equal(tcm_slab_pop_many(slab, CLASS, popped, ROOM), 0);
    tcm_slab_check(slab);
}

/* I3 */
static void
above_a_lowered_end_there_is_no_push(void **state)
{
    (void)state;
    push_all();
    set_capacity(3);
    tcm_slab_check(slab);
    assert_false(tcm_slab_push(slab, CLASS, &objects[ROOM]));
    assert_int_equal(tcm_slab_push_many(slab, CLASS, &batch[ROOM], 1), 0);
    assert_ptr_equal(tcm_slab_pop(slab, CLASS), &objects[ROOM - 1]);
    assert_int_equal(tcm_slab_count(slab, CLASS), ROOM - 1);
}

static void
holds_what_was_pushed_and_not_popped(void **state)
{
    (void)state;
    push_all();
    (void)tcm_slab_pop(slab, CLASS);
    assert_true(tcm_slab_holds(slab, CLASS, &objects[0]));
    assert_true(tcm_slab_holds(slab, CLASS, &objects[ROOM - 2]));
    assert_false(tcm_slab_holds(slab, CLASS, &objects[ROOM - 1]));
    assert_false(tcm_slab_holds(slab, CLASS + 1, &objects[0]));
}

/* ---- each invariant broken */

static void
break_slab(void *index)
{
    struct tcm_slab_head *head = &slab->heads[CLASS];
    const struct tcm_slab_run *run = &slab->runs[CLASS];

    push_all();
    switch (*(unsigned *)index) {
    case 0:
        tcm_slab_store(&head->current, run->limit + 1); /* I1 */
        break;
    case 1:
        tcm_slab_store(&head->end, run->begin - 1); /* I1 */
        break;
    case 2:
        *tcm_slab_slot(slab, run->begin) = objects; /* I2 */
        break;
    case 3:
        *tcm_slab_slot(slab, run->begin + 4) = NULL; /* I2 */
        break;
    default: /* what a head of zeroes points at */
        *tcm_slab_slot(slab, 0) = objects;
    }
    tcm_slab_check(slab);
}

static void
check_finds_each_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "run->begin <= current && current <= run->limit",
        "run->begin <= end && end <= run->limit",
        "*tcm_slab_slot(slab, run->begin) == NULL",
        "*tcm_slab_slot(slab, slot) != NULL",
        "== NULL",
    };

    (void)state;
    assert_each_dies(break_slab, messages, 5);
}

static void
dump(void *unused)
{
    (void)unused;
    tcm_slab_dump(slab, STDERR_FILENO);
}

static void
dump_tells_classes_with_capacity(void **state)
{
    (void)state;
    (void)tcm_slab_push(slab, CLASS, objects);
    assert_prints(dump, NULL, "  class 5 of 64 bytes: 1 of 10 objects\n");
    set_capacity(0);
    (void)tcm_slab_pop(slab, CLASS);
    assert_prints(dump, NULL, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(zeroed_memory_neither_pops_nor_pushes, set_up),
        cmocka_unit_test_setup(
            a_fresh_slab_is_empty_and_without_capacity, set_up),
        cmocka_unit_test_setup(runs_lie_end_to_end_in_both_shapes, set_up),
        cmocka_unit_test_setup(the_last_pushed_is_popped_first, set_up),
        cmocka_unit_test_setup(a_full_run_takes_no_more, set_up),
        cmocka_unit_test_setup(the_newest_object_is_not_pushed_twice, set_up),
        cmocka_unit_test_setup(many_are_moved_as_far_as_they_fit, set_up),
        cmocka_unit_test_setup(above_a_lowered_end_there_is_no_push, set_up),
        cmocka_unit_test_setup(holds_what_was_pushed_and_not_popped, set_up),
        cmocka_unit_test_setup(check_finds_each_broken_invariant, set_up),
        cmocka_unit_test_setup(dump_tells_classes_with_capacity, set_up),
    };

    return cmocka_run_group_tests(tests, map, unmap);
}
