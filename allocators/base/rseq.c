/*
 * rseq.c - restartable sequences (contract: rseq.h)
 *
 * The build says by MALSTROM_RSEQ whether there may be any (see the CMake file
 * beside this one); the rest is found out at run time. Threads are registered
 * by the C library before they run code of ours, and inherit nothing that we
 * would have to do for them.
 *
 * To pretend, the offset leads to a structure of our own, which the kernel does
 * not know: sequences name their descriptor in it and are never aborted.
 */
#include "base/rseq.h"

#include <string.h>

#include "base/check.h"
#include "base/machine.h"

#ifdef MALSTROM_RSEQ
#    include <sys/rseq.h>
#    define LIBRARY_OFFSET __rseq_offset
#    define LIBRARY_SIZE   __rseq_size
#else
#    define LIBRARY_OFFSET 0
#    define LIBRARY_SIZE   0u
#endif

/* The part of the kernel's structure that we know. */
struct area {
    uint32_t cpu_id_start;
    int32_t cpu_id;
    uint64_t rseq_cs;
    uint32_t flags;
};

ptrdiff_t rseq_offset;

static bool pretending;
static _Thread_local struct area pretended;

static const struct area *
area_here(void)
{
    return (const struct area *)((const char *)__builtin_thread_pointer() +
                                 rseq_offset);
}

bool
rseq_start(void)
{
    if (pretending) {
        return true;
    }
    rseq_offset = LIBRARY_OFFSET;
    return LIBRARY_SIZE >= offsetof(struct area, flags) && rseq_cpu() >= 0 &&
           machine.restart_cpu((unsigned)rseq_cpu());
}

int
rseq_cpu(void)
{
    int32_t cpu;

    /* A copy: the kernel may write it at any time. */
    memcpy(&cpu, &area_here()->cpu_id, sizeof cpu);
    return cpu;
}

void
rseq_restart(unsigned cpu)
{
    bool done = pretending || machine.restart_cpu(cpu);

    CHECK(done); /* It did at the start. */
}

void
rseq_pretend(int cpu)
{
    pretending = true;
    pretended.cpu_id = cpu;
    rseq_offset =
        (const char *)&pretended - (const char *)__builtin_thread_pointer();
}

void
rseq_pretend_no_more(void)
{
    pretending = false;
    rseq_offset = LIBRARY_OFFSET;
}
