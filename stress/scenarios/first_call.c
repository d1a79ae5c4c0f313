/*
 * first_call.c - how a thread's life begins (a scenario: scenario.h)
 *
 * Danger: the first call of a thread sets up its cache, arena or id, and most
 * are written with malloc in mind. Five allocators had bugs when it was a free
 * or realloc of a foreign block, an aligned or a huge request: a crash, or
 * memory that is never purged for the life of the thread.
 *
 * Workload: keepers make blocks of all kinds; then each new thread begins with
 * one call of one kind, on such a block or on none, makes a few more, and ends.
 *
 *     keeper   malloc a   memalign b   malloc c ...  (then lives on)
 *     others      wait a, realloc a    | free b, ... | calloc d, ... |
 *
 * With a single thread, each life begins on what the one before it left.
 */
#include "scenarios/list.h"
#include "scenarios/sizes.h"
#include "scenarios/writer.h"

#define LIVES_ALL 96 /* in a program: making a thread costs 50 us and more */
#define LIVES_MIN 2
#define MORE_MAX  12 /* calls after the first */
#define BLOCK_MAX 16384
#define LARGE_MAX (1u << 19)
#define KEEPER    0u

struct first {
    struct writer writer;
    unsigned thread_count;
    uint32_t next_slot;
};

static uint64_t
draw_size(struct random *random)
{
    return random_one_in(random, 8) ? sizes_edge(random, 32768, LARGE_MAX)
                                    : sizes_any(random, BLOCK_MAX);
}

/* The keeper makes a block; returns its slot, which is used by one life. */
static uint32_t
write_foreign(struct first *first)
{
    static const struct weight kinds[] = {{OP_MALLOC, 6}, {OP_CALLOC, 2},
        {OP_MEMALIGN, 2}, {OP_ALIGNED_ALLOC, 1}, {OP_MALLOC, 0}};
    struct writer *writer = &first->writer;
    uint32_t slot = first->next_slot++;
    uint64_t size = draw_size(&writer->random);

    writer_any(
        writer, KEEPER, writer_draw(writer, kinds), slot, size == 0 ? 1 : size);
    return slot;
}

static void
write_first(struct first *first, unsigned thread)
{
    static const struct weight foreign[] = {{OP_FREE, 8}, {OP_REALLOC, 6},
        {OP_FREE_SIZED, 2}, {OP_FREE_ALIGNED_SIZED, 2}, {OP_USABLE_SIZE, 3},
        {OP_REALLOCARRAY, 2}, {OP_MALLOC, 0}};
    static const struct weight fresh[] = {{OP_MALLOC, 6}, {OP_CALLOC, 4},
        {OP_REALLOC, 2}, {OP_MEMALIGN, 3}, {OP_POSIX_MEMALIGN, 2},
        {OP_ALIGNED_ALLOC, 2}, {OP_VALLOC, 1}, {OP_PVALLOC, 1}, {OP_FREE, 1},
        {OP_USABLE_SIZE, 1}, {OP_MALLOC, 0}};
    struct writer *writer = &first->writer;

    if (random_one_in(&writer->random, 16)) {
        writer_plain(writer, thread, OP_STATS);
    } else if (random_one_in(&writer->random, 16)) {
        writer_amount(writer, thread, OP_TRIM, 0);
    } else if (random_one_in(&writer->random, 3)) {
        writer_any(writer, thread, writer_draw(writer, fresh),
            first->next_slot++, draw_size(&writer->random));
    } else {
        uint32_t slot = write_foreign(first);
        if (thread == KEEPER) { /* its successor works on what it left */
            writer_plain(writer, thread, OP_EXIT);
        }
        writer_slot(writer, thread, OP_WAIT, slot);
        writer_any(writer, thread, writer_draw(writer, foreign), slot,
            draw_size(&writer->random));
    }
}

/* A few calls more, in slots that only this life uses, then the end. */
static void
write_rest(struct first *first, unsigned thread)
{
    static const struct weight kinds[] = {
        {OP_MALLOC, 6}, {OP_FREE, 4}, {OP_REALLOC, 2}, {OP_MALLOC, 0}};
    struct writer *writer = &first->writer;
    unsigned count = (unsigned)random_below(&writer->random, MORE_MAX);
    uint32_t slot = first->next_slot;

    first->next_slot += 3;
    for (unsigned i = 0; i < count; i++) {
        writer_any(writer, thread, writer_draw(writer, kinds), slot + i % 3,
            sizes_any(&writer->random, BLOCK_MAX));
    }
    writer_plain(writer, thread, OP_EXIT);
}

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct first first = {.thread_count = thread_count};
    unsigned lives = LIVES_ALL / thread_count;

    writer_begin(&first.writer, program, scenario_first_call.name, seed, index);
    lives = lives < LIVES_MIN ? LIVES_MIN : lives;
    for (unsigned i = 0; i < lives; i++) {
        for (unsigned thread = 0; thread < thread_count; thread++) {
            if (thread != KEEPER || thread_count == 1) {
                write_first(&first, thread);
                write_rest(&first, thread);
            }
        }
    }
    return writer_end(&first.writer);
}

const struct scenario scenario_first_call = {
    .name = "first_call",
    .danger = "threads whose first call is not malloc: free or realloc of a "
              "foreign block, an aligned or a huge request",
    .program_count = scenario_endless,
    .generate = generate,
};
