/*
 * intercept.h - the calls that observed code makes to libc and the kernel
 *
 *     target --> observe_mmap, observe_pthread_mutex_lock, ... --> this runtime
 *
 * The build renames those calls in observed code alone (intercept.syms lists
 * them), so the harness and libc itself go on with the real ones. Memory comes
 * from the region, time, CPU numbers and random bytes are virtual, and locks
 * block logical threads. Outside of a run each call is the real one.
 *
 * os.c has memory, time and the machine table of base/; pthread.c has threads
 * and their locks; locks.c knows who holds what.
 *
 * Concurrency: the logical thread that runs; outside of a run, any.
 * Failure: as the real calls; a deadlock raises the verdict.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void intercept_init(void);  /* replaces base/'s table of the machine */
void intercept_begin(void); /* a run */

/* Destructors of the calling thread's keys, in rounds as POSIX has it. */
void intercept_thread_end(void);

/* No thread can go on: names the cycle. */
_Noreturn void intercept_raise_deadlock(void);

/* locks.c: who holds which lock, for deadlocks and for the lock order. */
void locks_begin(void);
/* The caller has it or, when is_wanted, will have it once it need not wait any
 * more. rank is an enum mtx_rank. */
void locks_taken(uintptr_t lock, unsigned rank, bool is_wanted);
void locks_dropped(uintptr_t lock);

/* os.c */
void os_begin(void);

/* pthread.c: handlers of pthread_atfork. */
enum fork_moment { FORK_PREPARE, FORK_PARENT, FORK_CHILD };
/* Returns how many: those that come during the fork do not run after it. */
unsigned pthread_prepare_fork(void);
void pthread_finish_fork(unsigned count, enum fork_moment moment);
