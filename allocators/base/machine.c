/*
 * machine.c - the kernel's table (contract: machine.h)
 *
 * Each entry is one system call, with errno put back. Waiting and waking use
 * private futexes: no lock of ours is shared between processes.
 */
#include "base/machine.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/poison.h"
#include "base/random.h"

#define SECOND_NS 1000000000u

static int
protection(bool usable)
{
    return usable ? PROT_READ | PROT_WRITE : PROT_NONE;
}

/* Not MAP_NORESERVE, which would also exempt what is made usable later: the
 * kernel could not refuse more memory than there is. */
static void *
kernel_map(void *hint, size_t size, bool usable)
{
    int saved_errno = errno;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    void *addr = mmap(hint, size, protection(usable), flags, -1, 0);

    errno = saved_errno;
    return addr == MAP_FAILED ? NULL : addr;
}

static bool
kernel_unmap(void *addr, size_t size)
{
    int saved_errno = errno;
    poison_forget(addr, size); /* who gets these addresses next may use them */
    bool done = munmap(addr, size) == 0;

    errno = saved_errno;
    return done;
}

static bool
kernel_protect(void *addr, size_t size, bool usable)
{
    int saved_errno = errno;
    bool done = mprotect(addr, size, protection(usable)) == 0;

    errno = saved_errno;
    return done;
}

static bool
kernel_advise(void *addr, size_t size, int advice)
{
    int saved_errno = errno;
    bool done = madvise(addr, size, advice) == 0;

    errno = saved_errno;
    return done;
}

static void *
kernel_remap(void *addr, size_t old_size, size_t new_size, bool may_move)
{
    int saved_errno = errno;
    void *moved =
        mremap(addr, old_size, new_size, may_move ? MREMAP_MAYMOVE : 0);

    errno = saved_errno;
    return moved == MAP_FAILED ? NULL : moved;
}

static void
kernel_futex_wait(
    _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    int saved_errno = errno;
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / SECOND_NS),
        .tv_nsec = (long)(timeout_ns % SECOND_NS),
    };

    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected,
        timeout_ns == 0 ? NULL : &timeout, NULL, 0);
    errno = saved_errno;
}

static void
kernel_futex_wake(_Atomic uint32_t *word, int count)
{
    int saved_errno = errno;

    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
    errno = saved_errno;
}

static void
kernel_yield(void)
{
    sched_yield(); /* never fails */
}

static uint64_t
kernel_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists */
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static unsigned
kernel_cpu(void)
{
    int saved_errno = errno;
    int cpu = sched_getcpu();

    errno = saved_errno;
    return cpu < 0 ? 0 : (unsigned)cpu;
}

/* The system call, not sysconf: that one reads files, and the C library may
 * take memory for it. */
static unsigned
count_cpus(void)
{
    int saved_errno = errno;
    unsigned long mask[1024 / sizeof(unsigned long)] = {0}; /* 8192 CPUs */
    long size = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
    unsigned count = 0;

    for (size_t i = 0; size > 0 && i < sizeof(mask) / sizeof(mask[0]); i++) {
        count += (unsigned)__builtin_popcountl(mask[i]);
    }
    errno = saved_errno;
    return count == 0 ? 1 : count;
}

static _Atomic unsigned loaded_count;

/* As the program is loaded. Later the thread that asks may have bound itself to
 * one CPU; the others still run elsewhere, and it pays to spin for them. */
__attribute__((constructor(101))) static void
count_at_load(void)
{
    atomic_store_explicit(&loaded_count, count_cpus(), memory_order_relaxed);
}

static unsigned
kernel_cpu_count(void)
{
    unsigned count = atomic_load_explicit(&loaded_count, memory_order_relaxed);

    return count == 0 ? count_cpus() : count;
}

static bool
membarrier(int command, unsigned flags, unsigned cpu)
{
    return syscall(SYS_membarrier, command, flags, cpu) == 0;
}

/* The process registers when it is refused: the first time, and where a child
 * has not inherited the registration. */
static bool
kernel_restart_cpu(unsigned cpu)
{
    int saved_errno = errno;
    int command = MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ;
    bool done =
        membarrier(command, MEMBARRIER_CMD_FLAG_CPU, cpu) ||
        (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) &&
            membarrier(command, MEMBARRIER_CMD_FLAG_CPU, cpu));

    errno = saved_errno;
    return done;
}

/* Early in boot the kernel's pool may be empty. Waiting would hang init, so
 * then the 16 bytes that every process is started with are stretched. */
static uint64_t
kernel_random(void)
{
    static _Atomic uint64_t calls;
    int saved_errno = errno;
    uint64_t bits;

    if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != sizeof(bits)) {
        uint64_t seed[2] = {0};
        const void *given = (const void *)getauxval(AT_RANDOM);
        if (given != NULL) {
            memcpy(seed, given, sizeof(seed));
        }
        uint64_t call =
            atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
        bits = random_mix(seed[0] ^ random_mix(seed[1] + call) ^
                          random_mix(kernel_clock_ns() + (uint64_t)getpid()));
    }
    errno = saved_errno;
    return bits;
}

#define KERNEL_TABLE                                                           \
    {                                                                          \
        .map = kernel_map, .unmap = kernel_unmap, .protect = kernel_protect,   \
        .advise = kernel_advise, .remap = kernel_remap,                        \
        .futex_wait = kernel_futex_wait, .futex_wake = kernel_futex_wake,      \
        .yield = kernel_yield, .clock_ns = kernel_clock_ns, .cpu = kernel_cpu, \
        .cpu_count = kernel_cpu_count, .restart_cpu = kernel_restart_cpu,      \
        .random = kernel_random,                                               \
    }

/* Filled at link time: the first malloc may come before any constructor. */
const struct machine machine_kernel = KERNEL_TABLE;
struct machine machine = KERNEL_TABLE;
