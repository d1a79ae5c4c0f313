/*
 * span_test.c - objects leave and enter a span; each invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcmalloc/testheap.h"

#define SIZE  ((size_t)48)
#define COUNT 170u /* objects in a span: the last bitmap word is part used */

static struct tcm_span *
new_span(void)
{
    struct tcm_span *span =
        tcm_pageheap_take(&heap->pageheap, tcm_sizemap_class(SIZE));

    assert_non_null(span);
    assert_int_equal(tcm_span_object_count(span), COUNT);
    return span;
}

static void
give(struct tcm_span *span, size_t index)
{
    tcm_span_give(span, span->addr + index * SIZE);
    tcm_span_check(span);
}

static void
the_lowest_object_is_taken_first(void **state)
{
    struct tcm_span *span = new_span();
    void *batch[COUNT];

    (void)state;
    assert_int_equal(tcm_span_take(span, batch, 100), 100);
    for (size_t i = 0; i < 100; i++) {
        assert_ptr_equal(batch[i], span->addr + i * SIZE);
    }
    give(span, 70);
    give(span, 3);
    assert_int_equal(tcm_span_take(span, batch, 3), 3);
    assert_ptr_equal(batch[0], span->addr + 3 * SIZE);
    assert_ptr_equal(batch[1], span->addr + 70 * SIZE);
    assert_ptr_equal(batch[2], span->addr + 100 * SIZE);
    tcm_span_check(span);
}

static void
take_moves_no_more_than_is_free(void **state)
{
    struct tcm_span *span = new_span();
    void *batch[COUNT + 1];

    (void)state;
    assert_int_equal(tcm_span_take(span, batch, COUNT + 1), COUNT);
    assert_int_equal(span->free_count, 0);
    assert_int_equal(tcm_span_take(span, batch, 1), 0);
    tcm_span_check(span);
}

static void
is_free_follows_take_and_give(void **state)
{
    struct tcm_span *span = new_span();
    void *object;

    (void)state;
    assert_true(tcm_span_is_free(span, span->addr));
    assert_int_equal(tcm_span_take(span, &object, 1), 1);
    assert_false(tcm_span_is_free(span, object));
    assert_true(tcm_span_is_free(span, span->addr + SIZE));
    give(span, 0);
    assert_true(tcm_span_is_free(span, object));
}

static void
owner_holds_span_and_class(void **state)
{
    struct tcm_span *span = new_span();
    void *owner = tcm_owner_make(span);

    (void)state;
    assert_ptr_equal(tcm_owner_span(owner), span);
    assert_int_equal(tcm_owner_class(owner), tcm_sizemap_class(SIZE));
    assert_ptr_equal(tcm_owner_get(&heap->pageheap.map, span->addr), owner);
    assert_null(tcm_owner_span(NULL));
    assert_null(tcm_owner_span(TCM_OWNER_FREED));
    assert_int_equal(tcm_owner_class(TCM_OWNER_FREED), 0);
}

/* ---- misuse */

static void
give_wrongly(void *index)
{
    struct tcm_span *span = new_span();
    void *batch[COUNT];
    size_t offsets[] = {0, SIZE / 2, COUNT * SIZE};
    unsigned i = *(unsigned *)index;

    (void)tcm_span_take(span, batch, i == 0 ? 0 : COUNT);
    tcm_span_give(span, span->addr + offsets[i]);
}

static void
give_finds_what_is_no_object_in_use(void **state)
{
    static const char *const messages[] = {
        "malstrom-tcmalloc: double free: ",
        "malstrom-tcmalloc: invalid pointer: ", /* inside an object */
        "malstrom-tcmalloc: invalid pointer: ", /* past the last */
    };

    (void)state;
    assert_each_dies(give_wrongly, messages, 3);
}

/* ---- each invariant broken */

static void
break_span(void *index)
{
    struct tcm_span *span = new_span();

    switch (*(unsigned *)index) {
    case 0:
        span->free_count--; /* I1 */
        break;
    case 1:
        bitmap_set(span->free_bits, COUNT); /* I2 */
        break;
    case 2:
        span->addr += SIZE;
        break;
    default:
        span->page_count++;
    }
    tcm_span_check(span);
}

static void
check_finds_each_broken_invariant(void **state)
{
    static const char *const messages[] = {
        "== span->free_count",
        "bitmap.c:",
        "span->addr & (TCM_PAGE - 1)",
        "span->page_count == ",
    };

    (void)state;
    assert_each_dies(break_span, messages, 4);
}

static void
dump(void *span)
{
    tcm_span_dump(span, STDERR_FILENO);
}

static void
dump_tells_class_and_free_objects(void **state)
{
    (void)state;
    assert_prints(dump, new_span(),
        ": 1 pages, class 4 of 48 bytes, 170 of 170 objects free\n");
    assert_prints(dump, tcm_pageheap_take_large(&heap->pageheap, 300, 1),
        ": 300 pages\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(the_lowest_object_is_taken_first),
        HEAP_TEST(take_moves_no_more_than_is_free),
        HEAP_TEST(is_free_follows_take_and_give),
        HEAP_TEST(owner_holds_span_and_class),
        HEAP_TEST(give_finds_what_is_no_object_in_use),
        HEAP_TEST(check_finds_each_broken_invariant),
        HEAP_TEST(dump_tells_class_and_free_objects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
