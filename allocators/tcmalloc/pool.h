/*
 * pool.h - structures of one size, kept for use again
 *
 *     spans, hugepages, ranges --> pool --> meta
 *
 * Concurrency: the caller's lock guards the pool. tcm_pool_take may take
 * meta.lock, of rank MTX_BASE.
 * Failure: tcm_pool_take returns NULL when out of memory.
 * Design: Bonwick, "The Slab Allocator" (1994), reduced to its free list.
 */
#pragma once

#include <stddef.h>

#include "base/meta.h"

struct tcm_pool {
    struct meta *meta;
    void *free; /* each opens with the address of the next */
    size_t size;
    char *next, *end; /* what is left of the newest chunk */
};

void tcm_pool_init(struct tcm_pool *pool, struct meta *meta, size_t size);

/* Memory that holds anything. */
void *tcm_pool_take(struct tcm_pool *pool);
void tcm_pool_give(struct tcm_pool *pool, void *structure);

void tcm_pool_check(const struct tcm_pool *pool); /* aborts if broken */
void tcm_pool_dump(const struct tcm_pool *pool, int fd);
