/*
 * os.c - memory, time, waiting and ending (contract: intercept.h)
 *
 * The machine table of base/ (our own designs) and the libc names (anybody's C)
 * come to the same few functions here. Each call for memory is a schedule
 * point, and the n-th may be told to fail. Pages given back are the caller's
 * last write to them: who touches them without an edge races with it. Memory
 * mapped later at the same address is new: the kernel ordered the two.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/machine.h"
#include "observe/crash.h"
#include "observe/image.h"
#include "observe/intercept.h"
#include "observe/owner.h"
#include "observe/race.h"
#include "observe/runtime.h"
#include "observe/weak.h"

static char last_words[200]; /* what the target wrote to stderr last */

static bool
is_observed(void)
{
    return hot.current != NULL;
}

/* A call for memory begins. False: it fails. */
static bool
begin_call(uintptr_t pc, uintptr_t addr, size_t size)
{
    sched_point(EVENT_OS, 0, false);
    sched_note_progress(hot.current);
    trace_event(EVENT_OS, pc, addr, 0, size);
    uint64_t n = ++stats.os_calls;
    return plan->os_fails == NULL || !plan->os_fails(n, plan->arg);
}

static size_t
whole_pages(size_t size)
{
    return (size + REGION_PAGE - 1) & ~(REGION_PAGE - 1);
}

static bool
is_in_arena(uintptr_t addr, size_t size)
{
    return addr >= REGION_ARENA && addr % REGION_PAGE == 0 &&
           size <= REGION_LIMIT && addr <= REGION_LIMIT - size;
}

static void *
map(uintptr_t hint, size_t size, bool usable, uintptr_t pc)
{
    if (!begin_call(pc, hint, size)) {
        return NULL;
    }
    void *block = region_map(hint, size, usable);
    hash_add((uintptr_t)block);
    return block;
}

static bool
was_accessed(uintptr_t page)
{
    enum page_state state = region_pages[page >> REGION_PAGE_SHIFT];
    return state == PAGE_OPEN || state == PAGE_MIXED || state == PAGE_SHUT;
}

/* The caller writes pages as a whole: it must own them, and be ordered after
 * whoever accessed them. */
static void
write_pages(uintptr_t addr, size_t size, uintptr_t pc)
{
    owner_check_pages(addr, size, pc);
    for (uintptr_t page = addr; page < addr + size; page += REGION_PAGE) {
        if (was_accessed(page)) {
            race_range(page, REGION_PAGE, true, pc);
        }
    }
}

/* The same, and the pages go: what happened there is forgotten. */
static void
leave_pages(uintptr_t addr, size_t size, uintptr_t pc)
{
    owner_check_pages(addr, size, pc);
    for (uintptr_t page = addr; page < addr + size; page += REGION_PAGE) {
        if (was_accessed(page)) {
            race_range(page, REGION_PAGE, true, pc);
            race_forget(page, REGION_PAGE);
        }
    }
}

static bool
unmap(uintptr_t addr, size_t size, uintptr_t pc)
{
    size = whole_pages(size);
    if (!begin_call(pc, addr, size) || !is_in_arena(addr, size)) {
        return false;
    }
    leave_pages(addr, size, pc);
    return region_unmap(addr, size);
}

static bool
protect(uintptr_t addr, size_t size, bool usable, uintptr_t pc)
{
    size = whole_pages(size);
    if (!begin_call(pc, addr, size) || !is_in_arena(addr, size)) {
        return false;
    }
    if (!usable) {
        write_pages(addr, size, pc);
    }
    return region_protect(addr, size, usable);
}

static bool
advise(uintptr_t addr, size_t size, int advice, uintptr_t pc)
{
    size = whole_pages(size);
    if (!begin_call(pc, addr, size) || !is_in_arena(addr, size)) {
        return false;
    }
    if (advice != MADV_DONTNEED && advice != MADV_FREE) {
        return true;
    }
    /* With MADV_FREE the kernel may take the pages at once; here it does. */
    write_pages(addr, size, pc);
    return region_zero(addr, size);
}

static void *
remap(uintptr_t addr, size_t old_size, size_t new_size, bool may_move,
    uintptr_t pc)
{
    old_size = whole_pages(old_size);
    new_size = whole_pages(new_size);
    if (!begin_call(pc, addr, new_size) || !is_in_arena(addr, old_size)) {
        return NULL;
    }
    if (new_size < old_size) {
        leave_pages(addr + new_size, old_size - new_size, pc);
    }
    write_pages(addr, old_size < new_size ? old_size : new_size, pc);
    uintptr_t moved = region_remap(addr, old_size, new_size, may_move);
    if (moved != 0 && moved != addr) {
        race_forget(addr, old_size);
    }
    hash_add(moved);
    return (void *)moved;
}

/*
 * Futexes. The kernel's own read of the word orders nothing.
 */

static int
futex_wait(uintptr_t word, uint32_t expected, uint64_t until, uintptr_t pc)
{
    sched_point(EVENT_WAIT, word, false);
    if (*(const uint32_t *)word != expected) {
        return EAGAIN;
    }
    trace_event(EVENT_WAIT, pc, word, 4, expected);
    return sched_block(WAIT_FUTEX, word, until) ? 0 : ETIMEDOUT;
}

static unsigned
futex_wake(uintptr_t word, int count, uintptr_t pc)
{
    sched_point(EVENT_WAKE, word, false);
    trace_event(EVENT_WAKE, pc, word, 4, (uint64_t)count);
    return sched_wake(WAIT_FUTEX, word, (unsigned)count);
}

static unsigned
cpu_count(void)
{
    return plan->cpu_count > 0 ? plan->cpu_count : 2;
}

static uint64_t
random_bits(void)
{
    return random_mix(plan->seed ^ (stats.points << 8) ^ hot.current->id);
}

/*
 * The table of base/machine.h. Outside of a run it is the kernel's.
 */

static void *
machine_map(void *hint, size_t size, bool usable)
{
    return is_observed() ? map((uintptr_t)hint, size, usable, CALLER_PC)
                         : machine_kernel.map(hint, size, usable);
}

static bool
machine_unmap(void *addr, size_t size)
{
    return is_observed() ? unmap((uintptr_t)addr, size, CALLER_PC)
                         : machine_kernel.unmap(addr, size);
}

static bool
machine_protect(void *addr, size_t size, bool usable)
{
    return is_observed() ? protect((uintptr_t)addr, size, usable, CALLER_PC)
                         : machine_kernel.protect(addr, size, usable);
}

static bool
machine_advise(void *addr, size_t size, int advice)
{
    return is_observed() ? advise((uintptr_t)addr, size, advice, CALLER_PC)
                         : machine_kernel.advise(addr, size, advice);
}

static void *
machine_remap(void *addr, size_t old_size, size_t new_size, bool may_move)
{
    return is_observed()
               ? remap((uintptr_t)addr, old_size, new_size, may_move, CALLER_PC)
               : machine_kernel.remap(addr, old_size, new_size, may_move);
}

static void
machine_futex_wait(
    _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    if (sched_resume()) {
        uint64_t until = timeout_ns > 0 ? sched_now() + timeout_ns : 0;
        futex_wait((uintptr_t)word, expected, until, CALLER_PC);
    } else {
        machine_kernel.futex_wait(word, expected, timeout_ns);
    }
}

static void
machine_futex_wake(_Atomic uint32_t *word, int count)
{
    if (is_observed()) {
        futex_wake((uintptr_t)word, count, CALLER_PC);
    } else {
        machine_kernel.futex_wake(word, count);
    }
}

static void
machine_yield(void)
{
    if (is_observed()) {
        sched_yield_point();
    } else {
        machine_kernel.yield();
    }
}

static uint64_t
machine_clock_ns(void)
{
    return is_observed() ? sched_now() : machine_kernel.clock_ns();
}

static unsigned
machine_cpu(void)
{
    return is_observed() ? hot.current->cpu % cpu_count()
                         : machine_kernel.cpu();
}

static unsigned
machine_cpu_count(void)
{
    return is_observed() ? cpu_count() : machine_kernel.cpu_count();
}

/* Assembly is not observed: what is has no restartable sequences. */
static bool
machine_restart_cpu(unsigned cpu)
{
    (void)cpu;
    return false;
}

static uint64_t
machine_random(void)
{
    return is_observed() ? random_bits() : machine_kernel.random();
}

/* The observed code's own table, under the name that the build gives it. */
extern struct machine observed_machine __attribute__((weak));
extern bool observed_sync_crowded __attribute__((weak));

void
os_begin(void)
{
    last_words[0] = '\0';
}

void
intercept_init(void)
{
    if (&observed_machine != NULL) {
        observed_sync_crowded = true;
        observed_machine = (struct machine){
            .map = machine_map,
            .unmap = machine_unmap,
            .protect = machine_protect,
            .advise = machine_advise,
            .remap = machine_remap,
            .futex_wait = machine_futex_wait,
            .futex_wake = machine_futex_wake,
            .yield = machine_yield,
            .clock_ns = machine_clock_ns,
            .cpu = machine_cpu,
            .cpu_count = machine_cpu_count,
            .restart_cpu = machine_restart_cpu,
            .random = machine_random,
        };
    }
}

/*
 * The names of libc.
 */

void *observe_mmap(
    void *addr, size_t size, int protection, int flags, int fd, off_t offset);
void *
observe_mmap(
    void *addr, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (!is_observed() || (flags & MAP_ANONYMOUS) == 0) {
        return mmap(addr, size, protection, flags, fd, offset);
    }
    uintptr_t at = (uintptr_t)addr;
    bool usable = (protection & PROT_WRITE) != 0;
    if ((flags & MAP_FIXED) != 0 && !unmap(at, size, CALLER_PC)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *block = map(at, size, usable, CALLER_PC);
    if (block == NULL) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return block;
}

int observe_munmap(void *addr, size_t size);
int
observe_munmap(void *addr, size_t size)
{
    if (!is_observed() || !is_in_arena((uintptr_t)addr, size)) {
        return munmap(addr, size);
    }
    if (!unmap((uintptr_t)addr, size, CALLER_PC)) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

int observe_mprotect(void *addr, size_t size, int protection);
int
observe_mprotect(void *addr, size_t size, int protection)
{
    if (!is_observed() || !is_in_arena((uintptr_t)addr, size)) {
        return mprotect(addr, size, protection);
    }
    bool usable = (protection & PROT_WRITE) != 0;
    if (!protect((uintptr_t)addr, size, usable, CALLER_PC)) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

int observe_madvise(void *addr, size_t size, int advice);
int
observe_madvise(void *addr, size_t size, int advice)
{
    if (!is_observed() || !is_in_arena((uintptr_t)addr, size)) {
        return madvise(addr, size, advice);
    }
    if (!advise((uintptr_t)addr, size, advice, CALLER_PC)) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

void *observe_mremap(
    void *addr, size_t old_size, size_t new_size, int flags, ...);
void *
observe_mremap(void *addr, size_t old_size, size_t new_size, int flags, ...)
{
    if (!is_observed() || !is_in_arena((uintptr_t)addr, old_size)) {
        return mremap(addr, old_size, new_size, flags & MREMAP_MAYMOVE);
    }
    void *moved = (flags & MREMAP_FIXED) != 0
                      ? NULL
                      : remap((uintptr_t)addr, old_size, new_size,
                            (flags & MREMAP_MAYMOVE) != 0, CALLER_PC);
    if (moved == NULL) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return moved;
}

/* The target's heap by sbrk does not grow: allocators then turn to mmap, as
 * they must where something else lies behind the break. */
void *observe_sbrk(intptr_t growth);
void *
observe_sbrk(intptr_t growth)
{
    if (!is_observed()) {
        return sbrk(growth);
    }
    errno = ENOMEM;
    return (void *)-1;
}

int observe_clock_gettime(clockid_t clock, struct timespec *time);
int
observe_clock_gettime(clockid_t clock, struct timespec *time)
{
    if (!is_observed()) {
        return clock_gettime(clock, time);
    }
    uint64_t now = sched_now();
    time->tv_sec = (time_t)(now / 1000000000u);
    time->tv_nsec = (long)(now % 1000000000u);
    return 0;
}

int observe_gettimeofday(struct timeval *time, void *zone);
int
observe_gettimeofday(struct timeval *time, void *zone)
{
    if (!is_observed()) {
        return gettimeofday(time, zone);
    }
    uint64_t now = sched_now();
    time->tv_sec = (time_t)(now / 1000000000u);
    time->tv_usec = (suseconds_t)(now % 1000000000u / 1000u);
    return 0;
}

time_t observe_time(time_t *out);
time_t
observe_time(time_t *out)
{
    time_t now =
        is_observed() ? (time_t)(sched_now() / 1000000000u) : time(NULL);
    if (out != NULL) {
        *out = now;
    }
    return now;
}

int observe_nanosleep(const struct timespec *time, struct timespec *left);
int
observe_nanosleep(const struct timespec *time, struct timespec *left)
{
    if (!is_observed()) {
        return nanosleep(time, left);
    }
    uint64_t length =
        (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
    sched_block(WAIT_TIME, 0, sched_now() + length + 1);
    return 0;
}

int observe_usleep(useconds_t us);
int
observe_usleep(useconds_t us)
{
    const struct timespec time = {us / 1000000u, (long)(us % 1000000u) * 1000};
    return observe_nanosleep(&time, NULL);
}

int observe_sched_yield(void);
int
observe_sched_yield(void)
{
    machine_yield();
    return 0;
}

int observe_sched_getcpu(void);
int
observe_sched_getcpu(void)
{
    return (int)machine_cpu();
}

long observe_sysconf(int name);
long
observe_sysconf(int name)
{
    bool counts = name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF;
    return is_observed() && counts ? (long)cpu_count() : sysconf(name);
}

ssize_t observe_getrandom(void *to, size_t size, unsigned flags);
ssize_t
observe_getrandom(void *to, size_t size, unsigned flags)
{
    if (!is_observed()) {
        return syscall(SYS_getrandom, to, size, flags);
    }
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)to)[i] = (uint8_t)random_mix(random_bits() + i);
    }
    return (ssize_t)size;
}

pid_t observe_gettid(void);
pid_t
observe_gettid(void)
{
    /* Beyond the process id, as the ids of threads are. */
    return is_observed() ? 100001 + (pid_t)hot.current->id
                         : (pid_t)syscall(SYS_gettid);
}

static long
observed_futex(va_list arguments, uintptr_t pc)
{
    uintptr_t word = va_arg(arguments, uintptr_t);
    int op = va_arg(arguments, int) & FUTEX_CMD_MASK;
    uint32_t value = va_arg(arguments, uint32_t);
    const struct timespec *time = va_arg(arguments, const struct timespec *);
    if (op == FUTEX_WAKE || op == FUTEX_WAKE_BITSET) {
        return futex_wake(word, (int)value, pc);
    }
    if (op != FUTEX_WAIT && op != FUTEX_WAIT_BITSET) {
        errno = ENOSYS;
        return -1;
    }
    uint64_t until = 0;
    if (time != NULL) {
        until = (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec +
                (op == FUTEX_WAIT ? sched_now() : 0);
    }
    int error = futex_wait(word, value, until, pc);
    errno = error != 0 ? error : errno;
    return error != 0 ? -1 : 0;
}

long observe_syscall(long number, ...);
long
observe_syscall(long number, ...)
{
    va_list arguments;
    va_start(arguments, number);
    long result;
    if (is_observed() && number == SYS_futex) {
        result = observed_futex(arguments, CALLER_PC);
    } else if (is_observed() && number == SYS_gettid) {
        result = observe_gettid();
    } else {
        long args[6];
        for (unsigned i = 0; i < 6; i++) {
            args[i] = va_arg(arguments, long);
        }
        result = syscall(
            number, args[0], args[1], args[2], args[3], args[4], args[5]);
    }
    va_end(arguments);
    return result;
}

/*
 * Fork. The child is this process's one real thread, on the fiber that forked;
 * the other fibers are left where they are. libc's own fork is passed by: its
 * handlers are not the target's, and no other real thread runs whose locks it
 * would mend.
 */

pid_t
observe_fork(void)
{
    if (!is_observed()) {
        return fork();
    }
    unsigned handlers = pthread_prepare_fork();
    sched_point(EVENT_OS, 0, false);
    trace_event(EVENT_OS, CALLER_PC, 0, 0, 0);
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        verdict_enter_child();
        sched_enter_child();
        crash_watch();
    }
    pthread_finish_fork(handlers, pid == 0 ? FORK_CHILD : FORK_PARENT);
    return pid;
}

/*
 * Ending. What the target says before it aborts is the evidence.
 */

ssize_t observe_write(int fd, const void *from, size_t size);
ssize_t
observe_write(int fd, const void *from, size_t size)
{
    if (fd != STDERR_FILENO || !sched_resume()) {
        return write(fd, from, size);
    }
    size_t kept = size < sizeof(last_words) ? size : sizeof(last_words) - 1;
    memcpy(last_words, from, kept);
    last_words[kept] = '\0';
    last_words[strcspn(last_words, "\n")] = '\0';
    return (ssize_t)size;
}

_Noreturn void observe_abort(void);
_Noreturn void
observe_abort(void)
{
    if (!sched_resume()) {
        abort();
    }
    enum verdict_kind kind =
        strstr(last_words, "check failed") != NULL ? VERDICT_HEAP_CHECK
        : strstr(last_words, "lock order") != NULL ? VERDICT_DEADLOCK
        : last_words[0] != '\0'                    ? VERDICT_MISUSE
                                                   : VERDICT_CRASH;
    verdict_raise(kind, CALLER_PC, 0, 0, false, false, "%s",
        last_words[0] != '\0' ? last_words : "the target aborts");
}
