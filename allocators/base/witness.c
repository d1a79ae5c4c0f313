/*
 * witness.c - sees to the lock order (contract: witness.h)
 *
 * The held locks stand in a small array of the thread's own, oldest first. A
 * graph of all orders ever seen, as general witnesses keep, is not needed: the
 * order is an enum.
 *
 * Invariant, between calls:
 *   I1  held[0 .. held_count) are the locks that the thread holds, each once.
 */
#include "base/witness.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/print.h"
#include "base/sync.h"

/* One of each rank, and some that are not ordered or were only tried. */
#define HELD_MAX (MTX_RANK_COUNT + 4)

static _Thread_local const struct mtx *held[HELD_MAX] TLS_INITIAL_EXEC;
static _Thread_local unsigned held_count TLS_INITIAL_EXEC;

static const char *const rank_names[] = {
    [MTX_NONE] = "MTX_NONE",
    [MTX_PROCESS] = "MTX_PROCESS",
    [MTX_OPTIONS] = "MTX_OPTIONS",
    [MTX_BACKGROUND] = "MTX_BACKGROUND",
    [MTX_THREADS] = "MTX_THREADS",
    [MTX_PROFILE] = "MTX_PROFILE",
    [MTX_ARENA_LIST] = "MTX_ARENA_LIST",
    [MTX_ARENA] = "MTX_ARENA",
    [MTX_FRONT] = "MTX_FRONT",
    [MTX_TRANSFER] = "MTX_TRANSFER",
    [MTX_BIN] = "MTX_BIN",
    [MTX_CENTRAL] = "MTX_CENTRAL",
    [MTX_EXTENT] = "MTX_EXTENT",
    [MTX_PAGEHEAP] = "MTX_PAGEHEAP",
    [MTX_PAGEMAP] = "MTX_PAGEMAP",
    [MTX_BASE] = "MTX_BASE",
};
static_assert(sizeof(rank_names) / sizeof(rank_names[0]) == MTX_RANK_COUNT,
    "every rank has a name");

const char *
witness_rank_name(enum mtx_rank rank)
{
    return rank_names[rank];
}

/* Prints "malstrom: lock order: RANK WHAT", and which lock is in the way. */
_Noreturn static void
stop(enum mtx_rank rank, const char *what, const struct mtx *other)
{
    struct print print;

    print_init(&print, STDERR_FILENO);
    print_format(&print, "malstrom: lock order: %s %s", rank_names[rank], what);
    if (other != NULL) {
        print_format(&print, " %s is held", rank_names[other->rank]);
    }
    print_text(&print, "\n");
    print_flush(&print);
    abort();
}

static void
remember(const struct mtx *mtx)
{
    CHECK(held_count < HELD_MAX);
    held[held_count++] = mtx;
}

void
witness_lock(const struct mtx *mtx)
{
    for (unsigned i = 0; i < held_count; i++) {
        if (held[i] == mtx) {
            stop(mtx->rank, "locked twice by one thread", NULL);
        }
        if (mtx->rank != MTX_NONE && held[i]->rank >= mtx->rank) {
            stop(mtx->rank, "while", held[i]);
        }
    }
    remember(mtx);
}

void
witness_trylock(const struct mtx *mtx)
{
    remember(mtx);
}

void
witness_unlock(const struct mtx *mtx)
{
    unsigned i = held_count;

    while (i > 0 && held[i - 1] != mtx) {
        i--;
    }
    if (i == 0) {
        stop(mtx->rank, "unlocked, but not held", NULL);
    }
    for (; i < held_count; i++) {
        held[i - 1] = held[i];
    }
    held_count--;
}
