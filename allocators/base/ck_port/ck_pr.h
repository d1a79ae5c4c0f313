/*
 * ck_pr.h - Concurrency Kit's operations and fences by compiler atomics
 *
 *     our code, CK's headers, CK's sources --> <ck_pr.h>: this, or CK's own
 *
 * CK writes its operations in assembly, which no tool can follow. This header
 * stands before CK's own on the include path of every sanitizer, fuzz and
 * observed build and offers all that <ck_pr.h> of CK 0.7.1 does, RTM apart. CK's
 * structures, sizes and algorithms stay those of the machine.
 *
 * The orders are those of CK's manual pages. A load, store or read-modify-write
 * is relaxed; order comes from fences, which are always emitted. CK leaves most
 * of them out where the machine is stronger, but a tool judges by C11. For each,
 * the weakest C11 fence that covers it:
 *
 *     load, load_depends, acquire, lock                     acquire
 *     store, store_atomic, release, unlock                  release
 *     load_store, load_atomic, atomic, atomic_store, acqrel acquire and release
 *     store_load, atomic_load, memory                       sequential consistency
 *
 * Two things are not in the names:
 *   - CK relies on the order of dependent loads, which every machine it runs on
 *     keeps, and leaves ck_pr_fence_load_depends out. C11's word for it is
 *     consume: the order of each operation that gives back a pointer, and of
 *     those of 16 bytes. Compilers make it acquire.
 *   - CK's own .c files leave out fences that TSO machines do not need: no barrier
 *     has a release on entry, and ck_hs_put none before it publishes. Those files
 *     are compiled with CK_PORT_TSO, where each load acquires, each store
 *     releases, and each read-modify-write does both.
 *
 * What that hides: a missing fence_load after the load of a pointer; a read that
 * C11's release keeps before a store where CK's fence_store would not; what is
 * wrong in CK's .c files on machines weaker than TSO. CK's hclh lock is reported,
 * and rightly: it reads a link while its owner writes it.
 *
 * Concurrency: any thread, any time. How ThreadSanitizer is told: ck_port_order.h.
 * Failure: none. An address has its type's alignment, 16 for 16 bytes.
 * Design: the manual pages ck_pr(3) and ck_pr_fence_*(3); C11 7.17.
 */
#pragma once

#define CK_PR_H /* for CK's headers that ask */

#include <ck_cc.h>
#include <ck_limits.h>
#include <ck_md.h>
#include <ck_stdbool.h>
#include <ck_stdint.h>

/* CK_F_PR_X says that x is there. */
#define CK_F_PR
#if defined(__x86_64__)
#    include <gcc/x86_64/ck_f_pr.h>
#elif defined(__aarch64__)
#    include <gcc/aarch64/ck_f_pr.h>
#else
#    include <gcc/ck_f_pr.h>
#endif
#undef CK_F_PR_RTM

#include "ck_port_order.h"

/* The order of loads, stores, read-modify-writes, and of the first and last when
 * they give back a pointer. A test may define them first, to take one away. */
#ifndef CK_PORT_LOADS
#    ifdef CK_PORT_TSO
#        define CK_PORT_LOADS           __ATOMIC_ACQUIRE
#        define CK_PORT_STORES          __ATOMIC_RELEASE
#        define CK_PORT_UPDATES         __ATOMIC_ACQ_REL
#        define CK_PORT_POINTER_LOADS   __ATOMIC_ACQUIRE
#        define CK_PORT_POINTER_UPDATES __ATOMIC_ACQ_REL
#    else
#        define CK_PORT_LOADS           __ATOMIC_RELAXED
#        define CK_PORT_STORES          __ATOMIC_RELAXED
#        define CK_PORT_UPDATES         __ATOMIC_RELAXED
#        define CK_PORT_POINTER_LOADS   __ATOMIC_CONSUME
#        define CK_PORT_POINTER_UPDATES __ATOMIC_CONSUME
#    endif
#endif

CK_PORT_INLINE void
ck_pr_barrier(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

CK_PORT_INLINE void
ck_pr_stall(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
    ck_pr_barrier();
}

CK_PORT_INLINE void
ck_pr_rfo(const void *target)
{
    __builtin_prefetch(target, 1);
}

/*
 * Fences. The strict kind is the same: nothing is left out.
 */
#define CK_PORT_FENCE(name, order)                                             \
    CK_PORT_INLINE void ck_pr_fence_strict_##name(void)                        \
    {                                                                          \
        ck_port_fence(order);                                                  \
    }                                                                          \
    CK_PORT_INLINE void ck_pr_fence_##name(void)                               \
    {                                                                          \
        ck_port_fence(order);                                                  \
    }

CK_PORT_FENCE(load, __ATOMIC_ACQUIRE)
CK_PORT_FENCE(load_load, __ATOMIC_ACQUIRE)
CK_PORT_FENCE(load_depends, __ATOMIC_ACQUIRE)
CK_PORT_FENCE(acquire, __ATOMIC_ACQUIRE)
CK_PORT_FENCE(lock, __ATOMIC_ACQUIRE)
CK_PORT_FENCE(store, __ATOMIC_RELEASE)
CK_PORT_FENCE(store_store, __ATOMIC_RELEASE)
CK_PORT_FENCE(store_atomic, __ATOMIC_RELEASE)
CK_PORT_FENCE(release, __ATOMIC_RELEASE)
CK_PORT_FENCE(unlock, __ATOMIC_RELEASE)
CK_PORT_FENCE(load_store, __ATOMIC_ACQ_REL)
CK_PORT_FENCE(load_atomic, __ATOMIC_ACQ_REL)
CK_PORT_FENCE(atomic, __ATOMIC_ACQ_REL)
CK_PORT_FENCE(atomic_atomic, __ATOMIC_ACQ_REL)
CK_PORT_FENCE(atomic_store, __ATOMIC_ACQ_REL)
CK_PORT_FENCE(acqrel, __ATOMIC_ACQ_REL)
CK_PORT_FENCE(store_load, __ATOMIC_SEQ_CST)
CK_PORT_FENCE(atomic_load, __ATOMIC_SEQ_CST)
CK_PORT_FENCE(memory, __ATOMIC_SEQ_CST)

/*
 * Load, store, exchange, compare-and-swap.
 */
#define CK_PORT_LOAD(suffix, target_type, type, order)                         \
    CK_PORT_INLINE type ck_pr_md_load_##suffix(const target_type *target)      \
    {                                                                          \
        type value;                                                            \
                                                                               \
        __atomic_load((type const *)target, &value, order);                    \
        ck_port_after(target, order);                                          \
        return value;                                                          \
    }

#define CK_PORT_STORE(suffix, target_type, type)                               \
    CK_PORT_INLINE void ck_pr_md_store_##suffix(                               \
        target_type *target, type value)                                       \
    {                                                                          \
        ck_port_before(target, CK_PORT_STORES);                                \
        __atomic_store((type *)target, &value, CK_PORT_STORES);                \
    }

#define CK_PORT_SWAP(suffix, target_type, type, load_order, order)             \
    CK_PORT_INLINE type ck_pr_fas_##suffix(target_type *target, type value)    \
    {                                                                          \
        type old;                                                              \
                                                                               \
        ck_port_before(target, order);                                         \
        __atomic_exchange((type *)target, &value, &old, order);                \
        ck_port_after(target, order);                                          \
        return old;                                                            \
    }                                                                          \
    CK_PORT_INLINE bool ck_pr_cas_##suffix##_value(                            \
        target_type *target, type compare, type set, target_type *value)       \
    {                                                                          \
        bool done;                                                             \
                                                                               \
        ck_port_before(target, order);                                         \
        done = __atomic_compare_exchange(                                      \
            (type *)target, &compare, &set, false, order, load_order);         \
        ck_port_after(target, order);                                          \
        *(type *)value = compare;                                              \
        return done;                                                           \
    }                                                                          \
    CK_PORT_INLINE bool ck_pr_cas_##suffix(                                    \
        target_type *target, type compare, type set)                           \
    {                                                                          \
        bool done;                                                             \
                                                                               \
        ck_port_before(target, CK_PORT_UPDATES);                               \
        done = __atomic_compare_exchange((type *)target, &compare, &set,       \
            false, CK_PORT_UPDATES, CK_PORT_LOADS);                            \
        ck_port_after(target, CK_PORT_UPDATES);                                \
        return done;                                                           \
    }

#define CK_PORT_ACCESS(suffix, type)                                           \
    CK_PORT_LOAD(suffix, type, type, CK_PORT_LOADS)                            \
    CK_PORT_STORE(suffix, type, type)                                          \
    CK_PORT_SWAP(suffix, type, type, CK_PORT_LOADS, CK_PORT_UPDATES)

CK_PORT_ACCESS(char, char)
CK_PORT_ACCESS(int, int)
CK_PORT_ACCESS(uint, unsigned int)
CK_PORT_ACCESS(64, uint64_t)
CK_PORT_ACCESS(32, uint32_t)
CK_PORT_ACCESS(16, uint16_t)
CK_PORT_ACCESS(8, uint8_t)
CK_PORT_ACCESS(double, double)
CK_PORT_LOAD(ptr, void, void *, CK_PORT_POINTER_LOADS)
CK_PORT_STORE(ptr, void, const void *)
CK_PORT_SWAP(ptr, void, void *, CK_PORT_POINTER_LOADS, CK_PORT_POINTER_UPDATES)

/* The value must fit the type of what is stored to. */
#define CK_PORT_STORE_AS(suffix, target, value)                                \
    ck_pr_md_store_##suffix(                                                   \
        ((void)sizeof(*(target) = (value)), (target)), (value))

#define ck_pr_store_char(target, value) CK_PORT_STORE_AS(char, target, value)
#define ck_pr_store_int(target, value)  CK_PORT_STORE_AS(int, target, value)
#define ck_pr_store_uint(target, value) CK_PORT_STORE_AS(uint, target, value)
#define ck_pr_store_64(target, value)   CK_PORT_STORE_AS(64, target, value)
#define ck_pr_store_32(target, value)   CK_PORT_STORE_AS(32, target, value)
#define ck_pr_store_16(target, value)   CK_PORT_STORE_AS(16, target, value)
#define ck_pr_store_8(target, value)    CK_PORT_STORE_AS(8, target, value)
#define ck_pr_store_double(target, value)                                      \
    CK_PORT_STORE_AS(double, target, value)
#define ck_pr_store_ptr(target, value)        CK_PORT_STORE_AS(ptr, target, value)
#define ck_pr_store_ptr_unsafe(target, value) ck_pr_md_store_ptr(target, value)

#define ck_pr_load_char(target)   ck_pr_md_load_char(target)
#define ck_pr_load_int(target)    ck_pr_md_load_int(target)
#define ck_pr_load_uint(target)   ck_pr_md_load_uint(target)
#define ck_pr_load_64(target)     ck_pr_md_load_64(target)
#define ck_pr_load_32(target)     ck_pr_md_load_32(target)
#define ck_pr_load_16(target)     ck_pr_md_load_16(target)
#define ck_pr_load_8(target)      ck_pr_md_load_8(target)
#define ck_pr_load_double(target) ck_pr_md_load_double(target)
#define ck_pr_load_ptr(target)                                                 \
    ((CK_CC_TYPEOF(*(target), (void *)))ck_pr_md_load_ptr(target))

/*
 * Arithmetic. Overflow wraps.
 */
#define CK_PORT_FAA(suffix, target_type, type, order)                          \
    CK_PORT_INLINE type ck_pr_faa_##suffix(target_type *target, type value)    \
    {                                                                          \
        type old;                                                              \
                                                                               \
        ck_port_before(target, order);                                         \
        old = __atomic_fetch_add((type *)target, value, order);                \
        ck_port_after(target, order);                                          \
        return old;                                                            \
    }

#define CK_PORT_BINARY(verb, suffix, target_type, type)                        \
    CK_PORT_INLINE void ck_pr_##verb##_##suffix(                               \
        target_type *target, type value)                                       \
    {                                                                          \
        ck_port_before(target, CK_PORT_UPDATES);                               \
        __atomic_fetch_##verb((type *)target, value, CK_PORT_UPDATES);         \
        ck_port_after(target, CK_PORT_UPDATES);                                \
    }

/* The is_zero kind tells whether the new value is zero. */
#define CK_PORT_FROM_IS_ZERO(verb, suffix, target_type)                        \
    CK_PORT_INLINE void ck_pr_##verb##_##suffix(target_type *target)           \
    {                                                                          \
        (void)ck_pr_##verb##_##suffix##_is_zero(target);                       \
    }                                                                          \
    CK_PORT_INLINE void ck_pr_##verb##_##suffix##_zero(                        \
        target_type *target, bool *zero)                                       \
    {                                                                          \
        *zero = ck_pr_##verb##_##suffix##_is_zero(target);                     \
    }

#define CK_PORT_COUNT(verb, how, suffix, target_type, type)                    \
    CK_PORT_INLINE bool ck_pr_##verb##_##suffix##_is_zero(target_type *target) \
    {                                                                          \
        type value;                                                            \
                                                                               \
        ck_port_before(target, CK_PORT_UPDATES);                               \
        value = __atomic_##how##_fetch((type *)target, 1, CK_PORT_UPDATES);    \
        ck_port_after(target, CK_PORT_UPDATES);                                \
        return value == 0;                                                     \
    }                                                                          \
    CK_PORT_FROM_IS_ZERO(verb, suffix, target_type)

/* In a function of a target: *target goes from old to next, by compare and swap. */
#define CK_PORT_UPDATE(type, next)                                             \
    type old, replacement;                                                     \
                                                                               \
    ck_port_before(target, CK_PORT_UPDATES);                                   \
    __atomic_load((type *)target, &old, __ATOMIC_RELAXED);                     \
    do {                                                                       \
        replacement = (next);                                                  \
    } while (!__atomic_compare_exchange((type *)target, &old, &replacement,    \
        false, CK_PORT_UPDATES, __ATOMIC_RELAXED));                            \
    ck_port_after(target, CK_PORT_UPDATES)

#define CK_PORT_TURN(suffix, target_type, type)                                \
    CK_PORT_INLINE bool ck_pr_neg_##suffix##_is_zero(target_type *target)      \
    {                                                                          \
        CK_PORT_UPDATE(type, (type)(0 - (uintmax_t)old));                      \
        return replacement == 0;                                               \
    }                                                                          \
    CK_PORT_FROM_IS_ZERO(neg, suffix, target_type)                             \
    CK_PORT_INLINE void ck_pr_not_##suffix(target_type *target)                \
    {                                                                          \
        CK_PORT_UPDATE(type, (type)~old);                                      \
    }

#define CK_PORT_ARITHMETIC(suffix, target_type, type, order)                   \
    CK_PORT_FAA(suffix, target_type, type, order)                              \
    CK_PORT_BINARY(add, suffix, target_type, type)                             \
    CK_PORT_BINARY(sub, suffix, target_type, type)                             \
    CK_PORT_BINARY(and, suffix, target_type, type)                             \
    CK_PORT_BINARY(or, suffix, target_type, type)                              \
    CK_PORT_BINARY(xor, suffix, target_type, type)                             \
    CK_PORT_COUNT(inc, add, suffix, target_type, type)                         \
    CK_PORT_COUNT(dec, sub, suffix, target_type, type)                         \
    CK_PORT_TURN(suffix, target_type, type)

CK_PORT_ARITHMETIC(char, char, char, CK_PORT_UPDATES)
CK_PORT_ARITHMETIC(int, int, int, CK_PORT_UPDATES)
CK_PORT_ARITHMETIC(uint, unsigned int, unsigned int, CK_PORT_UPDATES)
CK_PORT_ARITHMETIC(64, uint64_t, uint64_t, CK_PORT_UPDATES)
CK_PORT_ARITHMETIC(32, uint32_t, uint32_t, CK_PORT_UPDATES)
CK_PORT_ARITHMETIC(16, uint16_t, uint16_t, CK_PORT_UPDATES)
CK_PORT_ARITHMETIC(8, uint8_t, uint8_t, CK_PORT_UPDATES)
CK_PORT_ARITHMETIC(ptr, void, uintptr_t, CK_PORT_POINTER_UPDATES)

CK_PORT_INLINE double
ck_pr_faa_double(double *target, double value)
{
    CK_PORT_UPDATE(double, old + value);
    return old;
}

CK_PORT_INLINE void
ck_pr_add_double(double *target, double value)
{
    (void)ck_pr_faa_double(target, value);
}

CK_PORT_INLINE void
ck_pr_sub_double(double *target, double value)
{
    (void)ck_pr_faa_double(target, -value);
}

CK_PORT_INLINE void
ck_pr_inc_double(double *target)
{
    (void)ck_pr_faa_double(target, 1);
}

CK_PORT_INLINE void
ck_pr_dec_double(double *target)
{
    (void)ck_pr_faa_double(target, -1);
}

CK_PORT_INLINE void
ck_pr_neg_double(double *target)
{
    CK_PORT_UPDATE(double, -old);
}

/*
 * Bits: complement, reset or set the bit, and give back what it was.
 */
#define CK_PORT_BIT(verb, how, mask, suffix, target_type, type)                \
    CK_PORT_INLINE bool ck_pr_##verb##_##suffix(                               \
        target_type *target, unsigned int offset)                              \
    {                                                                          \
        const type bit = (type)((uintmax_t)1 << offset);                       \
        type old;                                                              \
                                                                               \
        ck_port_before(target, CK_PORT_UPDATES);                               \
        old = __atomic_fetch_##how(                                            \
            (type *)target, (type)(mask), CK_PORT_UPDATES);                    \
        ck_port_after(target, CK_PORT_UPDATES);                                \
        return (old & bit) != 0;                                               \
    }

#define CK_PORT_BITS(suffix, target_type, type)                                \
    CK_PORT_BIT(btc, xor, bit, suffix, target_type, type)                      \
    CK_PORT_BIT(btr, and, ~bit, suffix, target_type, type)                     \
    CK_PORT_BIT(bts, or, bit, suffix, target_type, type)

CK_PORT_BITS(int, int, int)
CK_PORT_BITS(uint, unsigned int, unsigned int)
CK_PORT_BITS(64, uint64_t, uint64_t)
CK_PORT_BITS(32, uint32_t, uint32_t)
CK_PORT_BITS(16, uint16_t, uint16_t)
CK_PORT_BITS(ptr, void, uintptr_t)

/*
 * Sixteen bytes, as two halves that change together.
 *
 * On x86-64 by the instruction itself. For the compilers' builtin TSan takes a
 * lock, which CK's 8-byte operations on the same place do not know of, and GCC
 * calls libatomic. The loads show the place to AddressSanitizer. The observed
 * runner runs one thread at a time and models the builtin.
 */
#if defined(__x86_64__) && !defined(MALSTROM_OBSERVE)
CK_PORT_INLINE bool
ck_port_cas_16(void *target, uint64_t seen[2], const uint64_t set[2])
{
    const uint64_t *half = (const uint64_t *)target;
    bool done;

    (void)__atomic_load_n(&half[0], __ATOMIC_RELAXED);
    (void)__atomic_load_n(&half[1], __ATOMIC_RELAXED);
    __asm__ __volatile__("lock cmpxchg16b %0"
                         : "+m"(*(unsigned __int128 *)target), "=@ccz"(done),
                         "+a"(seen[0]), "+d"(seen[1])
                         : "b"(set[0]), "c"(set[1])
                         : "memory");
    return done;
}
#else
CK_PORT_INLINE bool
ck_port_cas_16(void *target, uint64_t seen[2], const uint64_t set[2])
{
    unsigned __int128 compare, replacement;
    bool done;

    __builtin_memcpy(&compare, seen, sizeof compare);
    __builtin_memcpy(&replacement, set, sizeof replacement);
    done = __atomic_compare_exchange_n((unsigned __int128 *)target, &compare,
        replacement, false, CK_PORT_POINTER_UPDATES, CK_PORT_POINTER_LOADS);
    __builtin_memcpy(seen, &compare, sizeof compare);
    return done;
}
#endif

CK_PORT_INLINE bool
ck_pr_cas_64_2_value(
    uint64_t target[2], uint64_t compare[2], uint64_t set[2], uint64_t value[2])
{
    uint64_t seen[2] = {compare[0], compare[1]};
    bool done;

    ck_port_before(&target[0], CK_PORT_POINTER_UPDATES);
    ck_port_before(&target[1], CK_PORT_POINTER_UPDATES);
    done = ck_port_cas_16(target, seen, set);
    ck_port_after(&target[0], CK_PORT_POINTER_UPDATES);
    ck_port_after(&target[1], CK_PORT_POINTER_UPDATES);
    value[0] = seen[0];
    value[1] = seen[1];
    return done;
}

CK_PORT_INLINE bool
ck_pr_cas_64_2(uint64_t target[2], uint64_t compare[2], uint64_t set[2])
{
    uint64_t seen[2];

    return ck_pr_cas_64_2_value(target, compare, set, seen);
}

/* As CK does it: an exchange of nothing for nothing, which writes. */
CK_PORT_INLINE void
ck_pr_load_64_2(const uint64_t target[2], uint64_t value[2])
{
    uint64_t nothing[2] = {0, 0};

    (void)ck_pr_cas_64_2_value(
        (uint64_t *)(uintptr_t)target, nothing, nothing, value);
}

CK_PORT_INLINE bool
ck_pr_cas_ptr_2_value(void *target, void *compare, void *set, void *value)
{
    return ck_pr_cas_64_2_value((uint64_t *)target, (uint64_t *)compare,
        (uint64_t *)set, (uint64_t *)value);
}

CK_PORT_INLINE bool
ck_pr_cas_ptr_2(void *target, void *compare, void *set)
{
    return ck_pr_cas_64_2(
        (uint64_t *)target, (uint64_t *)compare, (uint64_t *)set);
}

CK_PORT_INLINE void
ck_pr_load_ptr_2(const void *target, void *value)
{
    ck_pr_load_64_2((const uint64_t *)target, (uint64_t *)value);
}

#define CK_PORT_CAS_OF(suffix, type, count)                                    \
    CK_PORT_INLINE bool ck_pr_cas_##suffix##_##count##_value(                  \
        type *target, type compare[count], type set[count], type *value)       \
    {                                                                          \
        return ck_pr_cas_ptr_2_value(target, compare, set, value);             \
    }                                                                          \
    CK_PORT_INLINE bool ck_pr_cas_##suffix##_##count(                          \
        type target[count], type compare[count], type set[count])              \
    {                                                                          \
        return ck_pr_cas_ptr_2(target, compare, set);                          \
    }

#define CK_PORT_LOAD_OF(suffix, type, count)                                   \
    CK_PORT_INLINE void ck_pr_md_load_##suffix##_##count(                      \
        const type target[count], type value[count])                           \
    {                                                                          \
        ck_pr_load_ptr_2(target, value);                                       \
    }

CK_PORT_CAS_OF(double, double, 2)
CK_PORT_CAS_OF(char, char, 16)
CK_PORT_CAS_OF(int, int, 4)
CK_PORT_CAS_OF(uint, unsigned int, 4)
CK_PORT_CAS_OF(32, uint32_t, 4)
CK_PORT_CAS_OF(16, uint16_t, 8)
CK_PORT_CAS_OF(8, uint8_t, 16)
CK_PORT_LOAD_OF(char, char, 16)
CK_PORT_LOAD_OF(int, int, 4)
CK_PORT_LOAD_OF(uint, unsigned int, 4)
CK_PORT_LOAD_OF(32, uint32_t, 4)
CK_PORT_LOAD_OF(16, uint16_t, 8)
CK_PORT_LOAD_OF(8, uint8_t, 16)
