/*
 * fuzz_transfer.c - tcmalloc/transfer.h and central.h against a table of objects
 *
 * One class on a heap of its own. The model holds objects, and knows what lies in
 * the transfer cache, as the stack that it is. All others that were ever seen
 * are the central list's, or gone with their span. Mappings may fail.
 */
#include <string.h>

#include "base/check.h"
#include "base/pages.h"
#include "fuzz/input.h"

#include FUZZ_SUBJECT

#define HELD_MAX  4096
#define BATCH_MAX 128

static struct model {
    struct tcm_transfer *transfer;
    unsigned size_class;
    size_t held_count, stack_count;
    void *held[HELD_MAX];
    void *stack[TCM_TRANSFER_SLOTS]; /* what the cache holds, oldest first */
} model;

/* New in the model's hands: an object of the class that nobody has. */
static void
hold(void *object)
{
    const struct tcm_pageheap *pageheap = model.transfer->central.pageheap;
    void *owner = tcm_owner_get(&pageheap->map, object);

    CHECK(tcm_owner_class(owner) == model.size_class);
    CHECK(tcm_sizemap_starts(model.size_class, object));
    for (size_t i = 0; i < model.held_count; i++) {
        CHECK(model.held[i] != object);
    }
    CHECK(!tcm_transfer_holds(model.transfer, object));
    model.held[model.held_count++] = object;
}

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void
step_take(struct input *input)
{
    size_t room = smaller(HELD_MAX - model.held_count, BATCH_MAX);
    size_t count = smaller(1 + input_below(input, BATCH_MAX), room);
    size_t fresh = smaller(1 + input_below(input, BATCH_MAX), room);
    unsigned fault = input_below(input, 8);
    void *batch[BATCH_MAX];

    if (room == 0) {
        return;
    }
    pages_fail_at(fault < 4 ? fault : 0, true);
    size_t taken = tcm_transfer_take(model.transfer, batch, count, fresh);
    pages_fail_at(0, false);
    if (model.stack_count > 0) {
        CHECK(taken == smaller(count, model.stack_count));
        model.stack_count -= taken;
        CHECK(memcmp(batch, model.stack + model.stack_count,
                  taken * sizeof *batch) == 0);
    } else {
        CHECK(taken == fresh || (fault >= 1 && fault < 4 && taken < fresh));
    }
    for (size_t i = 0; i < taken; i++) {
        hold(batch[i]);
    }
}

/* Takes up to count of what is held out, from a place on. */
static size_t
let_go(struct input *input, void **batch)
{
    size_t count = smaller(1 + input_below(input, BATCH_MAX), model.held_count);
    size_t from = model.held_count == 0 ? 0
                                        : (input_byte(input) * 16u) %
                                              (model.held_count - count + 1);

    memcpy(batch, model.held + from, count * sizeof *batch);
    model.held_count -= count;
    memmove(model.held + from, model.held + from + count,
        (model.held_count - from) * sizeof *batch);
    return count;
}

static void
step_give(struct input *input)
{
    void *batch[BATCH_MAX];
    size_t count = let_go(input, batch);
    size_t room = model.transfer->capacity - model.stack_count;

    tcm_transfer_give(model.transfer, batch, count);
    for (size_t i = 0; i < count && i < room; i++) {
        model.stack[model.stack_count++] = batch[i];
    }
}

static void
step_central(struct input *input)
{
    void *batch[BATCH_MAX];

    if (input_below(input, 2) == 0) {
        size_t count = let_go(input, batch);

        if (count > 0) {
            tcm_central_give(&model.transfer->central, batch, count);
        }
        return;
    }
    size_t room = smaller(HELD_MAX - model.held_count, BATCH_MAX);
    if (room == 0) {
        return;
    }
    size_t taken = tcm_central_take(&model.transfer->central, batch,
        smaller(1 + input_below(input, BATCH_MAX), room));
    for (size_t i = 0; i < taken; i++) {
        hold(batch[i]);
    }
}

/* All objects of all spans are in somebody's hands. */
static void
check_counts(void)
{
    const struct tcm_central *central = &model.transfer->central;
    size_t all =
        central->span_count * tcm_classes[model.size_class].object_count;

    tcm_transfer_check(model.transfer);
    CHECK(model.transfer->count == model.stack_count);
    CHECK(all == central->free_count + model.stack_count + model.held_count);
}

static void
step(struct input *input)
{
    switch (input_below(input, 8)) {
    case 0:
        step_central(input);
        break;
    case 1:
        tcm_transfer_drain(model.transfer, true);
        model.stack_count = 0;
        break;
    case 2:
        tcm_transfer_drain(model.transfer, false);
        model.stack_count = model.transfer->count;
        break;
    case 3:
    case 4:
        step_give(input);
        break;
    default:
        step_take(input);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size < 400 ? size : 400};
    struct tcm_heap *heap = tcm_heap_new();

    CHECK(heap != NULL);
    model.size_class = 1 + input_below(&input, TCM_CLASS_COUNT - 1);
    model.transfer = &heap->transfers[model.size_class];
    model.held_count = 0;
    model.stack_count = 0;
    while (input_more(&input)) {
        step(&input);
        check_counts();
    }
    tcm_heap_delete(heap);
    return 0;
}
