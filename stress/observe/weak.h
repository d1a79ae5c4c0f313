/*
 * weak.h - atomics with C11's orders, and the older stores a load may read
 *
 *     __tsan_atomic* --> weak: histories of stores --> value, happens-before
 *
 * Memory holds the newest store of each location. Beside it the last few are
 * kept, each with what it releases, and with who had seen it when. A load may
 * read any store that is not hidden from it: by coherence with what happens
 * before the load, or by the order of sequentially consistent operations. The
 * strategy chooses among those.
 *
 * The modification order is the order of execution, and a load reads no store
 * that is not executed yet. So every outcome is one that C11 allows, but not
 * the other way round: load buffering and 2+2W by relaxed stores are not shown.
 * Read-modify-writes read the newest store, as C11 demands.
 *
 * Concurrency: the logical thread that runs.
 * Failure: weak_init returns false when address space is short. When records
 * run out, loads read the newest store and edges are kept: nothing is invented.
 * Design: Norris, Demsky, "CDSchecker" (OOPSLA 2013); Lidbury, Donaldson,
 * "Dynamic race detection for C++11" (POPL 2017); Lahav et al., "Repairing
 * sequential consistency in C/C++11" (PLDI 2017).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/clock.h"

struct thread;

/* The orders as the compiler passes them. */
enum weak_order {
    ORDER_RELAXED,
    ORDER_CONSUME, /* taken as acquire */
    ORDER_ACQUIRE,
    ORDER_RELEASE,
    ORDER_ACQ_REL,
    ORDER_SEQ_CST
};

bool weak_init(void);
void weak_clear(void); /* before run numbers repeat */
void weak_begin(void);

/* The value that an atomic load of at most 8 bytes, aligned, reads. */
uint64_t weak_load(
    uintptr_t addr, unsigned size, enum weak_order order, uintptr_t pc);
/* The same, but always the newest store: for halves of 16 bytes. */
void weak_load_newest(
    uintptr_t addr, unsigned size, enum weak_order order, uintptr_t pc);
/* A compare-and-swap: true when it fails, and *value is what it read instead,
 * which may be an older store. On false the caller stores, by weak_rmw. */
bool weak_refuses(uintptr_t addr, unsigned size, uint64_t expected,
    enum weak_order order, uintptr_t pc, uint64_t *value);
/* Call before memory changes: `value` is stored there next. */
void weak_store(uintptr_t addr, unsigned size, uint64_t value,
    enum weak_order order, uintptr_t pc);
void weak_rmw(uintptr_t addr, unsigned size, uint64_t value,
    enum weak_order order, uintptr_t pc);
void weak_fence(enum weak_order order);

/* For race.c: an atomic access to these bytes that is unordered with the
 * caller's plain one: its epoch, or 0. */
uint32_t weak_conflict(
    uint32_t location, uint8_t mask, bool plain_write, bool *other_writes);
/* A plain store ended the histories of these bytes; returns the chain left. */
uint32_t weak_drop(uint32_t location, uint8_t mask);

/* Clocks of our own synchronization: pthread objects, threads' start and end,
 * the harness's cells. Keyed by address. */
void weak_release(uintptr_t key);
void weak_acquire(uintptr_t key);
