/*
 * fuzz_bitmap.c - parts/bitmap.h against an array of bools
 *
 * The first byte is the size of the map. Then each step sets or clears a run,
 * as far as its bits permit, and asks for a run somewhere.
 */
#include "base/check.h"
#include "fuzz/input.h"
#include "parts/bitmap.h"

#define BITS_MAX 256

struct model {
    size_t bit_count;
    uint64_t words[BITMAP_WORDS(BITS_MAX)];
    bool bits[BITS_MAX];
};

/* How many bits from first on have that value. */
static size_t
count_from(const struct model *model, size_t first, bool value)
{
    size_t end = first;

    while (end < model->bit_count && model->bits[end] == value) {
        end++;
    }
    return end - first;
}

static size_t
find_run(const struct model *model, size_t from, size_t count)
{
    for (; from < model->bit_count; from++) {
        if (count_from(model, from, false) >= count) {
            return from;
        }
    }
    return BITMAP_NONE;
}

static size_t
find_bit(const struct model *model, size_t from, bool value)
{
    for (; from < model->bit_count; from++) {
        if (model->bits[from] == value) {
            return from;
        }
    }
    return BITMAP_NONE;
}

/* Flips the run that begins at first: as long as asked for, and possible. */
static void
flip_run(struct model *model, size_t first, size_t count)
{
    bool value = model->bits[first];
    size_t possible = count_from(model, first, value);

    count = count < possible ? count : possible;
    if (count == 1 && value) {
        bitmap_clear(model->words, first);
    } else if (count == 1) {
        bitmap_set(model->words, first);
    } else if (value) {
        bitmap_clear_run(model->words, first, count);
    } else {
        bitmap_set_run(model->words, first, count);
    }
    for (size_t i = first; i < first + count; i++) {
        model->bits[i] = !value;
    }
}

static void
check_same(const struct model *model)
{
    const uint64_t *words = model->words;
    size_t set_count = 0;
    size_t longest = 0;
    size_t last = BITMAP_NONE;

    bitmap_check(words, model->bit_count);
    for (size_t i = 0; i < model->bit_count; i++) {
        size_t run = count_from(model, i, false);

        CHECK(bitmap_get(words, i) == model->bits[i]);
        set_count += model->bits[i];
        last = model->bits[i] ? i : last;
        longest = run > longest ? run : longest;
    }
    CHECK(bitmap_count(words, model->bit_count) == set_count);
    CHECK(bitmap_find_last_set(words, model->bit_count) == last);
    CHECK(bitmap_longest_run(words, model->bit_count) == longest);
}

static void
check_searches(const struct model *model, size_t from, size_t count)
{
    const uint64_t *words = model->words;
    size_t bit_count = model->bit_count;

    CHECK(
        bitmap_find_set(words, bit_count, from) == find_bit(model, from, true));
    CHECK(bitmap_find_clear(words, bit_count, from) ==
          find_bit(model, from, false));
    CHECK(bitmap_find_run(words, bit_count, from, count) ==
          find_run(model, from, count));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size};
    struct model model = {.bit_count = 1u + input_byte(&input)};

    bitmap_init(model.words, model.bit_count);
    while (input_more(&input)) {
        size_t first = input_byte(&input) % model.bit_count;
        size_t count = 1u + input_byte(&input);

        flip_run(&model, first, count);
        check_same(&model);
        check_searches(&model, input_byte(&input), count);
    }
    return 0;
}
