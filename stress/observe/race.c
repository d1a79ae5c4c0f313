/*
 * race.c - data races (contract: race.h)
 *
 * A cell is one of:
 *
 *     empty   its tag is of another run
 *     narrow  tag = run | mask: all accesses so far had exactly these bytes;
 *             `write` and `read` are the last epochs, reads being ordered
 *     wide    tag = run | CELL_WIDE: the record at `wide` tells, byte by byte
 *
 * Shadow is not cleared between runs: an old tag makes a cell empty. Four cells
 * of fixed size, as ThreadSanitizer has, would forget at random; a verdict here
 * must not depend on luck, since "no race in all these schedules" is a claim.
 *
 * Invariants:
 *   I1  narrow: every write so far happens before, or is, `write`.
 *   I2  narrow: every read since `write` happens before, or is, `read`.
 *   I3  wide: read[b][t] is the newest read of byte b by t since write[b], or
 *       earlier; a read that is ordered before write[b] may be forgotten.
 */
#include "observe/race.h"

#include <string.h>
#include <sys/mman.h>

#include "observe/weak.h"

#define WIDE_MAX 65536u
/* A range is checked byte for byte at its ends, and here and there between. */
#define RANGE_ENDS_SIZE 512u
#define RANGE_STRIDE    4096u

/* Up to here stores are cheaper than a system call and the faults after it. */
#define FORGET_BY_STORE_MAX (8 * REGION_PAGE)

struct cell *race_cells;

static struct wide *wides; /* index 0 is no record */
static uint32_t wide_count;

#define CELLS_SIZE (REGION_LIMIT / 8 * sizeof(struct cell))

bool
race_init(void)
{
    race_cells = mmap(NULL, CELLS_SIZE, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    wides = mmap(NULL, WIDE_MAX * sizeof(struct wide), PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return race_cells != MAP_FAILED && wides != MAP_FAILED;
}

void
race_clear(void)
{
    madvise(race_cells, CELLS_SIZE, MADV_DONTNEED);
}

void
race_begin(void)
{
    wide_count = 1;
}

static _Noreturn void
raise_race(uint32_t other, bool other_writes, bool other_atomic, uintptr_t addr,
    unsigned size, bool write, bool atomic, uintptr_t pc)
{
    last_verdict.has_other = true;
    last_verdict.other.thread = clock_epoch_thread(other);
    last_verdict.other.write = other_writes;
    last_verdict.other.atomic = other_atomic;
    last_verdict.other.addr = addr;
    last_verdict.other.size = size;
    last_verdict.other_count = clock_epoch_count(other);
    verdict_raise(VERDICT_RACE, pc, addr, size, write, atomic,
        "thread %u %s%s %u bytes at 0x%lx, unordered with thread %u's %s%s",
        hot.current->id, atomic ? "atomically " : "",
        write ? "writes" : "reads", size, (unsigned long)addr,
        clock_epoch_thread(other), other_atomic ? "atomic " : "",
        other_writes ? "write" : "read");
}

static inline bool
happened(uint32_t epoch)
{
    return clock_has(&hot.current->seen.hb, epoch);
}

static unsigned
first_byte(uint8_t mask)
{
    return (unsigned)__builtin_ctz(mask);
}

/* Makes the cell wide, for an access to these bytes; NULL when there is no
 * record left. */
static struct wide *
widen(struct cell *cell, uint8_t mask)
{
    if (wide_count == WIDE_MAX) {
        cell->tag = 0;
        return NULL;
    }
    struct wide *wide = &wides[wide_count];
    bool was_narrow = (cell->tag & 0xffff0000u) == hot.run_tag;
    wide->same_mask = was_narrow ? (uint8_t)cell->tag : mask;
    wide->location = 0;
    unsigned first = first_byte(wide->same_mask);
    wide->write[first] = was_narrow ? cell->write : 0;
    memset(wide->read[first], 0, sizeof(wide->read[first]));
    if (was_narrow) {
        wide->read[first][clock_epoch_thread(cell->read)] =
            clock_epoch_count(cell->read);
    }
    cell->tag = hot.run_tag | CELL_WIDE;
    cell->wide = wide_count++;
    return wide;
}

/* Accesses have several masks from here on: each byte for itself. */
static void
separate_bytes(struct wide *wide)
{
    uint8_t mask = wide->same_mask;
    unsigned first = first_byte(mask);
    for (unsigned byte = 0; byte < 8; byte++) {
        if ((mask >> byte & 1) == 0) {
            wide->write[byte] = 0;
            memset(wide->read[byte], 0, sizeof(wide->read[byte]));
        } else if (byte != first) {
            wide->write[byte] = wide->write[first];
            memcpy(
                wide->read[byte], wide->read[first], sizeof(wide->read[byte]));
        }
    }
    wide->same_mask = 0;
}

static inline bool
is_wide(const struct cell *cell)
{
    return cell->tag == (hot.run_tag | CELL_WIDE);
}

/* A read of that byte which is unordered with the caller: its epoch, or 0. */
static uint32_t
find_read(const struct wide *wide, unsigned byte)
{
    for (unsigned i = 0; i < thread_count; i++) {
        if (wide->read[byte][i] > hot.current->seen.hb.at[i]) {
            return clock_epoch(i, wide->read[byte][i]);
        }
    }
    return 0;
}

/* The wide record for an access to these bytes, and which of its bytes stand
 * for them. */
static struct wide *
enter_wide(struct cell *cell, uint8_t mask, uint8_t *bytes)
{
    struct wide *wide = is_wide(cell) ? &wides[cell->wide] : widen(cell, mask);
    *bytes = mask;
    if (wide != NULL && wide->same_mask == mask) {
        *bytes = (uint8_t)(1u << first_byte(mask));
    } else if (wide != NULL && wide->same_mask != 0) {
        separate_bytes(wide);
    }
    return wide;
}

static void
check_bytes(const struct wide *wide, uint8_t bytes, uintptr_t addr,
    unsigned size, bool write, bool atomic, uintptr_t pc)
{
    for (; bytes != 0; bytes &= (uint8_t)(bytes - 1)) {
        unsigned byte = first_byte(bytes);
        if (!happened(wide->write[byte])) {
            raise_race(
                wide->write[byte], true, false, addr, size, write, atomic, pc);
        }
        uint32_t reader = write ? find_read(wide, byte) : 0;
        if (reader != 0) {
            raise_race(reader, false, false, addr, size, write, atomic, pc);
        }
    }
}

static void
access_wide(struct wide *wide, uint8_t bytes, uintptr_t addr, unsigned size,
    bool write, uintptr_t pc)
{
    bool races = !plan->no_races;
    if (races) {
        check_bytes(wide, bytes, addr, size, write, false, pc);
    }
    if (wide->location != 0) {
        bool other_writes;
        uint8_t mask = race_mask(addr, size);
        uint32_t other =
            weak_conflict(wide->location, mask, write, &other_writes);
        if (other != 0 && races) {
            raise_race(other, other_writes, true, addr, size, write, false, pc);
        }
        if (write) {
            wide->location = weak_drop(wide->location, mask);
        }
    }
    unsigned me = hot.current->id;
    for (; bytes != 0; bytes &= (uint8_t)(bytes - 1)) {
        unsigned byte = first_byte(bytes);
        if (write) {
            wide->write[byte] = hot.epoch;
        } else {
            wide->read[byte][me] = clock_epoch_count(hot.epoch);
        }
    }
}

/* The narrow cell has just these bytes. False when it must be widened. */
static bool
access_narrow(
    struct cell *cell, uintptr_t addr, unsigned size, bool write, uintptr_t pc)
{
    if (!happened(cell->write) && !plan->no_races) {
        raise_race(cell->write, true, false, addr, size, write, false, pc);
    }
    if (write) {
        if (!happened(cell->read) && !plan->no_races) {
            raise_race(cell->read, false, false, addr, size, true, false, pc);
        }
        cell->write = hot.epoch; /* I1 */
        cell->read = 0;
        return true;
    }
    if (!happened(cell->read)) {
        return false;
    }
    cell->read = hot.epoch; /* I2 */
    return true;
}

void
race_access(uintptr_t addr, unsigned size, bool write, uintptr_t pc)
{
    struct cell *cell = race_cell(addr);
    uint32_t narrow = hot.run_tag | race_mask(addr, size);
    if (cell->tag == narrow && access_narrow(cell, addr, size, write, pc)) {
        return;
    }
    if ((cell->tag & 0xffff0000u) != hot.run_tag) {
        cell->tag = narrow;
        cell->write = write ? hot.epoch : 0;
        cell->read = write ? 0 : hot.epoch;
        return;
    }
    uint8_t bytes;
    struct wide *wide = enter_wide(cell, race_mask(addr, size), &bytes);
    if (wide != NULL) {
        access_wide(wide, bytes, addr, size, write, pc);
    }
}

struct wide *
race_atomic(uintptr_t addr, unsigned size, bool write, uintptr_t pc)
{
    uint8_t bytes;
    struct wide *wide =
        enter_wide(race_cell(addr), race_mask(addr, size), &bytes);
    if (wide != NULL && !plan->no_races) {
        check_bytes(wide, bytes, addr, size, write, true, pc);
    }
    return wide;
}

static void
access_span(uintptr_t addr, uintptr_t end, bool write, uintptr_t pc)
{
    while (addr < end) {
        uintptr_t next = (addr | 7) + 1;
        unsigned size = (unsigned)((next < end ? next : end) - addr);
        race_access(addr, size, write, pc);
        addr += size;
    }
}

void
race_range(uintptr_t addr, size_t size, bool write, uintptr_t pc)
{
    uintptr_t end = addr + size;
    if (size <= 2 * RANGE_ENDS_SIZE) {
        access_span(addr, end, write, pc);
        return;
    }
    access_span(addr, addr + RANGE_ENDS_SIZE, write, pc);
    uintptr_t last = end - RANGE_ENDS_SIZE;
    uintptr_t at = (addr + RANGE_ENDS_SIZE + RANGE_STRIDE) & ~7ul;
    for (; at + 8 <= last; at += RANGE_STRIDE) {
        race_access(at, 8, write, pc);
    }
    access_span(last, end, write, pc);
}

void
race_forget(uintptr_t addr, size_t size)
{
    size_t cells_size = size / 8 * sizeof(struct cell);
    if (size <= FORGET_BY_STORE_MAX) {
        memset(race_cell(addr), 0, cells_size);
    } else {
        madvise(race_cell(addr), cells_size, MADV_DONTNEED);
    }
}
