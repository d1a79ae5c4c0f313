/*
 * writer.c - how scenarios write a heap program (contract: writer.h)
 *
 * The generator's seed mixes scenario, seed and index, so that neighbouring
 * indexes, and scenarios under one seed, have nothing in common.
 */
#include "scenarios/writer.h"

#include "base/check.h"
#include "scenarios/sizes.h"

#define OPS_PROGRAM  6000 /* shared by all threads of a program */
#define OPS_EACH_MIN 60
#define ALIGN_MAX    4096

void
writer_begin(struct writer *writer, struct program *program,
    const char *scenario, uint64_t seed, uint64_t index)
{
    uint64_t mixed = random_mix(seed + 1);

    for (const char *c = scenario; *c != '\0'; c++) {
        mixed = random_mix(mixed ^ (unsigned char)*c);
    }
    writer->program = program;
    writer->op_count = 0;
    writer->out_of_memory = false;
    random_seed(&writer->random, random_mix(mixed + index));
}

bool
writer_end(const struct writer *writer)
{
    return !writer->out_of_memory;
}

unsigned
writer_ops_each(unsigned thread_count)
{
    unsigned each = OPS_PROGRAM / thread_count;

    return each < OPS_EACH_MIN ? OPS_EACH_MIN : each;
}

uint64_t
writer_share(uint32_t slot_count, unsigned thread_count)
{
    /* A block in hand for each thread; and the alignment comes on top. */
    uint64_t share = WRITER_LIVE_MAX / (slot_count + thread_count);

    ASSERT(share > 2 * ALIGN_MAX);
    return share - ALIGN_MAX;
}

static void
add(struct writer *writer, unsigned thread, const struct op *op)
{
    writer->op_count++;
    if (!program_add(writer->program, thread, op)) {
        writer->out_of_memory = true;
    }
}

void
writer_plain(struct writer *writer, unsigned thread, enum op_kind kind)
{
    add(writer, thread, &(struct op){.kind = (uint8_t)kind});
}

void
writer_amount(
    struct writer *writer, unsigned thread, enum op_kind kind, uint64_t amount)
{
    add(writer, thread, &(struct op){.kind = (uint8_t)kind, .size = amount});
}

void
writer_slot(
    struct writer *writer, unsigned thread, enum op_kind kind, uint32_t slot)
{
    add(writer, thread, &(struct op){.kind = (uint8_t)kind, .slot = slot});
}

void
writer_sized(struct writer *writer, unsigned thread, enum op_kind kind,
    uint32_t slot, uint64_t size)
{
    add(writer, thread,
        &(struct op){.kind = (uint8_t)kind, .slot = slot, .size = size});
}

void
writer_counted(struct writer *writer, unsigned thread, enum op_kind kind,
    uint32_t slot, uint64_t count, uint64_t size)
{
    add(writer, thread,
        &(struct op){
            .kind = (uint8_t)kind, .slot = slot, .size = size, .count = count});
}

void
writer_aligned(struct writer *writer, unsigned thread, enum op_kind kind,
    uint32_t slot, uint64_t align, uint64_t size)
{
    add(writer, thread,
        &(struct op){
            .kind = (uint8_t)kind, .slot = slot, .size = size, .align = align});
}

/* An alignment that the kind accepts. */
static uint64_t
draw_align(struct writer *writer, enum op_kind kind)
{
    uint64_t align = sizes_align(&writer->random, ALIGN_MAX);

    if (kind == OP_POSIX_MEMALIGN && align < sizeof(void *)) {
        return sizeof(void *);
    }
    return align;
}

void
writer_any(struct writer *writer, unsigned thread, enum op_kind kind,
    uint32_t slot, uint64_t size)
{
    const struct op_shape *shape = &op_shapes[kind];

    if (shape->has_count) {
        uint64_t count =
            random_log_between(&writer->random, 1, size < 1 ? 1 : size);
        writer_counted(writer, thread, kind, slot, count, size / count);
    } else if (shape->has_align) {
        uint64_t align = draw_align(writer, kind);
        writer_aligned(writer, thread, kind, slot, align, size);
    } else if (shape->has_size) {
        writer_sized(writer, thread, kind, slot, size);
    } else {
        writer_slot(writer, thread, kind, slot);
    }
}

enum op_kind
writer_draw(struct writer *writer, const struct weight *weights)
{
    uint64_t sum = 0;

    for (const struct weight *w = weights; w->weight > 0; w++) {
        sum += w->weight;
    }
    uint64_t at = random_below(&writer->random, sum);
    while (at >= weights->weight) {
        at -= weights->weight;
        weights++;
    }
    return weights->kind;
}
