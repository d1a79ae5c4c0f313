/*
 * fork_storm.c - fork while others are in slow paths (a scenario: scenario.h)
 *
 * Danger: a lock that is held at the moment of fork stays locked in the child
 * for ever, and a structure that is half changed stays so. What matters is what
 * the other threads hold at that moment: mixed churn alone missed a real hang
 * in 300 forks.
 *
 * Workload: one thread forks again and again, and each other one keeps to one
 * slow path, so that several are in different ones at any moment:
 *
 *   refill    more small blocks than any cache holds, then all freed
 *   mapping   fresh mappings of 64 KiB to 1 MiB, freed at once
 *   resizing  a large block up and down
 *   mortal    short lives: thread creation and exit
 *   asking    statistics and trim
 *   aligned   aligned blocks beyond a page
 *   foreign   frees and replaces what the others made
 *
 * The child allocates, frees what the parent had made, and exits (OP_FORK).
 * In some programs a second thread forks too.
 */
#include "scenarios/list.h"
#include "scenarios/sizes.h"
#include "scenarios/writer.h"

#define FORKS_MAX    6
#define REFILL_ALL   3200 /* slots of all threads on that path, about */
#define REFILL_MAX   400  /* and of one */
#define SHARED_SLOTS 64   /* slots 0 .. 63: those that a child frees */
#define SMALL_MAX    1024
#define LARGE_MIN    65536
#define LARGE_MAX    (1u << 20)
#define OTHER_OPS    4000 /* by all threads that do not fork */

enum path {
    PATH_REFILL,
    PATH_MAPPING,
    PATH_RESIZING,
    PATH_MORTAL,
    PATH_ASKING,
    PATH_ALIGNED,
    PATH_FOREIGN,
    PATH_COUNT
};

struct forks {
    struct writer writer;
    unsigned refill_count;
    uint64_t large_max;
    uint32_t next_slot; /* from SHARED_SLOTS on: of one thread only */
};

static uint32_t
shared_slot(struct forks *forks)
{
    return (uint32_t)random_below(&forks->writer.random, SHARED_SLOTS);
}

static void
write_refill(struct forks *forks, unsigned thread, uint32_t first)
{
    struct writer *writer = &forks->writer;
    uint64_t size = sizes_any(&writer->random, SMALL_MAX);

    for (unsigned i = 0; i < forks->refill_count; i++) {
        writer_sized(writer, thread, OP_MALLOC, first + i, size);
    }
    for (unsigned i = 0; i < forks->refill_count; i++) {
        writer_slot(writer, thread, OP_FREE, first + i);
    }
}

static void
write_mortal(struct forks *forks, unsigned thread)
{
    struct writer *writer = &forks->writer;

    for (unsigned i = 0; i < 6; i++) {
        writer_sized(writer, thread, OP_MALLOC, shared_slot(forks),
            sizes_any(&writer->random, SMALL_MAX));
    }
    writer_plain(writer, thread, OP_EXIT);
}

static void
write_asking(struct forks *forks, unsigned thread)
{
    struct writer *writer = &forks->writer;

    writer_sized(writer, thread, OP_MALLOC, shared_slot(forks),
        sizes_any(&writer->random, LARGE_MIN));
    if (random_one_in(&writer->random, 4)) {
        writer_amount(writer, thread, OP_TRIM, 0);
    } else {
        writer_plain(writer, thread, OP_STATS);
    }
}

/* A little work on the path; first is the thread's first own slot. */
static void
write_path(struct forks *forks, unsigned thread, enum path path, uint32_t first)
{
    struct writer *writer = &forks->writer;
    uint64_t large = sizes_edge(&writer->random, LARGE_MIN, forks->large_max);

    switch (path) {
    case PATH_REFILL:
        write_refill(forks, thread, first);
        break;
    case PATH_MAPPING:
        writer_sized(writer, thread, OP_MALLOC, first, large);
        writer_slot(writer, thread, OP_FREE, first);
        break;
    case PATH_RESIZING:
        writer_sized(writer, thread, OP_REALLOC, first, large);
        break;
    case PATH_MORTAL:
        write_mortal(forks, thread);
        break;
    case PATH_ASKING:
        write_asking(forks, thread);
        break;
    case PATH_ALIGNED:
        writer_aligned(writer, thread, OP_MEMALIGN, shared_slot(forks),
            (uint64_t)4096 << random_below(&writer->random, 5),
            sizes_any(&writer->random, LARGE_MIN));
        break;
    default:
        writer_any(writer, thread,
            random_one_in(&writer->random, 2) ? OP_FREE : OP_REALLOC,
            shared_slot(forks), sizes_any(&writer->random, SMALL_MAX));
        break;
    }
}

/* Large blocks take longer than small ones: fewer operations. */
static unsigned
path_ops(enum path path, unsigned op_count)
{
    switch (path) {
    case PATH_MAPPING:
    case PATH_RESIZING:
    case PATH_MORTAL:
        return op_count / 6;
    default:
        return op_count;
    }
}

static void
write_forks(struct forks *forks, unsigned thread)
{
    struct writer *writer = &forks->writer;
    unsigned count = (unsigned)random_between(&writer->random, 2, FORKS_MAX);

    for (unsigned i = 0; i < count; i++) {
        uint64_t between = random_between(&writer->random, 20, 60);
        for (uint64_t j = 0; j < between; j++) {
            writer_any(writer, thread, OP_MALLOC, shared_slot(forks),
                sizes_any(&writer->random, SMALL_MAX));
        }
        writer_plain(writer, thread, OP_FORK);
    }
}

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct forks forks = {.next_slot = SHARED_SLOTS};
    struct writer *writer = &forks.writer;
    unsigned refill_count = REFILL_ALL * PATH_COUNT / 4 / thread_count;
    unsigned others = thread_count > 1 ? thread_count - 1 : 1;
    unsigned op_count = OTHER_OPS / others + 40;

    writer_begin(writer, program, scenario_fork_storm.name, seed, index);
    forks.refill_count = refill_count < REFILL_MAX ? refill_count : REFILL_MAX;
    uint64_t share =
        writer_share(SHARED_SLOTS + 2 * thread_count, thread_count);
    forks.large_max = share < LARGE_MAX ? share : LARGE_MAX;
    write_forks(&forks, 0);
    uint64_t turn = random_below(&writer->random, PATH_COUNT);
    for (unsigned thread = 1; thread < thread_count; thread++) {
        enum path path = (enum path)((turn + thread) % PATH_COUNT);
        uint32_t first = forks.next_slot;
        unsigned end = writer->op_count + path_ops(path, op_count);
        forks.next_slot += path == PATH_REFILL ? forks.refill_count : 1;
        while (writer->op_count < end) {
            write_path(&forks, thread, path, first);
        }
    }
    if (thread_count > 2 && random_one_in(&writer->random, 4)) {
        write_forks(&forks, 1);
    }
    return writer_end(writer);
}

const struct scenario scenario_fork_storm = {
    .name = "fork_storm",
    .danger = "fork while the other threads are in different slow paths: the "
              "child finds a lock held or a structure half changed",
    .program_count = scenario_endless,
    .generate = generate,
};
