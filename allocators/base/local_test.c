/*
 * local_test.c - one object a thread: made, found, given up, spare after fork
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/local.h"
#include "base/pages.h"

struct thing {
    struct local local;
    unsigned drained, left;
    unsigned makes;
};

static struct thing things[64];
static unsigned thing_count;
static bool refuse;

static struct local *
make_thing(struct local_set *set, struct local *spare)
{
    (void)set;
    if (refuse) {
        return NULL;
    }
    struct thing *thing =
        spare == NULL ? &things[thing_count++] : (struct thing *)spare;
    thing->makes++;
    return &thing->local;
}

static void
drain_thing(struct local *local)
{
    ((struct thing *)local)->drained++;
}

static void
leave_thing(struct local *local)
{
    ((struct thing *)local)->left++;
}

static const struct local_kind kind = {make_thing, drain_thing, leave_thing};

static struct local_set *
open_set(void)
{
    struct local_set *set =
        pages_map(pages_round_up(sizeof *set), pages_os_size());
    assert_non_null(set);
    thing_count = 0;
    for (unsigned i = 0; i < 64; i++) {
        things[i] = (struct thing){0};
    }
    local_set_init(set, &kind, NULL, NULL);
    return set;
}

static void
close_set(struct local_set *set)
{
    local_set_fini(set);
    assert_true(pages_unmap(set, pages_round_up(sizeof *set)));
}

static void
local_is_made_once_and_found_again(void **state)
{
    (void)state;
    struct local_set *set = open_set();
    assert_null(local_peek(set));
    struct local *local = local_get(set);
    assert_non_null(local);
    assert_ptr_equal(local_get(set), local);
    assert_ptr_equal(local_peek(set), local);
    local_drop(set);
    assert_null(local_peek(set));
    assert_int_equal(things[0].drained, 1);
    assert_int_equal(things[0].left, 1);
    assert_ptr_equal(local_get(set), local); /* The spare one again. */
    assert_int_equal(thing_count, 1);
    close_set(set);
}

static void
local_is_refused_when_memory_runs_out(void **state)
{
    (void)state;
    struct local_set *set = open_set();
    refuse = true;
    assert_null(local_get(set));
    refuse = false;
    assert_non_null(local_get(set));
    refuse = true;
    local_drop(set);
    assert_null(local_get(set)); /* The spare stays spare. */
    refuse = false;
    assert_ptr_equal(local_get(set), &things[0].local);
    close_set(set);
}

static void *
get_in_thread(void *set)
{
    return local_get(set);
}

static void
local_is_drained_when_its_thread_ends(void **state)
{
    (void)state;
    struct local_set *set = open_set();
    for (unsigned round = 0; round < 20; round++) {
        pthread_t threads[4];
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(
                pthread_create(&threads[i], NULL, get_in_thread, set), 0);
        }
        for (unsigned i = 0; i < 4; i++) {
            void *local;
            pthread_join(threads[i], &local);
            assert_non_null(local);
        }
    }
    assert_true(thing_count <= 4);
    unsigned drained = 0, makes = 0;
    for (unsigned i = 0; i < thing_count; i++) {
        drained += things[i].drained;
        makes += things[i].makes;
        assert_int_equal(things[i].left, things[i].drained);
    }
    assert_int_equal(drained, 80);
    assert_int_equal(makes, 80);
    close_set(set);
}

static pthread_barrier_t barrier;

static void *
hold_in_thread(void *set)
{
    struct local *local = local_get(set);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return local;
}

static void
local_of_dead_threads_is_spare_in_a_forked_child(void **state)
{
    (void)state;
    struct local_set *set = open_set();
    pthread_t thread;
    int status;
    struct local *own = local_get(set);
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, hold_in_thread, set), 0);
    pthread_barrier_wait(&barrier);
    pid_t child = fork();
    if (child == 0) {
        bool right = local_peek(set) == own && set->used.next == own &&
                     own->next == &set->used &&
                     set->spare.next != &set->spare &&
                     things[0].left + things[1].left == 1 &&
                     things[0].drained + things[1].drained == 0;
        _exit(right ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&barrier);
    close_set(set);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_is_made_once_and_found_again),
        cmocka_unit_test(local_is_refused_when_memory_runs_out),
        cmocka_unit_test(local_is_drained_when_its_thread_ends),
        cmocka_unit_test(local_of_dead_threads_is_spare_in_a_forked_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
