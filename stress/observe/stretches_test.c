/*
 * stretches_test.c - stretches are followed, written down, and mean the same
 * when others go
 *
 * Threads here do nothing but come to points, each to LENGTH of them; who is at
 * each point is the run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "observe/strategy.h"

#define THREADS  3
#define LENGTH   6
#define ORDER    (THREADS * LENGTH)
#define LONG_RUN (2 * STRETCHES_MAX)

struct world {
    unsigned thread_count;
    uint64_t length;
    uint64_t places[OBSERVE_THREADS_MAX];
    unsigned current;
    bool is_begun;
};

static struct strategy_stretches recorder, follower;

/* The ways as the scheduler lists them: the current thread, then the others in
 * turn. */
static void
choose_next(struct world *world, struct strategy *strategy, bool yields)
{
    uint8_t ways[OBSERVE_THREADS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < world->thread_count; i++) {
        unsigned thread = (world->current + i) % world->thread_count;
        if (world->places[thread] < world->length) {
            ways[count++] = (uint8_t)thread;
        }
    }
    const struct choice choice = {
        .count = count,
        .preempts =
            world->is_begun && world->places[world->current] < world->length,
        .thread = ways,
        .current = world->current,
        .places = world->places,
        .yields = yields,
    };
    world->is_begun = true;
    if (count > 0) {
        world->current =
            ways[count > 1 ? strategy->choose(strategy, &choice) : 0];
    }
}

/* Writes who was at each point into order[], if there is one. */
static void
play(struct world world, struct strategy *strategy, unsigned *order)
{
    strategy->begin(strategy, world.thread_count);
    choose_next(&world, strategy, false);
    for (uint64_t i = 0; i < world.thread_count * world.length; i++) {
        if (order != NULL) {
            order[i] = world.current;
        }
        world.places[world.current]++;
        choose_next(&world, strategy, false);
    }
}

static const struct world small = {.thread_count = THREADS, .length = LENGTH};
static const struct world pair = {.thread_count = 2, .length = LENGTH};

static void
expect_order(const struct stretches *wanted, const char *expected)
{
    unsigned order[ORDER];
    char text[2 * LENGTH + 1] = "";
    strategy_stretches_follow(&follower, wanted);
    play(pair, &follower.base, order);
    for (int i = 0; i < 2 * LENGTH; i++) {
        text[i] = (char)('0' + order[i]);
    }
    assert_string_equal(text, expected);
}

static void
a_run_that_was_written_down_comes_again(void **state)
{
    (void)state;
    static struct stretches first;
    struct strategy_walk walk;
    strategy_walk_init(&walk, 1);
    strategy_stretches_record(&recorder, &walk.base);
    for (int i = 0; i < 200; i++) {
        unsigned one[ORDER], two[ORDER];
        play(small, &recorder.base, one);
        first = recorder.made;
        strategy_stretches_follow(&follower, &first);
        play(small, &follower.base, two);
        assert_memory_equal(one, two, sizeof(one));
        assert_int_equal(follower.made.count, first.count);
        for (unsigned k = 0; k < first.count; k++) {
            assert_int_equal(follower.made.list[k].until, first.list[k].until);
            assert_int_equal(
                follower.made.list[k].thread, first.list[k].thread);
        }
    }
}

static void
a_stretch_that_goes_leaves_its_work_to_the_next(void **state)
{
    (void)state;
    static struct stretches wanted = {
        .list = {{.thread = 0, .until = 2}, {.thread = 1, .until = 3},
            {.thread = 0, .until = 5}, {.thread = 1, .until = 4}},
        .count = 4,
    };
    expect_order(&wanted, "001110001110");
    wanted.list[1] = wanted.list[2]; /* thread 1's first goes */
    wanted.list[2] = wanted.list[3];
    wanted.count = 3;
    expect_order(&wanted, "000001111110");
    wanted.count = 0; /* nothing but plain ways */
    expect_order(&wanted, "000000111111");
}

static void
only_who_could_go_on_was_preempted(void **state)
{
    (void)state;
    static const struct stretches wanted = {
        .list = {{.thread = 1, .until = 2}, {.thread = 0, .until = LENGTH}},
        .count = 2,
    };
    expect_order(&wanted, "110000001111");
    const struct stretch *made = follower.made.list;
    assert_int_equal(follower.made.count, 3);
    assert_false(made[0].is_preempted); /* before the first point */
    assert_int_equal(made[1].thread, 1);
    assert_true(made[1].is_preempted);
    assert_int_equal(made[2].thread, 0);
    assert_false(made[2].is_preempted); /* it ended */

    struct world world = pair;
    const uint8_t other = 1;
    struct strategy_replay replay;
    strategy_replay_init(&replay, &other, 1);
    strategy_stretches_record(&recorder, &replay.base);
    recorder.base.begin(&recorder.base, world.thread_count);
    world.is_begun = true;
    choose_next(&world, &recorder.base, true);
    assert_int_equal(world.current, 1);
    assert_false(recorder.made.list[0].is_preempted); /* it yielded */
}

static void
a_load_reads_the_older_store_at_its_place_only(void **state)
{
    (void)state;
    static struct stretches wanted;
    uint64_t places[OBSERVE_THREADS_MAX] = {3, 7};
    struct choice load = {
        .count = 4, .is_load = true, .current = 1, .places = places};
    const uint8_t way = 2;
    struct strategy_replay replay;
    strategy_replay_init(&replay, &way, 1);
    strategy_stretches_record(&recorder, &replay.base);
    recorder.base.begin(&recorder.base, 2);
    assert_int_equal(recorder.base.choose(&recorder.base, &load), 2);
    assert_int_equal(recorder.made.stale_count, 1);

    wanted = recorder.made;
    strategy_stretches_follow(&follower, &wanted);
    follower.base.begin(&follower.base, 2);
    assert_int_equal(follower.base.choose(&follower.base, &load), 2);
    load.count = 2; /* there are not so many stores this time */
    assert_int_equal(follower.base.choose(&follower.base, &load), 1);
    places[1]++;
    assert_int_equal(follower.base.choose(&follower.base, &load), 0);
    load.current = 0;
    assert_int_equal(follower.base.choose(&follower.base, &load), 0);
}

static void
more_than_fits_is_told(void **state)
{
    (void)state;
    static uint8_t others[LONG_RUN];
    struct strategy_replay replay;
    struct world longer = {.thread_count = 2, .length = STRETCHES_MAX};
    memset(others, 1, sizeof(others));
    strategy_replay_init(&replay, others, STRETCHES_MAX / 2);
    strategy_stretches_record(&recorder, &replay.base);
    play(longer, &recorder.base, NULL);
    assert_false(recorder.made.is_cut);
    strategy_replay_init(&replay, others, LONG_RUN);
    play(longer, &recorder.base, NULL);
    assert_true(recorder.made.is_cut);
    assert_int_equal(recorder.made.count, STRETCHES_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_that_was_written_down_comes_again),
        cmocka_unit_test(a_stretch_that_goes_leaves_its_work_to_the_next),
        cmocka_unit_test(only_who_could_go_on_was_preempted),
        cmocka_unit_test(a_load_reads_the_older_store_at_its_place_only),
        cmocka_unit_test(more_than_fits_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
