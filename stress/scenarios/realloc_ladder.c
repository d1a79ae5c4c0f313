/*
 * realloc_ladder.c - blocks that climb and descend (a scenario: scenario.h)
 *
 * Danger: realloc. Content lost or cut when a block moves from one class or
 * kind of memory to the next; growth in place into a neighbour that is no
 * longer free; a shrunk block whose tail stays owned, or is freed while another
 * thread merges with it; mremap and munmap racing for an address; an aligned
 * block that is resized as if it were plain.
 *
 * Workload: each thread takes a block up and down a ladder of sizes: doubling,
 * by a half, by small steps, from edge to edge, shrinking, at random, and in
 * zigzag over one edge. Blocks stand between neighbours that come and go, so
 * that growth in place is possible at times. Slots are shared: two threads may
 * resize one block by turns, and free each other's neighbours.
 */
#include "scenarios/list.h"
#include "scenarios/sizes.h"
#include "scenarios/writer.h"

#define SLOTS      96
#define CLIMB_MAX  24
#define USUAL_MAX  65536
#define LARGE_MAX  (2u << 20)
#define LARGE_RARE 12 /* one climb in so many */

enum ladder {
    LADDER_DOUBLE,
    LADDER_HALF_MORE,
    LADDER_STEPS,
    LADDER_EDGES,
    LADDER_SHRINK,
    LADDER_RANDOM,
    LADDER_ZIGZAG,
    LADDER_COUNT
};

static uint64_t
next_size(
    struct random *random, enum ladder ladder, uint64_t size, uint64_t max)
{
    switch (ladder) {
    case LADDER_DOUBLE:
        size = 2 * size + 1;
        break;
    case LADDER_HALF_MORE:
        size += size / 2 + 1;
        break;
    case LADDER_STEPS:
        size += random_between(random, 1, 64 + size / 16);
        break;
    case LADDER_EDGES:
        size = sizes_edge(random, size, max);
        break;
    case LADDER_SHRINK:
        size -= size / random_between(random, 2, 9);
        break;
    case LADDER_ZIGZAG:
        size = sizes_edge(random, size / 2, size + 1);
        break;
    default:
        size = sizes_any(random, max);
        break;
    }
    return size > max ? max : size;
}

/* A block to begin with: plain, zeroed or aligned, or none at all. */
static void
write_start(
    struct writer *writer, unsigned thread, uint32_t slot, uint64_t size)
{
    static const struct weight origins[] = {{OP_MALLOC, 6}, {OP_CALLOC, 2},
        {OP_MEMALIGN, 2}, {OP_POSIX_MEMALIGN, 1}, {OP_FREE, 1}, {OP_TOUCH, 6},
        {OP_MALLOC, 0}};

    writer_any(writer, thread, writer_draw(writer, origins), slot, size);
}

static void
write_neighbour(
    struct writer *writer, unsigned thread, uint32_t slot, uint64_t size)
{
    static const struct weight kinds[] = {
        {OP_MALLOC, 3}, {OP_FREE, 3}, {OP_TOUCH, 1}, {OP_MALLOC, 0}};
    uint32_t offset = (uint32_t)random_between(&writer->random, 1, 4);

    writer_any(writer, thread, writer_draw(writer, kinds),
        (slot + offset) % SLOTS, sizes_near(&writer->random, size));
}

static void
write_climb(struct writer *writer, unsigned thread, uint64_t share)
{
    struct random *random = &writer->random;
    enum ladder ladder = (enum ladder)random_below(random, LADDER_COUNT);
    uint64_t max = random_one_in(random, LARGE_RARE) ? LARGE_MAX : USUAL_MAX;
    uint32_t slot = (uint32_t)random_below(random, SLOTS);
    unsigned count = (unsigned)random_between(random, 2, CLIMB_MAX);

    max = max < share ? max : share;
    uint64_t size = ladder == LADDER_SHRINK
                        ? random_between(random, 0, max)
                        : random_log_between(random, 0, max);
    write_start(writer, thread, slot, size);
    for (unsigned i = 0; i < count; i++) {
        size = next_size(random, ladder, size, max);
        writer_any(writer, thread,
            random_one_in(random, 8) ? OP_REALLOCARRAY : OP_REALLOC, slot,
            size);
        if (random_one_in(random, 3)) {
            write_neighbour(writer, thread, slot, size);
        }
    }
    writer_slot(writer, thread,
        random_one_in(random, 2) ? OP_FREE : OP_USABLE_SIZE, slot);
}

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct writer writer;
    unsigned op_count = writer_ops_each(thread_count);

    writer_begin(&writer, program, scenario_realloc_ladder.name, seed, index);
    for (unsigned thread = 0; thread < thread_count; thread++) {
        unsigned end = writer.op_count + op_count;
        while (writer.op_count < end) {
            write_climb(&writer, thread, writer_share(SLOTS, thread_count));
        }
    }
    return writer_end(&writer);
}

const struct scenario scenario_realloc_ladder = {
    .name = "realloc_ladder",
    .danger = "content lost or memory shared when blocks are resized in steps, "
              "aligned and foreign ones too",
    .program_count = scenario_endless,
    .generate = generate,
};
