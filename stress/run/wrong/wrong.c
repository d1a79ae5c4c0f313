/*
 * wrong.c - small mallocs, each with one bug that malstrom must find
 *
 * One allocator that is correct and as simple as can be, and one thing wrong
 * with it: which one the constant WRONG says, so that each bug is a library of
 * its own. With WRONG_NOTHING there is none, and malstrom must be silent.
 *
 *     | size, class | block ................... |
 *
 * Blocks of up to 64 KiB are of classes, powers of two, and come from free lists
 * over regions; larger ones have mappings of their own. One lock around all. An
 * aligned block lies in a larger one, and its header says how far in.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum wrong {
    WRONG_NOTHING,
    WRONG_OVERLAP,    /* free pushes some blocks twice */
    WRONG_RACE,       /* small classes are popped without the lock */
    WRONG_ALIGNMENT,  /* alignments above a page are a page off */
    WRONG_CONTENT,    /* realloc that moves loses the last eight bytes */
    WRONG_ZEROING,    /* calloc takes recycled pages for fresh ones */
    WRONG_SIZE_SMALL, /* usable_size of large blocks is below the request */
    WRONG_SIZE_LARGE, /* usable_size counts bytes of the next block */
    WRONG_ERRNO_FREE, /* free of some blocks sets errno */
    WRONG_ERRNO_NULL, /* NULL, and errno as it was */
    WRONG_NULL,       /* some sizes are refused */
    WRONG_OVERFLOW,   /* calloc multiplies without a check */
    WRONG_CRASH,      /* realloc unmaps before it copies */
    WRONG_HANG,       /* a walk that does not end */
    WRONG_DEADLOCK,   /* an error path keeps the lock */
    WRONG_FORK,       /* fork does not take the lock */
    WRONG_MISUSE,     /* an integrity check that is itself wrong */
    WRONG_GROWTH      /* large blocks stay mapped when they are freed */
};

static const enum wrong wrong = WRONG;

enum {
    CLASS_MIN_LOG2 = 4,
    CLASS_MAX_LOG2 = 16,
    CLASS_LARGE = 64,  /* size: of the mapping */
    CLASS_ALIGNED = 65 /* size: bytes from the block around it */
};

#define REGION_SIZE ((size_t)1 << 20)
#define PAGE_SIZE   ((size_t)4096)

struct header {
    size_t size;
    size_t class;
};

struct free_block {
    struct free_block *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct free_block *free_lists[CLASS_MAX_LOG2 + 1];
static char *region, *region_end;

static struct header *
header_of(const void *block)
{
    return (struct header *)(uintptr_t)block - 1;
}

static void *
map(size_t size)
{
    void *addr = mmap(
        NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return addr == MAP_FAILED ? NULL : addr;
}

static void *
refuse(void)
{
    if (wrong != WRONG_ERRNO_NULL) {
        errno = ENOMEM;
    }
    return NULL;
}

static size_t
class_of(size_t size)
{
    size_t class = CLASS_MIN_LOG2;
    while (((size_t)1 << class) < size) {
        class ++;
    }
    return class;
}

/* A fresh block of a class, from the region. */
static struct free_block *
carve(size_t class)
{
    size_t size = sizeof(struct header) + ((size_t)1 << class);
    if ((size_t)(region_end - region) < size) {
        region = map(REGION_SIZE + PAGE_SIZE); /* with some slack */
        if (region == NULL) {
            region_end = NULL;
            return NULL;
        }
        region_end = region + REGION_SIZE;
    }
    struct header *header = (struct header *)(void *)region;
    region += size;
    return (struct free_block *)(void *)(header + 1);
}

/* The windows of WRONG_RACE and WRONG_FORK are wide ones, which threads meet in
 * even where they hardly ever run at once. Narrow ones are for explore. */
static void
linger(void)
{
    static _Atomic unsigned visit_count;
    if (atomic_fetch_add(&visit_count, 1) % 16 == 0) {
        sched_yield();
    }
}

static void *
pop(size_t class)
{
    bool locks = wrong != WRONG_RACE || class > 8;
    if (locks) {
        pthread_mutex_lock(&lock);
    }
    struct free_block *block = free_lists[class];
    if (block != NULL) {
        struct free_block *next = block->next;
        if (!locks || wrong == WRONG_FORK) {
            linger();
        }
        free_lists[class] = next;
    } else {
        if (!locks) {
            pthread_mutex_lock(&lock);
        }
        block = carve(class);
        locks = true;
    }
    if (locks) {
        pthread_mutex_unlock(&lock);
    }
    return block;
}

static void *
allocate_large(size_t size)
{
    size_t mapped = (size + PAGE_SIZE + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    pthread_mutex_lock(&lock);
    char *base = map(mapped);
    pthread_mutex_unlock(&lock);
    if (base == NULL) {
        return refuse();
    }
    struct header *header = (struct header *)(void *)(base + PAGE_SIZE) - 1;
    *header = (struct header){mapped, CLASS_LARGE};
    return header + 1;
}

static void *
allocate(size_t size)
{
    if (size > PTRDIFF_MAX - 2 * PAGE_SIZE ||
        (wrong == WRONG_NULL && size >= 1500 && size < 1600)) {
        return refuse();
    }
    if (size > (size_t)1 << CLASS_MAX_LOG2) {
        return allocate_large(size);
    }
    size_t class = class_of(size);
    void *block = pop(class);
    if (block == NULL) {
        return refuse();
    }
    *header_of(block) = (struct header){(size_t)1 << class, class};
    return block;
}

static void
say(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

/* Looks for the block in its own list: a double free. With WRONG_HANG it is
 * there already, and the walk stands still. */
static void
check_double_free(size_t class, const struct free_block *block)
{
    static _Atomic unsigned step_count;
    const struct free_block *at = free_lists[class];
    while (at != NULL) {
        atomic_fetch_add(&step_count, 1);
        at = at == block ? at : at->next;
    }
}

static void
push(size_t class, struct free_block *block)
{
    pthread_mutex_lock(&lock);
    block->next = free_lists[class];
    free_lists[class] = block;
    if (wrong == WRONG_OVERLAP && class == 9) {
        block->next = block;
    }
    if (wrong == WRONG_HANG && class == 11) {
        check_double_free(class, block);
    }
    pthread_mutex_unlock(&lock);
}

/* The block that an aligned one lies in, or itself. */
static void *
outer_block(void *block)
{
    struct header *header = header_of(block);
    return header->class == CLASS_ALIGNED ? (char *)block - header->size
                                          : block;
}

void
free(void *block)
{
    if (block == NULL) {
        return;
    }
    if (wrong == WRONG_MISUSE && outer_block(block) != block &&
        header_of(outer_block(block))->class == 12) {
        say("wrong: free: invalid pointer\n");
        abort();
    }
    block = outer_block(block);
    struct header *header = header_of(block);
    size_t class = header->class;
    int saved_errno = errno;
    if (class != CLASS_LARGE) {
        push(class, block);
    } else if (wrong != WRONG_GROWTH) {
        munmap((char *)block - PAGE_SIZE, header->size);
    }
    errno = wrong == WRONG_ERRNO_FREE && class >= 10 ? EAGAIN : saved_errno;
}

void *
malloc(size_t size)
{
    return allocate(size);
}

size_t
malloc_usable_size(void *block)
{
    if (block == NULL) {
        return 0;
    }
    struct header *outer = header_of(outer_block(block));
    size_t inside = (size_t)((char *)block - (char *)outer_block(block));
    if (outer->class != CLASS_LARGE) {
        return outer->size - inside + (wrong == WRONG_SIZE_LARGE ? 32 : 0);
    }
    size_t usable = outer->size - PAGE_SIZE - inside;
    return wrong == WRONG_SIZE_SMALL ? usable - PAGE_SIZE : usable;
}

void *
calloc(size_t count, size_t size)
{
    size_t product;
    bool overflows = __builtin_mul_overflow(count, size, &product);
    if (wrong == WRONG_DEADLOCK) {
        pthread_mutex_lock(&lock);
    }
    if (overflows && wrong != WRONG_OVERFLOW) {
        return refuse(); /* WRONG_DEADLOCK: and the lock? */
    }
    if (wrong == WRONG_DEADLOCK) {
        pthread_mutex_unlock(&lock);
    }
    void *block = allocate(product);
    bool is_fresh = product > (size_t)1 << CLASS_MAX_LOG2 ||
                    (wrong == WRONG_ZEROING && product >= PAGE_SIZE);
    if (block != NULL && !is_fresh) {
        memset(block, 0, product);
    }
    return block;
}

void *
realloc(void *block, size_t size)
{
    if (block == NULL) {
        return malloc(size);
    }
    size_t old_size = outer_block(block) != block ? malloc_usable_size(block)
                      : header_of(block)->class == CLASS_LARGE
                          ? header_of(block)->size - PAGE_SIZE
                          : header_of(block)->size;
    if (size <= old_size && size > old_size / 2) {
        return block;
    }
    void *fresh = allocate(size);
    if (fresh == NULL) {
        return NULL;
    }
    size_t kept = size < old_size ? size : old_size;
    bool is_large = header_of(block)->class == CLASS_LARGE;
    if (wrong == WRONG_CRASH && is_large) {
        free(block);
    }
    memcpy(fresh, block, wrong == WRONG_CONTENT && kept > 8 ? kept - 8 : kept);
    if (wrong != WRONG_CRASH || !is_large) {
        free(block);
    }
    return fresh;
}

static void *
allocate_aligned(size_t align, size_t size)
{
    if (align <= sizeof(struct header)) {
        return allocate(size);
    }
    size_t off = wrong == WRONG_ALIGNMENT && align > PAGE_SIZE ? PAGE_SIZE : 0;
    size_t room;
    if (__builtin_add_overflow(
            size, align + sizeof(struct header) + off, &room)) {
        return refuse();
    }
    char *outer = allocate(room);
    if (outer == NULL) {
        return NULL;
    }
    uintptr_t from = (uintptr_t)outer + sizeof(struct header);
    uintptr_t start = ((from + align - 1) & ~(uintptr_t)(align - 1)) + off;
    size_t inside = (size_t)(start - (uintptr_t)outer);
    *header_of(outer + inside) = (struct header){inside, CLASS_ALIGNED};
    return outer + inside;
}

static bool
is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

int
posix_memalign(void **out, size_t align, size_t size)
{
    if (!is_power_of_two(align) || align % sizeof(void *) != 0) {
        return EINVAL;
    }
    int saved_errno = errno;
    void *block = allocate_aligned(align, size);
    errno = saved_errno;
    if (block == NULL) {
        return ENOMEM;
    }
    *out = block;
    return 0;
}

void *
memalign(size_t align, size_t size)
{
    if (!is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return allocate_aligned(align, size);
}

void *
aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

void *
reallocarray(void *block, size_t count, size_t size)
{
    size_t product;
    if (__builtin_mul_overflow(count, size, &product)) {
        return refuse();
    }
    return realloc(block, product);
}

static void
take_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void
give_lock(void)
{
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void
start(void)
{
    if (wrong != WRONG_FORK) {
        pthread_atfork(take_lock, give_lock, give_lock);
    }
}
