/*
 * pages.c - memory from the OS, by the page (contract: pages.h)
 *
 * An aligned mapping is tried as it is first: once one mapping of a size is
 * aligned, the kernel places the next one of that size beside it, aligned too.
 * If it is not, a larger range is mapped and its ends are cut off. The kernel
 * may refuse a cut, since it can split a mapping in two and their number is
 * limited; then the whole range goes back and the call fails.
 *
 * Every call to the machine passes through one of the ask_ functions, where
 * the fault seam counts it.
 *
 * Invariant:
 *   I1  A call that fails leaves no mapping behind, unless the kernel refuses
 *       even the unmapping of untouched addresses. They cost no memory.
 */
#include "base/pages.h"

#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/machine.h"

#define NO_FAULT 0

static _Atomic uint64_t call_count;
static _Atomic uint64_t fail_at = NO_FAULT;
static _Atomic bool fail_every;

void
pages_fail_at(uint64_t n, bool every)
{
    atomic_store_explicit(&call_count, 0, memory_order_relaxed);
    atomic_store_explicit(&fail_every, every, memory_order_relaxed);
    atomic_store_explicit(&fail_at, n, memory_order_relaxed);
}

uint64_t
pages_call_count(void)
{
    return atomic_load_explicit(&call_count, memory_order_relaxed);
}

/* Counts a call that asks the OS; true when that call is to fail. */
static bool
is_fault(void)
{
    uint64_t call =
        1 + atomic_fetch_add_explicit(&call_count, 1, memory_order_relaxed);
    uint64_t n = atomic_load_explicit(&fail_at, memory_order_relaxed);

    if (n == NO_FAULT) {
        return false;
    }
    return call == n || (call > n && atomic_load_explicit(
                                         &fail_every, memory_order_relaxed));
}

static void *
ask_map(size_t size, bool usable)
{
    return is_fault() ? NULL : machine.map(NULL, size, usable);
}

static bool
ask_unmap(void *addr, size_t size)
{
    return is_fault() ? false : machine.unmap(addr, size);
}

static bool
ask_protect(void *addr, size_t size, bool usable)
{
    return is_fault() ? false : machine.protect(addr, size, usable);
}

static bool
ask_advise(void *addr, size_t size, int advice)
{
    return is_fault() ? false : machine.advise(addr, size, advice);
}

size_t
pages_os_size(void)
{
    static _Atomic size_t os_size;
    size_t size = atomic_load_explicit(&os_size, memory_order_relaxed);

    if (size == 0) {
        size = getauxval(AT_PAGESZ);
        atomic_store_explicit(&os_size, size, memory_order_relaxed);
    }
    return size;
}

size_t
pages_round_up(size_t size)
{
    size_t mask = pages_os_size() - 1;

    return size > SIZE_MAX - mask ? 0 : (size + mask) & ~mask;
}

static bool
is_aligned(const void *addr, size_t align)
{
    return ((uintptr_t)addr & (align - 1)) == 0;
}

/* Maps size + align and cuts off both ends. */
static void *
map_and_cut(size_t size, size_t align, bool usable)
{
    size_t slack = align - pages_os_size();
    size_t whole_size;

    if (__builtin_add_overflow(size, slack, &whole_size)) {
        return NULL;
    }
    char *whole = ask_map(whole_size, usable);
    if (whole == NULL) {
        return NULL;
    }
    size_t head_size = -(uintptr_t)whole & (align - 1);
    size_t tail_size = slack - head_size;

    if (head_size > 0 && !ask_unmap(whole, head_size)) {
        ask_unmap(whole, whole_size); /* I1 */
        return NULL;
    }
    if (tail_size > 0 && !ask_unmap(whole + head_size + size, tail_size)) {
        ask_unmap(whole + head_size, size + tail_size); /* I1 */
        return NULL;
    }
    return whole + head_size;
}

static void *
map_aligned(size_t size, size_t align, bool usable)
{
    ASSERT(size > 0 && is_aligned((void *)size, pages_os_size()));
    ASSERT((align & (align - 1)) == 0 && align >= pages_os_size());
    void *addr = ask_map(size, usable);

    if (addr == NULL || is_aligned(addr, align)) {
        return addr;
    }
    if (!ask_unmap(addr, size)) {
        return NULL; /* I1 */
    }
    return map_and_cut(size, align, usable);
}

void *
pages_map(size_t size, size_t align)
{
    return map_aligned(size, align, true);
}

void *
pages_reserve(size_t size, size_t align)
{
    return map_aligned(size, align, false);
}

bool
pages_commit(void *addr, size_t size)
{
    return ask_protect(addr, size, true);
}

/* The memory first: were the range made inaccessible first and the kernel then
 * kept the memory (it does for locked pages), there would be no way back. */
bool
pages_decommit(void *addr, size_t size)
{
    return ask_advise(addr, size, MADV_DONTNEED) &&
           ask_protect(addr, size, false);
}

bool
pages_unmap(void *addr, size_t size)
{
    return ask_unmap(addr, size);
}

bool
pages_purge(void *addr, size_t size)
{
    return ask_advise(addr, size, MADV_DONTNEED);
}

bool
pages_purge_lazily(void *addr, size_t size)
{
    return ask_advise(addr, size, MADV_FREE);
}

bool
pages_huge(void *addr, size_t size, bool huge)
{
    return ask_advise(addr, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

void *
pages_remap(void *addr, size_t old_size, size_t new_size, bool may_move)
{
    return is_fault() ? NULL
                      : machine.remap(addr, old_size, new_size, may_move);
}
