/*
 * replay.c - choices taken from bytes (contract: strategy.h)
 *
 * A byte counts modulo the ways on, so any bytes are a schedule. A byte that
 * was recorded is below that number and means itself.
 */
#include <stdio.h>

#include "observe/strategy.h"

static void
begin(struct strategy *strategy, unsigned thread_count)
{
    (void)thread_count;
    ((struct strategy_replay *)strategy)->used_count = 0;
}

static unsigned
choose(struct strategy *strategy, const struct choice *choice)
{
    struct strategy_replay *replay = (struct strategy_replay *)strategy;
    if (replay->used_count >= replay->byte_count) {
        return 0;
    }
    return replay->bytes[replay->used_count++] % choice->count;
}

static void
print_bound(const struct strategy *strategy, char *text, size_t size)
{
    const struct strategy_replay *replay =
        (const struct strategy_replay *)strategy;
    snprintf(
        text, size, "one schedule, given by %zu bytes", replay->byte_count);
}

void
strategy_replay_init(
    struct strategy_replay *replay, const uint8_t *bytes, size_t byte_count)
{
    *replay = (struct strategy_replay){
        .base =
            {
                .name = "replay",
                .begin = begin,
                .choose = choose,
                .print_bound = print_bound,
            },
        .bytes = bytes,
        .byte_count = byte_count,
    };
}
