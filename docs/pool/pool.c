/*
 * pool.c - a small allocator (contract: pool.h)
 *
 * The lock's word is 0 when it is free. POOL_UNLOCK_ORDER is what the example
 * gets wrong first.
 */
#include "pool.h"

#include <errno.h>
#include <stdatomic.h>

#ifndef POOL_UNLOCK_ORDER
#    define POOL_UNLOCK_ORDER memory_order_release
#endif
#define CELLS 256

union cell {
    union cell *next; /* while it is free */
    max_align_t align;
    char block[POOL_BLOCK];
};

static union cell cells[CELLS];
static union cell *first; /* free ones that have been in use */
static size_t fresh;      /* cells from here on never were */
static atomic_int word;

static void
lock(void)
{
    while (atomic_exchange_explicit(&word, 1, memory_order_acquire) != 0) {
    }
}

static void
unlock(void)
{
    atomic_store_explicit(&word, 0, POOL_UNLOCK_ORDER);
}

void *
pool_malloc(size_t size)
{
    union cell *cell = NULL;
    if (size <= POOL_BLOCK) {
        lock();
        if (first != NULL) {
            cell = first;
            first = cell->next;
        } else if (fresh < CELLS) {
            cell = &cells[fresh++];
        }
        unlock();
    }
    if (cell == NULL) {
        errno = ENOMEM;
    }
    return cell;
}

void
pool_free(void *block)
{
    union cell *cell = block;
    if (cell != NULL) {
        lock();
        cell->next = first;
        first = cell;
        unlock();
    }
}
