/*
 * fiber.h - logical threads: a stack to run on, another thread's TLS to use
 *
 *     scheduler --> fiber_switch --> stack + FS base of a parked pthread
 *
 * Each fiber has a real pthread that is parked for ever and lends its TLS, so
 * __thread variables, errno and pthread_self() are the fiber's own while all
 * fibers run on the process's main thread. A switch loads two registers more
 * than a call. Where user code may not load the TLS base (x86-64 without
 * FSGSBASE) the fiber runs on its pthread and a switch hands a baton over.
 *
 * Stacks and TLS lie at fixed addresses below REGION_ARENA.
 *
 * Concurrency: called by the one thread that runs.
 * Failure: fiber_open returns false when no pthread can be had.
 */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIBER_STACK_SIZE ((size_t)512 << 10)
#define FIBER_SLOT_SIZE  ((size_t)2 << 20) /* stack, guards, the pthread */

typedef void fiber_fn(void *arg);

struct fiber {
    void *sp;     /* where it stands while it does not run */
    uintptr_t tp; /* TLS base: its pthread's */
    fiber_fn *fn;
    void *arg;
    unsigned slot;
    bool is_open;
    uint32_t baton;  /* 1: may run (baton mode) */
    bool restart;    /* leave what it was doing (baton mode) */
    sigjmp_buf base; /* where its pthread waits for work (baton mode) */
    int tid;         /* the parked pthread's, for the kernel */
    uint32_t parked; /* 1 once the pthread lent its TLS */
};

/* Makes the calling context a fiber, to switch away from and back to. */
void fiber_adopt_main(struct fiber *fiber);

/* Starts the pthread that lends slot's TLS; once for each slot. */
bool fiber_open(struct fiber *fiber, unsigned slot);

/* The next switch to it calls fn(arg), whatever it did before. fn must not
 * return. Its .tdata and .tbss are as at the start of a thread. */
void fiber_start(struct fiber *fiber, fiber_fn *fn, void *arg);

/* Saves the caller in `from` and goes on in `to`. */
void fiber_switch(struct fiber *from, struct fiber *to);

/* Puts the executable's thread-local variables back to their first values. */
void fiber_reset_tls(struct fiber *fiber);

/* The memory that is the fiber's: its stack, and its pthread's with the TLS. */
uintptr_t fiber_slot_addr(unsigned slot);
/* An access there means that a stack has overflowed. */
bool fiber_is_guard(unsigned slot, uintptr_t addr);

/* True when switches load the TLS base in user space. Decided once; the first
 * call may be told to use the baton although it could. */
bool fiber_in_user_space(void);
void fiber_use_baton(void);
