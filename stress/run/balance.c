/*
 * balance.c - the allocator's own count at the end (contract: balance.h)
 */
#include "run/balance.h"

#include <stdio.h>

static bool
pass(struct observer *observer, struct call *call)
{
    (void)observer;
    (void)call;
    return true;
}

static bool
end(struct observer *observer)
{
    struct balance *balance = (struct balance *)observer; /* first member */
    struct alloc_stats stats = {0};
    if (balance->ops->stats == NULL) {
        return true;
    }
    balance->ops->stats(balance->heap, &stats);
    if (stats.used_count == 0 && stats.used_size == 0) {
        return true;
    }
    struct finding finding = {
        .kind = VERDICT_LEAK,
        .op_kind = OP_KIND_COUNT,
        .call = "after the last block was freed",
        .expected = "the allocator counts no block",
    };
    snprintf(finding.seen, sizeof finding.seen,
        "it counts %zu blocks, %zu bytes", stats.used_count, stats.used_size);
    finding_put(balance->box, &finding);
    return false;
}

void
balance_init(struct balance *balance, const struct alloc_ops *ops,
    struct heap *heap, struct finding_box *box)
{
    *balance = (struct balance){
        .observer = {.before = pass, .after = pass, .end = end},
        .ops = ops,
        .heap = heap,
        .box = box,
    };
}
