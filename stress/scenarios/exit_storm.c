/*
 * exit_storm.c - threads die owning and owed memory (a scenario: scenario.h)
 *
 * Danger: the end of a thread. It dies while its cache is full, while blocks of
 * its own are in use elsewhere, while others are giving blocks back to it; or
 * it never allocated at all, and only freed what others made. Each exit may
 * leak a little, hand a span to two heirs, or deadlock with a free that is on
 * its way.
 *
 * Workload: many short lives in shared slots, of several kinds.
 *
 *   owner      allocates and leaves its blocks to the others
 *   heir       frees, resizes and replaces what others made, makes nothing
 *   spender    allocates and frees at once: dies with full caches
 *   idler      does not allocate: at most it frees one foreign block
 *   worker     all of it, for longer
 *
 * Deaths come close together, since lives are short and start together.
 */
#include "scenarios/list.h"
#include "scenarios/sizes.h"
#include "scenarios/writer.h"

#define SLOTS_MAX 512
#define BLOCK_MAX 65536
#define LIVES_ALL 96 /* in a program: making a thread costs 50 us and more */
#define LIFE_MAX  400

enum life { LIFE_OWNER, LIFE_HEIR, LIFE_SPENDER, LIFE_IDLER, LIFE_WORKER };

struct storm {
    struct writer writer;
    uint32_t slot_count;
    uint64_t block_max;
};

static uint32_t
draw_slot(struct storm *storm)
{
    return (uint32_t)random_below(&storm->writer.random, storm->slot_count);
}

static void
write_ops(struct storm *storm, unsigned thread, const struct weight *weights,
    unsigned count)
{
    struct writer *writer = &storm->writer;

    for (unsigned i = 0; i < count; i++) {
        writer_any(writer, thread, writer_draw(writer, weights),
            draw_slot(storm), sizes_any(&writer->random, storm->block_max));
    }
}

/* Allocates and frees by turns: the thread's caches fill. */
static void
write_spending(struct storm *storm, unsigned thread, unsigned count)
{
    struct writer *writer = &storm->writer;
    uint64_t size = sizes_any(&writer->random, storm->block_max);
    uint32_t first = draw_slot(storm);

    for (unsigned i = 0; i < count; i++) {
        writer_sized(
            writer, thread, OP_MALLOC, (first + i) % storm->slot_count, size);
    }
    for (unsigned i = 0; i < count; i++) {
        writer_slot(writer, thread, OP_FREE, (first + i) % storm->slot_count);
    }
}

static void
write_life(struct storm *storm, unsigned thread, unsigned count)
{
    static const struct weight owner[] = {
        {OP_MALLOC, 8}, {OP_CALLOC, 1}, {OP_MEMALIGN, 1}, {OP_MALLOC, 0}};
    static const struct weight heir[] = {{OP_FREE, 12}, {OP_REALLOC, 2},
        {OP_TOUCH, 2}, {OP_USABLE_SIZE, 1}, {OP_MALLOC, 0}};
    static const struct weight worker[] = {{OP_MALLOC, 10}, {OP_FREE, 8},
        {OP_REALLOC, 3}, {OP_TOUCH, 2}, {OP_CALLOC, 1}, {OP_MALLOC, 0}};

    switch ((enum life)random_below(&storm->writer.random, 5)) {
    case LIFE_OWNER:
        write_ops(storm, thread, owner, count);
        break;
    case LIFE_HEIR:
        write_ops(storm, thread, heir, count);
        break;
    case LIFE_SPENDER:
        write_spending(storm, thread, count / 2 + 1);
        break;
    case LIFE_IDLER:
        write_ops(storm, thread, heir,
            (unsigned)random_below(&storm->writer.random, 2));
        break;
    case LIFE_WORKER:
        write_ops(storm, thread, worker, count);
        break;
    }
}

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct storm storm;
    struct random *random = &storm.writer.random;
    unsigned lives = LIVES_ALL / thread_count;
    uint64_t life_max = writer_ops_each(thread_count) / 4;

    writer_begin(&storm.writer, program, scenario_exit_storm.name, seed, index);
    storm.slot_count = (uint32_t)random_log_between(random, 8, SLOTS_MAX);
    storm.block_max = random_log_between(random, 64, BLOCK_MAX);
    lives = (unsigned)random_between(
        random, lives / 2 < 2 ? 2 : lives / 2, lives < 3 ? 3 : lives);
    for (unsigned thread = 0; thread < thread_count; thread++) {
        for (unsigned i = 0; i < lives; i++) {
            if (i > 0) {
                writer_plain(&storm.writer, thread, OP_EXIT);
            }
            write_life(&storm, thread,
                (unsigned)random_log_between(
                    random, 1, life_max < LIFE_MAX ? life_max : LIFE_MAX));
        }
    }
    return writer_end(&storm.writer);
}

const struct scenario scenario_exit_storm = {
    .name = "exit_storm",
    .danger = "threads that die owning and owed memory, with full caches, or "
              "having only freed",
    .program_count = scenario_endless,
    .generate = generate,
};
