/*
 * aligned_mix.c - aligned blocks among plain ones (a scenario: scenario.h)
 *
 * Danger: alignment, the dimension with most bugs. A result that is aligned
 * only while few blocks live; an aligned block whose head or tail is given out
 * again; a usable size counted from the wrong end; a free that takes an aligned
 * address for the start of its chunk; a foreign thread's free of such a block.
 *
 * Workload: all powers of two up to 64 KiB, now and then beyond, with sizes
 * below, at and above the alignment and multiples of it, through every call
 * that takes an alignment. Plain blocks lie between. At least 64 slots, so that
 * many blocks live together: one alone hides what is misaligned. Blocks are
 * resized, asked for their usable size, and freed by any thread.
 */
#include "scenarios/list.h"
#include "scenarios/sizes.h"
#include "scenarios/writer.h"

#define SLOTS_MIN  64
#define SLOTS_MAX  512
#define ALIGN_MOST 4096
#define ALIGN_MORE 65536
#define ALIGN_RARE (1u << 21)
#define PLAIN_MAX  16384

static uint64_t
draw_align(struct random *random, uint64_t share)
{
    uint64_t kind = random_below(random, 200);
    uint64_t max = ALIGN_MOST;

    if (kind < 20) {
        max = ALIGN_MORE;
    } else if (kind == 20) {
        max = ALIGN_RARE;
    }
    uint64_t align = sizes_align(random, max);
    while (2 * align > share) {
        align /= 2;
    }
    return align;
}

/* A size that stands in some relation to the alignment; at most share. */
static uint64_t
draw_size(struct random *random, uint64_t align, uint64_t share)
{
    uint64_t size;

    switch (random_below(random, 6)) {
    case 0:
        size = align;
        break;
    case 1:
        size = random_below(random, align + 1);
        break;
    case 2:
        size = align * random_between(random, 1, 4);
        break;
    case 3:
        size = align + random_between(random, 0, 17);
        break;
    case 4:
        size = align - 1;
        break;
    default:
        size = sizes_any(random, PLAIN_MAX);
        break;
    }
    return size > share ? share : size;
}

static void
write_aligned(
    struct writer *writer, unsigned thread, uint32_t slot, uint64_t share)
{
    static const struct weight calls[] = {{OP_MEMALIGN, 4},
        {OP_POSIX_MEMALIGN, 4}, {OP_ALIGNED_ALLOC, 4}, {OP_MALLOC, 0}};
    enum op_kind kind = writer_draw(writer, calls);
    uint64_t align = draw_align(&writer->random, share);

    if (kind == OP_POSIX_MEMALIGN && align < sizeof(void *)) {
        align = sizeof(void *);
    }
    /* The alignment may cost as much again. */
    writer_aligned(writer, thread, kind, slot, align,
        draw_size(&writer->random, align, share - align));
}

static void
write_op(struct writer *writer, unsigned thread, uint32_t slot, uint64_t share)
{
    static const struct weight others[] = {{OP_FREE, 10},
        {OP_FREE_ALIGNED_SIZED, 10}, {OP_TOUCH, 8}, {OP_USABLE_SIZE, 4},
        {OP_REALLOC, 8}, {OP_MALLOC, 8}, {OP_CALLOC, 2}, {OP_VALLOC, 1},
        {OP_PVALLOC, 1}, {OP_MALLOC, 0}};

    if (random_one_in(&writer->random, 2)) {
        write_aligned(writer, thread, slot, share);
    } else {
        writer_any(writer, thread, writer_draw(writer, others), slot,
            sizes_any(&writer->random, PLAIN_MAX));
    }
}

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct writer writer;
    unsigned op_count = writer_ops_each(thread_count);

    writer_begin(&writer, program, scenario_aligned_mix.name, seed, index);
    uint32_t slot_count =
        (uint32_t)random_log_between(&writer.random, SLOTS_MIN, SLOTS_MAX);
    uint64_t share = writer_share(slot_count, thread_count);
    for (unsigned thread = 0; thread < thread_count; thread++) {
        for (unsigned i = 0; i < op_count; i++) {
            write_op(&writer, thread,
                (uint32_t)random_below(&writer.random, slot_count), share);
        }
    }
    return writer_end(&writer);
}

const struct scenario scenario_aligned_mix = {
    .name = "aligned_mix",
    .danger = "aligned blocks among plain ones, many live: misaligned, "
              "overlapping, wrongly sized or wrongly freed",
    .program_count = scenario_endless,
    .generate = generate,
};
