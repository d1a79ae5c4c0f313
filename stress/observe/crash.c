/*
 * crash.c - a signal in observed code becomes a verdict (contract: crash.h)
 *
 * The handler does not return: it switches to the main context like any other
 * end of a run, and the fiber that crashed is abandoned. Nothing of it lasts,
 * since all its memory is rewound. The handler has a stack of its own, so that
 * a fiber that overflows its stack is told from others too.
 *
 * A loop without a single access or atomic operation has no step that a budget
 * could count. A timer on CPU time looks whether steps go on.
 */
#include "observe/crash.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include "observe/runtime.h"

#define STACK_SIZE    (64u << 10)
#define TICK_SECONDS  1
#define TICKS_TO_HANG 3

static struct sigaction before[NSIG]; /* what was installed before us */

static uintptr_t
program_counter(const void *context)
{
    const ucontext_t *machine_context = context;
#if defined(__x86_64__)
    return (uintptr_t)machine_context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)machine_context->uc_mcontext.pc;
#else
    (void)machine_context;
    return 0;
#endif
}

/* The handler does not return, so the kernel does not put the mask back. */
static void
unblock(int signal_number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal_number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void
on_crash(int signal_number, siginfo_t *info, void *context)
{
    if (!sched_resume()) { /* Not the target's: as if we were not here. */
        sigaction(signal_number, &before[signal_number], NULL);
        raise(signal_number);
        return;
    }
    struct thread *me = hot.current;
    unblock(signal_number);
    uintptr_t addr = (uintptr_t)info->si_addr;
    bool overflowed = signal_number == SIGSEGV && fiber_is_guard(me->id, addr);
    verdict_raise(VERDICT_CRASH, program_counter(context), addr, 0, false,
        false, "thread %u: %s at address 0x%lx%s", me->id,
        strsignal(signal_number), (unsigned long)addr,
        overflowed ? ", its stack has overflowed" : "");
}

static void
on_tick(int signal_number, siginfo_t *info, void *context)
{
    (void)info;
    static uint64_t last_steps;
    static uint64_t last_hash;
    static unsigned still_count;
    bool moves =
        hot.current == NULL || hot.steps != last_steps || hot.hash != last_hash;
    last_steps = hot.steps;
    last_hash = hot.hash;
    still_count = moves ? 0 : still_count + 1;
    if (still_count == TICKS_TO_HANG) {
        still_count = 0;
        unblock(signal_number);
        verdict_raise(VERDICT_HANG, program_counter(context), 0, 0, false,
            false, "thread %u computes for %u s of CPU time without an access",
            hot.current->id, TICKS_TO_HANG * TICK_SECONDS);
    }
}

bool
crash_init(void)
{
    static const int crashes[] = {
        SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
    void *memory = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    stack_t stack = {.ss_sp = memory, .ss_size = STACK_SIZE};
    bool done = sigaltstack(&stack, NULL) == 0;
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    action.sa_sigaction = on_crash;
    for (unsigned i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
        done = sigaction(crashes[i], &action, &before[crashes[i]]) == 0 && done;
    }
    action.sa_sigaction = on_tick;
    action.sa_flags |= SA_RESTART;
    return done && sigaction(SIGPROF, &action, NULL) == 0 && crash_watch();
}

bool
crash_watch(void)
{
    const struct itimerval tick = {{TICK_SECONDS, 0}, {TICK_SECONDS, 0}};
    return setitimer(ITIMER_PROF, &tick, NULL) == 0;
}
