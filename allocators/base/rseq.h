/*
 * rseq.h - restartable sequences: steps on a CPU's own data that the kernel
 * starts afresh when they are interrupted
 *
 *     a design's per-CPU tier --> rseq --> the C library's registration
 *                                     \--> machine.restart_cpu
 *
 * A sequence reads the number of its CPU, works on that CPU's data and ends in
 * one store, the commit. Whenever the kernel takes the thread off the CPU, or
 * delivers it a signal, before the commit, the thread goes on at the sequence's
 * abort handler instead. So until the commit nothing else has run on that CPU:
 * no lock and no locked instruction is needed.
 *
 *     struct rseq of the thread:  | cpu_id_start | cpu_id | rseq_cs | ...
 *     rseq_offset from the           (unused)      read     points at the
 *     thread pointer                                        descriptor
 *
 * What a sequence looks like is the design's affair, since the data are; the
 * macros below are what all have in common.
 *
 * Concurrency: rseq_start is for start-up; rseq_restart may be called by any
 * thread.
 * Failure: rseq_start is false where there are no sequences: sanitizers and the
 * observed runner do not see what assembly does, other processors, a C library
 * before glibc 2.35 or one told not to register (GLIBC_TUNABLES=
 * glibc.pthread.rseq=0), a kernel without membarrier for them (before 5.10).
 * Design: rseq(2) and include/uapi/linux/rseq.h of the Linux kernel; glibc
 * manual, "Restartable Sequences"; membarrier(2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RSEQ_CPU_MAX 8192 /* CPU numbers are below, in all kernels */

/* The C library's, for the structure that all threads have. */
extern ptrdiff_t rseq_offset;

/* True when sequences can be used. */
bool rseq_start(void);
/* The caller's CPU; negative for a thread that is not registered. */
int rseq_cpu(void);
/* Every sequence under way on that CPU is aborted, and what this thread has
 * stored before is seen by those that begin after. */
void rseq_restart(unsigned cpu);

/* For tests, with one thread: from now on sequences run on that CPU's data,
 * wherever they run, without the kernel. -1 and -2 are what threads read that
 * are not registered. */
void rseq_pretend(int cpu);
void rseq_pretend_no_more(void);

#if defined(__x86_64__)
#    define RSEQ_SEQUENCES 1
/* ud1, so that the signature before a handler is never run by mistake. */
#    define RSEQ_SIGNATURE ".byte 0x0f, 0xb9, 0x3d\n\t.long 0x53053053\n"
#    define RSEQ_JUMP      "jmp "
/* Names the descriptor in the thread's structure: from label 1 on the sequence
 * runs. [area] is rseq_offset. */
#    define RSEQ_ARM(scratch)                                                  \
        "leaq 3b(%%rip), %[" scratch "]\n\t"                                   \
        "movq %[" scratch "], %%fs:8(%[area])\n"
#    define RSEQ_AREA() ((uintptr_t)rseq_offset)
#elif defined(__aarch64__)
#    define RSEQ_SEQUENCES 1
#    define RSEQ_SIGNATURE ".inst 0xd428bc00\n"
#    define RSEQ_JUMP      "b "
/* [area] is the address of the thread's structure. */
#    define RSEQ_ARM(scratch)                                                  \
        "adrp %[" scratch "], 3b\n\t"                                          \
        "add %[" scratch "], %[" scratch "], :lo12:3b\n\t"                     \
        "str %[" scratch "], [%[area], #8]\n"
#    define RSEQ_AREA()                                                        \
        ((uintptr_t)__builtin_thread_pointer() + (uintptr_t)rseq_offset)
#endif

/* A sequence from label 1 to label 2, which follows the commit. Label 3 is its
 * descriptor (version, flags, start, length, abort handler), label 4 the
 * handler, which begins again. Nothing that was passed in may change before the
 * commit. */
#ifdef RSEQ_SEQUENCES
#    define RSEQ_BEGIN(scratch)                                                \
        ".pushsection __rseq_cs, \"aw\"\n\t"                                   \
        ".balign 32\n"                                                         \
        "3:\t.long 0, 0\n\t"                                                   \
        ".quad 1f, 2f - 1f, 4f\n\t"                                            \
        ".popsection\n"                                                        \
        "5:\n\t" RSEQ_ARM(scratch) "1:\n\t"
#    define RSEQ_END                                                           \
        "2:\n\t"                                                               \
        ".pushsection __rseq_abort, \"ax\"\n\t" RSEQ_SIGNATURE                 \
        "4:\t" RSEQ_JUMP "5b\n\t"                                              \
        ".popsection\n\t"
#endif
