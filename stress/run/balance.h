/*
 * balance.h - the observer that looks at the allocator's own count at the end
 *
 *     a run is over, all blocks freed --> balance --> alloc_ops.stats: none left
 *
 * Concurrency: an observer; it acts when no other thread runs.
 * Failure: an allocator without statistics has nothing to balance.
 */
#pragma once

#include "alloc.h"
#include "oracle/call.h"
#include "oracle/verdict.h"

struct balance {
    struct observer observer;
    const struct alloc_ops *ops;
    struct heap *heap;
    struct finding_box *box; /* where a finding goes */
};

void balance_init(struct balance *balance, const struct alloc_ops *ops,
    struct heap *heap, struct finding_box *box);
