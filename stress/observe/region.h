/*
 * region.h - all memory that observed code can share, at fixed addresses
 *
 *     0          4 GiB       4 GiB + 256 MiB                       36 GiB
 *     | program's | threads:  | arena: what the target maps         |
 *     | .data .bss| stack,TLS | (mmap, machine.map), rewound        |
 *
 * The observed runner is not position-independent, so the program's own data
 * lies below 4 GiB. Threads' stacks and TLS and the target's pages lie just
 * above. Every address that matters is then below REGION_LIMIT, the same in
 * each process, and one multiplication away from its shadow.
 *
 * The page plane says for each OS page what observed code may do there.
 *
 * Concurrency: one logical thread runs at a time; no locks.
 * Failure: region_init returns false when the addresses are taken or address
 * space is short. region_map and the rest fail as the kernel's calls do.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGION_PAGE       4096ul
#define REGION_PAGE_SHIFT 12
#define REGION_BASE       0x100000000ul
#define REGION_ARENA      (REGION_BASE + 0x10000000ul)
#define REGION_LIMIT      0x900000000ul

enum page_state {
    PAGE_FOREIGN, /* the harness's or libc's: not looked at */
    PAGE_OPEN,    /* the target's: every access is the race detector's */
    PAGE_FRESH,   /* the same; not accessed since it was mapped, so zero */
    PAGE_MIXED,   /* as open, but some bytes are a user's: see owner.h */
    PAGE_USER,    /* wholly a user's: the target must keep off */
    PAGE_SHUT,    /* mapped and not accessible, with what it held */
    PAGE_CLOSED   /* not mapped, or not accessible since it was; zero */
};

/* One byte for each page below REGION_LIMIT: enum page_state. */
extern uint8_t *region_pages;

bool region_init(void);

/* Forgets all mappings and zeroes the arena. */
void region_rewind(void);

/* Marks the pages that [addr, addr+size) touches as open: the target's static
 * data, threads' stacks and TLS. Kept over rewinding. */
void region_open(const void *addr, size_t size);

/* mmap, munmap, mprotect, madvise(MADV_DONTNEED) and mremap, on the arena.
 * Lowest free address first; a free hint is honoured. */
void *region_map(uintptr_t hint, size_t size, bool usable);
bool region_unmap(uintptr_t addr, size_t size);
bool region_protect(uintptr_t addr, size_t size, bool usable);
bool region_zero(uintptr_t addr, size_t size);
uintptr_t region_remap(
    uintptr_t addr, size_t old_size, size_t new_size, bool may_move);

/* The pages are about to be accessed: none stays fresh. For accesses that the
 * instrumentation does not see. */
void region_touch(uintptr_t addr, size_t size);

/* Whole pages become zero and fresh again; those that are fresh cost nothing. */
void region_refresh(uintptr_t addr, size_t size);

size_t region_mapped_size(void); /* bytes mapped now */
void region_check(void);         /* aborts if the table of mappings is broken */
