/*
 * litmus.c - small programs whose outcomes C11 decides (contract: litmus.h)
 *
 * This file is compiled as a target is, with the instrumentation. Names follow
 * the literature: MP message passing, SB store buffering, LB load buffering,
 * IRIW independent reads of independent writes, WRC write to read causality,
 * CoRR coherence of two reads, 2+2W two stores each in opposite orders.
 */
#include "observe/litmus.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RELAXED memory_order_relaxed
#define ACQUIRE memory_order_acquire
#define RELEASE memory_order_release
#define ACQ_REL memory_order_acq_rel
#define SEQ_CST memory_order_seq_cst

int litmus_results[LITMUS_RESULTS];

static _Atomic int x, y, z;
static int plain;
static pthread_mutex_t mutex_a = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t mutex_b = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

#define SET(location, value, order)                                            \
    atomic_store_explicit(&(location), value, order)
#define GET(location, order) atomic_load_explicit(&(location), order)

/* MP: T0 writes x, then y; T1 reads y, then x. */
#define MP(name, store_order, load_order)                                      \
    static void name(unsigned thread)                                          \
    {                                                                          \
        if (thread == 0) {                                                     \
            SET(x, 1, RELAXED);                                                \
            SET(y, 1, store_order);                                            \
        } else {                                                               \
            litmus_results[0] = GET(y, load_order);                            \
            litmus_results[1] = GET(x, RELAXED);                               \
        }                                                                      \
    }
MP(mp_relaxed, RELAXED, RELAXED)
MP(mp_release_only, RELEASE, RELAXED)
MP(mp_acquire_only, RELAXED, ACQUIRE)
MP(mp_release_acquire, RELEASE, ACQUIRE)

static void
mp_fences(unsigned thread)
{
    if (thread == 0) {
        SET(x, 1, RELAXED);
        atomic_thread_fence(RELEASE);
        SET(y, 1, RELAXED);
    } else {
        litmus_results[0] = GET(y, RELAXED);
        atomic_thread_fence(ACQUIRE);
        litmus_results[1] = GET(x, RELAXED);
    }
}

/* The same with a plain message: a race unless ordered. */
#define MP_PLAIN(name, store_order, load_order)                                \
    static void name(unsigned thread)                                          \
    {                                                                          \
        if (thread == 0) {                                                     \
            plain = 1;                                                         \
            SET(y, 1, store_order);                                            \
        } else if (GET(y, load_order) == 1) {                                  \
            litmus_results[0] = 1 + plain;                                     \
        }                                                                      \
    }
MP_PLAIN(mp_plain_relaxed, RELAXED, RELAXED)
MP_PLAIN(mp_plain_lost_release, RELAXED, ACQUIRE)
MP_PLAIN(mp_plain_lost_acquire, RELEASE, RELAXED)
MP_PLAIN(mp_plain, RELEASE, ACQUIRE)

static void
mp_plain_fences(unsigned thread)
{
    if (thread == 0) {
        plain = 1;
        atomic_thread_fence(RELEASE);
        SET(y, 1, RELAXED);
    } else if (GET(y, RELAXED) == 1) {
        atomic_thread_fence(ACQUIRE);
        litmus_results[0] = 1 + plain;
    }
}

/* SB: each thread writes one location and reads the other. */
#define SB(name, store_order, load_order, fence)                               \
    static void name(unsigned thread)                                          \
    {                                                                          \
        _Atomic int *mine = thread == 0 ? &x : &y;                             \
        _Atomic int *other = thread == 0 ? &y : &x;                            \
        SET(*mine, 1, store_order);                                            \
        fence;                                                                 \
        litmus_results[thread] = GET(*other, load_order);                      \
    }
SB(sb_relaxed, RELAXED, RELAXED, (void)0)
SB(sb_release_acquire, RELEASE, ACQUIRE, (void)0)
SB(sb_seq_cst, SEQ_CST, SEQ_CST, (void)0)
SB(sb_fences, RELAXED, RELAXED, atomic_thread_fence(SEQ_CST))
SB(sb_weak_fences, RELAXED, RELAXED, atomic_thread_fence(ACQ_REL))

/* LB: each thread reads one location and writes the other. */
static void
lb_relaxed(unsigned thread)
{
    litmus_results[thread] = GET(*(thread == 0 ? &x : &y), RELAXED);
    SET(*(thread == 0 ? &y : &x), 1, RELAXED);
}

/* IRIW: T0 and T1 write, T2 and T3 read both in opposite orders. */
#define IRIW(name, store_order, load_order, fence)                             \
    static void name(unsigned thread)                                          \
    {                                                                          \
        if (thread < 2) {                                                      \
            SET(*(thread == 0 ? &x : &y), 1, store_order);                     \
            return;                                                            \
        }                                                                      \
        _Atomic int *first = thread == 2 ? &x : &y;                            \
        _Atomic int *second = thread == 2 ? &y : &x;                           \
        unsigned at = (thread - 2) * 2;                                        \
        litmus_results[at] = GET(*first, load_order);                          \
        fence;                                                                 \
        litmus_results[at + 1] = GET(*second, load_order);                     \
    }
IRIW(iriw_acquire, RELEASE, ACQUIRE, (void)0)
IRIW(iriw_seq_cst, SEQ_CST, SEQ_CST, (void)0)
IRIW(iriw_fences, RELAXED, RELAXED, atomic_thread_fence(SEQ_CST))

/* WRC: T1 sees T0's write and passes it on; T2 sees T1's. */
static void
wrc(unsigned thread)
{
    if (thread == 0) {
        SET(x, 1, RELAXED);
    } else if (thread == 1) {
        litmus_results[0] = GET(x, RELAXED);
        SET(y, 1, RELEASE);
    } else {
        litmus_results[1] = GET(y, ACQUIRE);
        litmus_results[2] = GET(x, RELAXED);
    }
}

static void
corr(unsigned thread)
{
    if (thread == 0) {
        SET(x, 1, RELAXED);
        SET(x, 2, RELAXED);
    } else {
        litmus_results[0] = GET(x, RELAXED);
        litmus_results[1] = GET(x, RELAXED);
    }
}

static void
two_plus_two_w(unsigned thread)
{
    SET(*(thread == 0 ? &x : &y), 1, RELAXED);
    SET(*(thread == 0 ? &y : &x), 2, RELAXED);
}

/* Release sequences: T1 acquires from a store after the releasing one. */
static void
sequence_by_rmw(unsigned thread)
{
    if (thread == 0) {
        plain = 1;
        SET(y, 1, RELEASE);
    } else if (thread == 1) {
        int one = 1;
        atomic_compare_exchange_strong_explicit(&y, &one, 2, RELAXED, RELAXED);
    } else if (GET(y, ACQUIRE) == 2) {
        litmus_results[0] = 1 + plain;
    }
}

static void
sequence_by_same_thread(unsigned thread)
{
    if (thread == 0) {
        plain = 1;
        SET(y, 1, RELEASE);
        SET(y, 2, RELAXED);
    } else if (GET(y, ACQUIRE) == 2) {
        litmus_results[0] = 1 + plain;
    }
}

static void
sequence_broken(unsigned thread)
{
    if (thread == 0) {
        plain = 1;
        SET(y, 1, RELEASE);
    } else if (thread == 1) {
        if (GET(y, RELAXED) == 1) {
            SET(y, 2, RELAXED);
        }
    } else if (GET(y, ACQUIRE) == 2) {
        litmus_results[0] = 1 + plain;
    }
}

/* T0's second store follows T1's, so it is in no sequence of T0's first. */
static void
sequence_resumed(unsigned thread)
{
    if (thread == 0) {
        plain = 1;
        SET(y, 1, RELEASE);
        if (GET(y, RELAXED) == 2) {
            SET(y, 3, RELAXED);
        }
    } else if (thread == 1) {
        if (GET(y, RELAXED) == 1) {
            SET(y, 2, RELAXED);
        }
    } else if (GET(y, ACQUIRE) == 3) {
        litmus_results[0] = 1 + plain;
    }
}

/* Fences with no partner, and fences with another kind of partner. */
#define FENCES(name, before, after, load_order, acquire)                       \
    static void name(unsigned thread)                                          \
    {                                                                          \
        if (thread == 0) {                                                     \
            plain = 1;                                                         \
            before;                                                            \
            SET(y, 1, RELAXED);                                                \
            after;                                                             \
        } else if (GET(y, load_order) == 1) {                                  \
            acquire;                                                           \
            litmus_results[0] = 1 + plain;                                     \
        }                                                                      \
    }
#define FENCE(order) atomic_thread_fence(order)
FENCES(fence_release_only, FENCE(RELEASE), (void)0, RELAXED, (void)0)
FENCES(fence_acquire_only, (void)0, (void)0, RELAXED, FENCE(ACQUIRE))
FENCES(fence_too_late, (void)0, FENCE(RELEASE), ACQUIRE, (void)0)
FENCES(fence_of_acquire, FENCE(ACQUIRE), (void)0, ACQUIRE, (void)0)
FENCES(fence_and_load, FENCE(RELEASE), (void)0, ACQUIRE, (void)0)

static void
fence_and_rmw(unsigned thread)
{
    if (thread == 0) {
        plain = 1;
        FENCE(RELEASE);
        SET(y, 1, RELAXED);
    } else if (thread == 1) {
        int one = 1;
        atomic_compare_exchange_strong_explicit(&y, &one, 2, RELAXED, RELAXED);
    } else if (GET(y, RELAXED) == 2) {
        FENCE(ACQUIRE);
        litmus_results[0] = 1 + plain;
    }
}

/* SB with exchanges for stores; with one fence; with a fence in one thread and
 * seq_cst accesses in the other. */
static void
sb_exchanges(unsigned thread)
{
    atomic_exchange_explicit(thread == 0 ? &x : &y, 1, SEQ_CST);
    litmus_results[thread] = GET(*(thread == 0 ? &y : &x), SEQ_CST);
}

static void
sb_one_fence(unsigned thread)
{
    SET(*(thread == 0 ? &x : &y), 1, RELAXED);
    if (thread == 0) {
        FENCE(SEQ_CST);
    }
    litmus_results[thread] = GET(*(thread == 0 ? &y : &x), RELAXED);
}

static void
sb_fence_and_seq_cst(unsigned thread)
{
    if (thread == 0) {
        SET(x, 1, RELAXED);
        FENCE(SEQ_CST);
        litmus_results[0] = GET(y, RELAXED);
    } else {
        SET(y, 1, SEQ_CST);
        litmus_results[1] = GET(x, SEQ_CST);
    }
}

/* The lock hands plain data on, whoever takes it and how. */
static void
handed_on(unsigned thread)
{
    int failed = thread == 2 ? pthread_mutex_trylock(&mutex_a)
                             : pthread_mutex_lock(&mutex_a);
    if (failed == 0) {
        plain++;
        pthread_mutex_unlock(&mutex_a);
    }
}

/* What a destructor did comes before the return of the join. */
static void
write_plain(void *unused)
{
    (void)unused;
    plain = 1;
}

static void *
set_key(void *key)
{
    pthread_setspecific(*(pthread_key_t *)key, key);
    return NULL;
}

static void
destructor_and_join(unsigned thread)
{
    pthread_key_t key;
    pthread_t child;
    (void)thread;
    pthread_key_create(&key, write_plain);
    if (pthread_create(&child, NULL, set_key, &key) == 0) {
        pthread_join(child, NULL);
        litmus_results[0] = plain;
    }
}

/* Dekker's entry: at most one may see that the other has not come. */
#define DEKKER(name, order)                                                    \
    static void name(unsigned thread)                                          \
    {                                                                          \
        _Atomic int *mine = thread == 0 ? &x : &y;                             \
        _Atomic int *other = thread == 0 ? &y : &x;                            \
        SET(*mine, 1, order);                                                  \
        if (GET(*other, order) == 0) {                                         \
            plain++;                                                           \
        }                                                                      \
    }
DEKKER(dekker, SEQ_CST)
DEKKER(dekker_relaxed, RELAXED)

/* Double-checked initialization of `plain`; y says that it is done. */
#define DOUBLE_CHECKED(name, load_order, store_order)                          \
    static void name(unsigned thread)                                          \
    {                                                                          \
        if (GET(y, load_order) == 0) {                                         \
            pthread_mutex_lock(&mutex_a);                                      \
            if (GET(y, RELAXED) == 0) {                                        \
                plain = 7;                                                     \
                SET(y, 1, store_order);                                        \
            }                                                                  \
            pthread_mutex_unlock(&mutex_a);                                    \
        }                                                                      \
        litmus_results[thread] = plain;                                        \
    }
DOUBLE_CHECKED(double_checked, ACQUIRE, RELEASE)
DOUBLE_CHECKED(double_checked_relaxed, RELAXED, RELEASE)

/* Spinlocks around a plain counter. */
static void
spinlock(unsigned thread)
{
    (void)thread;
    while (atomic_exchange_explicit(&x, 1, ACQUIRE) == 1) {
    }
    plain++;
    litmus_results[0] = plain;
    SET(x, 0, RELEASE);
}

static void
spinlock_check_then_set(unsigned thread)
{
    (void)thread;
    while (GET(x, ACQUIRE) == 1) {
    }
    SET(x, 1, RELAXED);
    plain++;
    litmus_results[0] = plain;
    SET(x, 0, RELEASE);
}

static void
spinlock_lost_release(unsigned thread)
{
    (void)thread;
    while (atomic_exchange_explicit(&x, 1, ACQUIRE) == 1) {
    }
    plain++;
    litmus_results[0] = plain;
    SET(x, 0, RELAXED);
}

static void
spin_for_ever(unsigned thread)
{
    if (thread == 0) {
        while (GET(x, ACQUIRE) == 0) {
        }
    }
}

/* A futex handshake; the wrong one checks before it says that it waits. */
static void
wait_on(_Atomic int *word, int expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void
wake(_Atomic int *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void
handshake(unsigned thread)
{
    if (thread == 0) {
        while (GET(x, ACQUIRE) == 0) {
            wait_on(&x, 0);
        }
    } else {
        SET(x, 1, RELEASE);
        wake(&x);
    }
}

static void
handshake_lost_wake(unsigned thread)
{
    if (thread == 0) {
        if (GET(x, ACQUIRE) == 0) {
            SET(y, 1, RELAXED);
            wait_on(&y, 1); /* nobody changes y: the wake may be over */
        }
    } else {
        SET(x, 1, RELEASE);
        wake(&y);
    }
}

static void
condition(unsigned thread)
{
    pthread_mutex_lock(&mutex_a);
    if (thread == 0) {
        while (plain == 0) {
            pthread_cond_wait(&cond, &mutex_a);
        }
        litmus_results[0] = plain;
    } else {
        plain = 1;
        pthread_cond_signal(&cond);
    }
    pthread_mutex_unlock(&mutex_a);
}

static void
lock_inversion(unsigned thread)
{
    pthread_mutex_t *first = thread == 0 ? &mutex_a : &mutex_b;
    pthread_mutex_t *second = thread == 0 ? &mutex_b : &mutex_a;
    pthread_mutex_lock(first);
    pthread_mutex_lock(second);
    plain++;
    pthread_mutex_unlock(second);
    pthread_mutex_unlock(first);
}

/*
 * ABA on Treiber's stack: T0 pops one node; T1 pops two and pushes the first
 * back. The head then points at a node that T1 has.
 */
struct node {
    _Atomic(struct node *) next;
    _Atomic int holders;
};

/* A head and its generation, swapped as one. */
struct head {
    struct node *top;
    uintptr_t generation;
};
static struct node nodes[3];
static _Atomic(struct node *) top;
static _Atomic(__int128) tagged_top;

static void
set_up_nodes(void)
{
    for (int i = 0; i < 2; i++) {
        atomic_store_explicit(&nodes[i].next, &nodes[i + 1], RELAXED);
    }
}

/* What stands on the stack before the threads run. */
static void
start_stack(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up_nodes);
}

static void
hold(unsigned thread, struct node *node)
{
    if (node != NULL) {
        int before = atomic_fetch_add_explicit(&node->holders, 1, RELAXED);
        litmus_results[thread] += before > 0; /* two hold it */
    }
}

static void
drop(struct node *node)
{
    atomic_fetch_sub_explicit(&node->holders, 1, RELAXED);
}

/* The stack starts as 0 -> 1 -> 2, written by whoever comes first. */
static struct node *
aba_top(void)
{
    struct node *none = NULL;
    start_stack();
    if (GET(x, ACQUIRE) == 0) {
        int zero = 0;
        if (atomic_compare_exchange_strong_explicit(
                &top, &none, &nodes[0], ACQ_REL, ACQUIRE)) {
            atomic_compare_exchange_strong_explicit(
                &x, &zero, 1, RELEASE, RELAXED);
        }
    }
    return atomic_load_explicit(&top, ACQUIRE);
}

static struct node *
aba_pop(void)
{
    struct node *node = aba_top();
    while (node != NULL) {
        struct node *next = atomic_load_explicit(&node->next, RELAXED);
        if (atomic_compare_exchange_strong_explicit(
                &top, &node, next, ACQ_REL, ACQUIRE)) {
            break;
        }
    }
    return node;
}

static void
aba_push(struct node *node)
{
    struct node *seen = atomic_load_explicit(&top, RELAXED);
    do {
        atomic_store_explicit(&node->next, seen, RELAXED);
    } while (!atomic_compare_exchange_strong_explicit(
        &top, &seen, node, RELEASE, RELAXED));
}

static void
treiber_aba(unsigned thread)
{
    struct node *first = aba_pop();
    if (thread == 0) {
        hold(thread, first);
        hold(thread, aba_pop());
    } else if (first != NULL) {
        hold(thread, first);
        hold(thread, aba_pop());
        drop(first);
        aba_push(first);
    }
}

static struct head
head_of(__int128 bits)
{
    union {
        __int128 bits;
        struct head head;
    } both = {.bits = bits};
    return both.head;
}

static __int128
bits_of(struct node *node, uintptr_t generation)
{
    union {
        struct head head;
        __int128 bits;
    } both = {.head = {node, generation}};
    return both.bits;
}

static void
tagged_start(void)
{
    __int128 none = 0;
    start_stack();
    atomic_compare_exchange_strong_explicit(
        &tagged_top, &none, bits_of(&nodes[0], 1), ACQ_REL, ACQUIRE);
}

static struct node *
tagged_pop(void)
{
    __int128 seen = atomic_load_explicit(&tagged_top, ACQUIRE);
    for (;;) {
        struct head head = head_of(seen);
        if (head.top == NULL) {
            return NULL;
        }
        struct node *next = atomic_load_explicit(&head.top->next, RELAXED);
        if (atomic_compare_exchange_strong_explicit(&tagged_top, &seen,
                bits_of(next, head.generation + 1), ACQ_REL, ACQUIRE)) {
            return head.top;
        }
    }
}

static void
tagged_push(struct node *node)
{
    __int128 seen = atomic_load_explicit(&tagged_top, RELAXED);
    do {
        atomic_store_explicit(&node->next, head_of(seen).top, RELAXED);
    } while (!atomic_compare_exchange_strong_explicit(&tagged_top, &seen,
        bits_of(node, head_of(seen).generation + 1), RELEASE, RELAXED));
}

static void
treiber_tagged(unsigned thread)
{
    tagged_start();
    struct node *first = tagged_pop();
    if (thread == 0) {
        hold(thread, first);
        hold(thread, tagged_pop());
    } else if (first != NULL) {
        hold(thread, first);
        hold(thread, tagged_pop());
        drop(first);
        tagged_push(first);
    }
}

/* Neighbours of one byte in one word: no race. */
static void
neighbours(unsigned thread)
{
    static char bytes[8];
    bytes[thread] = 1;
    bytes[thread] = (char)(bytes[thread] + 1);
    litmus_results[thread] = bytes[thread];
}

/* A location accessed in two sizes. */
static void
mixed_sizes(unsigned thread)
{
    static _Atomic uint64_t both;
    if (thread == 0) {
        plain = 1;
        atomic_store_explicit(&both, 0x100000001u, RELEASE);
    } else {
        _Atomic uint32_t *half = (_Atomic uint32_t *)(void *)&both;
        if (atomic_load_explicit(half, ACQUIRE) == 1) {
            litmus_results[0] = 1 + plain;
        }
    }
}

static void
count(unsigned thread)
{
    for (int i = 0; i < 2; i++) {
        int value = atomic_fetch_add_explicit(&x, 1, RELAXED) + 1;
        if (value > GET(z, RELAXED)) {
            SET(z, value, RELAXED);
        }
    }
    litmus_results[thread] = GET(x, SEQ_CST) > 0;
}

/* Reads of one plain variable by all, then a write by one: race. */
static void
shared_reads(unsigned thread)
{
    litmus_results[thread] = plain;
    if (thread == 2) {
        plain = 1;
    }
}

long litmus_words[LITMUS_TOUCHED];

void
litmus_touch(int rounds, bool anew)
{
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < LITMUS_TOUCHED; i++) {
            litmus_words[i] = round;
        }
        if (anew) {
            SET(x, round, RELEASE);
        }
    }
}

void
litmus_count(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        atomic_fetch_add_explicit(&x, 1, RELAXED);
    }
}

#define LITMUS(name, threads)                                                  \
    {                                                                          \
#        name, threads, name                                                   \
    }
const struct litmus litmus_all[] = {
    LITMUS(mp_relaxed, 2),
    LITMUS(mp_release_only, 2),
    LITMUS(mp_acquire_only, 2),
    LITMUS(mp_release_acquire, 2),
    LITMUS(mp_fences, 2),
    LITMUS(mp_plain_relaxed, 2),
    LITMUS(mp_plain_lost_release, 2),
    LITMUS(mp_plain_lost_acquire, 2),
    LITMUS(mp_plain, 2),
    LITMUS(mp_plain_fences, 2),
    LITMUS(sb_relaxed, 2),
    LITMUS(sb_release_acquire, 2),
    LITMUS(sb_seq_cst, 2),
    LITMUS(sb_fences, 2),
    LITMUS(sb_weak_fences, 2),
    LITMUS(lb_relaxed, 2),
    LITMUS(iriw_acquire, 4),
    LITMUS(iriw_seq_cst, 4),
    LITMUS(iriw_fences, 4),
    LITMUS(wrc, 3),
    LITMUS(corr, 2),
    LITMUS(two_plus_two_w, 2),
    LITMUS(sequence_by_rmw, 3),
    LITMUS(sequence_by_same_thread, 2),
    LITMUS(sequence_broken, 3),
    LITMUS(sequence_resumed, 3),
    LITMUS(fence_release_only, 2),
    LITMUS(fence_acquire_only, 2),
    LITMUS(fence_too_late, 2),
    LITMUS(fence_of_acquire, 2),
    LITMUS(fence_and_load, 2),
    LITMUS(fence_and_rmw, 3),
    LITMUS(sb_exchanges, 2),
    LITMUS(sb_one_fence, 2),
    LITMUS(sb_fence_and_seq_cst, 2),
    LITMUS(handed_on, 3),
    LITMUS(destructor_and_join, 1),
    LITMUS(dekker, 2),
    LITMUS(dekker_relaxed, 2),
    LITMUS(double_checked, 3),
    LITMUS(double_checked_relaxed, 2),
    LITMUS(spinlock, 3),
    LITMUS(spinlock_check_then_set, 2),
    LITMUS(spinlock_lost_release, 2),
    LITMUS(spin_for_ever, 2),
    LITMUS(handshake, 2),
    LITMUS(handshake_lost_wake, 2),
    LITMUS(condition, 2),
    LITMUS(lock_inversion, 2),
    LITMUS(treiber_aba, 2),
    LITMUS(treiber_tagged, 2),
    LITMUS(neighbours, 3),
    LITMUS(mixed_sizes, 2),
    LITMUS(count, 3),
    LITMUS(shared_reads, 3),
    {NULL, 0, NULL},
};
