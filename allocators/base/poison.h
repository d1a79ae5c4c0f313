/*
 * poison.h - free memory that nobody may read, under AddressSanitizer
 *
 *     a design's free, its carving --> poison --> the sanitizer's shadow
 *
 * A design marks the bytes of free memory that hold nothing: all of a free
 * chunk but its header and links. Whoever then reads or writes them, the design
 * itself, the harness or a user, dies at that instruction with a report. The
 * bytes must be in use again before the design hands them out or links them.
 * Without the sanitizer both calls are nothing, so the memory and the order of
 * events are the same in all builds.
 *
 * The shadow has one mark for 8 bytes. poison_free marks the whole 8-byte
 * groups inside the range; poison_use clears every byte of its range. Pages
 * that go back to the OS are cleared by machine.unmap, with poison_forget.
 *
 * Concurrency: whoever owns the range: the holder of the lock that guards it.
 * Failure: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __has_feature
#    if __has_feature(address_sanitizer)
#        define POISON_ON 1
#    endif
#endif
#ifdef __SANITIZE_ADDRESS__ /* gcc's way to say it */
#    define POISON_ON 1
#endif

#ifdef POISON_ON
#    include <sanitizer/asan_interface.h>
#    include <sys/mman.h>
#endif

/* For a caller that must read something to know the range. */
static inline bool
poison_active(void)
{
#ifdef POISON_ON
    return true;
#else
    return false;
#endif
}

/* Runs as long as this are rare, and may be longer than there is memory for
 * their shadow. */
#define POISON_LONG ((size_t)16 << 20)

/* Free memory that holds nothing. Of a long run the beginning is marked. */
static inline void
poison_free(const void *addr, size_t size)
{
#ifdef POISON_ON
    uintptr_t first = ((uintptr_t)addr + 7) & ~(uintptr_t)7;
    uintptr_t end = ((uintptr_t)addr + size) & ~(uintptr_t)7;

    if (first < end) {
        ASAN_POISON_MEMORY_REGION((const void *)first,
            end - first < POISON_LONG ? end - first : POISON_LONG);
    }
#else
    (void)addr;
    (void)size;
#endif
}

/* poison_use for pages that go back to the OS: of a run of many, the shadow goes
 * back to the kernel too, which reads as zeroes, "in use". */
static inline void
poison_forget(const void *addr, size_t size)
{
#ifdef POISON_ON
    const size_t shadow_page = 4096;
    size_t scale, offset;

    __asan_get_shadow_mapping(&scale, &offset);
    size_t unit = shadow_page << scale;
    uintptr_t end = (uintptr_t)addr + size;
    uintptr_t first = ((uintptr_t)addr + unit - 1) & ~(unit - 1);
    uintptr_t last = end & ~(unit - 1);
    if (size >= 8 * unit && madvise((void *)((first >> scale) + offset),
                                (last - first) >> scale, MADV_DONTNEED) == 0) {
        ASAN_UNPOISON_MEMORY_REGION((const void *)last, end - last);
        size = first - (uintptr_t)addr;
    }
    ASAN_UNPOISON_MEMORY_REGION(addr, size);
#else
    (void)addr;
    (void)size;
#endif
}

/* Memory that holds something again. */
static inline void
poison_use(const void *addr, size_t size)
{
#ifdef POISON_ON
    if (size >= POISON_LONG) {
        poison_forget(addr, size);
    } else {
        ASAN_UNPOISON_MEMORY_REGION(addr, size);
    }
#else
    (void)addr;
    (void)size;
#endif
}

/* Zeroes the range, whatever its marks say, and leaves them. Both ends are
 * multiples of 64. A memset would be the sanitizer's own, which asks the marks;
 * so what the compiler must not take for one is written out. */
__attribute__((no_sanitize_address)) static inline void
poison_clear(void *addr, size_t size)
{
#ifdef POISON_ON
    typedef uint64_t line __attribute__((vector_size(64)));
    line *lines = addr;

    for (size_t i = 0; i < size / sizeof(line); i++) {
        lines[i] = (line){0};
        __asm__("" : "+m"(lines[i]));
    }
#else
    memset(addr, 0, size);
#endif
}

/* True when that byte may not be touched; always false without the sanitizer,
 * so it serves assertions such as ASSERT(!poison_is(block)) and tests. */
static inline bool
poison_is(const void *addr)
{
#ifdef POISON_ON
    return __asan_address_is_poisoned(addr) != 0;
#else
    (void)addr;
    return false;
#endif
}
