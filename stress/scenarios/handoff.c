/*
 * handoff.c - producers, proxies and consumers (a scenario: scenario.h)
 *
 * Danger: blocks that one thread makes and another frees, by the batch. Frees
 * that are deferred to the owner and lost, queued twice or never collected;
 * memory that grows without bound because it gathers with the threads that only
 * free; an owner that allocates again at once from the span that others are
 * freeing into.
 *
 * Workload: batches of blocks of one size travel along routes, from a producer
 * over proxies, which resize, touch and replace some, to a consumer.
 *
 *     producer --batch, ticket--> proxy --ticket--> consumer
 *         ^----------------------- ack ----------------'
 *
 * A ticket is a block too: who has waited for it (OP_WAIT) knows that the batch
 * is there, and frees it. In most programs a producer waits for the ack of an
 * older batch, which bounds what is in flight; in the others it runs ahead. A
 * wait is always for a block that was written earlier than the wait, so there
 * is always a thread that can go on.
 */
#include "scenarios/list.h"
#include "scenarios/sizes.h"
#include "scenarios/writer.h"

#define BATCH_MAX  96
#define FLIGHT_MAX 8 /* batches of a producer in flight, when bounded */
#define BLOCK_MAX  16384
#define STOPS_MAX  5 /* threads on a route */

enum shape {
    SHAPE_RING,    /* each thread produces for the next one, or those */
    SHAPE_PAIRS,   /* 0 for 1, 2 for 3, ... */
    SHAPE_FAN_OUT, /* thread 0 for all others */
    SHAPE_FAN_IN,  /* all others for thread 0 */
    SHAPE_COUNT
};

struct handoff {
    struct writer writer;
    unsigned thread_count;
    enum shape shape;
    unsigned stop_count;
    unsigned flight_max; /* 0: not bounded */
    uint64_t block_max;
    unsigned batch_max;
    uint32_t next_slot;
    /* Of each producer: how many batches, and the slots of the last acks. */
    unsigned batch_counts[PROGRAM_THREADS_MAX];
    uint32_t acks[PROGRAM_THREADS_MAX][FLIGHT_MAX];
};

/* One batch: blocks in slots first_slot .. first_slot + count - 1. */
struct batch {
    unsigned stops[STOPS_MAX]; /* producer, proxies, consumer */
    uint32_t first_slot;
    unsigned count;
    uint64_t size;
};

static void
set_route(const struct handoff *handoff, unsigned number, struct batch *batch)
{
    unsigned threads = handoff->thread_count;
    unsigned turn = number % threads;
    unsigned other = threads > 1 ? 1 + number % (threads - 1) : 0;

    switch (handoff->shape) {
    case SHAPE_PAIRS:
        batch->stops[0] = turn & ~1u;
        batch->stops[1] = (batch->stops[0] + 1) % threads;
        break;
    case SHAPE_FAN_OUT:
        batch->stops[0] = 0;
        batch->stops[1] = other;
        break;
    case SHAPE_FAN_IN:
        batch->stops[0] = other;
        batch->stops[1] = 0;
        break;
    default:
        for (unsigned i = 0; i < handoff->stop_count; i++) {
            batch->stops[i] = (turn + i) % threads;
        }
        break;
    }
}

static uint32_t
take_slots(struct handoff *handoff, unsigned count)
{
    uint32_t slot = handoff->next_slot;

    handoff->next_slot += count;
    return slot;
}

static void
await(struct handoff *handoff, unsigned thread, uint32_t ticket)
{
    writer_slot(&handoff->writer, thread, OP_WAIT, ticket);
    writer_slot(&handoff->writer, thread, OP_FREE, ticket);
}

/* Leaves a ticket for whoever awaits it. */
static uint32_t
leave_ticket(struct handoff *handoff, unsigned thread)
{
    uint32_t ticket = take_slots(handoff, 1);

    writer_sized(&handoff->writer, thread, OP_MALLOC, ticket, 16);
    return ticket;
}

static void
produce(struct handoff *handoff, const struct batch *batch)
{
    unsigned producer = batch->stops[0];
    unsigned number = handoff->batch_counts[producer]++;

    if (handoff->flight_max > 0 && number >= handoff->flight_max) {
        await(handoff, producer,
            handoff->acks[producer][number % handoff->flight_max]);
    }
    for (unsigned i = 0; i < batch->count; i++) {
        writer_any(&handoff->writer, producer,
            random_one_in(&handoff->writer.random, 8) ? OP_CALLOC : OP_MALLOC,
            batch->first_slot + i, batch->size);
    }
}

/* A proxy looks at every block and changes some. */
static void
forward(struct handoff *handoff, unsigned thread, const struct batch *batch)
{
    static const struct weight work[] = {{OP_TOUCH, 8}, {OP_USABLE_SIZE, 2},
        {OP_REALLOC, 2}, {OP_MALLOC, 1}, {OP_MALLOC, 0}};
    struct writer *writer = &handoff->writer;

    for (unsigned i = 0; i < batch->count; i++) {
        writer_any(writer, thread, writer_draw(writer, work),
            batch->first_slot + i, sizes_any(&writer->random, batch->size));
    }
}

/* The consumer frees the batch in one of three orders. */
static void
consume(struct handoff *handoff, unsigned thread, const struct batch *batch)
{
    static const struct weight work[] = {{OP_FREE, 20}, {OP_FREE_SIZED, 2},
        {OP_MALLOC, 1}, {OP_REALLOC, 1}, {OP_MALLOC, 0}};
    struct writer *writer = &handoff->writer;
    uint64_t order = random_below(&writer->random, 3);

    for (unsigned i = 0; i < batch->count; i++) {
        unsigned at = order == 0 ? i : batch->count - 1 - i;
        if (order == 2) { /* every stride-th, the stride being odd and prime */
            at = i * 97 % batch->count;
        }
        writer_any(writer, thread, writer_draw(writer, work),
            batch->first_slot + at, sizes_any(&writer->random, batch->size));
    }
}

static void
write_batch(struct handoff *handoff, unsigned number)
{
    struct random *random = &handoff->writer.random;
    struct batch batch = {
        .count = (unsigned)random_log_between(random, 1, handoff->batch_max),
        .size = sizes_any(random, handoff->block_max),
    };
    unsigned last = handoff->stop_count - 1;

    set_route(handoff, number, &batch);
    batch.first_slot = take_slots(handoff, batch.count);
    produce(handoff, &batch);
    for (unsigned i = 1; i <= last; i++) {
        await(
            handoff, batch.stops[i], leave_ticket(handoff, batch.stops[i - 1]));
        if (i < last) {
            forward(handoff, batch.stops[i], &batch);
        }
    }
    consume(handoff, batch.stops[last], &batch);
    if (handoff->flight_max > 0) {
        unsigned turn = handoff->batch_counts[batch.stops[0]] - 1;
        handoff->acks[batch.stops[0]][turn % handoff->flight_max] =
            leave_ticket(handoff, batch.stops[last]);
    }
}

static bool
generate(struct program *program, uint64_t seed, uint64_t index,
    unsigned thread_count)
{
    struct handoff handoff = {.thread_count = thread_count, .stop_count = 2};
    struct random *random = &handoff.writer.random;

    writer_begin(&handoff.writer, program, scenario_handoff.name, seed, index);
    handoff.shape = (enum shape)random_below(random, SHAPE_COUNT);
    if (handoff.shape == SHAPE_RING) {
        handoff.stop_count = (unsigned)random_between(random, 2, STOPS_MAX);
    }
    if (!random_one_in(random, 4)) {
        handoff.flight_max = (unsigned)random_between(random, 1, FLIGHT_MAX);
    }
    handoff.block_max = random_log_between(random, 64, BLOCK_MAX);
    unsigned op_each = writer_ops_each(thread_count);
    handoff.batch_max = op_each / 4 < BATCH_MAX ? op_each / 4 : BATCH_MAX;
    for (unsigned i = 0; handoff.writer.op_count < op_each * thread_count;
         i++) {
        write_batch(&handoff, i);
    }
    return writer_end(&handoff.writer);
}

const struct scenario scenario_handoff = {
    .name = "handoff",
    .danger = "blocks made by producers and freed by consumers: frees deferred "
              "to the owner that are lost, doubled or never collected",
    .program_count = scenario_endless,
    .generate = generate,
};
