/*
 * pool.c - structures of one size, kept for use again (contract: pool.h)
 *
 * Chunks are cut from low to high. What was given back is used first, the
 * newest of all: it is warm.
 */
#include "tcmalloc/pool.h"

#include "base/check.h"

#define CHUNK_SIZE ((size_t)4096)

void
tcm_pool_init(struct tcm_pool *pool, struct meta *meta, size_t size)
{
    ASSERT(size >= sizeof(void *) && size % sizeof(void *) == 0);
    ASSERT(size <= CHUNK_SIZE);
    pool->meta = meta;
    pool->free = NULL;
    pool->size = size;
    pool->next = NULL;
    pool->end = NULL;
}

void *
tcm_pool_take(struct tcm_pool *pool)
{
    void *structure = pool->free;

    if (structure != NULL) {
        pool->free = *(void **)structure;
        return structure;
    }
    if ((size_t)(pool->end - pool->next) < pool->size) {
        char *chunk = meta_take(pool->meta, CHUNK_SIZE);

        if (chunk == NULL) {
            return NULL;
        }
        pool->next = chunk;
        pool->end = chunk + CHUNK_SIZE;
    }
    structure = pool->next;
    pool->next += pool->size;
    return structure;
}

void
tcm_pool_give(struct tcm_pool *pool, void *structure)
{
    *(void **)structure = pool->free;
    pool->free = structure;
}
