/*
 * toys.h - small allocators, right and wrong, for tests of the observed runner
 *
 *     toys.c, observed --> explore_test.c
 *
 * Each has malloc, calloc, realloc, memalign and free, of blocks up to TOY_BLOCK
 * bytes, and one fault that its name tells or none.
 *
 * Concurrency: as alloc.h, but for the fault. Failure: malloc returns NULL.
 */
#pragma once

#include "alloc.h"

#define TOY_BLOCK 64

extern const struct alloc_ops toy_locked;   /* right: one mutex */
extern const struct alloc_ops toy_spin;     /* right: a spinlock */
extern const struct alloc_ops toy_lockfree; /* right: a tagged stack; may be
                                               used by a signal handler */
extern const struct alloc_ops toy_no_lock;
extern const struct alloc_ops toy_lost_release;
extern const struct alloc_ops toy_lost_acquire;
extern const struct alloc_ops toy_aba;
extern const struct alloc_ops toy_peek; /* reads the next block's link late */
extern const struct alloc_ops toy_inversion;
extern const struct alloc_ops toy_lost_wake;
extern const struct alloc_ops toy_lazy_init;
extern const struct alloc_ops toy_kept_lock; /* spins for ever on one path */
extern const struct alloc_ops toy_oom; /* keeps the lock when out of memory */
extern const struct alloc_ops toy_no_atfork;
extern const struct alloc_ops toy_signal; /* claims what its lock forbids */
extern const struct alloc_ops toy_clock;  /* asks the processor's counter */
