/*
 * toys.c - small allocators, right and wrong (contract: toys.h)
 *
 * A pool of cells is mapped at the first call. A cell is a header and a block;
 * free cells form a stack through their headers. The toys differ in how they
 * guard that stack.
 */
#include "run/toys.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CELLS 64

struct cell {
    _Atomic(struct cell *) next;
    uintptr_t pad;
    char block[TOY_BLOCK];
};

/* A stack with a generation, swapped as one. */
struct top {
    struct cell *cell;
    uintptr_t generation;
};
union top_bits {
    struct top top;
    unsigned __int128 bits;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t other_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct cell *pool;
static struct cell *first;         /* of the free ones, under a lock */
static _Atomic(struct cell *) top; /* of the free ones, without */
static _Atomic(unsigned __int128) tagged_top;
static _Atomic int spin;
static _Atomic int word; /* the futex lock: 0 free, 1 held, 2 waited for */
static int calls;

/* Cells, linked; NULL when the OS has none. */
static struct cell *
map_pool(void)
{
    void *addr = mmap(NULL, CELLS * sizeof(struct cell), PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (addr == MAP_FAILED) {
        return NULL;
    }
    struct cell *cells = addr;
    for (int i = 0; i + 1 < CELLS; i++) {
        atomic_store_explicit(
            &cells[i].next, &cells[i + 1], memory_order_relaxed);
    }
    return cells;
}

static bool
fill(void)
{
    struct cell *cells = map_pool();
    if (cells == NULL) {
        return false;
    }
    first = cells;
    pool = cells;
    return true;
}

static struct cell *
cell_of(void *block)
{
    return (
        struct cell *)(void *)((char *)block - offsetof(struct cell, block));
}

static void *
block_of(struct cell *cell)
{
    if (cell == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    return cell->block;
}

static void *
pop(void)
{
    if (pool == NULL && !fill()) {
        errno = ENOMEM;
        return NULL;
    }
    struct cell *cell = first;
    if (cell != NULL) {
        first = atomic_load_explicit(&cell->next, memory_order_relaxed);
    }
    return block_of(cell);
}

static void
push(void *block)
{
    struct cell *cell = cell_of(block);
    atomic_store_explicit(&cell->next, first, memory_order_relaxed);
    first = cell;
}

typedef void *take_fn(struct heap *heap, size_t size);

static void *
take_zeroed(take_fn *take, struct heap *heap, size_t count, size_t size)
{
    bool fits = count <= TOY_BLOCK && count * size <= TOY_BLOCK;
    char *block = fits ? take(heap, count * size) : block_of(NULL);
    for (size_t i = 0; block != NULL && i < count * size; i++) {
        block[i] = 0;
    }
    return block;
}

/* A block has room for all sizes that there are. */
static void *
resize(take_fn *take, struct heap *heap, void *block, size_t size)
{
    return size > TOY_BLOCK ? block_of(NULL)
           : block != NULL  ? block
                            : take(heap, size);
}

#define TOY(toy, take, give, is_signal_safe)                                   \
    static void *toy##_malloc(struct heap *heap, size_t size)                  \
    {                                                                          \
        return size <= TOY_BLOCK ? take(heap, size) : block_of(NULL);          \
    }                                                                          \
    static void *toy##_calloc(struct heap *heap, size_t count, size_t size)    \
    {                                                                          \
        return take_zeroed(take, heap, count, size);                           \
    }                                                                          \
    static void *toy##_realloc(struct heap *heap, void *block, size_t size)    \
    {                                                                          \
        return resize(take, heap, block, size);                                \
    }                                                                          \
    static void *toy##_memalign(struct heap *heap, size_t align, size_t size)  \
    {                                                                          \
        bool fits = align <= 16 && size <= TOY_BLOCK;                          \
        return fits ? take(heap, size) : block_of(NULL);                       \
    }                                                                          \
    const struct alloc_ops toy = {                                             \
        .name = #toy,                                                          \
        .signal_safe = is_signal_safe,                                         \
        .malloc = toy##_malloc,                                                \
        .calloc = toy##_calloc,                                                \
        .realloc = toy##_realloc,                                              \
        .memalign = toy##_memalign,                                            \
        .free = give,                                                          \
    }

/*
 * One mutex.
 */

static void
lock_all(void)
{
    pthread_mutex_lock(&mutex);
}

static void
unlock_all(void)
{
    pthread_mutex_unlock(&mutex);
}

static void
register_fork(void)
{
    pthread_atfork(lock_all, unlock_all, unlock_all);
}

static void *
take_locked(struct heap *heap, size_t size)
{
    (void)heap;
    (void)size;
    pthread_once(&once, register_fork);
    pthread_mutex_lock(&mutex);
    void *block = pop();
    pthread_mutex_unlock(&mutex);
    return block;
}

static void
give_locked(struct heap *heap, void *block)
{
    (void)heap;
    if (block != NULL) {
        pthread_mutex_lock(&mutex);
        push(block);
        pthread_mutex_unlock(&mutex);
    }
}

TOY(toy_locked, take_locked, give_locked, false);
TOY(toy_signal, take_locked, give_locked, true);

static void *
take_without_atfork(struct heap *heap, size_t size)
{
    (void)heap;
    (void)size;
    pthread_mutex_lock(&mutex);
    void *block = pop();
    pthread_mutex_unlock(&mutex);
    return block;
}

TOY(toy_no_atfork, take_without_atfork, give_locked, false);

static void *
take_keeping_lock(struct heap *heap, size_t size)
{
    (void)heap;
    (void)size;
    pthread_mutex_lock(&mutex);
    void *block = pop();
    if (block == NULL) {
        return NULL; /* the lock stays */
    }
    pthread_mutex_unlock(&mutex);
    return block;
}

TOY(toy_oom, take_keeping_lock, give_locked, false);

static void *
take_by_clock(struct heap *heap, size_t size)
{
    void *block = take_locked(heap, size);
    if (__builtin_readcyclecounter() / 64 % 2 == 0) {
        pthread_mutex_lock(&mutex);
        calls++;
        pthread_mutex_unlock(&mutex);
    }
    return block;
}

TOY(toy_clock, take_by_clock, give_locked, false);

/*
 * No lock, or one too few.
 */

static void *
take_unlocked(struct heap *heap, size_t size)
{
    (void)heap;
    (void)size;
    return pop();
}

static void
give_unlocked(struct heap *heap, void *block)
{
    (void)heap;
    if (block != NULL) {
        push(block);
    }
}

TOY(toy_no_lock, take_unlocked, give_unlocked, false);

static void *
take_lazily(struct heap *heap, size_t size)
{
    (void)heap;
    (void)size;
    if (pool == NULL) { /* not under the lock */
        pthread_mutex_lock(&mutex);
        if (pool == NULL) {
            fill();
        }
        pthread_mutex_unlock(&mutex);
    }
    return take_locked(heap, size);
}

TOY(toy_lazy_init, take_lazily, give_locked, false);

/*
 * Two mutexes, in both orders.
 */

static void *
take_in_order(struct heap *heap, size_t size)
{
    pthread_mutex_lock(&other_mutex);
    void *block = take_locked(heap, size);
    pthread_mutex_unlock(&other_mutex);
    return block;
}

static void
give_against_order(struct heap *heap, void *block)
{
    (void)heap;
    if (block != NULL) {
        pthread_mutex_lock(&mutex);
        pthread_mutex_lock(&other_mutex);
        push(block);
        pthread_mutex_unlock(&other_mutex);
        pthread_mutex_unlock(&mutex);
    }
}

TOY(toy_inversion, take_in_order, give_against_order, false);

/*
 * A spinlock.
 */

static void
spin_lock(memory_order order)
{
    while (atomic_exchange_explicit(&spin, 1, order) == 1) {
    }
}

#define SPIN_TOY(name, lock_order, unlock_order)                               \
    static void *take_##name(struct heap *heap, size_t size)                   \
    {                                                                          \
        (void)heap;                                                            \
        (void)size;                                                            \
        spin_lock(lock_order);                                                 \
        void *block = pop();                                                   \
        atomic_store_explicit(&spin, 0, unlock_order);                         \
        return block;                                                          \
    }                                                                          \
    static void give_##name(struct heap *heap, void *block)                    \
    {                                                                          \
        (void)heap;                                                            \
        if (block != NULL) {                                                   \
            spin_lock(lock_order);                                             \
            push(block);                                                       \
            atomic_store_explicit(&spin, 0, unlock_order);                     \
        }                                                                      \
    }                                                                          \
    TOY(toy_##name, take_##name, give_##name, false)

SPIN_TOY(spin, memory_order_acquire, memory_order_release);
SPIN_TOY(lost_release, memory_order_acquire, memory_order_relaxed);
SPIN_TOY(lost_acquire, memory_order_relaxed, memory_order_release);

static void *
take_and_keep(struct heap *heap, size_t size)
{
    (void)heap;
    spin_lock(memory_order_acquire);
    void *block = pop();
    if (size != TOY_BLOCK) { /* forgets it for blocks that fill their cell */
        atomic_store_explicit(&spin, 0, memory_order_release);
    }
    return block;
}

TOY(toy_kept_lock, take_and_keep, give_spin, false);

/*
 * A futex lock whose unlock wakes nobody, if it is quick.
 */

static void
futex_lock(void)
{
    int seen = 0;
    int error = errno;
    while (!atomic_compare_exchange_strong(&word, &seen, 1)) {
        if (seen == 1) {
            atomic_store(&word, 2); /* maybe it has just been unlocked */
        }
        syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
        seen = 0;
    }
    errno = error;
}

static void
futex_unlock(void)
{
    if (atomic_exchange(&word, 0) == 2) {
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void *
take_by_futex(struct heap *heap, size_t size)
{
    (void)heap;
    (void)size;
    futex_lock();
    void *block = pop();
    futex_unlock();
    return block;
}

static void
give_by_futex(struct heap *heap, void *block)
{
    (void)heap;
    if (block != NULL) {
        futex_lock();
        push(block);
        futex_unlock();
    }
}

TOY(toy_lost_wake, take_by_futex, give_by_futex, false);

/*
 * Treiber's stack, without a lock.
 */

static void
fill_top(void)
{
    fill();
    atomic_store_explicit(&top, first, memory_order_release);
}

static void *
take_untagged(struct heap *heap, size_t size)
{
    (void)heap;
    (void)size;
    pthread_once(&once, fill_top);
    struct cell *cell = atomic_load_explicit(&top, memory_order_acquire);
    while (cell != NULL) {
        struct cell *next =
            atomic_load_explicit(&cell->next, memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(&top, &cell, next,
                memory_order_acq_rel, memory_order_acquire)) {
            break;
        }
    }
    return block_of(cell);
}

static void
give_untagged(struct heap *heap, void *block)
{
    (void)heap;
    if (block == NULL) {
        return;
    }
    struct cell *cell = cell_of(block);
    struct cell *seen = atomic_load_explicit(&top, memory_order_relaxed);
    do {
        atomic_store_explicit(&cell->next, seen, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(
        &top, &seen, cell, memory_order_release, memory_order_relaxed));
}

TOY(toy_aba, take_untagged, give_untagged, false);

/* The first call brings the cells: until then the generation is 0. Whoever
 * comes second gives its own back. */
static void
start_tagged(union top_bits *seen)
{
    const union top_bits wanted = {.top = {map_pool(), 1}};
    if (wanted.top.cell != NULL &&
        atomic_compare_exchange_strong_explicit(&tagged_top, &seen->bits,
            wanted.bits, memory_order_acq_rel, memory_order_acquire)) {
        *seen = wanted;
    } else if (wanted.top.cell != NULL) {
        munmap(wanted.top.cell, CELLS * sizeof(struct cell));
    }
}

static void *
take_tagged(struct heap *heap, size_t size)
{
    (void)heap;
    (void)size;
    union top_bits seen, wanted;
    seen.bits = atomic_load_explicit(&tagged_top, memory_order_acquire);
    if (seen.top.generation == 0) {
        start_tagged(&seen);
    }
    while (seen.top.cell != NULL) {
        wanted.top.cell =
            atomic_load_explicit(&seen.top.cell->next, memory_order_relaxed);
        wanted.top.generation = seen.top.generation + 1;
        if (atomic_compare_exchange_weak_explicit(&tagged_top, &seen.bits,
                wanted.bits, memory_order_acq_rel, memory_order_acquire)) {
            break;
        }
    }
    return block_of(seen.top.cell);
}

static void
give_tagged(struct heap *heap, void *block)
{
    (void)heap;
    if (block == NULL) {
        return;
    }
    union top_bits seen, wanted;
    seen.bits = atomic_load_explicit(&tagged_top, memory_order_relaxed);
    wanted.top.cell = cell_of(block);
    do {
        atomic_store_explicit(
            &wanted.top.cell->next, seen.top.cell, memory_order_relaxed);
        wanted.top.generation = seen.top.generation + 1;
    } while (!atomic_compare_exchange_weak_explicit(&tagged_top, &seen.bits,
        wanted.bits, memory_order_release, memory_order_relaxed));
}

TOY(toy_lockfree, take_tagged, give_tagged, true);

/* Looks at the block that it has just handed out, after the lock. */
static void *
take_and_peek(struct heap *heap, size_t size)
{
    char *block = take_locked(heap, size);
    struct cell *next = NULL;
    if (block != NULL) {
        pthread_mutex_lock(&mutex);
        next = first;
        pthread_mutex_unlock(&mutex);
    }
    if (next != NULL && next->block[0] == 1) { /* maybe a user's by now */
        calls = 0;
    }
    return block;
}

TOY(toy_peek, take_and_peek, give_locked, false);
