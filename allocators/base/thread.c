/*
 * thread.c - thread ids and exit hooks (contract: thread.h)
 *
 * Ids are bits of one table, taken and freed by atomic operations: no lock, so
 * nothing to mend after fork but the bits of threads that the child lacks.
 *
 * Hooks run at the first call of our key's destructor. A destructor can set its
 * key again, to be called in the next of at least four rounds, and to wait so
 * for the last round looks tempting: all others would come first. But nobody
 * can tell which round it is. A thread may come to us first from a destructor
 * of round three, and its hooks would be waiting still when the rounds end. So
 * what comes after the first call is served without a cache: slower, never lost.
 * Only a thread whose first use of all is in the last round is out of reach.
 *
 * Setting a key may allocate, and so come back here. `armed` is therefore set
 * first: the inner call sees it and goes on.
 *
 * Invariants:
 *   I1  A thread that has hooks or an id of its own is armed: its destructor
 *       will be called.
 *   I2  A bit of `ids` is set exactly while a thread has that id; the last id
 *       is nobody's own.
 */
#include "base/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/check.h"
#include "base/fork.h"

#define ID_SHARED (THREAD_ID_MAX - 1)
#define WORD_BITS 64

struct hook {
    thread_exit_fn *fn;
    void *arg;
};

/* What a thread has of ours. */
struct self {
    struct hook hooks[THREAD_HOOKS_MAX];
    unsigned hook_count;
    bool armed;   /* the key is set */
    bool exiting; /* the hooks run or have run */
};

static _Atomic uint64_t ids[THREAD_ID_MAX / WORD_BITS];

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

static _Thread_local struct self self TLS_INITIAL_EXEC;
_Thread_local unsigned thread_id_next;

bool
thread_exiting(void)
{
    return self.exiting;
}

/* The lowest free id. The acquire pairs with the release in free_id: what the
 * id's last owner did to a table that it indexed is seen by the next. */
static unsigned
find_id(void)
{
    for (unsigned i = 0; i < THREAD_ID_MAX / WORD_BITS; i++) {
        uint64_t seen = atomic_load_explicit(&ids[i], memory_order_relaxed);

        while (~seen != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(~seen);
            unsigned id = i * WORD_BITS + bit;

            if (id == ID_SHARED ||
                atomic_compare_exchange_weak_explicit(&ids[i], &seen,
                    seen | (uint64_t)1 << bit, memory_order_acquire,
                    memory_order_relaxed)) {
                return id;
            }
        }
    }
    return ID_SHARED;
}

static void
free_id(void)
{
    unsigned next = thread_id_next;

    thread_id_next = 0;
    if (next != 0 && next - 1 != ID_SHARED) {
        uint64_t bit = (uint64_t)1 << ((next - 1) % WORD_BITS);
        uint64_t seen = atomic_fetch_and_explicit(
            &ids[(next - 1) / WORD_BITS], ~bit, memory_order_release);
        CHECK((seen & bit) != 0); /* I2 */
    }
}

/* Makes sure of I1; false when that cannot be. */
static bool
arm(void)
{
    if (self.armed) {
        return true;
    }
    self.armed = true;
    self.armed = has_key && pthread_setspecific(key, &self) == 0;
    return self.armed;
}

/* Newest first. A hook registers no other: exiting is set. */
static void
end_thread(void *unused)
{
    (void)unused;
    self.exiting = true;
    while (self.hook_count > 0) {
        struct hook hook = self.hooks[--self.hook_count];

        hook.fn(hook.arg);
    }
    free_id();
}

static void
reset_ids_in_child(void)
{
    for (unsigned i = 0; i < THREAD_ID_MAX / WORD_BITS; i++) {
        atomic_store_explicit(&ids[i], 0, memory_order_relaxed);
    }
    unsigned next = thread_id_next;
    if (next != 0 && next - 1 != ID_SHARED) {
        uint64_t bit = (uint64_t)1 << ((next - 1) % WORD_BITS);
        atomic_store_explicit(
            &ids[(next - 1) / WORD_BITS], bit, memory_order_relaxed);
    }
}

static void
make_key(void)
{
    fork_init();
    fork_on_child(reset_ids_in_child);
    has_key = pthread_key_create(&key, end_thread) == 0;
}

/* Early: the first keys need no memory for their values. */
__attribute__((constructor)) static void
init_at_load(void)
{
    pthread_once(&key_once, make_key);
}

unsigned
thread_id_take(void)
{
    pthread_once(&key_once, make_key);
    bool own = !self.exiting && arm();

    if (!own) {
        free_id(); /* one that was taken inside arm() */
        thread_id_next = ID_SHARED + 1;
    } else if (thread_id_next == 0) {
        thread_id_next = find_id() + 1;
    }
    return thread_id_next - 1;
}

bool
thread_on_exit(thread_exit_fn *fn, void *arg)
{
    pthread_once(&key_once, make_key);
    if (self.exiting || !arm()) {
        return false;
    }
    for (unsigned i = 0; i < self.hook_count; i++) {
        if (self.hooks[i].fn == fn && self.hooks[i].arg == arg) {
            return true;
        }
    }
    if (self.hook_count == THREAD_HOOKS_MAX) {
        return false;
    }
    self.hooks[self.hook_count++] = (struct hook){fn, arg};
    return true;
}
