/*
 * large_small.c - large blocks between small ones (a scenario: scenario.h)
 *
 * Danger: the back of an allocator, where runs of pages are split, merged,
 * purged and given back. A split whose rest is counted twice, a merge with a
 * neighbour that another thread has just taken, pages purged while in use or
 * taken for zero when they are not, a mapping that is lost.
 *
 * Workload: each thread goes through phases. It builds a burst of large blocks
 * with small ones between, frees some of every kind so that holes of all sizes
 * appear, fills the holes with blocks of other sizes, asks for zeroed memory
 * where dirty memory was, frees all but a few, lets a moment pass or trims, and
 * begins again. Slots are shared, so merges meet across threads.
 */
#include "scenarios/list.h"
#include "scenarios/sizes.h"
#include "scenarios/writer.h"

#define SLOTS     192
#define SMALL_MAX 2048
#define LARGE_MIN 8192
#define LARGE_MAX (4u << 20)
#define PHASE_MAX 48 /* operations in a phase */
#define PHASE_MIN 4
#define TIME_MAX  200

struct mixer {
    struct writer writer;
    uint64_t large_max;
    unsigned phase_max;
};

static uint64_t
draw_large(struct mixer *mixer)
{
    struct random *random = &mixer->writer.random;
    /* Half of the larger ones are left out: they cost the most time. */
    uint64_t max =
        random_one_in(random, 4) ? mixer->large_max : mixer->large_max / 16;

    return random_one_in(random, 2)
               ? sizes_edge(random, LARGE_MIN, max)
               : random_log_between(random, LARGE_MIN, max);
}

static uint64_t
draw_size(struct mixer *mixer)
{
    return random_one_in(&mixer->writer.random, 3)
               ? draw_large(mixer)
               : sizes_any(&mixer->writer.random, SMALL_MAX);
}

static void
write_phase(struct mixer *mixer, unsigned thread, const struct weight *kinds,
    unsigned stride)
{
    struct writer *writer = &mixer->writer;
    uint32_t slot = (uint32_t)random_below(&writer->random, SLOTS);
    unsigned count =
        (unsigned)random_between(&writer->random, PHASE_MIN, mixer->phase_max);

    for (unsigned i = 0; i < count; i++) {
        writer_any(
            writer, thread, writer_draw(writer, kinds), slot, draw_size(mixer));
        slot = (slot + stride) % SLOTS;
    }
}

static void
write_pause(struct mixer *mixer, unsigned thread)
{
    struct writer *writer = &mixer->writer;

    if (random_one_in(&writer->random, 3)) {
        writer_amount(
            writer, thread, OP_TRIM, random_below(&writer->random, 2) * 65536);
    } else if (random_one_in(&writer->random, 3)) {
        writer_amount(writer, thread, OP_TIME,
            random_between(&writer->random, 1, TIME_MAX));
    }
}

static void
write_cycle(struct mixer *mixer, unsigned thread)
{
    static const struct weight building[] = {
        {OP_MALLOC, 8}, {OP_CALLOC, 1}, {OP_MALLOC, 0}};
    static const struct weight filling[] = {{OP_MALLOC, 4}, {OP_CALLOC, 4},
        {OP_REALLOC, 4}, {OP_MEMALIGN, 1}, {OP_TOUCH, 2}, {OP_MALLOC, 0}};
    static const struct weight freeing[] = {{OP_FREE, 1}, {OP_MALLOC, 0}};
    struct random *random = &mixer->writer.random;

    write_phase(mixer, thread, building, 1);
    write_phase(mixer, thread, freeing, (unsigned)random_between(random, 1, 3));
    write_phase(mixer, thread, filling, 1);
    write_phase(mixer, thread, freeing, 1);
    write_pause(mixer, thread);
}

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct mixer mixer;
    uint64_t share = writer_share(SLOTS, thread_count);
    /* Large blocks cost time by the page: fewer operations than elsewhere. */
    unsigned op_count = writer_ops_each(thread_count) / 3;

    writer_begin(
        &mixer.writer, program, scenario_large_small.name, seed, index);
    mixer.large_max = random_log_between(&mixer.writer.random, 16 * LARGE_MIN,
        share < LARGE_MAX ? share : LARGE_MAX);
    mixer.phase_max = op_count < PHASE_MAX ? op_count : PHASE_MAX;
    for (unsigned thread = 0; thread < thread_count; thread++) {
        unsigned end = mixer.writer.op_count + op_count;
        while (mixer.writer.op_count < end) {
            write_cycle(&mixer, thread);
        }
    }
    return writer_end(&mixer.writer);
}

const struct scenario scenario_large_small = {
    .name = "large_small",
    .danger = "runs of pages split, merged, purged and reused dirty while "
              "small blocks come and go between them",
    .program_count = scenario_endless,
    .generate = generate,
};
