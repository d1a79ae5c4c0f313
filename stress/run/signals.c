/*
 * signals.c - what a child says about itself (contract: signals.h)
 *
 * The stack is unwound by backtrace(), which loads its unwinder at its first
 * call: that is made here, while all is well. Names come from dladdr, which
 * takes no memory.
 *
 * A thread that dies in a broken heap waits a moment first: another one may be
 * about to find what broke it.
 */
#include "run/signals.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FRAMES_MAX 14

static struct shared *shared_memory;
static pid_t own_pid;

/* " malloc+0x1f (libx.so)": one frame. */
static size_t
print_frame(char *text, size_t size, void *pc)
{
    Dl_info info;
    if (dladdr(pc, &info) == 0 || info.dli_fname == NULL) {
        return (size_t)snprintf(text, size, " %p", pc);
    }
    const char *slash = strrchr(info.dli_fname, '/');
    const char *file = slash == NULL ? info.dli_fname : slash + 1;
    if (info.dli_sname == NULL) {
        return (size_t)snprintf(text, size, " %s+0x%zx", file,
            (size_t)((char *)pc - (char *)info.dli_fbase));
    }
    return (size_t)snprintf(text, size, " %s+0x%zx(%s)", info.dli_sname,
        (size_t)((char *)pc - (char *)info.dli_saddr), file);
}

/* The frames below the signal's own, innermost first. */
static void
print_stack(char *text, size_t size)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    size_t used = 0;
    text[0] = '\0';
    for (int i = 3; i < count && used + 1 < size; i++) {
        used += print_frame(text + used, size - used, frames[i]);
    }
}

/* Threads of this process that run a list; a forked child has one. */
static unsigned
count_busy(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        count += atomic_load(&shared_memory->progress[i].phase) !=
                 PROGRESS_IDLE;
    }
    return getpid() == own_pid ? count : 1;
}

static void
on_deadly(int number, siginfo_t *info, void *context)
{
    (void)context;
    struct crash *crash = &shared_memory->crash;
    uint32_t none = 0;
    if (atomic_compare_exchange_strong(&crash->state, &none, 1)) {
        crash->signal = number;
        crash->pid = getpid();
        crash->tid = gettid();
        crash->addr = number == SIGABRT ? 0 : (uintptr_t)info->si_addr;
        atomic_store(&crash->state, 2);
        print_stack(crash->stack, sizeof crash->stack);
    }
    if (count_busy() > 1) {
        finding_await(&shared_memory->box);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void
on_ask(int number)
{
    (void)number;
    int saved_errno = errno;
    int tid = gettid();
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        if (atomic_load(&shared_memory->progress[i].tid) == tid) {
            print_stack(shared_memory->stacks[i], SHARED_STACK_MAX);
        }
    }
    errno = saved_errno;
}

void
signals_install(struct shared *shared)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    void *frames[4];
    shared_memory = shared;
    own_pid = getpid();
    (void)backtrace(frames, 4);
    action.sa_sigaction = on_deadly;
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
        sigaction(deadly[i], &action, NULL);
    }
    struct sigaction ask = {.sa_handler = on_ask, .sa_flags = SA_RESTART};
    sigaction(SIGNALS_ASK, &ask, NULL);
}
