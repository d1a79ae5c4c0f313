/*
 * arena.c - a machine for fuzzing (contract: arena.h)
 *
 *     | USABLE | REST | USABLE | NEVER          | NEVER ...
 *       mapped, as far as `ranges` says           the rest of 64 GiB
 *
 * A page that was usable once stays accessible for the kernel and rests. To give
 * it back instead costs a system call, and a fault when it is wanted again; where
 * the kernel runs under a hypervisor without hardware's help that is hundreds of
 * times what it takes to clear the page. So a page is cleared when it goes to
 * rest, if it is resident at all: of a large mapping few pages were ever touched,
 * and the kernel knows which. What it said is kept, since a page that is resident
 * stays so, and the same pages serve input after input. Only pages far from the
 * first go back, which bounds what is resident.
 *
 * Invariants, between calls:
 *   I1  Ranges are sorted, not empty, and do not overlap.
 *   I2  A usable page is in a range.
 *   I3  A NEVER page holds zeroes and no poison, and is PROT_NONE.
 *   I4  A REST page holds zeroes and is poisoned, as far as there is a sanitizer.
 */
#include "fuzz/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/machine.h"
#include "base/poison.h"
#include "base/random.h"

#define PAGE_SHIFT    12
#define PAGE_SIZE     ((size_t)1 << PAGE_SHIFT)
#define PAGE_COUNT    (ARENA_SIZE >> PAGE_SHIFT)
#define HUGEPAGE_SIZE ((size_t)2 << 20)
#define BASE_HINT     ((void *)0x300000000000)
#define RANGES_MAX    8192
#define KEEP_SPAN     ((size_t)256 << 20) /* pages behind go back to the kernel */
#define LOOK_MIN      8   /* pages; fewer are touched, not looked at */
#define TICK_NS       100 /* the clock moves with each look */

enum page_state { PAGE_NEVER, PAGE_REST, PAGE_USABLE };

struct range {
    uintptr_t first, end;
};

static struct {
    uintptr_t base;
    uintptr_t high;        /* pages from here on are NEVER */
    uint8_t *pages;        /* enum page_state of each page */
    uint8_t *resident;     /* of each page: 1 where it is known to be */
    struct range reserved; /* the last one, if no page was opened since */
    size_t range_count;
    struct range ranges[RANGES_MAX];
    size_t kept_count;
    struct range kept[RANGES_MAX]; /* what is mapped between inputs */
    uint64_t clock_ns;
    struct random random;
} arena;

static uint8_t *
state_of(uintptr_t addr)
{
    return &arena.pages[(addr - arena.base) >> PAGE_SHIFT];
}

static uint8_t *
resident_of(uintptr_t addr)
{
    return &arena.resident[(addr - arena.base) >> PAGE_SHIFT];
}

static bool
is_inside(const void *addr)
{
    return (uintptr_t)addr - arena.base < ARENA_SIZE;
}

static uintptr_t
page_at(ptrdiff_t index)
{
    return arena.base + ((uintptr_t)index << PAGE_SHIFT);
}

/* The end of the run of pages in one state that begins at addr. Reservations
 * are long, so it looks at eight pages at once where it can. */
static uintptr_t
run_end(uintptr_t addr, uintptr_t end)
{
    const uint8_t *at = state_of(addr);
    const uint8_t *last = at + ((end - addr) >> PAGE_SHIFT);
    uint8_t state = *at;
    uint64_t eight = state * UINT64_C(0x0101010101010101);
    uint64_t word;

    while (last - at >= 8 && (memcpy(&word, at, 8), word == eight)) {
        at += 8;
    }
    while (at < last && *at == state) {
        at++;
    }
    return page_at(at - arena.pages);
}

static void
set_state(uintptr_t addr, uintptr_t end, enum page_state state)
{
    memset(state_of(addr), state, (end - addr) >> PAGE_SHIFT);
}

/* Back to the kernel, whatever they were: I3. */
static void
drop_pages(uintptr_t addr, uintptr_t end)
{
    void *dropped = mmap((void *)addr, end - addr, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

    CHECK(dropped == (void *)addr);
    poison_forget((void *)addr, end - addr);
    set_state(addr, end, PAGE_NEVER);
    memset(resident_of(addr), 0, (end - addr) >> PAGE_SHIFT);
}

/* Makes pages usable; those that were not are zero. */
static bool
open_pages(uintptr_t addr, uintptr_t end)
{
    int saved_errno = errno;
    arena.reserved = (struct range){0, 0};
    while (addr < end) {
        uintptr_t next = run_end(addr, end);
        uint8_t state = *state_of(addr);

        if (state == PAGE_NEVER &&
            mprotect((void *)addr, next - addr, PROT_READ | PROT_WRITE) != 0) {
            errno = saved_errno; /* as the machine's own entries do */
            return false;
        }
        if (state == PAGE_REST) {
            poison_use((void *)addr, next - addr); /* I4 */
        }
        set_state(addr, next, PAGE_USABLE);
        addr = next;
    }
    arena.high = addr > arena.high ? addr : arena.high;
    return true;
}

/* Asks the kernel which of these pages are resident; where there are few, it is
 * quicker to make them so. */
static void
look_for_resident(uintptr_t addr, size_t count)
{
    uint8_t *resident = resident_of(addr);

    if (count < LOOK_MIN) {
        memset(resident, 1, count);
        return;
    }
    CHECK(mincore((void *)addr, count << PAGE_SHIFT, resident) == 0);
    for (size_t i = 0; i < count; i++) {
        resident[i] &= 1; /* The other bits are the kernel's. */
    }
}

/* Clears the pages that are resident; the others read as zeroes. */
static void
clear_pages(uintptr_t addr, uintptr_t end)
{
    const uint8_t *resident = resident_of(addr);
    const uint8_t *last = resident_of(end);
    const uint8_t *unknown = memchr(resident, 0, (size_t)(last - resident));

    if (unknown != NULL) {
        look_for_resident(
            page_at(unknown - arena.resident), (size_t)(last - unknown));
    }
    while ((resident = memchr(resident, 1, (size_t)(last - resident)))) {
        const uint8_t *next = memchr(resident, 0, (size_t)(last - resident));

        next = next == NULL ? last : next;
        poison_clear((void *)page_at(resident - arena.resident),
            (size_t)(next - resident) << PAGE_SHIFT);
        resident = next;
    }
}

/* Usable pages go to rest, or back to the kernel. Reservations are long, and few
 * of their pages are usable. */
static void
close_pages(uintptr_t addr, uintptr_t end)
{
    const uint8_t *usable;

    end = end < arena.high ? end : arena.high;
    while (addr < end && (usable = memchr(state_of(addr), PAGE_USABLE,
                              (end - addr) >> PAGE_SHIFT)) != NULL) {
        uintptr_t first = page_at(usable - arena.pages);
        uintptr_t next = run_end(first, end);

        if (next > arena.base + KEEP_SPAN) {
            drop_pages(first, next);
        } else {
            clear_pages(first, next); /* I4 */
            set_state(first, next, PAGE_REST);
            poison_free((void *)first, next - first); /* I4 */
        }
        addr = next;
    }
}

/* ---- the ranges that are mapped */

/* The first range that ends after addr. */
static size_t
find_range(uintptr_t addr)
{
    size_t i = 0;

    while (i < arena.range_count && arena.ranges[i].end <= addr) {
        i++;
    }
    return i;
}

static bool
is_free(uintptr_t addr, uintptr_t end)
{
    size_t i = find_range(addr);

    return addr >= arena.base && end <= arena.base + ARENA_SIZE &&
           (i == arena.range_count || arena.ranges[i].first >= end);
}

/* The lowest gap of that size, or 0. What may hold a hugepage begins at one, as
 * it does on Linux from 6.7 on: a design that aligns mappings need not cut. */
static uintptr_t
find_gap(size_t size)
{
    uintptr_t align = size >= HUGEPAGE_SIZE ? HUGEPAGE_SIZE : PAGE_SIZE;
    uintptr_t addr = arena.base;

    for (size_t i = 0; i < arena.range_count; i++) {
        if (arena.ranges[i].first >= addr + size) {
            return addr;
        }
        addr = (arena.ranges[i].end + align - 1) & ~(align - 1);
    }
    return arena.base + ARENA_SIZE >= addr + size ? addr : 0;
}

static void
insert_range(size_t i, uintptr_t first, uintptr_t end)
{
    memmove(&arena.ranges[i + 1], &arena.ranges[i],
        (arena.range_count - i) * sizeof(arena.ranges[0]));
    arena.ranges[i] = (struct range){first, end};
    arena.range_count++;
}

static void
remove_range(size_t i)
{
    arena.range_count--;
    memmove(&arena.ranges[i], &arena.ranges[i + 1],
        (arena.range_count - i) * sizeof(arena.ranges[0]));
}

/* Takes [first, end) out of all ranges; it may cut one in two. */
static void
cut_ranges(uintptr_t first, uintptr_t end)
{
    size_t i = find_range(first);

    while (i < arena.range_count && arena.ranges[i].first < end) {
        struct range range = arena.ranges[i];

        remove_range(i);
        if (range.first < first) {
            insert_range(i++, range.first, first);
        }
        if (range.end > end) {
            insert_range(i++, end, range.end);
        }
    }
}

/* ---- the machine */

static bool
is_refused(size_t size, bool usable)
{
    return size > (usable ? ARENA_USABLE_MAX : ARENA_SIZE) ||
           arena.range_count >= RANGES_MAX - 1; /* a cut adds one */
}

static void *
arena_map(void *hint, size_t size, bool usable)
{
    uintptr_t addr = (uintptr_t)hint;

    if (is_refused(size, usable)) {
        return NULL;
    }
    if (!is_inside(hint) || !is_free(addr, addr + size)) {
        addr = find_gap(size);
    }
    if (addr == 0 || (usable && !open_pages(addr, addr + size))) {
        return NULL;
    }
    if (!usable) {
        arena.reserved = (struct range){addr, addr + size};
    }
    insert_range(find_range(addr), addr, addr + size);
    return (void *)addr;
}

static bool
arena_unmap(void *addr, size_t size)
{
    uintptr_t first = (uintptr_t)addr;

    if (!is_inside(addr)) {
        return machine_kernel.unmap(addr, size);
    }
    if (arena.range_count >= RANGES_MAX - 1) {
        return false;
    }
    if (first != arena.reserved.first || first + size != arena.reserved.end) {
        close_pages(first, first + size);
    }
    arena.reserved = (struct range){0, 0};
    cut_ranges(first, first + size);
    return true;
}

static bool
arena_protect(void *addr, size_t size, bool usable)
{
    uintptr_t first = (uintptr_t)addr;

    if (!is_inside(addr)) {
        return machine_kernel.protect(addr, size, usable);
    }
    if (!usable) {
        close_pages(first, first + size);
        return true;
    }
    return !is_refused(size, true) && open_pages(first, first + size);
}

/* Of pages that the kernel may take, it takes all at once: what relies on
 * their contents is wrong. Parts of them may be poisoned, and stay so. */
static bool
arena_advise(void *addr, size_t size, int advice)
{
    if (advice == MADV_FREE || advice == MADV_DONTNEED) {
        if (!is_inside(addr)) {
            return machine_kernel.advise(addr, size, MADV_DONTNEED);
        }
        clear_pages((uintptr_t)addr, (uintptr_t)addr + size);
    }
    return true; /* huge pages or not */
}

/* Moves pages without copying; what stays behind goes back to the kernel. */
static void *
move_pages(uintptr_t from, size_t old_size, size_t new_size)
{
    uintptr_t to = find_gap(new_size);

    if (to == 0 || is_refused(new_size, true)) {
        return NULL;
    }
    int saved_errno = errno;
    drop_pages(to, to + new_size);
    if (mremap((void *)from, old_size, new_size, MREMAP_MAYMOVE | MREMAP_FIXED,
            (void *)to) == MAP_FAILED) {
        errno = saved_errno; /* as the machine's own entries do */
        return NULL;
    }
    set_state(to, to + new_size, PAGE_USABLE);
    arena.high = to + new_size > arena.high ? to + new_size : arena.high;
    drop_pages(from, from + old_size);
    cut_ranges(from, from + old_size);
    insert_range(find_range(to), to, to + new_size);
    return (void *)to;
}

static void *
arena_remap(void *addr, size_t old_size, size_t new_size, bool may_move)
{
    uintptr_t first = (uintptr_t)addr;

    if (!is_inside(addr)) {
        return machine_kernel.remap(addr, old_size, new_size, may_move);
    }
    if (new_size <= old_size) {
        close_pages(first + new_size, first + old_size);
        cut_ranges(first + new_size, first + old_size);
        return addr;
    }
    if (is_free(first + old_size, first + new_size) &&
        !is_refused(new_size, true)) {
        if (!open_pages(first + old_size, first + new_size)) {
            return NULL;
        }
        insert_range(
            find_range(first + old_size), first + old_size, first + new_size);
        return addr;
    }
    return may_move ? move_pages(first, old_size, new_size) : NULL;
}

static uint64_t
arena_clock_ns(void)
{
    return arena.clock_ns += TICK_NS;
}

static uint64_t
arena_random(void)
{
    return random_next(&arena.random);
}

static unsigned
arena_cpu(void)
{
    return 0;
}

static unsigned
arena_cpu_count(void)
{
    return 4;
}

bool
arena_init(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *base = mmap(BASE_HINT, ARENA_SIZE, PROT_NONE, flags, -1, 0);
    uint8_t *pages =
        mmap(NULL, 2 * PAGE_COUNT, PROT_READ | PROT_WRITE, flags, -1, 0);

    if (base == MAP_FAILED || pages == MAP_FAILED) {
        return false;
    }
    arena.base = (uintptr_t)base;
    arena.high = arena.base;
    arena.pages = pages;
    arena.resident = pages + PAGE_COUNT;
    arena_begin();
    machine.map = arena_map;
    machine.unmap = arena_unmap;
    machine.protect = arena_protect;
    machine.advise = arena_advise;
    machine.remap = arena_remap;
    machine.clock_ns = arena_clock_ns;
    machine.random = arena_random;
    machine.cpu = arena_cpu;
    machine.cpu_count = arena_cpu_count;
    return true;
}

void
arena_begin(void)
{
    arena.clock_ns = 1000000000;
    random_seed(&arena.random, 1);
}

void
arena_pass_time(uint64_t us)
{
    arena.clock_ns += us < 1000000000 ? us * 1000 : 0;
}

void
arena_keep(void)
{
    memcpy(arena.kept, arena.ranges, sizeof(arena.ranges));
    arena.kept_count = arena.range_count;
}

static bool
is_kept(const struct range *range)
{
    for (size_t i = 0; i < arena.kept_count; i++) {
        if (range->first >= arena.kept[i].first &&
            range->end <= arena.kept[i].end) {
            return true;
        }
    }
    return false;
}

size_t
arena_rewind(void)
{
    size_t left_size = 0;

    for (size_t i = arena.range_count; i-- > 0;) {
        struct range range = arena.ranges[i];

        if (!is_kept(&range)) {
            left_size += range.end - range.first;
            close_pages(range.first, range.end);
            remove_range(i);
        }
    }
    return left_size;
}

/* The state of pages between ranges, as far as one is usable there. */
static void
check_gap(uintptr_t addr, uintptr_t end)
{
    end = end - addr < ((uintptr_t)1 << 30) ? end : addr + ((uintptr_t)1 << 30);
    for (; addr < end; addr += PAGE_SIZE) {
        CHECK(*state_of(addr) != PAGE_USABLE); /* I2 */
#ifdef POISON_ON
        CHECK(poison_is((void *)addr) == (*state_of(addr) == PAGE_REST));
#endif
    }
}

void
arena_check(void)
{
    uintptr_t last_end = arena.base;

    for (size_t i = 0; i < arena.range_count; i++) {
        CHECK(arena.ranges[i].first >= last_end);           /* I1 */
        CHECK(arena.ranges[i].end > arena.ranges[i].first); /* I1 */
        check_gap(last_end, arena.ranges[i].first);
        last_end = arena.ranges[i].end;
    }
    CHECK(last_end <= arena.base + ARENA_SIZE);
    check_gap(last_end, arena.base + ARENA_SIZE);
}
