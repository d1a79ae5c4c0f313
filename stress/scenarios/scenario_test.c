/*
 * scenario_test.c - each generator: repeatable, valid, bounded, and true to
 * what it claims
 *
 * What a scenario claims is judged by rehearsing its programs (rehearsal.h) and
 * counting: frees across threads, blocks whose thread has ended, first calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "program/rehearsal.h"
#include "scenarios/list.h"
#include "scenarios/writer.h"

#define LIVES_MAX 4096
#define PROGRAMS  12 /* of a scenario, to judge it by */

static const unsigned thread_counts[] = {1, 2, 3, 4, 8, 33, 128, 256};
#define THREAD_COUNTS (sizeof(thread_counts) / sizeof(thread_counts[0]))

static struct program *
make(const struct scenario *scenario, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct program *program = program_new();

    assert_non_null(program);
    assert_true(scenario->generate(program, seed, index, thread_count));
    return program;
}

static bool
are_equal(const struct scenario *scenario, const uint64_t first[2],
    const uint64_t second[2])
{
    struct program *a = make(scenario, first[0], first[1], 4);
    struct program *b = make(scenario, second[0], second[1], 4);
    bool equal = program_equal(a, b);

    program_delete(a);
    program_delete(b);
    return equal;
}

static void
registry_finds_each_by_name(void **state)
{
    (void)state;
    for (int i = 0; scenario_all[i] != NULL; i++) {
        assert_ptr_equal(scenario_find(scenario_all[i]->name), scenario_all[i]);
        assert_true(strlen(scenario_all[i]->danger) > 20);
    }
    assert_null(scenario_find("no such scenario"));
}

static void
equal_arguments_give_equal_programs(void **state)
{
    (void)state;
    for (int i = 0; scenario_all[i] != NULL; i++) {
        for (uint64_t index = 0; index < 6; index++) {
            uint64_t arguments[2] = {7, index};
            assert_true(are_equal(scenario_all[i], arguments, arguments));
        }
    }
}

static void
seed_and_index_change_the_program(void **state)
{
    (void)state;
    for (int i = 0; scenario_all[i] != NULL; i++) {
        for (uint64_t index = 0; index < 6; index++) {
            uint64_t one[2] = {7, index}, next[2] = {7, index + 1},
                     other[2] = {8, index};
            assert_false(are_equal(scenario_all[i], one, next));
            /* The matrix is the same under every seed. */
            assert_int_equal(are_equal(scenario_all[i], one, other),
                scenario_all[i] == &scenario_matrix);
        }
    }
}

/* The most that blocks can come to at any moment of any schedule. */
static uint64_t
live_bound(const struct program *program)
{
    static uint64_t slot_max[PROGRAM_SLOTS_MAX];
    uint64_t bound = 0, largest = 0;

    memset(slot_max, 0, program->slot_count * sizeof(slot_max[0]));
    for (unsigned t = 0; t < program->thread_count; t++) {
        for (size_t i = 0; i < program->threads[t].op_count; i++) {
            const struct op *op = &program->threads[t].ops[i];
            uint64_t size = op->size;
            if (!op_shapes[op->kind].allocates) {
                continue;
            }
            if (op_shapes[op->kind].has_count) {
                size *= op->count;
            }
            size += op->align;
            slot_max[op->slot] =
                size > slot_max[op->slot] ? size : slot_max[op->slot];
            largest = size > largest ? size : largest;
        }
    }
    for (uint32_t slot = 0; slot < program->slot_count; slot++) {
        bound += slot_max[slot];
    }
    return bound + program->thread_count * largest;
}

static void
check_program(const struct scenario *scenario, const struct program *program,
    unsigned thread_count)
{
    size_t op_count = program_op_count(program);

    program_check(program);
    if (op_count < 40 || op_count > 20000) {
        fail_msg("%s with %u threads has %zu operations", scenario->name,
            thread_count, op_count);
    }
    assert_int_equal(program->thread_count, thread_count);
    if (live_bound(program) > WRITER_LIVE_MAX) {
        fail_msg("%s with %u threads may hold %zu MiB", scenario->name,
            thread_count, (size_t)(live_bound(program) >> 20));
    }
}

static void
programs_are_valid_and_bounded(void **state)
{
    (void)state;
    for (int i = 0; scenario_all[i] != NULL; i++) {
        if (scenario_all[i] == &scenario_matrix) {
            continue;
        }
        for (size_t j = 0; j < THREAD_COUNTS; j++) {
            for (uint64_t index = 0; index < 8; index++) {
                struct program *program =
                    make(scenario_all[i], 3, index, thread_counts[j]);
                check_program(scenario_all[i], program, thread_counts[j]);
                program_delete(program);
            }
        }
    }
}

/* What is counted while a program is rehearsed. */
struct census {
    bool ended[LIVES_MAX];
    uint64_t live_counts[LIVES_MAX]; /* blocks of each life */
    uint64_t calls, frees, foreign_frees, orphan_frees, foreign_resizes;
    uint64_t exits, owning_exits, waits, given_up, forks;
    uint64_t live_count, live_count_max, aligned_count;
    uint64_t first_calls[OP_KIND_COUNT], kinds[OP_KIND_COUNT];
};

static void
count_block(struct census *census, const struct step *step)
{
    const struct step_block *before = &step->before, *after = &step->after;

    if (before->id != 0) {
        census->live_counts[before->life]--;
        census->live_count--;
        if (before->id != after->id) {
            census->frees++;
            census->foreign_frees += before->life != step->life;
            census->orphan_frees += census->ended[before->life];
        } else if (before->size != after->size) {
            census->foreign_resizes += before->life != step->life;
        }
    }
    if (after->id != 0) {
        census->live_counts[after->life]++;
        census->live_count++;
        if (census->live_count > census->live_count_max) {
            census->live_count_max = census->live_count;
        }
    }
}

static void
count_step(void *arg, const struct step *step)
{
    struct census *census = arg;

    assert_true(step->life < LIVES_MAX);
    census->kinds[step->op->kind]++;
    census->aligned_count += step->op->align > 16;
    census->waits += step->op->kind == OP_WAIT;
    census->forks += step->op->kind == OP_FORK;
    census->given_up += step->gave_up;
    if (step->first) {
        census->first_calls[step->op->kind]++;
    }
    if (step->op->kind == OP_EXIT) {
        census->exits++;
        census->owning_exits += census->live_counts[step->life] > 0;
        census->ended[step->life] = true;
    } else if (op_shapes[step->op->kind].has_slot) {
        count_block(census, step);
    }
}

/* Rehearses programs of a scenario, some schedules each, and counts. */
static struct census *
count(const struct scenario *scenario, unsigned thread_count,
    uint64_t index_count)
{
    static struct census census, sum;

    memset(&sum, 0, sizeof(sum));
    for (uint64_t index = 0; index < index_count; index++) {
        struct program *program = make(scenario, 11, index, thread_count);
        memset(&census, 0, sizeof(census));
        assert_true(rehearse(program, index, count_step, &census));
        program_delete(program);
        sum.frees += census.frees;
        sum.foreign_frees += census.foreign_frees;
        sum.orphan_frees += census.orphan_frees;
        sum.foreign_resizes += census.foreign_resizes;
        sum.exits += census.exits;
        sum.owning_exits += census.owning_exits;
        sum.waits += census.waits;
        sum.given_up += census.given_up;
        sum.forks += census.forks;
        sum.aligned_count += census.aligned_count;
        for (int kind = 0; kind < OP_KIND_COUNT; kind++) {
            sum.first_calls[kind] += census.first_calls[kind];
            sum.kinds[kind] += census.kinds[kind];
        }
        if (census.live_count_max > sum.live_count_max) {
            sum.live_count_max = census.live_count_max;
        }
    }
    return &sum;
}

static void
churn_frees_mostly_foreign_blocks(void **state)
{
    (void)state;
    const struct census *census = count(&scenario_churn, 4, PROGRAMS);

    assert_true(census->frees > 12000);
    assert_true(census->foreign_frees * 2 > census->frees);
    assert_true(census->live_count_max > 210);
    assert_true(count(&scenario_churn, 1, 4)->foreign_frees == 0);
}

static void
handoff_frees_at_the_other_end(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 9; threads++) {
        const struct census *census =
            count(&scenario_handoff, threads, PROGRAMS);
        /* No wait is in vain, whatever the schedule. */
        assert_true(census->waits > 200);
        assert_int_equal(census->given_up, 0);
        if (threads > 1) {
            assert_true(census->foreign_frees * 10 > census->frees * 8);
            assert_true(census->foreign_resizes > 30);
        }
    }
}

static void
larson_passes_blocks_to_successors(void **state)
{
    (void)state;
    const struct census *census = count(&scenario_larson, 4, PROGRAMS);

    assert_true(census->exits >= 4 * PROGRAMS);
    assert_true(census->owning_exits * 10 > census->exits * 9);
    assert_true(census->orphan_frees > 300);
    assert_true(census->frees > 12000);
}

static void
exit_storm_has_owners_heirs_and_idlers(void **state)
{
    (void)state;
    const struct census *census = count(&scenario_exit_storm, 4, PROGRAMS);

    assert_true(census->exits > 120);
    assert_true(census->owning_exits * 4 > census->exits);
    assert_true(census->owning_exits < census->exits);
    assert_true(census->orphan_frees > 300);
    assert_true(census->first_calls[OP_FREE] > 50);
    assert_true(census->first_calls[OP_MALLOC] > 50);
    /* Some lives end without any call. */
    uint64_t first_count = 0;
    for (int kind = 0; kind < OP_KIND_COUNT; kind++) {
        first_count += census->first_calls[kind];
    }
    assert_true(first_count < census->exits);
}

static void
first_call_begins_with_every_kind(void **state)
{
    (void)state;
    static const enum op_kind kinds[] = {OP_MALLOC, OP_CALLOC, OP_REALLOC,
        OP_REALLOCARRAY, OP_MEMALIGN, OP_ALIGNED_ALLOC, OP_POSIX_MEMALIGN,
        OP_VALLOC, OP_PVALLOC, OP_FREE, OP_FREE_SIZED, OP_FREE_ALIGNED_SIZED,
        OP_USABLE_SIZE, OP_STATS, OP_TRIM};

    for (unsigned threads = 1; threads <= 8; threads *= 2) {
        const struct census *census = count(&scenario_first_call, threads, 40);
        assert_int_equal(census->given_up, 0);
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
            if (threads == 1 && kinds[i] == OP_FREE_SIZED) {
                continue;
            }
            assert_true(census->first_calls[kinds[i]] > 5);
        }
        assert_true(census->foreign_frees > 90);
        assert_true(census->foreign_resizes > 60);
    }
}

static void
realloc_ladder_resizes_foreign_blocks_too(void **state)
{
    (void)state;
    const struct census *census = count(&scenario_realloc_ladder, 4, PROGRAMS);

    assert_true(census->kinds[OP_REALLOC] > 18000);
    assert_true(census->kinds[OP_REALLOCARRAY] > 1500);
    assert_true(census->foreign_resizes > 1200);
    assert_true(census->aligned_count > 150);
}

static void
aligned_mix_keeps_many_aligned_blocks(void **state)
{
    (void)state;
    const struct census *census = count(&scenario_aligned_mix, 4, PROGRAMS);

    assert_true(census->live_count_max >= 64);
    assert_true(census->aligned_count > 15000);
    assert_true(census->kinds[OP_FREE_ALIGNED_SIZED] > 1500);
    assert_true(census->foreign_frees * 2 > census->frees);
}

static void
large_small_trims_and_waits(void **state)
{
    (void)state;
    const struct census *census = count(&scenario_large_small, 4, PROGRAMS);

    assert_true(census->kinds[OP_TRIM] > 30);
    assert_true(census->kinds[OP_TIME] > 30);
    assert_true(census->kinds[OP_CALLOC] > 300);
    assert_true(census->foreign_frees * 2 > census->frees);
}

static void
fork_storm_forks_while_threads_come_and_go(void **state)
{
    (void)state;
    const struct census *census = count(&scenario_fork_storm, 8, PROGRAMS);

    assert_true(census->forks >= 2 * PROGRAMS);
    assert_true(census->exits > 120);
    assert_true(census->kinds[OP_STATS] > 300);
    assert_true(census->kinds[OP_REALLOC] > 300);
    assert_true(
        count(&scenario_fork_storm, 1, PROGRAMS)->forks >= 2 * PROGRAMS);
}

static void
swarm_uses_every_kind_but_not_in_every_program(void **state)
{
    (void)state;
    const struct census *census = count(&scenario_swarm, 4, 60);

    for (int kind = 0; kind < OP_KIND_COUNT; kind++) {
        assert_true(kind == OP_WAIT || census->kinds[kind] > 0);
    }
    unsigned without_free = 0;
    for (uint64_t index = 0; index < 40; index++) {
        struct program *program = make(&scenario_swarm, 11, index, 1);
        bool frees = false;
        for (size_t i = 0; i < program->threads[0].op_count; i++) {
            frees |= program->threads[0].ops[i].kind == OP_FREE;
        }
        without_free += !frees;
        program_delete(program);
    }
    assert_in_range(without_free, 5, 35);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_finds_each_by_name),
        cmocka_unit_test(equal_arguments_give_equal_programs),
        cmocka_unit_test(seed_and_index_change_the_program),
        cmocka_unit_test(programs_are_valid_and_bounded),
        cmocka_unit_test(churn_frees_mostly_foreign_blocks),
        cmocka_unit_test(handoff_frees_at_the_other_end),
        cmocka_unit_test(larson_passes_blocks_to_successors),
        cmocka_unit_test(exit_storm_has_owners_heirs_and_idlers),
        cmocka_unit_test(first_call_begins_with_every_kind),
        cmocka_unit_test(realloc_ladder_resizes_foreign_blocks_too),
        cmocka_unit_test(aligned_mix_keeps_many_aligned_blocks),
        cmocka_unit_test(large_small_trims_and_waits),
        cmocka_unit_test(fork_storm_forks_while_threads_come_and_go),
        cmocka_unit_test(swarm_uses_every_kind_but_not_in_every_program),
    };

    return cmocka_run_group_tests_name("scenario", tests, NULL, NULL);
}
