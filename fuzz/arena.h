/*
 * arena.h - a machine for fuzzing: one region for all pages, virtual time
 *
 *     base/pages --> machine.map, unmap, ... --> arena --> one mapping
 *
 * A fuzz input opens a heap, makes some calls and closes it. With the kernel's
 * calls, mapping, faulting and unmapping the heap's pages costs more than the
 * calls do. The arena hands out pages of one region at a fixed address instead,
 * the lowest free ones first, and zeroes them when they are handed out again.
 * So the addresses of an input repeat, too. Clock and random bits are virtual
 * and start over with each input.
 *
 * Pages that are not usable are inaccessible: by the kernel if they never were
 * usable, and by AddressSanitizer's poison if they were.
 *
 * More than ARENA_USABLE_MAX at once is refused, as if the machine had no more
 * memory: it bounds what an input can cost.
 *
 * Concurrency: one thread.
 * Failure: arena_init returns false when address space cannot be had. Calls of
 * the machine fail as the kernel's do.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_SIZE       ((size_t)64 << 30)
#define ARENA_USABLE_MAX ((size_t)16 << 20)

/* Replaces the entries of `machine`. */
bool arena_init(void);

/* An input begins: clock and random bits start over. */
void arena_begin(void);

void arena_pass_time(uint64_t us);

/* What is mapped now stays over arena_rewind. */
void arena_keep(void);
/* Unmaps the rest; returns how many bytes that was. */
size_t arena_rewind(void);

void arena_check(void); /* aborts if broken */
