/*
 * cpuslab.h - pop and push on the slab of the CPU that one runs on
 *
 *     tcm_cpuslabs:  none | 0 0 | offset of CPU 0 | CPU 1 | CPU 2 | ...
 *                     ^      ^          |             |       |
 *                     |      |          v             0       v
 *                     |      |    slab of CPU 0       |   slab of CPU 2
 *                     |      `- of CPUs -2 and -1     |
 *                     `-------------------------------'
 *
 * The fast path adds the offset of its CPU to the table's own address, and is at
 * a slab. An offset of zero leads to `none`, an empty and full slab at the head
 * of the table: of a CPU that has no slab yet, of one that is stopped, and of a
 * thread that is not registered, whose CPU number is -1 or -2. So there is
 * nothing to ask on the way, and the table may come as zeroed memory.
 *
 * Each call is one restartable sequence (base/rseq.h): from the load of the CPU
 * number to the store of `current` nothing else has run on that CPU. A push
 * writes the slot above current first, where it does not count yet; the store of
 * current makes it count. Abandoned anywhere, a sequence has changed nothing.
 *
 * To use another CPU's slab, stop it: offset to zero, then rseq_restart(). Who
 * began before is aborted, who begins after finds `none`. The slab is then as
 * any thread's own; see tcm_cpucache_drain.
 *
 * Rejected: a stop flag that each sequence reads, one load more; a lock bit in
 * the slab's heads, as there are many; to pin oneself to the other CPU by
 * sched_setaffinity, which fails where the CPU is not allowed or offline, and
 * waits for it where it is busy.
 *
 * Concurrency: any thread, any time.
 * Failure: pop gives NULL, push false, the others move fewer, even none.
 * Design: google/tcmalloc's docs/rseq.md; base/rseq.h. The sequences for aarch64
 * are assembled and have not been run.
 */
#pragma once

#include "base/rseq.h"
#include "tcmalloc/slab.h"

struct tcm_cpuslabs {
    struct tcm_slab none;
    uintptr_t unregistered[2];
    _Atomic uintptr_t offsets[RSEQ_CPU_MAX];
};

extern struct tcm_cpuslabs tcm_cpuslabs;

#define CPUSLAB_CURRENT (offsetof(struct tcm_slab, heads))
#define CPUSLAB_END     (CPUSLAB_CURRENT + sizeof(uint32_t))
#define CPUSLAB_OFFSETS (offsetof(struct tcm_cpuslabs, offsets))

/* What all sequences are given. */
#define CPUSLAB_INPUTS                                                         \
    [area] "r"(RSEQ_AREA()), [base] "r"(&tcm_cpuslabs),                        \
        [class] "r"((uint64_t)size_class), [current] "i"(CPUSLAB_CURRENT),     \
        [end] "i"(CPUSLAB_END), [offsets] "i"(CPUSLAB_OFFSETS)

#if defined(__x86_64__)

/* [slab]: this CPU's. */
#    define CPUSLAB_FIND                                                       \
        "movslq %%fs:4(%[area]), %[slab]\n\t"                                  \
        "movq %c[offsets](%[base],%[slab],8), %[slab]\n\t"                     \
        "addq %[base], %[slab]\n\t"

static inline void *
tcm_cpuslab_pop(unsigned size_class)
{
    uintptr_t slab, at;
    void *object;

    __asm__ __volatile__(
        RSEQ_BEGIN("slab") CPUSLAB_FIND
        "movl %c[current](%[slab],%[class],8), %k[at]\n\t"
        "movq (%[slab],%[at],8), %[object]\n\t"
        "testq %[object], %[object]\n\t"
        "jz 2f\n\t"
        "subl $1, %k[at]\n\t"
        "movl %k[at], %c[current](%[slab],%[class],8)\n" RSEQ_END
        : [slab] "=&r"(slab), [at] "=&r"(at), [object] "=&r"(object)
        : CPUSLAB_INPUTS
        : "memory", "cc");
    return object;
}

/* As tcm_slab_push: not what is the newest already. */
static inline bool
tcm_cpuslab_push(unsigned size_class, void *object)
{
    uintptr_t slab, at;
    bool refused;

    __asm__ __volatile__(
        RSEQ_BEGIN("slab") CPUSLAB_FIND
        "movl %c[current](%[slab],%[class],8), %k[at]\n\t"
        "movb $1, %[refused]\n\t"
        "cmpl %c[end](%[slab],%[class],8), %k[at]\n\t"
        "jae 2f\n\t"
        "cmpq %[object], (%[slab],%[at],8)\n\t"
        "je 2f\n\t"
        "movq %[object], 8(%[slab],%[at],8)\n\t"
        "addl $1, %k[at]\n\t"
        "movb $0, %[refused]\n\t"
        "movl %k[at], %c[current](%[slab],%[class],8)\n" RSEQ_END
        : [slab] "=&r"(slab), [at] "=&r"(at), [refused] "=&q"(refused)
        : CPUSLAB_INPUTS, [object] "r"(object)
        : "memory", "cc");
    return !refused;
}

/* The bodies of the two below: object after object, until one commit. */
#    define CPUSLAB_POP_MANY                                                   \
        CPUSLAB_FIND                                                           \
        "xorl %k[moved], %k[moved]\n\t"                                        \
        "cmpq %[wanted], %[slab]\n\t"                                          \
        "jne 2f\n\t"                                                           \
        "movl %c[current](%[slab],%[class],8), %k[at]\n"                       \
        "6:\tmovq (%[wanted],%[at],8), %[slab]\n\t"                            \
        "testq %[slab], %[slab]\n\t"                                           \
        "jz 7f\n\t"                                                            \
        "movq %[slab], (%[batch],%[moved],8)\n\t"                              \
        "subl $1, %k[at]\n\t"                                                  \
        "addq $1, %[moved]\n\t"                                                \
        "cmpq %[count], %[moved]\n\t"                                          \
        "jb 6b\n"                                                              \
        "7:\tmovl %k[at], %c[current](%[wanted],%[class],8)\n"

#    define CPUSLAB_PUSH_MANY                                                  \
        CPUSLAB_FIND                                                           \
        "xorl %k[moved], %k[moved]\n\t"                                        \
        "cmpq %[wanted], %[slab]\n\t"                                          \
        "jne 2f\n\t"                                                           \
        "movl %c[current](%[slab],%[class],8), %k[at]\n"                       \
        "6:\tcmpl %c[end](%[wanted],%[class],8), %k[at]\n\t"                   \
        "jae 7f\n\t"                                                           \
        "movq (%[batch],%[moved],8), %[slab]\n\t"                              \
        "movq %[slab], 8(%[wanted],%[at],8)\n\t"                               \
        "addl $1, %k[at]\n\t"                                                  \
        "addq $1, %[moved]\n\t"                                                \
        "cmpq %[count], %[moved]\n\t"                                          \
        "jb 6b\n"                                                              \
        "7:\tmovl %k[at], %c[current](%[wanted],%[class],8)\n"

#elif defined(__aarch64__)

/* [slab]: this CPU's. [head]: its head of the class. */
#    define CPUSLAB_FIND                                                       \
        "ldrsw %[slab], [%[area], #4]\n\t"                                     \
        "add %[head], %[base], %[offsets]\n\t"                                 \
        "ldr %[slab], [%[head], %[slab], lsl #3]\n\t"                          \
        "add %[slab], %[base], %[slab]\n\t"                                    \
        "add %[head], %[slab], %[class], lsl #3\n\t"                           \
        "add %[head], %[head], %[current]\n\t"

static inline void *
tcm_cpuslab_pop(unsigned size_class)
{
    uintptr_t slab, head, at;
    void *object;

    __asm__ __volatile__(RSEQ_BEGIN("slab") CPUSLAB_FIND
                         "ldr %w[at], [%[head]]\n\t"
                         "ldr %[object], [%[slab], %[at], lsl #3]\n\t"
                         "cbz %[object], 2f\n\t"
                         "sub %w[at], %w[at], #1\n\t"
                         "stlr %w[at], [%[head]]\n" RSEQ_END
                         : [slab] "=&r"(slab), [head] "=&r"(head),
                         [at] "=&r"(at), [object] "=&r"(object)
                         : CPUSLAB_INPUTS
                         : "memory", "cc");
    return object;
}

static inline bool
tcm_cpuslab_push(unsigned size_class, void *object)
{
    uintptr_t slab, head, at, refused;

    __asm__ __volatile__(RSEQ_BEGIN("slab") CPUSLAB_FIND
                         "ldp %w[at], %w[refused], [%[head]]\n\t"
                         "cmp %w[at], %w[refused]\n\t"
                         "mov %[refused], #1\n\t"
                         "b.hs 2f\n\t"
                         "add %[slab], %[slab], %[at], lsl #3\n\t"
                         "ldr %[at], [%[slab]]\n\t"
                         "cmp %[at], %[object]\n\t"
                         "b.eq 2f\n\t"
                         "ldr %w[at], [%[head]]\n\t"
                         "str %[object], [%[slab], #8]\n\t"
                         "add %w[at], %w[at], #1\n\t"
                         "mov %[refused], #0\n\t"
                         "stlr %w[at], [%[head]]\n" RSEQ_END
                         : [slab] "=&r"(slab), [head] "=&r"(head),
                         [at] "=&r"(at), [refused] "=&r"(refused)
                         : CPUSLAB_INPUTS, [object] "r"(object)
                         : "memory", "cc");
    return refused == 0;
}

#    define CPUSLAB_POP_MANY                                                   \
        CPUSLAB_FIND                                                           \
        "mov %[moved], #0\n\t"                                                 \
        "cmp %[slab], %[wanted]\n\t"                                           \
        "b.ne 2f\n\t"                                                          \
        "ldr %w[at], [%[head]]\n"                                              \
        "6:\tldr %[slab], [%[wanted], %[at], lsl #3]\n\t"                      \
        "cbz %[slab], 7f\n\t"                                                  \
        "str %[slab], [%[batch], %[moved], lsl #3]\n\t"                        \
        "sub %w[at], %w[at], #1\n\t"                                           \
        "add %[moved], %[moved], #1\n\t"                                       \
        "cmp %[moved], %[count]\n\t"                                           \
        "b.lo 6b\n"                                                            \
        "7:\tstlr %w[at], [%[head]]\n"

#    define CPUSLAB_PUSH_MANY                                                  \
        CPUSLAB_FIND                                                           \
        "mov %[moved], #0\n\t"                                                 \
        "cmp %[slab], %[wanted]\n\t"                                           \
        "b.ne 2f\n\t"                                                          \
        "ldr %w[at], [%[head]]\n"                                              \
        "6:\tldr %w[slab], [%[head], #4]\n\t"                                  \
        "cmp %w[at], %w[slab]\n\t"                                             \
        "b.hs 7f\n\t"                                                          \
        "ldr %[slab], [%[batch], %[moved], lsl #3]\n\t"                        \
        "add %w[at], %w[at], #1\n\t"                                           \
        "str %[slab], [%[wanted], %[at], lsl #3]\n\t"                          \
        "add %[moved], %[moved], #1\n\t"                                       \
        "cmp %[moved], %[count]\n\t"                                           \
        "b.lo 6b\n"                                                            \
        "7:\tstlr %w[at], [%[head]]\n"

#endif

#ifdef RSEQ_SEQUENCES

/* The slab is the one that the caller has in mind: when the thread has come to
 * another CPU meanwhile, nothing is moved. */
static inline size_t
tcm_cpuslab_pop_many(
    struct tcm_slab *wanted, unsigned size_class, void **batch, size_t count)
{
    uintptr_t slab, head, at;
    size_t moved;

    if (count == 0) {
        return 0;
    }
    __asm__ __volatile__(RSEQ_BEGIN("slab") CPUSLAB_POP_MANY RSEQ_END
                         : [slab] "=&r"(slab), [head] "=&r"(head),
                         [at] "=&r"(at), [moved] "=&r"(moved)
                         : CPUSLAB_INPUTS, [wanted] "r"(wanted),
                         [batch] "r"(batch), [count] "r"(count)
                         : "memory", "cc");
    return moved;
}

static inline size_t
tcm_cpuslab_push_many(struct tcm_slab *wanted, unsigned size_class,
    void *const *batch, size_t count)
{
    uintptr_t slab, head, at;
    size_t moved;

    if (count == 0) {
        return 0;
    }
    __asm__ __volatile__(RSEQ_BEGIN("slab") CPUSLAB_PUSH_MANY RSEQ_END
                         : [slab] "=&r"(slab), [head] "=&r"(head),
                         [at] "=&r"(at), [moved] "=&r"(moved)
                         : CPUSLAB_INPUTS, [wanted] "r"(wanted),
                         [batch] "r"(batch), [count] "r"(count)
                         : "memory", "cc");
    return moved;
}

#else

/* Another processor: no sequences, so rseq_start was false, and nobody comes
 * here. */
static inline void *
tcm_cpuslab_pop(unsigned size_class)
{
    (void)size_class;
    return NULL;
}

static inline bool
tcm_cpuslab_push(unsigned size_class, void *object)
{
    (void)size_class;
    (void)object;
    return false;
}

static inline size_t
tcm_cpuslab_pop_many(
    struct tcm_slab *wanted, unsigned size_class, void **batch, size_t count)
{
    (void)wanted;
    (void)size_class;
    (void)batch;
    (void)count;
    return 0;
}

static inline size_t
tcm_cpuslab_push_many(struct tcm_slab *wanted, unsigned size_class,
    void *const *batch, size_t count)
{
    (void)wanted;
    (void)size_class;
    (void)batch;
    (void)count;
    return 0;
}

#endif
