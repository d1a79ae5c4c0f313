/*
 * churn.c - all threads replace blocks at random (a scenario: scenario.h)
 *
 * Danger: free lists and bitmaps under contention. A block that two threads are
 * given at once, a block that is lost when its owner and another thread free
 * into one span together, a list broken by a compare-and-swap that met ABA. A
 * double claim showed within seconds with blocks of one size, some 2000 shared
 * slots and lives of 3000 operations, in an allocator that had passed its tests.
 *
 * Workload: the threads share all slots, so most frees are of blocks that
 * another thread made. A third of the programs keep to one size class: its list
 * then sees all the traffic. A third use a few classes, a third any size.
 * Between single replacements a thread fills and drains whole runs of slots, so
 * that caches overflow into what lies behind them and are refilled from it.
 */
#include "scenarios/list.h"
#include "scenarios/sizes.h"
#include "scenarios/writer.h"

#define SLOTS_MIN  16
#define SLOTS_MAX  2000
#define RUN_MAX    200
#define FAMILY_MAX 4
#define ONE_CLASS                                                              \
    32768 /* the largest size that a run of slots is filled with */

static const struct weight replacing[] = {{OP_MALLOC, 40}, {OP_FREE, 20},
    {OP_TOUCH, 15}, {OP_CALLOC, 8}, {OP_REALLOC, 8}, {OP_FREE_SIZED, 4},
    {OP_MEMALIGN, 3}, {OP_USABLE_SIZE, 2}, {OP_MALLOC, 0}};

struct family {
    uint64_t sizes[FAMILY_MAX];
    unsigned size_count; /* 0: any size */
    uint64_t max;
};

static struct family
draw_family(struct writer *writer, uint64_t max)
{
    struct family family = {.max = max};
    uint64_t kind = random_below(&writer->random, 3);

    if (kind < 2) {
        family.size_count = kind == 0 ? 1 : FAMILY_MAX;
    }
    for (unsigned i = 0; i < family.size_count; i++) {
        family.sizes[i] = sizes_any(&writer->random, max);
    }
    return family;
}

static uint64_t
draw_size(struct writer *writer, const struct family *family)
{
    if (family->size_count == 0) {
        return sizes_any(&writer->random, family->max);
    }
    return sizes_near(&writer->random,
        family->sizes[random_below(&writer->random, family->size_count)]);
}

/* Fills or drains a run of slots; returns how many operations that took. */
static unsigned
write_run(struct writer *writer, unsigned thread, unsigned longest,
    uint32_t slot_count, const struct family *family)
{
    longest = longest < RUN_MAX ? longest : RUN_MAX;
    longest = longest < slot_count ? longest : slot_count;
    unsigned count = (unsigned)random_log_between(&writer->random, 1, longest);
    uint32_t slot = (uint32_t)random_below(&writer->random, slot_count);
    enum op_kind kind = random_one_in(&writer->random, 2) ? OP_MALLOC : OP_FREE;
    uint64_t size = draw_size(writer, family);

    for (unsigned i = 0; i < count; i++) {
        writer_any(writer, thread, kind, (slot + i) % slot_count, size);
    }
    return count;
}

static void
write_thread(struct writer *writer, unsigned thread, unsigned op_count,
    uint32_t slot_count, const struct family *family)
{
    unsigned written = 0;

    while (written < op_count) {
        if (random_one_in(&writer->random, 40)) {
            written += write_run(
                writer, thread, op_count - written, slot_count, family);
            continue;
        }
        writer_any(writer, thread, writer_draw(writer, replacing),
            (uint32_t)random_below(&writer->random, slot_count),
            draw_size(writer, family));
        written++;
    }
}

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct writer writer;

    writer_begin(&writer, program, scenario_churn.name, seed, index);
    uint32_t slot_count =
        (uint32_t)random_log_between(&writer.random, SLOTS_MIN, SLOTS_MAX);
    struct family family = draw_family(&writer, ONE_CLASS);
    for (unsigned i = 0; i < thread_count; i++) {
        write_thread(
            &writer, i, writer_ops_each(thread_count), slot_count, &family);
    }
    return writer_end(&writer);
}

const struct scenario scenario_churn = {
    .name = "churn",
    .danger = "a block given twice or lost when all threads replace blocks of "
              "the same few classes",
    .program_count = scenario_endless,
    .generate = generate,
};
