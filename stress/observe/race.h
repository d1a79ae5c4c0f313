/*
 * race.h - data races: two accesses that conflict and are not ordered
 *
 *     every plain access --> cell of its 8 bytes --> verdict "race"
 *
 * Two accesses to a byte conflict when one writes and not both are atomic. They
 * race when neither happens before the other by C11. The scheduler's hand-over
 * orders nothing.
 *
 * Each 8 bytes of memory have a cell. While all accesses in a run have the same
 * bytes and reads do not overlap, two epochs tell all (FastTrack). Otherwise the
 * cell points to a wide record, exact for each byte and thread; atomics always
 * do.
 *
 * Concurrency: the logical thread that runs.
 * Failure: race_init returns false when address space is short. When wide
 * records run out, a cell forgets its past: races may be missed, none invented.
 * Design: Flanagan, Freund, "FastTrack" (PLDI 2009).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/clock.h"
#include "observe/region.h"
#include "observe/runtime.h"

struct cell {
    uint32_t tag;   /* run number << 16 | CELL_WIDE | mask of the bytes */
    uint32_t write; /* epoch of the last write; 0: none */
    uint32_t read;  /* epoch of the last read */
    uint32_t wide;  /* index of the wide record */
};
#define CELL_WIDE 0x100u

/* While all accesses have the same bytes, the first of them stands for all. */
struct wide {
    uint8_t same_mask; /* the bytes that all accesses had; 0: several masks */
    uint32_t location; /* first atomic location in these bytes; 0: none */
    uint32_t write[8]; /* epoch, for each byte */
    uint32_t read[8][CLOCK_THREADS_MAX]; /* counter, for each byte, thread */
};

extern struct cell *race_cells; /* one for 8 bytes below REGION_LIMIT */

bool race_init(void);
void race_clear(void); /* before run numbers repeat */
void race_begin(void); /* a run: all cells are empty again */

static inline struct cell *
race_cell(uintptr_t addr)
{
    return &race_cells[addr >> 3];
}

static inline uint8_t
race_mask(uintptr_t addr, unsigned size)
{
    return (uint8_t)(((1u << size) - 1) << (addr & 7));
}

/* One access within 8 bytes, in full. Raises the verdict. */
void race_access(uintptr_t addr, unsigned size, bool write, uintptr_t pc);
/* The same for any range; long ones are sampled page by page. */
void race_range(uintptr_t addr, size_t size, bool write, uintptr_t pc);

/* An atomic access: checks it against plain ones and returns the wide record,
 * or NULL when there is none left. */
struct wide *race_atomic(
    uintptr_t addr, unsigned size, bool write, uintptr_t pc);

/* Forgets what happened there: the kernel ordered it (munmap, mmap). */
void race_forget(uintptr_t addr, size_t size);

/* The fast path: false when race_access must look. */
static inline bool
race_is_repeat(uintptr_t addr, unsigned size, bool write)
{
    const struct cell *cell = race_cell(addr);
    if (cell->tag != (hot.run_tag | race_mask(addr, size))) {
        return false;
    }
    return cell->write == hot.epoch || (!write && cell->read == hot.epoch);
}
