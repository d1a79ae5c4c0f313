/*
 * fiber.c - logical threads (contract: fiber.h)
 *
 * A slot of the region:
 *
 *     | guard | fiber's stack ... | guard | pthread's stack ... | variables |
 *
 * The pthread is made with the upper stack, so glibc lays its TLS and its
 * thread control block at the top of it, at the same address in each process.
 * Thread-local variables of observed code lie behind it (tls.h).
 *
 * A fiber is abandoned by starting it anew: nothing unwinds. That is sound
 * because all that it touched is rewound. In baton mode its pthread sits deep
 * in a call then, and jumps back to its base before it starts again.
 */
#include "observe/fiber.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "observe/region.h"
#include "observe/tls.h"

#ifndef HWCAP2_FSGSBASE
#    define HWCAP2_FSGSBASE (1 << 1)
#endif

#define GUARD_SIZE         REGION_PAGE
#define PTHREAD_STACK_SIZE ((size_t)512 << 10)
#define SIGNAL_STACK_SIZE  ((size_t)64 << 10)

static_assert(2 * GUARD_SIZE + FIBER_STACK_SIZE + PTHREAD_STACK_SIZE +
                      TLS_AREA_SIZE <=
                  FIBER_SLOT_SIZE,
    "a slot holds them");

void fiber_swap(void **from_sp, void *to_sp, uintptr_t to_tp);
void fiber_trampoline(void);

static bool baton_wanted, loads_tls_base;

/* In the kernel it costs some microseconds: arch_prctl is no way. */
static bool
can_load_tls_base(void)
{
#if defined(__x86_64__)
    return (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) != 0;
#elif defined(__aarch64__)
    return true;
#else
    return false;
#endif
}

bool
fiber_in_user_space(void)
{
    return !baton_wanted;
}

void
fiber_use_baton(void)
{
    baton_wanted = true;
}

uintptr_t
fiber_slot_addr(unsigned slot)
{
    return REGION_BASE + slot * FIBER_SLOT_SIZE;
}

static uintptr_t
lent_stack(unsigned slot)
{
    return fiber_slot_addr(slot) + GUARD_SIZE + FIBER_STACK_SIZE + GUARD_SIZE;
}

static uintptr_t
variables(unsigned slot)
{
    return lent_stack(slot) + PTHREAD_STACK_SIZE;
}

bool
fiber_is_guard(unsigned slot, uintptr_t addr)
{
    return addr - fiber_slot_addr(slot) < GUARD_SIZE ||
           addr - (lent_stack(slot) - GUARD_SIZE) < GUARD_SIZE;
}

static void
wait_while(uint32_t *word, uint32_t value)
{
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) {
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
    }
}

static void
set_and_wake(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void
fiber_reset_tls(struct fiber *fiber)
{
    tls_reset(fiber->tls_area);
}

/* Signal handlers need a stack where the fiber's own has overflowed. */
static void
set_up_signal_stack(void)
{
    stack_t stack = {.ss_size = SIGNAL_STACK_SIZE};
    stack.ss_sp = mmap(NULL, SIGNAL_STACK_SIZE, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack.ss_sp != MAP_FAILED && sigaltstack(&stack, NULL) == 0);
}

/* What the pthread does: lends its TLS, then waits; in baton mode it runs. */
static void *
park(void *arg)
{
    struct fiber *fiber = arg;
    fiber->tp = (uintptr_t)__builtin_thread_pointer();
    fiber->tid = (int)syscall(SYS_gettid);
    if (!fiber_in_user_space()) {
        set_up_signal_stack();
    }
    sigsetjmp(fiber->base, 0);
    if (!fiber->parked) {
        set_and_wake(&fiber->parked, 1);
    }
    wait_while(&fiber->baton, 0);
    if (!fiber_in_user_space()) {
        fiber->restart = false;
        fiber->fn(fiber->arg);
    }
    CHECK(!"a fiber's function returned");
    return NULL;
}

void
fiber_adopt_main(struct fiber *fiber)
{
    memset(fiber, 0, sizeof(*fiber));
    fiber->tp = (uintptr_t)__builtin_thread_pointer();
    fiber->tls_area = TLS_AREA_OUTSIDE;
    fiber->is_open = true;
    loads_tls_base = can_load_tls_base();
}

bool
fiber_open(struct fiber *fiber, unsigned slot)
{
    uintptr_t addr = fiber_slot_addr(slot);
    uintptr_t stack = addr + GUARD_SIZE;
    uintptr_t lent = lent_stack(slot);
    CHECK(addr + FIBER_SLOT_SIZE <= REGION_ARENA);

    memset(fiber, 0, sizeof(*fiber));
    fiber->slot = slot;
    fiber->tls_area = slot + 1;
    if (mprotect((void *)addr, GUARD_SIZE, PROT_NONE) != 0 ||
        mprotect((void *)(lent - GUARD_SIZE), GUARD_SIZE, PROT_NONE) != 0) {
        return false;
    }
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, (void *)lent, PTHREAD_STACK_SIZE);
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, park, fiber);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        return false;
    }
    pthread_detach(thread);
    wait_while(&fiber->parked, 0);
    region_open((const void *)stack, FIBER_STACK_SIZE);
    region_open((const void *)lent, PTHREAD_STACK_SIZE);
    region_open((const void *)variables(slot), TLS_AREA_SIZE);
    tls_place(fiber->tls_area, variables(slot));
    fiber->is_open = true;
    return true;
}

void
fiber_start(struct fiber *fiber, fiber_fn *fn, void *arg)
{
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->restart = true;
    fiber_reset_tls(fiber);
    uintptr_t *top = (uintptr_t *)(fiber_slot_addr(fiber->slot) + GUARD_SIZE +
                                   FIBER_STACK_SIZE);
#if defined(__x86_64__)
    /* What fiber_swap pops: r15 r14 r13 r12 rbx rbp, then where it returns;
     * the trampoline's call must find the stack aligned to 16. */
    top -= 9;
    memset(top, 0, 9 * sizeof(*top));
    top[2] = (uintptr_t)arg;
    top[3] = (uintptr_t)fn;
    top[6] = (uintptr_t)fiber_trampoline;
#elif defined(__aarch64__)
    top -= 20;
    memset(top, 0, 20 * sizeof(*top));
    top[1] = (uintptr_t)fiber_trampoline; /* x30 */
    top[2] = (uintptr_t)fn;               /* x19 */
    top[3] = (uintptr_t)arg;              /* x20 */
#endif
    fiber->sp = top;
}

static void
hand_baton(struct fiber *from, struct fiber *to)
{
    __atomic_store_n(&from->baton, 0, __ATOMIC_RELAXED);
    set_and_wake(&to->baton, 1);
    wait_while(&from->baton, 0);
    if (from->restart) {
        siglongjmp(from->base, 1);
    }
}

void
fiber_switch(struct fiber *from, struct fiber *to)
{
    int error = errno;
    tls_enter(to->tls_area);
    if (fiber_in_user_space()) {
        fiber_swap(&from->sp, to->sp, loads_tls_base ? to->tp : 0);
    } else {
        hand_baton(from, to);
    }
    errno = error;
}
