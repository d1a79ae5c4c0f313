/*
 * bitmap_test.c - bitmap.h against an array of bools, and its invariant broken
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/death.h"
#include "base/random.h"
#include "parts/bitmap.h"

#define BITS_MAX 300

/* The reference: one bool a bit. */
struct model {
    size_t bit_count;
    uint64_t words[BITMAP_WORDS(BITS_MAX)];
    bool bits[BITS_MAX];
};

static void
model_init(struct model *model, size_t bit_count)
{
    memset(model, 0xff, sizeof(*model));
    model->bit_count = bit_count;
    bitmap_init(model->words, bit_count);
    memset(model->bits, 0, sizeof(model->bits));
}

static size_t
model_find(const struct model *model, size_t from, bool value)
{
    for (size_t i = from; i < model->bit_count; i++) {
        if (model->bits[i] == value) {
            return i;
        }
    }
    return BITMAP_NONE;
}

/* How many clear bits begin at i. */
static size_t
model_run(const struct model *model, size_t i)
{
    size_t end = i;

    while (end < model->bit_count && !model->bits[end]) {
        end++;
    }
    return end - i;
}

static size_t
model_find_run(const struct model *model, size_t from, size_t count)
{
    for (size_t i = from; i < model->bit_count; i++) {
        if (model_run(model, i) >= count) {
            return i;
        }
    }
    return BITMAP_NONE;
}

static size_t
model_count(const struct model *model, size_t first, size_t count)
{
    size_t set_count = 0;

    for (size_t i = first; i < first + count; i++) {
        set_count += model->bits[i];
    }
    return set_count;
}

static void
model_fill(struct model *model, size_t first, size_t count, bool value)
{
    for (size_t i = first; i < first + count; i++) {
        model->bits[i] = value;
    }
}

/* The whole of the interface but the searches that take a random start. */
static void
assert_same(const struct model *model)
{
    const uint64_t *words = model->words;
    size_t bit_count = model->bit_count;
    size_t longest = 0;
    size_t last = BITMAP_NONE;

    bitmap_check(words, bit_count);
    for (size_t i = 0; i < bit_count; i++) {
        size_t run = model_run(model, i);

        assert_int_equal(bitmap_get(words, i), model->bits[i]);
        longest = run > longest ? run : longest;
        last = model->bits[i] ? i : last;
    }
    assert_int_equal(
        bitmap_count(words, bit_count), model_count(model, 0, bit_count));
    assert_int_equal(bitmap_longest_run(words, bit_count), longest);
    assert_int_equal(bitmap_find_last_set(words, bit_count), last);
}

static void
assert_searches(const struct model *model, struct random *random)
{
    const uint64_t *words = model->words;
    size_t bit_count = model->bit_count;
    size_t from = random_below(random, bit_count + 2);
    size_t count = random_between(random, 1, bit_count);
    size_t first = random_below(random, bit_count);
    size_t part = random_below(random, bit_count - first + 1);

    assert_int_equal(
        bitmap_find_set(words, bit_count, from), model_find(model, from, true));
    assert_int_equal(bitmap_find_clear(words, bit_count, from),
        model_find(model, from, false));
    assert_int_equal(bitmap_find_run(words, bit_count, from, count),
        model_find_run(model, from, count));
    assert_int_equal(
        bitmap_count_run(words, first, part), model_count(model, first, part));
}

/* Sets the first run of some length that is free, or clears a random run that
 * is wholly set, or flips one bit. */
static void
step(struct model *model, struct random *random)
{
    size_t first = random_below(random, model->bit_count);
    size_t count = random_between(random, 1, model->bit_count / 4 + 1);

    if (random_one_in(random, 2)) {
        first = bitmap_find_run(model->words, model->bit_count, first, count);
        if (first != BITMAP_NONE) {
            bitmap_set_run(model->words, first, count);
            model_fill(model, first, count, true);
        }
    } else if (first + count <= model->bit_count &&
               model_count(model, first, count) == count) {
        bitmap_clear_run(model->words, first, count);
        model_fill(model, first, count, false);
    } else if (model->bits[first]) {
        bitmap_clear(model->words, first);
        model->bits[first] = false;
    } else {
        bitmap_set(model->words, first);
        model->bits[first] = true;
    }
}

static void
bitmap_agrees_with_model_under_random_steps(void **state)
{
    static const size_t bit_counts[] = {1, 63, 64, 65, 127, 128, 200, 300};

    (void)state;
    for (uint64_t seed = 0; seed < 32; seed++) {
        struct model model;
        struct random random;

        random_seed(&random, seed);
        model_init(&model, bit_counts[seed % 8]);
        for (int i = 0; i < 400; i++) {
            step(&model, &random);
            assert_same(&model);
            assert_searches(&model, &random);
        }
    }
}

/* One free run, at every place and of every length, in a full map. */
static void
bitmap_finds_run_across_word_boundary(void **state)
{
    (void)state;
    for (size_t first = 0; first < 130; first++) {
        for (size_t count = 1; first + count <= 130; count++) {
            uint64_t words[BITMAP_WORDS(130)];

            bitmap_init(words, 130);
            bitmap_set_run(words, 0, 130);
            bitmap_clear_run(words, first, count);
            assert_int_equal(bitmap_find_run(words, 130, 0, count), first);
            assert_int_equal(
                bitmap_find_run(words, 130, 0, count + 1), BITMAP_NONE);
            assert_int_equal(
                bitmap_find_run(words, 130, first + 1, count), BITMAP_NONE);
            assert_int_equal(bitmap_longest_run(words, 130), count);
        }
    }
}

static void
bitmap_next_run_visits_each_run_once(void **state)
{
    uint64_t words[BITMAP_WORDS(128)];
    size_t first = 0;
    size_t count;

    (void)state;
    bitmap_init(words, 128);
    bitmap_set_run(words, 0, 3);
    bitmap_set_run(words, 60, 8);
    bitmap_set(words, 127);
    assert_true(bitmap_next_run(words, 128, &first, &count));
    assert_int_equal(first, 3);
    assert_int_equal(count, 57);
    first += count;
    assert_true(bitmap_next_run(words, 128, &first, &count));
    assert_int_equal(first, 68);
    assert_int_equal(count, 59);
    first += count;
    assert_false(bitmap_next_run(words, 128, &first, &count));
}

static void
check_broken(void *arg)
{
    uint64_t words[2] = {0, (uint64_t)1 << 6};

    (void)arg;
    bitmap_check(words, 70);
}

static void
bitmap_check_finds_bits_past_the_end(void **state)
{
    uint64_t words[2] = {0, (uint64_t)1 << 5};

    (void)state;
    bitmap_check(words, 70);
    assert_dies(check_broken, NULL, "check failed: (words[");
}

#ifdef MALSTROM_ASSERT
static void
set_twice(void *arg)
{
    uint64_t *words = arg;

    bitmap_set(words, 70);
    bitmap_set_run(words, 60, 20);
}

static void
clear_twice(void *arg)
{
    bitmap_clear_run(arg, 60, 20);
}
#endif

static void
bitmap_asserts_that_bits_change(void **state)
{
    (void)state;
#ifdef MALSTROM_ASSERT
    uint64_t words[2] = {0, 0};

    assert_dies(set_twice, words, "& ones) == 0");
    assert_dies(clear_twice, words, "& ones) == ones");
#else
    skip();
#endif
}

static void
dump_bits(void *arg)
{
    bitmap_dump(arg, 130, STDERR_FILENO);
}

static void
bitmap_dump_shows_runs(void **state)
{
    uint64_t words[BITMAP_WORDS(130)];
    char said[DEATH_TEXT_MAX];

    (void)state;
    bitmap_init(words, 130);
    death_capture(dump_bits, words, said);
    assert_string_equal(said, "bits of 130 set\n");
    bitmap_set_run(words, 0, 4);
    bitmap_set(words, 17);
    bitmap_set_run(words, 60, 70);
    death_capture(dump_bits, words, said);
    assert_string_equal(said, "bits 0-3 17 60-129 of 130 set\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bitmap_agrees_with_model_under_random_steps),
        cmocka_unit_test(bitmap_finds_run_across_word_boundary),
        cmocka_unit_test(bitmap_next_run_visits_each_run_once),
        cmocka_unit_test(bitmap_check_finds_bits_past_the_end),
        cmocka_unit_test(bitmap_asserts_that_bits_change),
        cmocka_unit_test(bitmap_dump_shows_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
