/*
 * subject.c - instrumented code that tests run (contract: subject.h)
 */
#include "observe/subject.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EXPECT(condition)                                                      \
    do {                                                                       \
        if (!(condition)) {                                                    \
            return __LINE__;                                                   \
        }                                                                      \
    } while (0)

int subject_value;
_Atomic int subject_order;

/*
 * The calls that the compiler inserts.
 */

struct __attribute__((packed)) packed {
    char first;
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    unsigned __int128 sixteen;
};

struct big {
    long words[40];
};

static uint8_t one;
static uint16_t two;
static uint32_t four;
static uint64_t eight;
static unsigned __int128 sixteen;
static struct packed packed;
static struct big big, other_big;
static __thread long local = 3;

int
abi_plain(void)
{
    one++;
    two = (uint16_t)(two + 2);
    four += 4;
    eight += 8;
    sixteen += 16;
    EXPECT(one == 1 && two == 2 && four == 4 && eight == 8 && sixteen == 16);
    packed.two++;
    packed.four += 2;
    packed.eight += 3;
    packed.sixteen += 4;
    EXPECT(packed.two == 1 && packed.four == 2 && packed.eight == 3);
    EXPECT(packed.sixteen == 4 && packed.first == 0);
    local++;
    EXPECT(local == 4);
    return 0;
}

#define ATOMIC_TEST(type, name)                                                \
    static int test_##name(void)                                               \
    {                                                                          \
        static _Atomic(type) word;                                             \
        type expected = 1;                                                     \
        atomic_store_explicit(&word, 5, memory_order_release);                 \
        EXPECT(atomic_load_explicit(&word, memory_order_acquire) == 5);        \
        EXPECT(atomic_exchange(&word, 6) == 5);                                \
        EXPECT(atomic_fetch_add(&word, 10) == 6);                              \
        EXPECT(atomic_fetch_sub(&word, 1) == 16);                              \
        EXPECT(atomic_fetch_and(&word, 12) == 15);                             \
        EXPECT(atomic_fetch_or(&word, 3) == 12);                               \
        EXPECT(atomic_fetch_xor(&word, 5) == 15);                              \
        EXPECT(__atomic_fetch_nand(                                            \
                   (type *)(void *)&word, 2, __ATOMIC_RELAXED) == 10);         \
        EXPECT(atomic_load(&word) == (type) ~(type)2);                         \
        EXPECT(!atomic_compare_exchange_strong(&word, &expected, 7));          \
        EXPECT(expected == (type) ~(type)2);                                   \
        EXPECT(atomic_compare_exchange_strong(&word, &expected, 7));           \
        while (!atomic_compare_exchange_weak_explicit(&word, &expected, 9,     \
            memory_order_acq_rel, memory_order_relaxed)) {                     \
        }                                                                      \
        EXPECT(word == 9);                                                     \
        return 0;                                                              \
    }
ATOMIC_TEST(uint8_t, 8)
ATOMIC_TEST(uint16_t, 16)
ATOMIC_TEST(uint32_t, 32)
ATOMIC_TEST(uint64_t, 64)

int
abi_atomics(void)
{
    int (*const tests[])(void) = {test_8, test_16, test_32, test_64};
    for (unsigned i = 0; i < 4; i++) {
        int line = tests[i]();
        if (line != 0) {
            return line;
        }
    }
    atomic_thread_fence(memory_order_acquire);
    atomic_thread_fence(memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    atomic_signal_fence(memory_order_seq_cst);
    return 0;
}

int
abi_wide_atomics(void)
{
    static _Atomic(unsigned __int128) word;
    const unsigned __int128 high = (unsigned __int128)1 << 100;
    unsigned __int128 expected = 1;
    atomic_store(&word, high + 5);
    EXPECT(atomic_load(&word) == high + 5);
    EXPECT(atomic_exchange(&word, high) == high + 5);
    EXPECT(atomic_fetch_add(&word, 7) == high);
    EXPECT(atomic_fetch_sub(&word, 1) == high + 7);
    EXPECT(atomic_fetch_or(&word, 1) == high + 6);
    EXPECT(atomic_fetch_and(&word, 5) == high + 7);
    EXPECT(atomic_fetch_xor(&word, 1) == 5);
    EXPECT(!atomic_compare_exchange_strong(&word, &expected, high));
    EXPECT(expected == 4);
    EXPECT(atomic_compare_exchange_strong(&word, &expected, high + 9));
    /* Its halves, as code with a generation beside a pointer reads them. */
    _Atomic(uint64_t) *half = (_Atomic(uint64_t) *)(void *)&word;
    EXPECT(atomic_load(&half[0]) == 9);
    EXPECT(atomic_load(&half[1]) == (uint64_t)1 << 36);
    return 0;
}

int
abi_copies(void)
{
    for (int i = 0; i < 40; i++) {
        big.words[i] = i;
    }
    other_big = big;
    EXPECT(memcmp(&other_big, &big, sizeof(big)) == 0);
    memmove(&big.words[1], &big.words[0], 39 * sizeof(long));
    EXPECT(big.words[39] == 38 && big.words[1] == 0);
    memset(&big, 0xff, sizeof(big) - sizeof(long));
    EXPECT(big.words[38] == -1 && big.words[39] == 38);
    return 0;
}

/*
 * pthreads.
 */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t checking = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key, second_key;
static int plain;

static void
mutexes(unsigned thread)
{
    (void)thread;
    int wrong = 0;
    wrong += pthread_mutex_lock(&recursive) != 0;
    wrong += pthread_mutex_lock(&recursive) != 0;
    wrong += pthread_mutex_unlock(&recursive) != 0;
    wrong += pthread_mutex_unlock(&recursive) != 0;
    wrong += pthread_mutex_lock(&checking) != 0;
    wrong += pthread_mutex_lock(&checking) != EDEADLK;
    wrong += pthread_mutex_unlock(&checking) != 0;
    wrong += pthread_mutex_trylock(&mutex) != 0;
    wrong += pthread_mutex_trylock(&mutex) != EBUSY;
    wrong += pthread_mutex_unlock(&mutex) != 0;
    subject_value = wrong;
}

static void
count_up(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < 3; i++) {
        pthread_mutex_lock(&mutex);
        plain++;
        subject_value = plain;
        pthread_mutex_unlock(&mutex);
    }
}

static void
timed_wait(unsigned thread)
{
    (void)thread;
    struct timespec before, until, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    until = before;
    until.tv_sec += 3600;
    pthread_mutex_lock(&mutex);
    int error = pthread_cond_timedwait(&cond, &mutex, &until);
    pthread_mutex_unlock(&mutex);
    clock_gettime(CLOCK_MONOTONIC, &after);
    subject_value = error == ETIMEDOUT && after.tv_sec >= until.tv_sec;
}

static void
add_one(void)
{
    plain++;
}

static void
run_once(unsigned thread)
{
    (void)thread;
    pthread_once(&once, add_one);
    if (plain != 1) {
        abort();
    }
    subject_order++;
}

/* The first destructor sets both keys again, twice. */
static void
destroy(void *value)
{
    subject_order++;
    if (subject_order < 3) {
        pthread_setspecific(key, value);
    }
}

static void
destructors(unsigned thread)
{
    if (thread == 0) {
        pthread_key_create(&key, destroy);
        pthread_key_create(&second_key, NULL);
        pthread_setspecific(key, &plain);
        pthread_setspecific(second_key, &once);
        subject_value = pthread_getspecific(key) == &plain &&
                        pthread_getspecific(second_key) == &once;
    }
}

static __thread char zeroes[3];
static __thread _Alignas(64) char aligned = 1;
static pthread_t child_self;

static void *
child(void *arg)
{
    plain += *(int *)arg + zeroes[1] + aligned - 1;
    zeroes[1] = aligned = 9;
    child_self = pthread_self();
    if (plain == 12) {
        pthread_exit(&plain);
    }
    return NULL;
}

static void
create_and_join(unsigned thread)
{
    (void)thread;
    pthread_t made;
    void *result;
    int five = 5;
    plain = 7;
    pthread_create(&made, NULL, child, &five);
    pthread_join(made, &result);
    subject_value = result == &plain && plain == 12 && zeroes[1] == 0 &&
                    aligned == 1 && (uintptr_t)&aligned % 64 == 0 &&
                    pthread_equal(child_self, made) &&
                    !pthread_equal(child_self, pthread_self());
}

static void
static_data(unsigned thread)
{
    static int calls = 40;
    static pthread_mutex_t kept = PTHREAD_MUTEX_INITIALIZER;
    (void)thread;
    calls++;
    subject_value = calls + (int)local++;
    pthread_mutex_lock(&kept); /* and never unlocks it */
}

static int
recurse(int depth)
{
    char frame[4096];
    subject_write(frame, sizeof(frame));
    __asm__("" : : "r"(frame) : "memory"); /* the compiler must keep it */
    return depth == 0 ? 0 : recurse(depth - 1) + subject_read(frame);
}

static void
overflow_stack(unsigned thread)
{
    (void)thread;
    subject_value = recurse(1000000);
}

static void
crash(unsigned thread)
{
    (void)thread;
    subject_write((char *)(uintptr_t)8, 1);
}

static void
compute_for_ever(unsigned thread)
{
    while (thread == 0) {
        __asm__("" : "+r"(thread));
    }
}

static void
self_deadlock(unsigned thread)
{
    (void)thread;
    pthread_mutex_lock(&mutex);
    pthread_mutex_lock(&mutex);
}

static void
foreign_unlock(unsigned thread)
{
    if (thread == 0) {
        pthread_mutex_lock(&mutex);
        subject_order = 1;
    } else {
        while (subject_order == 0) {
            sched_yield();
        }
        pthread_mutex_unlock(&mutex);
    }
}

static void
say_and_abort(unsigned thread)
{
    static const char words[] = "malstrom-toy: double free: 0x10\n";
    (void)thread;
    if (write(STDERR_FILENO, words, sizeof(words) - 1) > 0) {
        abort();
    }
}

const struct subject subject_all[] = {
    {"mutexes", 1, mutexes},
    {"count_up", 3, count_up},
    {"timed_wait", 1, timed_wait},
    {"run_once", 3, run_once},
    {"destructors", 1, destructors},
    {"create_and_join", 1, create_and_join},
    {"static_data", 1, static_data},
    {"overflow_stack", 1, overflow_stack},
    {"crash", 1, crash},
    {"compute_for_ever", 1, compute_for_ever},
    {"self_deadlock", 1, self_deadlock},
    {"foreign_unlock", 2, foreign_unlock},
    {"say_and_abort", 1, say_and_abort},
    {NULL, 0, NULL},
};

/*
 * Memory.
 */

char *
subject_map(size_t size)
{
    void *addr = mmap(
        NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return addr == MAP_FAILED ? NULL : addr;
}

void
subject_unmap(char *addr, size_t size)
{
    munmap(addr, size);
}

void
subject_purge(char *addr, size_t size)
{
    madvise(addr, size, MADV_DONTNEED);
}

void
subject_write(char *addr, size_t size)
{
    memset(addr, 1, size);
}

int
subject_read(const char *addr)
{
    return *addr;
}
