/*
 * fiber.h - logical threads: a stack to run on, another thread's TLS to use
 *
 *     scheduler --> fiber_switch --> stack + TLS base of a parked pthread
 *
 * All fibers run on the process's main thread; a switch is a function call that
 * comes back on another stack. Thread-local variables of observed code are the
 * fiber's own by tls.h, errno is kept over a switch, and each fiber has a real
 * pthread that is parked for ever and lends its TLS base, so that libc's own
 * variables are the fiber's too where user code may load that base (aarch64,
 * x86-64 with FSGSBASE). By request a fiber runs on its pthread instead, and a
 * switch hands a baton over: slower, and the same schedules.
 *
 * Stacks and variables lie at fixed addresses below REGION_ARENA.
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
#define FIBER_SLOT_SIZE  ((size_t)2 << 20) /* stack, guards, the pthread, variables */

typedef void fiber_fn(void *arg);

struct fiber {
    void *sp;     /* where it stands while it does not run */
    uintptr_t tp; /* TLS base: its pthread's */
    fiber_fn *fn;
    void *arg;
    unsigned slot;
    unsigned tls_area; /* tls.h */
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
 * return. Its thread-local variables have their first values. */
void fiber_start(struct fiber *fiber, fiber_fn *fn, void *arg);

/* Saves the caller in `from` and goes on in `to`. */
void fiber_switch(struct fiber *from, struct fiber *to);

/* Puts thread-local variables back to their first values. */
void fiber_reset_tls(struct fiber *fiber);

/* The memory that is the fiber's: its stack, its pthread's, its variables. */
uintptr_t fiber_slot_addr(unsigned slot);
/* An access there means that a stack has overflowed. */
bool fiber_is_guard(unsigned slot, uintptr_t addr);

/* Before any fiber is opened: switches hand a baton between real threads. */
void fiber_use_baton(void);
bool fiber_in_user_space(void);
