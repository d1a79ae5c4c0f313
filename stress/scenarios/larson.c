/*
 * larson.c - a server whose workers come and go (a scenario: scenario.h)
 *
 * Danger: memory that outlives the thread which allocated it. A worker ends
 * with its blocks in other hands; its cache, arena or spans must pass to others
 * with exactly the blocks that are live, while those others free into them.
 *
 * Workload: after Larson and Krishnan, "Memory allocation for long-running
 * server applications" (ISMM 1998). Each worker replaces random blocks in a
 * part of the slots that is its own for a generation, then ends; the worker
 * that succeeds it takes over the part of a neighbour. Blocks cross to the
 * successor alive, as a server's connections do.
 *
 *     generation 0   worker a: part 0    worker b: part 1    worker c: part 2
 *     generation 1   worker d: part 1    worker e: part 2    worker f: part 0
 *
 * Nobody waits for a part to be free, so that at a change of generations old
 * and new worker meet in it.
 */
#include "scenarios/list.h"
#include "scenarios/sizes.h"
#include "scenarios/writer.h"

#define PART_MAX        256 /* slots in a part */
#define SLOTS_MAX       8192
#define GENERATIONS_MAX 6
#define BLOCK_MAX       8192
#define BLOCK_MIN       16
#define BLOCK_USUAL     1000 /* the paper's workers ask for 10 to 1000 bytes */

struct larson {
    struct writer writer;
    unsigned thread_count;
    uint32_t part_size;
    unsigned generation_count;
    uint64_t block_max;
};

static uint64_t
draw_size(struct larson *larson)
{
    struct random *random = &larson->writer.random;

    return random_one_in(random, 20)
               ? sizes_edge(random, BLOCK_MIN, larson->block_max)
               : random_between(random, BLOCK_MIN, BLOCK_USUAL);
}

static void
write_generation(struct larson *larson, unsigned thread, unsigned generation)
{
    static const struct weight serving[] = {{OP_MALLOC, 60}, {OP_TOUCH, 15},
        {OP_FREE, 8}, {OP_CALLOC, 8}, {OP_REALLOC, 8}, {OP_ALIGNED_ALLOC, 1},
        {OP_MALLOC, 0}};
    struct writer *writer = &larson->writer;
    uint32_t first =
        (thread + generation) % larson->thread_count * larson->part_size;
    unsigned op_count =
        writer_ops_each(larson->thread_count) / larson->generation_count;

    for (unsigned i = 0; i < op_count; i++) {
        uint32_t slot =
            first + (uint32_t)random_below(&writer->random, larson->part_size);
        writer_any(writer, thread, writer_draw(writer, serving), slot,
            draw_size(larson));
    }
}

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct larson larson = {.thread_count = thread_count};
    struct random *random = &larson.writer.random;
    uint64_t part_max = SLOTS_MAX / thread_count;

    writer_begin(&larson.writer, program, scenario_larson.name, seed, index);
    larson.part_size = (uint32_t)random_log_between(
        random, 8, part_max < PART_MAX ? part_max : PART_MAX);
    larson.generation_count =
        (unsigned)random_between(random, 2, GENERATIONS_MAX);
    larson.block_max = random_log_between(random, BLOCK_USUAL, BLOCK_MAX);
    for (unsigned thread = 0; thread < thread_count; thread++) {
        for (unsigned i = 0; i < larson.generation_count; i++) {
            if (i > 0) {
                writer_plain(&larson.writer, thread, OP_EXIT);
            }
            write_generation(&larson, thread, i);
        }
    }
    return writer_end(&larson.writer);
}

const struct scenario scenario_larson = {
    .name = "larson",
    .danger = "blocks that outlive the worker thread which made them, freed "
              "and replaced by its successors",
    .program_count = scenario_endless,
    .generate = generate,
};
