/*
 * fuzz_list.c - parts/list.h against two arrays
 *
 * A byte names what to do and to whom: insert somewhere, take off, move to the
 * other list, or append one list to the other. After each step both lists are
 * as the arrays have them.
 */
#include <string.h>

#include "base/check.h"
#include "fuzz/input.h"
#include "parts/list.h"

#define ELEMENTS 16

struct model {
    struct list list;
    struct list *in[ELEMENTS];
    size_t count;
};

static size_t
model_find(const struct model *model, const struct list *link)
{
    size_t at = 0;

    while (at < model->count && model->in[at] != link) {
        at++;
    }
    return at;
}

static void
model_insert(struct model *model, size_t at, struct list *link)
{
    memmove(&model->in[at + 1], &model->in[at],
        (model->count - at) * sizeof(model->in[0]));
    model->in[at] = link;
    model->count++;
}

static void
model_remove(struct model *model, size_t at)
{
    model->count--;
    memmove(&model->in[at], &model->in[at + 1],
        (model->count - at) * sizeof(model->in[0]));
}

static void
check_same(const struct model *model)
{
    const struct list *link;
    size_t at = 0;

    list_check(&model->list);
    CHECK(list_count(&model->list) == model->count);
    LIST_EACH (link, &model->list) {
        CHECK(link == model->in[at]);
        at++;
    }
}

static void
step_in(struct input *input, struct model *model, struct list *link)
{
    size_t at = input_below(input, (unsigned)model->count + 1);

    if (at == 0) {
        list_push(&model->list, link);
    } else if (at == model->count) {
        list_push_last(&model->list, link);
    } else {
        list_insert(model->in[at - 1], link);
    }
    model_insert(model, at, link);
}

/* The link is at that place of the model. */
static void
step_out(
    struct input *input, struct model *model, struct model *other, size_t at)
{
    struct list *link = model->in[at];

    switch (input_below(input, 4)) {
    case 0:
        list_remove(link);
        break;
    case 1:
        link = list_pop(&model->list);
        at = 0;
        break;
    case 2:
        link = list_pop_last(&model->list);
        at = model->count - 1;
        break;
    default:
        list_move(&other->list, link);
        model_insert(other, 0, link);
        break;
    }
    CHECK(link == model->in[at]);
    model_remove(model, at);
}

static void
step_append(struct model *model, struct model *other)
{
    list_append(&model->list, &other->list);
    memcpy(&model->in[model->count], other->in,
        other->count * sizeof(other->in[0]));
    model->count += other->count;
    other->count = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size};
    struct list links[ELEMENTS];
    struct model models[2] = {0};

    for (int i = 0; i < ELEMENTS; i++) {
        list_init(&links[i]);
    }
    list_init(&models[0].list);
    list_init(&models[1].list);
    while (input_more(&input)) {
        unsigned what = input_byte(&input);
        struct model *one = &models[what & 1];
        struct model *other = &models[!(what & 1)];
        struct list *link = &links[(what >> 1) % ELEMENTS];
        size_t at = model_find(one, link);

        if (what >> 5 == 7) {
            step_append(one, other);
        } else if (at < one->count) {
            step_out(&input, one, other, at);
        } else if (list_empty(link)) {
            step_in(&input, one, link);
        }
        check_same(one);
        check_same(other);
    }
    return 0;
}
