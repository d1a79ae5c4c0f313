/*
 * stack.c - who calls (contract: stack.h)
 *
 * glibc's backtrace loads the unwinder itself, so that a program which wants no
 * stacks does not carry it. Loading works from the moment that constructors
 * run; a first allocation may come before.
 */
#include "base/stack.h"

#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>

#include "base/sync.h"

/* Our own frames come on top of what is wanted. */
#define OWN_DEPTH 8

static struct {
    _Atomic bool loaded; /* constructors run */
    _Atomic bool wanted;
    _Atomic bool ready;
    _Atomic uintptr_t own_begin, own_end;
} unwinder;

/* The caller is inside the unwinder. */
static _Thread_local bool unwinding TLS_INITIAL_EXEC;

static void
make_ready(void)
{
    void *frame[1];
    int saved_errno = errno;

    unwinding = true;
    (void)backtrace(frame, 1);
    unwinding = false;
    errno = saved_errno;
    /* Pairs with the acquire in stack_capture. */
    atomic_store_explicit(&unwinder.ready, true, memory_order_release);
}

/* Of two threads one at least sees what the other wrote. */
__attribute__((constructor(102))) static void
note_loaded(void)
{
    atomic_store(&unwinder.loaded, true);
    if (atomic_load(&unwinder.wanted)) {
        make_ready();
    }
}

void
stack_start(void)
{
    atomic_store(&unwinder.wanted, true);
    if (atomic_load(&unwinder.loaded)) {
        make_ready();
    }
}

void
stack_own_code(const void *begin, const void *end)
{
    /* Relaxed: until both are seen, frames of ours are shown too. */
    atomic_store_explicit(
        &unwinder.own_begin, (uintptr_t)begin, memory_order_relaxed);
    atomic_store_explicit(
        &unwinder.own_end, (uintptr_t)end, memory_order_relaxed);
}

static bool
is_own(const void *frame)
{
    uintptr_t addr = (uintptr_t)frame;

    return addr >= atomic_load_explicit(
                       &unwinder.own_begin, memory_order_relaxed) &&
           addr < atomic_load_explicit(&unwinder.own_end, memory_order_relaxed);
}

size_t
stack_capture(uintptr_t frames[STACK_DEPTH_MAX])
{
    void *found[STACK_DEPTH_MAX + OWN_DEPTH];
    int saved_errno = errno;
    size_t first = 1; /* The innermost is this function's own. */
    size_t depth = 0;

    /* Pairs with the release in make_ready. */
    if (unwinding ||
        !atomic_load_explicit(&unwinder.ready, memory_order_acquire)) {
        return 0;
    }
    unwinding = true;
    int count = backtrace(found, STACK_DEPTH_MAX + OWN_DEPTH);
    unwinding = false;
    errno = saved_errno;
    while (first < (size_t)count && is_own(found[first])) {
        first++;
    }
    for (; first < (size_t)count && depth < STACK_DEPTH_MAX; first++) {
        if (found[first] != NULL) {
            frames[depth++] = (uintptr_t)found[first];
        }
    }
    return depth;
}
