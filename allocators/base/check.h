/*
 * check.h - the three ways to stop, and nothing between
 *
 *     every layer --> check.h --> one fixed line on stderr, then abort()
 *
 * CHECK is always on. ASSERT is cheap and on in all but release builds.
 * ASSERT_HEAP walks a structure: on in debug and AddressSanitizer builds.
 * None takes a lock, allocates or uses stdio, so each works in a signal
 * handler, in a forked child and inside a heap lock.
 *
 * Concurrency: any thread, any time.
 * Failure: none of the functions returns.
 */
#pragma once

#include <stddef.h>

#define CHECK(condition)                                                       \
    (__builtin_expect(!!(condition), 1)                                        \
            ? (void)0                                                          \
            : check_failed(#condition, __FILE__, __LINE__))

#ifdef MALSTROM_ASSERT
#    define ASSERT(condition) CHECK(condition)
#else
#    define ASSERT(condition) ((void)sizeof(!(condition)))
#endif

#ifdef MALSTROM_ASSERT_HEAP
#    define ASSERT_HEAP(call) (call)
#else
#    define ASSERT_HEAP(call) ((void)0)
#endif

/* "FILE:LINE: check failed: CONDITION": our own bug. */
_Noreturn void check_failed(const char *condition, const char *file, int line)
    __attribute__((cold));

/*
 * The caller's bug, or a corrupted heap: prints the one line
 * "malstrom-DESIGN: WHAT: 0xBLOCK" and aborts. what is a fixed phrase such as
 * "double free"; block may be NULL, and then ": 0x0" is printed all the same.
 */
_Noreturn void check_misuse(const char *design, const char *what,
    const void *block) __attribute__((cold));
