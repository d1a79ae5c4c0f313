/*
 * matrix.c - the whole API, cell by cell (a scenario: scenario.h)
 *
 * Danger: nearly half of the bugs in the histories of real allocators need one
 * thread and a handful of calls: an edge of a size class, an alignment, a size
 * of zero, a sum or product that overflows, a resize from one kind of memory to
 * another, a first call that is not malloc. No luck is needed to find those,
 * only completeness.
 *
 * Workload: a fixed list of programs in sections (matrix.h). The seed changes
 * nothing: cell i is the same program in every run, and most have one thread.
 * Modest sections come first, so that a heap which they broke is not what a
 * risky cell gets the blame for.
 *
 * A pass goes over the list SWEEPS times, through every SWEEPS-th program each
 * time: what many cells show is seen in the first sweep, so soon even where the
 * machine is busy and a whole pass takes long.
 */
#include "scenarios/matrix.h"

#include <stddef.h>

#include "base/check.h"
#include "scenarios/list.h"

#define SWEEPS 16

static const struct matrix_section *const sections[] = {
    &matrix_zero_sizes,
    &matrix_small_sizes,
    &matrix_large_sizes,
    &matrix_aligns,
    &matrix_resizes,
    &matrix_first_calls,
    &matrix_wide_aligns,
    &matrix_bad_aligns,
    &matrix_huge_sizes,
    &matrix_products,
};

static uint64_t
count_programs(void)
{
    uint64_t count = 0;

    for (size_t i = 0; i < MATRIX_COUNT(sections); i++) {
        count += sections[i]->program_count();
    }
    return count;
}

/* The place in the list of the program that a pass plays at that position. */
static uint64_t
place_of(uint64_t position)
{
    uint64_t count = count_programs();
    uint64_t sweep = 0, length = (count + SWEEPS - 1) / SWEEPS;

    while (position >= length) {
        position -= length;
        sweep++;
        length = (count - sweep + SWEEPS - 1) / SWEEPS;
    }
    return sweep + position * SWEEPS;
}

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct writer writer;

    (void)seed;
    (void)thread_count;
    index = place_of(index % count_programs());
    writer_begin(&writer, program, scenario_matrix.name, 0, index);
    for (size_t i = 0; i < MATRIX_COUNT(sections); i++) {
        uint64_t count = sections[i]->program_count();
        if (index < count) {
            sections[i]->write(&writer, index);
            return writer_end(&writer);
        }
        index -= count;
    }
    check_failed("index is below the count", __FILE__, __LINE__);
}

const struct scenario scenario_matrix = {
    .name = "matrix",
    .danger = "every call at every edge: sizes, alignments, zero, overflow, "
              "resizes, first calls; one full pass, the same each time",
    .program_count = count_programs,
    .generate = generate,
};
