/*
 * pool.c - structures of one size, kept for use again (contract: pool.h)
 *
 * Chunks are cut from low to high. What was given back is used first, the
 * newest of all: it is warm.
 *
 * Invariants:
 *   I1  A structure is on the free list once.
 *   I2  What is left of the newest chunk is at most a chunk.
 */
#include "tcmalloc/pool.h"

#include "base/check.h"
#include "base/print.h"

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

/* ---- looking */

static void *
next_of(void *structure)
{
    return structure == NULL ? NULL : *(void **)structure;
}

/* A list that comes back to itself never ends: the fast walk, of two steps at a
 * time, meets the slow one. */
void
tcm_pool_check(const struct tcm_pool *pool)
{
    void *slow = pool->free;
    void *fast = next_of(slow);

    while (fast != NULL) {
        CHECK(slow != fast); /* I1 */
        slow = next_of(slow);
        fast = next_of(next_of(fast));
    }
    CHECK(pool->next <= pool->end); /* I2 */
    CHECK((size_t)(pool->end - pool->next) <= CHUNK_SIZE);
}

void
tcm_pool_dump(const struct tcm_pool *pool, int fd)
{
    size_t free_count = 0;
    struct print print;

    for (void *at = pool->free; at != NULL; at = next_of(at)) {
        free_count++;
    }
    print_init(&print, fd);
    print_format(&print, "pool of %zu bytes: %zu free, %zu bytes uncut\n",
        pool->size, free_count, (size_t)(pool->end - pool->next));
    print_flush(&print);
}
