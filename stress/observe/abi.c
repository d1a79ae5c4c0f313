/*
 * abi.c - the calls that clang's -fsanitize=thread inserts
 *
 *     compiled C --> __tsan_read4, __tsan_atomic32_load, ... --> race, weak
 *
 * The set is what clang 14 to 19 emit for C, with the variants that their
 * options add (volatile, compound, the _pc forms). Each is called just before
 * its access, with the address; the compiler makes plain accesses itself, while
 * atomics are ours to do.
 *
 * The fast path is a few loads: a thread that repeats an access within one
 * epoch changes nothing that the detector knows. Outside of a run (static
 * constructors, the harness's own use) every call is the plain access.
 *
 * Concurrency: the logical thread that runs; outside of a run, any.
 * Failure: a verdict ends the run and does not return.
 */
#include <string.h>

#include "base/check.h"
#include "observe/owner.h"
#include "observe/race.h"
#include "observe/runtime.h"
#include "observe/weak.h"

#define INLINE static inline __attribute__((always_inline))

/*
 * Plain accesses.
 */

static __attribute__((noinline)) void
access_slow(uintptr_t addr, size_t size, bool write, uintptr_t pc)
{
    enum event_kind kind = write ? EVENT_WRITE : EVENT_READ;
    struct thread *me = hot.current;
    if (hot.steps >= hot.look_at) {
        sched_look();
    }
    uintptr_t slot = fiber_slot_addr(me->id);
    bool is_own = addr - slot < FIBER_SLOT_SIZE;
    if (plan->points == OBSERVE_EVERY && !is_own) {
        sched_point(kind, addr, write);
        if (write) {
            sched_note_progress(me);
        }
    }
    enum page_state first = region_pages[addr >> REGION_PAGE_SHIFT];
    enum page_state last = region_pages[(addr + size - 1) >> REGION_PAGE_SHIFT];
    if (first == PAGE_FOREIGN) {
        return;
    }
    if (UNLIKELY(explaining) && !is_own) {
        trace_match(pc, addr, (unsigned)size, write, false);
        trace_note(kind, pc, addr, (unsigned)size, 0, NULL);
    }
    if (first != PAGE_OPEN || last != PAGE_OPEN || size > REGION_PAGE) {
        owner_access(addr, size, write, pc);
    }
    race_range(addr, size, write, pc);
}

INLINE void
access(const volatile void *ptr, unsigned size, bool write, uintptr_t pc)
{
    uintptr_t addr = (uintptr_t)ptr;
    if (UNLIKELY(hot.current == NULL) || addr >= REGION_LIMIT) {
        return;
    }
    hash_add(addr);
    if (LIKELY(hot.steps++ < hot.steps_stop) && (addr & 7) + size <= 8 &&
        region_pages[addr >> REGION_PAGE_SHIFT] == PAGE_OPEN) {
        if (!race_is_repeat(addr, size, write)) {
            race_access(addr, size, write, pc);
        }
        return;
    }
    access_slow(addr, size, write, pc);
}

INLINE void
access_range(const volatile void *ptr, size_t size, bool write, uintptr_t pc)
{
    uintptr_t addr = (uintptr_t)ptr;
    if (hot.current != NULL && size > 0 && addr < REGION_LIMIT &&
        size <= REGION_LIMIT - addr) {
        hash_add(addr + size);
        hot.steps++;
        access_slow(addr, size, write, pc);
    }
}

#define PLAIN(name, size, write)                                               \
    void __tsan_##name(const volatile void *ptr);                              \
    void __tsan_##name(const volatile void *ptr)                               \
    {                                                                          \
        access(ptr, size, write, CALLER_PC);                                   \
    }
#define PLAIN_PC(name, size, write)                                            \
    void __tsan_##name##_pc(const volatile void *ptr, void *pc);               \
    void __tsan_##name##_pc(const volatile void *ptr, void *pc)                \
    {                                                                          \
        access(ptr, size, write, (uintptr_t)pc);                               \
    }
#define PLAIN_SIZE(size)                                                       \
    PLAIN(read##size, size, false)                                             \
    PLAIN(write##size, size, true)                                             \
    PLAIN(volatile_read##size, size, false)                                    \
    PLAIN(volatile_write##size, size, true)                                    \
    PLAIN(read_write##size, size, true)                                        \
    PLAIN_PC(read##size, size, false)                                          \
    PLAIN_PC(write##size, size, true)
#define UNALIGNED_SIZE(size)                                                   \
    PLAIN(unaligned_read##size, size, false)                                   \
    PLAIN(unaligned_write##size, size, true)                                   \
    PLAIN(unaligned_volatile_read##size, size, false)                          \
    PLAIN(unaligned_volatile_write##size, size, true)                          \
    PLAIN(unaligned_read_write##size, size, true)

PLAIN_SIZE(1)
PLAIN_SIZE(2)
PLAIN_SIZE(4)
PLAIN_SIZE(8)
PLAIN_SIZE(16)
UNALIGNED_SIZE(2)
UNALIGNED_SIZE(4)
UNALIGNED_SIZE(8)
UNALIGNED_SIZE(16)

void __tsan_read_range(const void *ptr, size_t size);
void
__tsan_read_range(const void *ptr, size_t size)
{
    access_range(ptr, size, false, CALLER_PC);
}

void __tsan_write_range(void *ptr, size_t size);
void
__tsan_write_range(void *ptr, size_t size)
{
    access_range(ptr, size, true, CALLER_PC);
}

void __tsan_vptr_read(void **vptr);
void
__tsan_vptr_read(void **vptr)
{
    access(vptr, sizeof(*vptr), false, CALLER_PC);
}

void __tsan_vptr_update(void **vptr, void *value);
void
__tsan_vptr_update(void **vptr, void *value)
{
    if (*vptr != value) {
        access(vptr, sizeof(*vptr), true, CALLER_PC);
    }
}

/*
 * Copies. The names observe_* are what the build puts in place of libc's; clang
 * 19 calls the __tsan_* ones by itself.
 */

#define COPY(name, libc)                                                       \
    void *name(void *to, const void *from, size_t size);                       \
    void *name(void *to, const void *from, size_t size)                        \
    {                                                                          \
        access_range(from, size, false, CALLER_PC);                            \
        access_range(to, size, true, CALLER_PC);                               \
        return libc(to, from, size);                                           \
    }
#define FILL(name)                                                             \
    void *name(void *to, int byte, size_t size);                               \
    void *name(void *to, int byte, size_t size)                                \
    {                                                                          \
        access_range(to, size, true, CALLER_PC);                               \
        return memset(to, byte, size);                                         \
    }

COPY(__tsan_memcpy, memcpy)
COPY(__tsan_memmove, memmove)
FILL(__tsan_memset)
COPY(observe_memcpy, memcpy)
COPY(observe_memmove, memmove)
FILL(observe_memset)

/*
 * Calls and returns: the stack that a report shows.
 */

void __tsan_init(void);
void
__tsan_init(void)
{
}

void __tsan_func_entry(void *pc);
void
__tsan_func_entry(void *pc)
{
    struct thread *me = hot.current;
    if (me != NULL) {
        if (me->frame_count < FRAMES_MAX) {
            me->frames[me->frame_count] = (uintptr_t)pc;
        }
        me->frame_count++;
    }
}

void __tsan_func_exit(void);
void
__tsan_func_exit(void)
{
    struct thread *me = hot.current;
    if (me != NULL && me->frame_count > 0) {
        me->frame_count--;
    }
}

void __tsan_ignore_thread_begin(void);
void
__tsan_ignore_thread_begin(void)
{
}

void __tsan_ignore_thread_end(void);
void
__tsan_ignore_thread_end(void)
{
}

/* What <sanitizer/tsan_interface.h> offers for synchronization of one's own. */
void __tsan_acquire(void *addr);
void
__tsan_acquire(void *addr)
{
    if (hot.current != NULL) {
        weak_acquire((uintptr_t)addr);
    }
}

void __tsan_release(void *addr);
void
__tsan_release(void *addr)
{
    if (hot.current != NULL) {
        weak_release((uintptr_t)addr);
    }
}

/*
 * Atomics.
 */

#define ORDER(order) ((enum weak_order)((order)&7))

/* True when the runtime looks after that address; false: a plain atomic. Where
 * true, other threads had their chance to go first. */
static bool
enter_atomic(const volatile void *ptr, size_t size, bool write, uintptr_t pc)
{
    uintptr_t addr = (uintptr_t)ptr;
    if (hot.current == NULL) {
        return false;
    }
    bool is_ours = addr < REGION_LIMIT && addr % size == 0 &&
                   region_pages[addr >> REGION_PAGE_SHIFT] != PAGE_FOREIGN;
    sched_point(write ? EVENT_RMW : EVENT_LOAD, is_ours ? addr : 0, write);
    if (!is_ours) {
        return false;
    }
    if (UNLIKELY(explaining)) {
        trace_match(pc, addr, (unsigned)size, write, true);
    }
    if (region_pages[addr >> REGION_PAGE_SHIFT] != PAGE_OPEN) {
        owner_access(addr, size, write, pc);
    }
    return true;
}

#define ATOMIC_LOAD_STORE(bits, type)                                          \
    type __tsan_atomic##bits##_load(const volatile type *ptr, int order);      \
    type __tsan_atomic##bits##_load(const volatile type *ptr, int order)       \
    {                                                                          \
        if (!enter_atomic(ptr, sizeof(type), false, CALLER_PC)) {              \
            return __atomic_load_n(ptr, __ATOMIC_SEQ_CST);                     \
        }                                                                      \
        return (type)weak_load(                                                \
            (uintptr_t)ptr, sizeof(type), ORDER(order), CALLER_PC);            \
    }                                                                          \
    void __tsan_atomic##bits##_store(                                          \
        volatile type *ptr, type value, int order);                            \
    void __tsan_atomic##bits##_store(                                          \
        volatile type *ptr, type value, int order)                             \
    {                                                                          \
        if (enter_atomic(ptr, sizeof(type), true, CALLER_PC)) {                \
            weak_store(                                                        \
                (uintptr_t)ptr, sizeof(type), value, ORDER(order), CALLER_PC); \
        }                                                                      \
        __atomic_store_n(ptr, value, __ATOMIC_SEQ_CST);                        \
    }

#define ATOMIC_RMW(bits, type, name, native, result)                           \
    type __tsan_atomic##bits##_##name(                                         \
        volatile type *ptr, type value, int order);                            \
    type __tsan_atomic##bits##_##name(                                         \
        volatile type *ptr, type value, int order)                             \
    {                                                                          \
        if (enter_atomic(ptr, sizeof(type), true, CALLER_PC)) {                \
            type old = *ptr;                                                   \
            weak_rmw((uintptr_t)ptr, sizeof(type), (type)(result),             \
                ORDER(order), CALLER_PC);                                      \
        }                                                                      \
        return native(ptr, value, __ATOMIC_SEQ_CST);                           \
    }

#define ATOMIC_CAS(bits, type)                                                 \
    INLINE type cas_##bits(volatile type *ptr, type expected, type desired,    \
        int order, int fail_order, uintptr_t pc)                               \
    {                                                                          \
        if (enter_atomic(ptr, sizeof(type), true, pc)) {                       \
            uint64_t value;                                                    \
            if (weak_refuses((uintptr_t)ptr, sizeof(type), expected,           \
                    ORDER(fail_order), pc, &value)) {                          \
                return (type)value;                                            \
            }                                                                  \
            weak_rmw((uintptr_t)ptr, sizeof(type), desired, ORDER(order), pc); \
        }                                                                      \
        __atomic_compare_exchange_n(ptr, &expected, desired, false,            \
            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                               \
        return expected;                                                       \
    }                                                                          \
    CAS_VARIANTS(bits, type)

#define CAS_VARIANTS(bits, type)                                               \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *ptr,        \
        type expected, type desired, int order, int fail_order);               \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *ptr,        \
        type expected, type desired, int order, int fail_order)                \
    {                                                                          \
        return cas_##bits(                                                     \
            ptr, expected, desired, order, fail_order, CALLER_PC);             \
    }                                                                          \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *ptr,      \
        type *expected, type desired, int order, int fail_order);              \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *ptr,      \
        type *expected, type desired, int order, int fail_order)               \
    {                                                                          \
        type wanted = *expected;                                               \
        *expected =                                                            \
            cas_##bits(ptr, wanted, desired, order, fail_order, CALLER_PC);    \
        return *expected == wanted;                                            \
    }                                                                          \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *ptr,        \
        type *expected, type desired, int order, int fail_order);              \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *ptr,        \
        type *expected, type desired, int order, int fail_order)               \
    {                                                                          \
        type wanted = *expected;                                               \
        *expected =                                                            \
            cas_##bits(ptr, wanted, desired, order, fail_order, CALLER_PC);    \
        return *expected == wanted;                                            \
    }

#define ATOMIC_ALL(bits, type)                                                 \
    ATOMIC_LOAD_STORE(bits, type)                                              \
    ATOMIC_RMW(bits, type, exchange, __atomic_exchange_n, ((void)old, value))  \
    ATOMIC_RMW(bits, type, fetch_add, __atomic_fetch_add, old + value)         \
    ATOMIC_RMW(bits, type, fetch_sub, __atomic_fetch_sub, old - value)         \
    ATOMIC_RMW(bits, type, fetch_and, __atomic_fetch_and, old &value)          \
    ATOMIC_RMW(bits, type, fetch_or, __atomic_fetch_or, old | value)           \
    ATOMIC_RMW(bits, type, fetch_xor, __atomic_fetch_xor, old ^ value)         \
    ATOMIC_RMW(bits, type, fetch_nand, __atomic_fetch_nand, ~(old & value))    \
    ATOMIC_CAS(bits, type)

ATOMIC_ALL(8, uint8_t)
ATOMIC_ALL(16, uint16_t)
ATOMIC_ALL(32, uint32_t)
ATOMIC_ALL(64, uint64_t)

/*
 * 16 bytes: two locations of 8, so that code which reads one half alone (as
 * CK's stacks read the generation) meets the same histories. They always read
 * the newest store.
 */

__extension__ typedef unsigned __int128 uint128;

#if defined(__x86_64__) && !defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16)
#    error "compile with -mcx16"
#endif

static uint128
native_load_128(volatile uint128 *ptr)
{
    return __sync_val_compare_and_swap(ptr, 0, 0);
}

static uint128
native_swap_128(volatile uint128 *ptr, uint128 value)
{
    uint128 seen = *ptr;
    for (;;) {
        uint128 old = __sync_val_compare_and_swap(ptr, seen, value);
        if (old == seen) {
            return old;
        }
        seen = old;
    }
}

static void
note_load_128(const volatile uint128 *ptr, int order, uintptr_t pc)
{
    weak_load_newest((uintptr_t)ptr, 8, ORDER(order), pc);
    weak_load_newest((uintptr_t)ptr + 8, 8, ORDER(order), pc);
}

static void
note_rmw_128(volatile uint128 *ptr, uint128 value, int order, uintptr_t pc)
{
    weak_rmw((uintptr_t)ptr, 8, (uint64_t)value, ORDER(order), pc);
    weak_rmw((uintptr_t)ptr + 8, 8, (uint64_t)(value >> 64), ORDER(order), pc);
}

uint128 __tsan_atomic128_load(const volatile uint128 *ptr, int order);
uint128
__tsan_atomic128_load(const volatile uint128 *ptr, int order)
{
    if (enter_atomic(ptr, sizeof(*ptr), false, CALLER_PC)) {
        note_load_128(ptr, order, CALLER_PC);
    }
    /* The builtin writes what it read; no object here is read-only. */
    return native_load_128((volatile uint128 *)(uintptr_t)ptr);
}

void __tsan_atomic128_store(volatile uint128 *ptr, uint128 value, int order);
void
__tsan_atomic128_store(volatile uint128 *ptr, uint128 value, int order)
{
    if (enter_atomic(ptr, sizeof(*ptr), true, CALLER_PC)) {
        weak_store((uintptr_t)ptr, 8, (uint64_t)value, ORDER(order), CALLER_PC);
        weak_store((uintptr_t)ptr + 8, 8, (uint64_t)(value >> 64), ORDER(order),
            CALLER_PC);
    }
    native_swap_128(ptr, value);
}

#define ATOMIC_RMW_128(name, result)                                           \
    uint128 __tsan_atomic128_##name(                                           \
        volatile uint128 *ptr, uint128 value, int order);                      \
    uint128 __tsan_atomic128_##name(                                           \
        volatile uint128 *ptr, uint128 value, int order)                       \
    {                                                                          \
        bool is_ours = enter_atomic(ptr, sizeof(*ptr), true, CALLER_PC);       \
        uint128 old = native_load_128(ptr);                                    \
        for (;;) {                                                             \
            uint128 desired = (result);                                        \
            if (is_ours) {                                                     \
                note_rmw_128(ptr, desired, order, CALLER_PC);                  \
            }                                                                  \
            uint128 seen = __sync_val_compare_and_swap(ptr, old, desired);     \
            if (seen == old) {                                                 \
                return old;                                                    \
            }                                                                  \
            old = seen;                                                        \
        }                                                                      \
    }

ATOMIC_RMW_128(exchange, value)
ATOMIC_RMW_128(fetch_add, old + value)
ATOMIC_RMW_128(fetch_sub, old - value)
ATOMIC_RMW_128(fetch_and, old &value)
ATOMIC_RMW_128(fetch_or, old | value)
ATOMIC_RMW_128(fetch_xor, old ^ value)
ATOMIC_RMW_128(fetch_nand, ~(old &value))

INLINE uint128
cas_128(volatile uint128 *ptr, uint128 expected, uint128 desired, int order,
    int fail_order, uintptr_t pc)
{
    if (enter_atomic(ptr, sizeof(*ptr), true, pc)) {
        if (native_load_128(ptr) == expected) {
            note_rmw_128(ptr, desired, order, pc);
        } else {
            sched_note_idle(hot.current);
            note_load_128(ptr, fail_order, pc);
        }
    }
    return __sync_val_compare_and_swap(ptr, expected, desired);
}

CAS_VARIANTS(128, uint128)

void __tsan_atomic_thread_fence(int order);
void
__tsan_atomic_thread_fence(int order)
{
    if (hot.current != NULL) {
        sched_point(EVENT_FENCE, 0, false);
        weak_fence(ORDER(order));
        trace_event(EVENT_FENCE, CALLER_PC, 0, 0, (uint64_t)order);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void __tsan_atomic_signal_fence(int order);
void
__tsan_atomic_signal_fence(int order)
{
    (void)order; /* A thread is ordered with itself. */
}
