/*
 * collide.c - short lists of operations that meet (a scenario: scenario.h)
 *
 * Danger: two operations that meet at the worst moment. A race, a lost wake-up
 * or an ABA needs a few operations of two or three threads, in an order that
 * hardly ever happens by itself.
 *
 * Workload: each thread has a dozen operations on a handful of slots that all
 * share, on blocks of one or two classes, so that most operations touch what
 * another thread's have just touched. A run is short enough for thousands of
 * schedules a minute. It is for `malstrom explore`, which chooses those; under
 * the machine's own scheduler such short lists hardly overlap.
 */
#include "scenarios/list.h"
#include "scenarios/sizes.h"
#include "scenarios/writer.h"

#define OPS_EACH    12
#define SLOTS_MAX   6
#define SMALL_MAX   1024
#define LARGE_MAX   (256u << 10)
#define CLASSES_MAX 2

static const struct weight weights[] = {{OP_MALLOC, 36}, {OP_FREE, 30},
    {OP_REALLOC, 8}, {OP_CALLOC, 6}, {OP_MEMALIGN, 4}, {OP_TOUCH, 4},
    {OP_USABLE_SIZE, 2}, {OP_FREE_SIZED, 3}, {OP_EXIT, 3}, {OP_TRIM, 3},
    {OP_STATS, 1}, {OP_MALLOC, 0}};

static void
write_op(struct writer *writer, unsigned thread, uint32_t slot_count,
    const uint64_t *sizes, unsigned size_count)
{
    enum op_kind kind = writer_draw(writer, weights);
    uint32_t slot = (uint32_t)random_below(&writer->random, slot_count);
    uint64_t size = sizes[random_below(&writer->random, size_count)];

    if (kind == OP_TRIM) {
        writer_amount(writer, thread, kind, 0);
    } else if (op_shapes[kind].has_slot) {
        writer_any(writer, thread, kind, slot, size);
    } else {
        writer_plain(writer, thread, kind);
    }
}

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct writer writer;
    uint64_t sizes[CLASSES_MAX];

    writer_begin(&writer, program, scenario_collide.name, seed, index);
    struct random *random = &writer.random;
    uint32_t slot_count = (uint32_t)random_between(random, 1, SLOTS_MAX);
    unsigned size_count = (unsigned)random_between(random, 1, CLASSES_MAX);
    uint64_t max = random_one_in(random, 4) ? LARGE_MAX : SMALL_MAX;
    for (unsigned i = 0; i < size_count; i++) {
        sizes[i] = sizes_any(random, max);
    }
    for (unsigned thread = 0; thread < thread_count; thread++) {
        for (unsigned i = 0; i < OPS_EACH; i++) {
            write_op(&writer, thread, slot_count, sizes, size_count);
        }
    }
    return writer_end(&writer);
}

const struct scenario scenario_collide = {
    .name = "collide",
    .danger =
        "two operations that meet at the worst moment; for explore, which "
        "chooses it",
    .program_count = scenario_endless,
    .generate = generate,
};
