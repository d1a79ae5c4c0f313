/*
 * machine.h - the seam: all that an allocator asks of the machine, one table
 *
 *     pages, sync, clock, random, thread --> machine --> the kernel
 *                                               \------> a test's or the
 *                                                        observed runner's own
 *
 * Every call to the kernel that the allocators make goes through `machine`. A
 * test replaces one entry to make the n-th call fail; the observed runner
 * replaces all of them, so that memory, time, CPU numbers, waiting and
 * randomness are virtual and repeat.
 *
 * Concurrency: the table is written before threads start, or while all of
 * them are stopped; it is read without a lock.
 * Failure: as each entry says. An entry never changes errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine {
    /* mmap of private anonymous memory, readable and writable when usable,
     * else PROT_NONE. NULL when out of memory. hint may be NULL. */
    void *(*map)(void *hint, size_t size, bool usable);
    /* munmap. False when the kernel refuses (too many mappings). */
    bool (*unmap)(void *addr, size_t size);
    /* Makes pages usable, or inaccessible. False when refused. */
    bool (*protect)(void *addr, size_t size, bool usable);
    /* madvise with that advice. False when refused. */
    bool (*advise)(void *addr, size_t size, int advice);
    /* mremap; MREMAP_MAYMOVE when may_move. NULL when refused. */
    void *(*remap)(void *addr, size_t old_size, size_t new_size, bool may_move);

    /* Sleeps while *word == expected; may wake at any time without cause.
     * timeout_ns 0 is for ever. */
    void (*futex_wait)(
        _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
    void (*futex_wake)(_Atomic uint32_t *word, int count);
    void (*yield)(void); /* let another thread run */

    uint64_t (*clock_ns)(void);  /* monotonic */
    unsigned (*cpu)(void);       /* the CPU the caller runs on; a hint */
    unsigned (*cpu_count)(void); /* of the process, when it was loaded */
    /* Aborts the restartable sequences of this process's threads that are
     * under way on the CPU. False when the kernel cannot. */
    bool (*restart_cpu)(unsigned cpu);
    uint64_t (*random)(void); /* unpredictable bits, for cookies and keys */
};

extern struct machine machine;

/* The kernel's own table, to call through or to put back. */
extern const struct machine machine_kernel;
