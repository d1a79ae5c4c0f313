/*
 * witness.h - sees to the lock order, in debug builds
 *
 *     mtx_lock, mtx_unlock --> witness --> the calling thread's held locks
 *
 * Each thread remembers the locks that it holds. To wait for a lock while one
 * of its rank or a higher is held is an error at once, whether or not the
 * deadlock that it can lead to happens in this run. A trylock never waits, so
 * it may come in any order; what follows it is held against it.
 *
 * Concurrency: concerns the calling thread only. No memory, no lock.
 * Failure: one line that names both ranks, then abort:
 *     "malstrom: lock order: MTX_ARENA while MTX_PAGEMAP is held"
 *     "malstrom: lock order: MTX_ARENA unlocked, but not held"
 * Design: FreeBSD's witness(4), reduced to fixed ranks.
 */
#pragma once

#include "base/ranks.h"

struct mtx;

void witness_lock(const struct mtx *mtx);    /* about to wait for it */
void witness_trylock(const struct mtx *mtx); /* has it */
void witness_unlock(const struct mtx *mtx);

const char *witness_rank_name(enum mtx_rank rank);
