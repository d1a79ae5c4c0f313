/*
 * fault.c - touching memory that may not be touched (contract: fault.h)
 *
 * When no watcher claims the fault, whoever handled the signal before does. The
 * default action is put back and the instruction runs again, so that the
 * process dies of the same signal at the same place, and a core file shows it.
 */
#include "base/fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/sync.h"

#define WATCHERS_MAX 4u

static struct {
    struct mtx lock;        /* of rank MTX_NONE: made by zeroing */
    bool installed;         /* [lock] */
    _Atomic unsigned count; /* of those that are ready */
    struct {
        fault_fn *watch;
        void *arg;
    } watchers[WATCHERS_MAX];
    struct sigaction segv_before, bus_before; /* fixed when installed */
} faults;

static void
pass_on(int signal_number, siginfo_t *info, void *context)
{
    struct sigaction *before =
        signal_number == SIGSEGV ? &faults.segv_before : &faults.bus_before;

    if ((before->sa_flags & SA_SIGINFO) != 0) {
        before->sa_sigaction(signal_number, info, context);
    } else if (before->sa_handler == SIG_IGN && info->si_code <= 0) {
        return; /* sent, and ignored; a fault would come again for ever */
    } else if (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN) {
        (void)signal(signal_number, SIG_DFL);
        if (info->si_code <= 0) {
            (void)raise(signal_number); /* sent: no instruction sends it anew */
        }
    } else {
        before->sa_handler(signal_number);
    }
}

static void
handle(int signal_number, siginfo_t *info, void *context)
{
    /* Pairs with the release in fault_watch. */
    unsigned count = atomic_load_explicit(&faults.count, memory_order_acquire);

    for (unsigned i = 0; i < count && info->si_code > 0; i++) {
        faults.watchers[i].watch(info->si_addr, faults.watchers[i].arg);
    }
    pass_on(signal_number, info, context);
}

static bool
install_locked(void) REQUIRES(faults.lock)
{
    struct sigaction action = {.sa_sigaction = handle,
        .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

    sigemptyset(&action.sa_mask);
    if (!faults.installed) {
        faults.installed =
            sigaction(SIGSEGV, &action, &faults.segv_before) == 0 &&
            sigaction(SIGBUS, &action, &faults.bus_before) == 0;
    }
    return faults.installed;
}

bool
fault_watch(fault_fn *watch, void *arg)
{
    mtx_lock(&faults.lock);
    unsigned count = atomic_load_explicit(&faults.count, memory_order_relaxed);
    bool done = count < WATCHERS_MAX;
    if (done) {
        faults.watchers[count].watch = watch;
        faults.watchers[count].arg = arg;
        atomic_store_explicit(&faults.count, count + 1, memory_order_release);
        done = install_locked();
    }
    mtx_unlock(&faults.lock);
    return done;
}
