/*
 * region.c - all memory that observed code can share (contract: region.h)
 *
 * The whole range is mapped once, readable and writable, and never given back:
 * a mapping is an entry in a table and a state in the page plane. So an access
 * to a closed page is not a fault but a verdict, with the culprit's stack, and
 * a run can be rewound by forgetting the table and zeroing what was touched: a
 * page that stayed fresh is zero still, so most cost nothing. The alternative, real mmap at
 * fixed addresses, costs a system call each and finds nothing more.
 *
 * Invariants:
 *   I1  Mappings are sorted by address, disjoint, page-aligned, not empty.
 *   I2  An arena page outside of mappings is closed.
 *   I3  Memory of closed arena pages outside of mappings, and of fresh pages, is
 *       zero.
 *   I4  Every page that is not closed lies in a touched range.
 */
#include "observe/region.h"

#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

#define MAPPINGS_MAX 8192
#define TOUCHED_MAX  8192
/* Up to here a store is cheaper than a system call and the faults after it. */
#define ZERO_BY_STORE_MAX (256 * REGION_PAGE)

struct span {
    uintptr_t addr;
    size_t size;
};

uint8_t *region_pages;

static struct span mappings[MAPPINGS_MAX]; /* I1 */
static size_t mapping_count;
static struct span touched[TOUCHED_MAX]; /* I4 */
static size_t touched_count;

bool
region_init(void)
{
    size_t size = REGION_LIMIT - REGION_BASE;
    void *base = mmap((void *)REGION_BASE, size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
        0);
    if (base != (void *)REGION_BASE) {
        return false;
    }
    madvise(base, size, MADV_NOHUGEPAGE);
    region_pages =
        mmap(NULL, REGION_LIMIT / REGION_PAGE, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region_pages == MAP_FAILED) {
        return false;
    }
    memset(region_pages + REGION_ARENA / REGION_PAGE, PAGE_CLOSED,
        (REGION_LIMIT - REGION_ARENA) / REGION_PAGE);
    return true;
}

static void
set_state(uintptr_t addr, size_t size, enum page_state state)
{
    memset(region_pages + addr / REGION_PAGE, state, size / REGION_PAGE);
}

void
region_open(const void *addr, size_t size)
{
    uintptr_t first = (uintptr_t)addr & ~(REGION_PAGE - 1);
    uintptr_t end =
        ((uintptr_t)addr + size + REGION_PAGE - 1) & ~(REGION_PAGE - 1);
    if (size > 0) {
        set_state(first, end - first, PAGE_OPEN);
    }
}

/* Notes that pages there may hold data and be open, for the rewinding. When
 * the list is full the last entry grows to cover both. */
static void
note_touched(uintptr_t addr, size_t size)
{
    struct span *last = touched_count > 0 ? &touched[touched_count - 1] : NULL;
    if (last != NULL && addr >= last->addr &&
        addr + size <= last->addr + last->size) {
        return;
    }
    if (last != NULL &&
        (addr == last->addr + last->size || touched_count == TOUCHED_MAX)) {
        uintptr_t end = addr + size;
        uintptr_t last_end = last->addr + last->size;
        last->addr = addr < last->addr ? addr : last->addr;
        last->size = (end > last_end ? end : last_end) - last->addr;
        return;
    }
    touched[touched_count++] = (struct span){addr, size};
}

static void
zero(uintptr_t addr, size_t size)
{
    if (size <= ZERO_BY_STORE_MAX) {
        memset((void *)addr, 0, size);
    } else {
        madvise((void *)addr, size, MADV_DONTNEED);
    }
}

static bool
may_hold_data(uintptr_t page)
{
    enum page_state state = region_pages[page / REGION_PAGE];
    return state != PAGE_FRESH && state != PAGE_CLOSED;
}

/* Zeroes the pages of the range that may hold data, stretch by stretch. */
static void
zero_touched(uintptr_t addr, size_t size)
{
    uintptr_t end = addr + size;
    while (addr < end) {
        uintptr_t first = addr;
        while (addr < end && may_hold_data(addr)) {
            addr += REGION_PAGE;
        }
        if (addr > first) {
            zero(first, addr - first);
        } else {
            addr += REGION_PAGE;
        }
    }
}

void
region_refresh(uintptr_t addr, size_t size)
{
    zero_touched(addr, size);
    set_state(addr, size, PAGE_FRESH);
}

void
region_rewind(void)
{
    for (size_t i = 0; i < touched_count; i++) {
        zero_touched(touched[i].addr, touched[i].size);
        set_state(touched[i].addr, touched[i].size, PAGE_CLOSED);
    }
    touched_count = 0;
    mapping_count = 0;
}

static uintptr_t
end_of(const struct span *span)
{
    return span->addr + span->size;
}

/* The first mapping that ends above addr; mapping_count when none does. */
static size_t
find_above(uintptr_t addr)
{
    size_t low = 0;
    size_t high = mapping_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (end_of(&mappings[middle]) > addr) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static bool
is_free(uintptr_t addr, size_t size)
{
    if (addr < REGION_ARENA || addr >= REGION_LIMIT ||
        size > REGION_LIMIT - addr) {
        return false;
    }
    size_t next = find_above(addr);
    return next == mapping_count || mappings[next].addr >= addr + size;
}

/* True when mappings cover all of the range. */
static bool
is_mapped(uintptr_t addr, size_t size)
{
    uintptr_t end = addr + size;
    for (size_t i = find_above(addr); addr < end; i++) {
        if (i == mapping_count || mappings[i].addr > addr) {
            return false;
        }
        addr = end_of(&mappings[i]);
    }
    return true;
}

static uintptr_t
find_gap(size_t size)
{
    uintptr_t addr = REGION_ARENA;
    for (size_t i = 0; i < mapping_count; i++) {
        if (mappings[i].addr - addr >= size) {
            return addr;
        }
        addr = end_of(&mappings[i]);
    }
    return REGION_LIMIT - addr >= size ? addr : 0;
}

/* Enters a free range, joined with its neighbours where they touch (I1). */
static bool
insert(uintptr_t addr, size_t size)
{
    size_t at = find_above(addr);
    bool joins_below = at > 0 && end_of(&mappings[at - 1]) == addr;
    bool joins_above = at < mapping_count && mappings[at].addr == addr + size;
    if (joins_below && joins_above) {
        mappings[at - 1].size += size + mappings[at].size;
        mapping_count--;
        memmove(&mappings[at], &mappings[at + 1],
            (mapping_count - at) * sizeof(mappings[0]));
    } else if (joins_below) {
        mappings[at - 1].size += size;
    } else if (joins_above) {
        mappings[at].addr = addr;
        mappings[at].size += size;
    } else if (mapping_count == MAPPINGS_MAX) {
        return false;
    } else {
        memmove(&mappings[at + 1], &mappings[at],
            (mapping_count - at) * sizeof(mappings[0]));
        mappings[at] = (struct span){addr, size};
        mapping_count++;
    }
    return true;
}

/* Takes a range out of the table, mapped or not. False when a mapping would
 * have to be split and the table is full. */
static bool
cut(uintptr_t addr, size_t size)
{
    uintptr_t end = addr + size;
    size_t i = find_above(addr);
    while (i < mapping_count && mappings[i].addr < end) {
        struct span old = mappings[i];
        if (old.addr < addr && end_of(&old) > end) {
            if (mapping_count == MAPPINGS_MAX) {
                return false;
            }
            memmove(&mappings[i + 1], &mappings[i],
                (mapping_count - i) * sizeof(mappings[0]));
            mapping_count++;
            mappings[i].size = addr - old.addr;
            mappings[i + 1] = (struct span){end, end_of(&old) - end};
            return true;
        }
        if (old.addr < addr) {
            mappings[i++].size = addr - old.addr;
        } else if (end_of(&old) > end) {
            mappings[i] = (struct span){end, end_of(&old) - end};
        } else {
            mapping_count--;
            memmove(&mappings[i], &mappings[i + 1],
                (mapping_count - i) * sizeof(mappings[0]));
        }
    }
    return true;
}

static bool
is_aligned(uintptr_t addr, size_t size)
{
    return addr % REGION_PAGE == 0 && size > 0 && size % REGION_PAGE == 0 &&
           size <= REGION_LIMIT;
}

void *
region_map(uintptr_t hint, size_t size, bool usable)
{
    size = (size + REGION_PAGE - 1) & ~(REGION_PAGE - 1);
    if (size == 0 || size > REGION_LIMIT) {
        return NULL;
    }
    bool wanted = hint % REGION_PAGE == 0 && is_free(hint, size);
    uintptr_t addr = wanted ? hint : find_gap(size);
    if (addr == 0 || !insert(addr, size)) {
        return NULL;
    }
    if (usable) {
        note_touched(addr, size);
        set_state(addr, size, PAGE_FRESH);
    }
    return (void *)addr;
}

bool
region_unmap(uintptr_t addr, size_t size)
{
    size = (size + REGION_PAGE - 1) & ~(REGION_PAGE - 1);
    if (!is_aligned(addr, size) || addr < REGION_ARENA ||
        addr + size > REGION_LIMIT || !cut(addr, size)) {
        return false;
    }
    zero_touched(addr, size); /* I3 */
    set_state(addr, size, PAGE_CLOSED);
    return true;
}

bool
region_protect(uintptr_t addr, size_t size, bool usable)
{
    size = (size + REGION_PAGE - 1) & ~(REGION_PAGE - 1);
    if (!is_aligned(addr, size) || !is_mapped(addr, size)) {
        return false;
    }
    note_touched(addr, size);
    for (uintptr_t page = addr; page < addr + size; page += REGION_PAGE) {
        uint8_t *state = &region_pages[page / REGION_PAGE];
        if (usable && *state >= PAGE_SHUT) {
            *state = *state == PAGE_SHUT ? PAGE_OPEN : PAGE_FRESH;
        } else if (!usable && *state < PAGE_SHUT) {
            *state = *state == PAGE_FRESH ? PAGE_CLOSED : PAGE_SHUT;
        }
    }
    return true;
}

void
region_touch(uintptr_t addr, size_t size)
{
    uintptr_t page = addr & ~(REGION_PAGE - 1);
    for (; page < addr + size; page += REGION_PAGE) {
        if (region_pages[page / REGION_PAGE] == PAGE_FRESH) {
            set_state(page, REGION_PAGE, PAGE_OPEN);
        }
    }
}

bool
region_zero(uintptr_t addr, size_t size)
{
    size = (size + REGION_PAGE - 1) & ~(REGION_PAGE - 1);
    if (!is_aligned(addr, size) || !is_mapped(addr, size)) {
        return false;
    }
    zero_touched(addr, size);
    return true;
}

uintptr_t
region_remap(uintptr_t addr, size_t old_size, size_t new_size, bool may_move)
{
    if (!is_aligned(addr, old_size) || !is_aligned(addr, new_size) ||
        !is_mapped(addr, old_size)) {
        return 0;
    }
    if (new_size <= old_size) {
        return new_size == old_size ||
                       region_unmap(addr + new_size, old_size - new_size)
                   ? addr
                   : 0;
    }
    size_t growth = new_size - old_size;
    if (is_free(addr + old_size, growth)) {
        return region_map(addr + old_size, growth, true) != NULL ? addr : 0;
    }
    if (!may_move) {
        return 0;
    }
    uintptr_t moved = (uintptr_t)region_map(0, new_size, true);
    if (moved != 0) {
        region_touch(moved, old_size);
        memcpy((void *)moved, (const void *)addr, old_size);
        region_unmap(addr, old_size);
    }
    return moved;
}

size_t
region_mapped_size(void)
{
    size_t size = 0;
    for (size_t i = 0; i < mapping_count; i++) {
        size += mappings[i].size;
    }
    return size;
}

void
region_check(void)
{
    for (size_t i = 0; i < mapping_count; i++) {
        CHECK(is_aligned(mappings[i].addr, mappings[i].size)); /* I1 */
        CHECK(i == 0 || end_of(&mappings[i - 1]) < mappings[i].addr);
    }
    uintptr_t addr = REGION_ARENA;
    for (size_t i = 0; i <= mapping_count; i++) {
        uintptr_t end = i < mapping_count ? mappings[i].addr : addr;
        for (; addr < end; addr += REGION_PAGE) { /* I2 */
            CHECK(region_pages[addr / REGION_PAGE] == PAGE_CLOSED);
        }
        addr = i < mapping_count ? end_of(&mappings[i]) : addr;
    }
}
