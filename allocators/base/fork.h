/*
 * fork.h - fork as one loop over the ranked locks
 *
 *     fork() --> prepare: take every mtx, in rank order
 *            --> parent:  release them in reverse
 *            --> child:   make them free; then the designs' own hooks
 *
 * A thread that forks passes through the locks that fork holds, so atfork
 * handlers of others that allocate work whatever their order.
 *
 * Concurrency: fork_init is called once per process, first thing, by whoever
 * comes first; further calls do nothing. fork_on_child is for start-up.
 * Failure: aborts when pthread_atfork cannot register.
 */
#pragma once

struct mtx;

void fork_init(void);

/* fn runs in the child after the locks are free, with one thread living: to
 * adopt or drop what dead threads held. At most 8; the same fn counts once. */
void fork_on_child(void (*fn)(void));

/* mtx_init and mtx_fini: the lock is one of those that fork takes. */
void fork_enter(struct mtx *mtx);
void fork_leave(struct mtx *mtx);
