/*
 * owner.c - whose bytes (contract: owner.h)
 *
 * The page plane (region.h) answers for most accesses: an open or fresh page
 * holds no user's byte. A page with both kinds is mixed, and one bit for each byte tells.
 *
 * Invariants:
 *   I1  A set bit lies in a mixed page, or in one listed in mixed[].
 *   I2  A page is PAGE_USER only while one block covers it.
 */
#include "observe/owner.h"

#include <string.h>
#include <sys/mman.h>

#include "observe/race.h"
#include "observe/region.h"
#include "observe/runtime.h"

#define MIXED_MAX      65536
#define BITS_PAGE_SIZE (REGION_PAGE / 8)
#define BITS_SIZE      (REGION_LIMIT / 8)

static uint8_t *user_bits;        /* one for each byte below REGION_LIMIT */
static uint32_t mixed[MIXED_MAX]; /* pages whose bits may be set */
static size_t mixed_count;

bool
owner_init(void)
{
    user_bits = mmap(NULL, BITS_SIZE, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return user_bits != MAP_FAILED;
}

void
owner_begin(void)
{
    if (mixed_count == MIXED_MAX) {
        madvise(user_bits, BITS_SIZE, MADV_DONTNEED);
    } else {
        for (size_t i = 0; i < mixed_count; i++) {
            memset(user_bits + mixed[i] * BITS_PAGE_SIZE, 0, BITS_PAGE_SIZE);
        }
    }
    mixed_count = 0;
}

/* Sets or clears the bits of a range within one page. */
static void
set_bits(uintptr_t addr, size_t size, bool user)
{
    uintptr_t end = addr + size;
    for (; addr < end && (addr & 7) != 0; addr++) {
        uint8_t bit = (uint8_t)(1u << (addr & 7));
        user_bits[addr >> 3] = user ? user_bits[addr >> 3] | bit
                                    : user_bits[addr >> 3] & (uint8_t)~bit;
    }
    if (addr < end) {
        size_t whole = (end - addr) / 8;
        memset(user_bits + (addr >> 3), user ? 0xff : 0, whole);
        addr += whole * 8;
        uint8_t bits = (uint8_t)((1u << (end - addr)) - 1);
        user_bits[addr >> 3] = user ? user_bits[addr >> 3] | bits
                                    : user_bits[addr >> 3] & (uint8_t)~bits;
    }
}

static void
set_page(uintptr_t addr, size_t size, bool user)
{
    uint8_t *state = &region_pages[addr >> REGION_PAGE_SHIFT];
    if (size == REGION_PAGE && *state != PAGE_MIXED) {
        *state = user ? PAGE_USER : PAGE_OPEN;
        return;
    }
    if (*state != PAGE_MIXED) {
        *state = PAGE_MIXED;
        if (mixed_count < MIXED_MAX) {
            mixed[mixed_count++] = (uint32_t)(addr >> REGION_PAGE_SHIFT);
        }
    }
    set_bits(addr, size, user);
}

static void
set_range(uintptr_t addr, size_t size, bool user)
{
    uintptr_t end = addr + size;
    while (addr < end) {
        uintptr_t next = (addr | (REGION_PAGE - 1)) + 1;
        next = next < end ? next : end;
        set_page(addr, next - addr, user);
        addr = next;
    }
}

static bool
is_ours(const void *block, size_t size)
{
    uintptr_t addr = (uintptr_t)block;
    return addr >= REGION_ARENA && addr < REGION_LIMIT &&
           size <= REGION_LIMIT - addr;
}

void
observe_block_taken(const void *block, size_t size)
{
    if (is_ours(block, size) && size > 0) {
        owner_access((uintptr_t)block, size, true, 0);
        race_range((uintptr_t)block, size, true, 0);
        set_range((uintptr_t)block, size, true);
    }
}

void
observe_block_given(const void *block, size_t size)
{
    if (is_ours(block, size) && size > 0) {
        set_range((uintptr_t)block, size, false);
        race_range((uintptr_t)block, size, true, 0);
    }
}

static bool
is_user_byte(uintptr_t addr)
{
    enum page_state state = region_pages[addr >> REGION_PAGE_SHIFT];
    return state == PAGE_USER ||
           (state == PAGE_MIXED &&
               (user_bits[addr >> 3] >> (addr & 7) & 1) != 0);
}

/* The first byte of the range that is a user's; end when there is none. */
static uintptr_t
find_user_byte(uintptr_t addr, uintptr_t end)
{
    while (addr < end) {
        enum page_state state = region_pages[addr >> REGION_PAGE_SHIFT];
        if (state != PAGE_MIXED && state != PAGE_USER) {
            addr = (addr | (REGION_PAGE - 1)) + 1;
        } else if (state == PAGE_MIXED && (addr & 7) == 0 &&
                   user_bits[addr >> 3] == 0) {
            addr += 8;
        } else if (is_user_byte(addr)) {
            return addr;
        } else {
            addr++;
        }
    }
    return end;
}

static _Noreturn void
raise_user(uintptr_t at, uintptr_t addr, size_t size, bool write, uintptr_t pc)
{
    uintptr_t first = at;
    uintptr_t last = at;
    while (is_user_byte(first - 1)) {
        first--;
    }
    while (is_user_byte(last + 1)) {
        last++;
    }
    verdict_raise(VERDICT_OWNERSHIP, pc, addr, (unsigned)size, write, false,
        "thread %u %s %zu bytes at 0x%lx, in a live block: 0x%lx..0x%lx are a "
        "user's",
        hot.current->id,
        pc == 0 ? "is given"
        : write ? "writes"
                : "reads",
        size, (unsigned long)addr, (unsigned long)first, (unsigned long)last);
}

void
owner_access(uintptr_t addr, size_t size, bool write, uintptr_t pc)
{
    uintptr_t end = addr + size;
    for (uintptr_t page = addr & ~(REGION_PAGE - 1); page < end;
         page += REGION_PAGE) {
        if (region_pages[page >> REGION_PAGE_SHIFT] >= PAGE_SHUT) {
            verdict_raise(VERDICT_OWNERSHIP, pc, addr, (unsigned)size, write,
                false,
                "thread %u %s %zu bytes at 0x%lx, not mapped or given back",
                hot.current->id,
                pc == 0 ? "is given"
                : write ? "writes"
                        : "reads",
                size, (unsigned long)addr);
        }
    }
    uintptr_t at = find_user_byte(addr, end);
    if (at < end) {
        raise_user(at, addr, size, write, pc);
    }
    region_touch(addr, size);
}

void
owner_check_pages(uintptr_t addr, size_t size, uintptr_t pc)
{
    uintptr_t at = find_user_byte(addr, addr + size);
    if (at < addr + size) {
        verdict_raise(VERDICT_OWNERSHIP, pc, addr, (unsigned)size, true, false,
            "thread %u gives back %zu bytes of pages at 0x%lx with a live "
            "block "
            "at 0x%lx",
            hot.current->id, size, (unsigned long)addr, (unsigned long)at);
    }
}
