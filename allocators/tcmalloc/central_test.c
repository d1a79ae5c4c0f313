/*
 * central_test.c - objects by the batch, fullest span first, whole spans back;
 * each invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcmalloc/testheap.h"

#define SIZE  ((size_t)64)
#define EACH  128u /* objects in a span */
#define SPANS 3u
#define COUNT (SPANS * EACH)

static void *objects[COUNT];

static struct tcm_central *
central_of(size_t size)
{
    return &heap->transfers[tcm_sizemap_class(size)].central;
}

/* Three spans without a free object; span i has objects[i * EACH] and on. */
static struct tcm_central *
full_central(void)
{
    struct tcm_central *central = central_of(SIZE);

    assert_int_equal(tcm_central_take(central, objects, COUNT), COUNT);
    assert_int_equal(central->span_count, SPANS);
    assert_int_equal(central->free_count, 0);
    return central;
}

static struct tcm_span *
span_of(const void *object)
{
    return tcm_owner_span(tcm_owner_get(&heap->pageheap.map, object));
}

static void
give(struct tcm_central *central, unsigned span, size_t count)
{
    tcm_central_give(central, &objects[span * EACH], count);
    tcm_central_check(central);
}

/* A batch comes from that span alone. */
static void
assert_comes_from(struct tcm_central *central, unsigned span, size_t count)
{
    void *batch[EACH];

    assert_int_equal(tcm_central_take(central, batch, count), count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(span_of(batch[i]), span_of(objects[span * EACH]));
    }
    tcm_central_check(central);
}

static void
a_batch_comes_from_as_many_spans_as_it_needs(void **state)
{
    struct tcm_central *central = central_of(SIZE);

    (void)state;
    assert_int_equal(tcm_central_take(central, objects, 300), 300);
    assert_int_equal(central->span_count, 3);
    assert_int_equal(central->free_count, 3 * EACH - 300);
    tcm_central_check(central);
    assert_int_equal(tcm_central_take(central, objects, 84), 84);
    assert_int_equal(central->span_count, 3);
    tcm_central_check(central);
}

static void
the_span_with_most_live_objects_is_taken_from_first(void **state)
{
    struct tcm_central *central = full_central();

    (void)state;
    give(central, 0, 100); /* 28 live */
    give(central, 1, 50);  /* 78 */
    give(central, 2, 120); /* 8 */
    assert_comes_from(central, 1, 50);
    assert_comes_from(central, 0, 100);
    assert_comes_from(central, 2, 120);
    assert_int_equal(central->span_count, SPANS);
}

static void
a_wholly_free_span_goes_back(void **state)
{
    struct tcm_central *central = full_central();

    (void)state;
    give(central, 1, EACH - 1);
    assert_int_equal(central->free_count, EACH - 1);
    tcm_central_give(central, &objects[2 * EACH - 1], 1);
    tcm_central_check(central);
    assert_int_equal(central->span_count, SPANS - 1);
    assert_int_equal(central->free_count, 0);
    assert_ptr_equal(
        tcm_owner_get(&heap->pageheap.map, objects[EACH]), TCM_OWNER_FREED);
}

static void
holds_what_is_free_here_alone(void **state)
{
    struct tcm_central *central = full_central();

    (void)state;
    assert_false(tcm_central_holds(central, objects[7]));
    tcm_central_give(central, &objects[7], 1);
    assert_true(tcm_central_holds(central, objects[7]));
    assert_false(tcm_central_holds(central, objects[8]));
    assert_false(tcm_central_holds(central_of(2 * SIZE), objects[7]));
    assert_false(tcm_central_holds(central, &heap));
}

/* Of the largest class a hugepage has two objects. */
static void
out_of_pages_the_batch_is_short(void **state)
{
    struct tcm_central *central = central_of(TCM_CLASS_SIZE_MAX);

    (void)state;
    assert_int_equal(tcm_central_take(central, objects, 1), 1);
    pages_fail_at(1, true);
    assert_int_equal(tcm_central_take(central, objects + 1, 3), 1);
    assert_int_equal(tcm_central_take(central, objects + 2, 2), 0);
    pages_fail_at(0, false);
    tcm_central_check(central);
    assert_int_equal(central->span_count, 2);
    assert_int_equal(tcm_central_take(central, objects + 2, 2), 2);
    tcm_central_give(central, objects, 4);
    tcm_central_check(central);
    assert_int_equal(central->span_count, 0);
}

/* ---- misuse */

static void
give_wrongly(void *index)
{
    struct tcm_central *central = full_central();
    void *wrong = objects[0];

    switch (*(unsigned *)index) {
    case 0:
        tcm_central_give(central, &wrong, 1);
        break;
    case 1: /* the span is gone */
        give(central, 0, EACH);
        break;
    default:
        central = central_of(2 * SIZE);
    }
    tcm_central_give(central, &wrong, 1);
}

static void
give_finds_what_is_not_its_own(void **state)
{
    static const char *const messages[] = {
        "malstrom-tcmalloc: double free: ",
        "malstrom-tcmalloc: double free: ",
        "malstrom-tcmalloc: corrupted cache: ",
    };

    (void)state;
    assert_each_dies(give_wrongly, messages, 3);
}

/* ---- each invariant broken */

static void
break_central(void *index)
{
    struct tcm_central *central = full_central();
    struct tcm_span *span = span_of(objects[0]);

    switch (*(unsigned *)index) {
    case 0:
        central->free_count++; /* I1 */
        break;
    case 1:
        central->span_count--; /* I1 */
        break;
    case 2:
        list_move(&central->nonempty[0], &span->link); /* I2 */
        break;
    default: /* I3 */
        span = tcm_pageheap_take(&heap->pageheap, central->size_class);
        list_push(&central->nonempty[TCM_CENTRAL_LISTS - 1], &span->link);
        central->free_count += EACH;
        central->span_count++;
    }
    tcm_central_check(central);
}

static void
check_finds_each_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "free_count == central->free_count",
        "span_count == central->span_count",
        "list_for(central, span) ==",
        "span->free_count < tcm_span_object_count(span)",
    };

    (void)state;
    assert_each_dies(break_central, messages, 4);
}

static void
dump(void *central)
{
    tcm_central_dump(central, STDERR_FILENO);
}

static void
dump_tells_each_span(void **state)
{
    struct tcm_central *central = full_central();

    (void)state;
    give(central, 0, 9);
    assert_prints(dump, central, "central 5: 9 objects free in 3 spans\nspan ");
    assert_prints(dump, central, ", 9 of 128 objects free\n");
    assert_prints(dump, central, ", 0 of 128 objects free\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(a_batch_comes_from_as_many_spans_as_it_needs),
        HEAP_TEST(the_span_with_most_live_objects_is_taken_from_first),
        HEAP_TEST(a_wholly_free_span_goes_back),
        HEAP_TEST(holds_what_is_free_here_alone),
        HEAP_TEST(out_of_pages_the_batch_is_short),
        HEAP_TEST(give_finds_what_is_not_its_own),
        HEAP_TEST(check_finds_each_broken_invariant),
        HEAP_TEST(dump_tells_each_span),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
