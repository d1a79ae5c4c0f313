/*
 * list_test.c - list.h against an array, and each invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/death.h"
#include "base/random.h"
#include "parts/list.h"

#define ELEMENTS_MAX 64

struct element {
    unsigned number;
    struct list link;
};

/* The reference: the same elements, in order. */
struct model {
    struct element *in[ELEMENTS_MAX];
    size_t count;
};

static void
model_insert(struct model *model, size_t at, struct element *element)
{
    memmove(&model->in[at + 1], &model->in[at],
        (model->count - at) * sizeof(model->in[0]));
    model->in[at] = element;
    model->count++;
}

static size_t
model_find(const struct model *model, const struct element *element)
{
    size_t at = 0;

    while (at < model->count && model->in[at] != element) {
        at++;
    }
    return at;
}

static void
model_remove(struct model *model, size_t at)
{
    model->count--;
    memmove(&model->in[at], &model->in[at + 1],
        (model->count - at) * sizeof(model->in[0]));
}

static void
assert_same(const struct list *list, const struct model *model)
{
    const struct list *link;
    size_t at = 0;

    list_check(list);
    assert_int_equal(list_count(list), model->count);
    assert_int_equal(list_empty(list), model->count == 0);
    LIST_EACH (link, list) {
        assert_ptr_equal(LIST_OF(link, struct element, link), model->in[at]);
        at++;
    }
    if (model->count > 0) {
        assert_ptr_equal(list_first(list), &model->in[0]->link);
        assert_ptr_equal(list_last(list), &model->in[model->count - 1]->link);
    } else {
        assert_null(list_first(list));
        assert_null(list_last(list));
    }
}

/* Puts an element that is on no list somewhere. */
static void
step_in(struct random *random, struct list *list, struct model *model,
    struct element *element)
{
    size_t at = random_below(random, model->count + 1);

    if (at == 0) {
        list_push(list, &element->link);
    } else if (at == model->count) {
        list_push_last(list, &element->link);
    } else {
        list_insert(&model->in[at - 1]->link, &element->link);
    }
    model_insert(model, at, element);
}

/* Takes one off, from the ends by pop. */
static void
step_out(struct random *random, struct list *list, struct model *model)
{
    size_t at = random_below(random, model->count);
    struct list *link = &model->in[at]->link;

    if (at == 0) {
        assert_ptr_equal(list_pop(list), link);
    } else if (at == model->count - 1) {
        assert_ptr_equal(list_pop_last(list), link);
    } else {
        list_remove(link);
    }
    assert_true(list_empty(link));
    model_remove(model, at);
}

static void
list_keeps_order_under_random_steps(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct element elements[ELEMENTS_MAX];
        struct model model = {.count = 0};
        struct random random;
        struct list list;

        random_seed(&random, seed);
        list_init(&list);
        for (size_t i = 0; i < ELEMENTS_MAX; i++) {
            list_init(&elements[i].link);
        }
        for (int step = 0; step < 500; step++) {
            struct element *element =
                &elements[random_below(&random, ELEMENTS_MAX)];

            if (model_find(&model, element) == model.count) {
                step_in(&random, &list, &model, element);
            } else {
                step_out(&random, &list, &model);
            }
            assert_same(&list, &model);
        }
    }
}

static void
list_pop_of_empty_is_null(void **state)
{
    struct list list;

    (void)state;
    list_init(&list);
    assert_null(list_pop(&list));
    assert_null(list_pop_last(&list));
    list_check(&list);
}

static void
list_move_and_append_empty_their_source(void **state)
{
    struct element elements[6];
    struct model model = {.count = 0};
    struct list one, two;

    (void)state;
    list_init(&one);
    list_init(&two);
    for (int i = 0; i < 3; i++) {
        list_push_last(&one, &elements[i].link);
        list_push_last(&two, &elements[i + 3].link);
    }
    for (int i = 0; i < 6; i++) {
        model_insert(&model, model.count, &elements[i]);
    }
    list_append(&one, &two);
    assert_same(&one, &model);
    assert_true(list_empty(&two));
    list_append(&one, &two); /* nothing */
    assert_same(&one, &model);

    list_move(&two, &elements[4].link);
    model_remove(&model, 4);
    assert_same(&one, &model);
    assert_ptr_equal(list_first(&two), &elements[4].link);
    list_check(&two);
}

/* Breaks one link of three in one of the ways; then list_check must die. */
static void
check_broken(void *arg)
{
    struct element elements[3];
    struct list list;

    list_init(&list);
    for (int i = 0; i < 3; i++) {
        list_push_last(&list, &elements[i].link);
    }
    switch (*(int *)arg) {
    case 0:
        elements[1].link.prev = &list;
        break;
    case 1:
        elements[1].link.next = &elements[0].link; /* a loop without head */
        break;
    case 2:
        elements[2].link.next = NULL;
        break;
    }
    list_check(&list);
}

static void
list_check_finds_each_broken_link(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        assert_dies(check_broken, &way, "check failed: link->next");
    }
}

static void
dump_list(void *arg)
{
    list_dump(arg, STDERR_FILENO);
}

static void
list_dump_shows_links_in_order(void **state)
{
    struct element elements[2];
    char said[DEATH_TEXT_MAX], expected[200];
    struct list list;

    (void)state;
    list_init(&list);
    list_push(&list, &elements[1].link);
    list_push(&list, &elements[0].link);
    death_capture(dump_list, &list, said);
    snprintf(expected, sizeof(expected), "list %p: %p %p\n", (void *)&list,
        (void *)&elements[0].link, (void *)&elements[1].link);
    assert_string_equal(said, expected);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_keeps_order_under_random_steps),
        cmocka_unit_test(list_pop_of_empty_is_null),
        cmocka_unit_test(list_move_and_append_empty_their_source),
        cmocka_unit_test(list_check_finds_each_broken_link),
        cmocka_unit_test(list_dump_shows_links_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
