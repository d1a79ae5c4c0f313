/*
 * swarm.c - everything, by random weights (a scenario: scenario.h)
 *
 * Danger: what the other scenarios did not think of.
 *
 * Workload: each program draws its own mix. Half of the kinds of operation are
 * left out, the others get weights that differ widely, and so do the sizes, the
 * number of slots and whether threads share them. A mix that lacks something
 * reaches states that a uniform one never does: without free, for one, memory
 * fills (Groce et al., "Swarm testing", ISSTA 2012).
 */
#include "scenarios/list.h"
#include "scenarios/sizes.h"
#include "scenarios/writer.h"

#define SLOTS_MAX   1024
#define BLOCK_MAX   65536
#define LARGE_MAX   (1u << 20)
#define WEIGHT_MAX  64
#define TIME_MAX_US 100
#define FORK_RARE   32  /* one program in so many forks, a few times */
#define RARE_EACH   200 /* at most one in so many operations */

struct swarm {
    struct writer writer;
    unsigned thread_count;
    uint32_t slot_count;
    bool shared;
    uint64_t block_max;
    struct weight weights[OP_KIND_COUNT + 1];
};

/* Those that are slow or end threads are drawn apart. */
static bool
is_rare(enum op_kind kind)
{
    return kind == OP_EXIT || kind == OP_FORK || kind == OP_TIME ||
           kind == OP_TRIM || kind == OP_STATS;
}

static void
draw_weights(struct swarm *swarm)
{
    struct random *random = &swarm->writer.random;
    unsigned count = 0;

    for (int kind = 0; kind < OP_KIND_COUNT; kind++) {
        /* OP_WAIT has no place where slots are filled at random. */
        if (is_rare((enum op_kind)kind) || kind == OP_WAIT ||
            random_one_in(random, 2)) {
            continue;
        }
        swarm->weights[count].kind = (enum op_kind)kind;
        swarm->weights[count++].weight =
            (unsigned)random_log_between(random, 1, WEIGHT_MAX);
    }
    /* Whatever else there is, blocks come. */
    swarm->weights[count].kind = OP_MALLOC;
    swarm->weights[count++].weight = WEIGHT_MAX / 4;
    swarm->weights[count].weight = 0;
}

static uint32_t
draw_slot(struct swarm *swarm, unsigned thread)
{
    uint32_t slot =
        (uint32_t)random_below(&swarm->writer.random, swarm->slot_count);

    if (swarm->shared || random_one_in(&swarm->writer.random, 16)) {
        return slot;
    }
    uint32_t own = swarm->slot_count / swarm->thread_count;
    return thread * own + slot % own;
}

static void
write_rare(struct swarm *swarm, unsigned thread)
{
    struct writer *writer = &swarm->writer;

    switch (random_below(&writer->random, 4)) {
    case 0:
        writer_plain(writer, thread, OP_EXIT);
        break;
    case 1:
        writer_amount(writer, thread, OP_TIME,
            random_between(&writer->random, 1, TIME_MAX_US));
        break;
    case 2:
        writer_amount(writer, thread, OP_TRIM,
            random_log_between(&writer->random, 0, LARGE_MAX));
        break;
    default:
        writer_plain(writer, thread, OP_STATS);
        break;
    }
}

static void
write_thread(struct swarm *swarm, unsigned thread, bool rare)
{
    struct writer *writer = &swarm->writer;
    unsigned count = writer_ops_each(swarm->thread_count);

    for (unsigned i = 0; i < count; i++) {
        enum op_kind kind = writer_draw(writer, swarm->weights);
        if (rare && random_one_in(&writer->random, RARE_EACH)) {
            write_rare(swarm, thread);
        } else if (op_shapes[kind].has_slot) {
            writer_any(writer, thread, kind, draw_slot(swarm, thread),
                sizes_any(&writer->random, swarm->block_max));
        } else {
            writer_plain(writer, thread, kind);
        }
    }
}

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct swarm swarm = {.thread_count = thread_count};
    struct random *random = &swarm.writer.random;

    writer_begin(&swarm.writer, program, scenario_swarm.name, seed, index);
    swarm.slot_count =
        (uint32_t)random_log_between(random, thread_count, SLOTS_MAX);
    swarm.shared = !random_one_in(random, 4);
    swarm.block_max = random_log_between(
        random, 16, random_one_in(random, 8) ? LARGE_MAX : BLOCK_MAX);
    uint64_t share = writer_share(swarm.slot_count, thread_count);
    if (swarm.block_max > share) {
        swarm.block_max = share;
    }
    draw_weights(&swarm);
    bool rare = random_one_in(random, 2);
    if (random_one_in(random, FORK_RARE)) {
        writer_plain(&swarm.writer, 0, OP_FORK);
    }
    for (unsigned thread = 0; thread < thread_count; thread++) {
        write_thread(&swarm, thread, rare);
    }
    return writer_end(&swarm.writer);
}

const struct scenario scenario_swarm = {
    .name = "swarm",
    .danger = "what the others did not think of: everything, by random weights "
              "that differ from program to program",
    .program_count = scenario_endless,
    .generate = generate,
};
