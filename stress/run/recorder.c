/*
 * recorder.c - the library that writes a process's trace (format:
 * program/trace.h; started by record.c)
 *
 *     the program --> malloc & co. here --> the next malloc in line
 *                          \--> the trace, in a file that record shares
 *
 * It stands before every other malloc under LD_PRELOAD, calls the one that the
 * process would have had, and writes down what was asked. Each event is written
 * straight into the shared file: no buffer is lost when the process ends by
 * _exit, a signal or another exec.
 *
 * Only the one process that record started is written down. A program that it
 * executes begins the trace anew, so that a shell script which execs the real
 * program records that one. Forked children pass all calls on: the page that
 * says "recording" reads as zero there, however the fork was made.
 *
 * While dlsym looks for the next malloc, it may itself allocate; a small static
 * arena serves that. Calls that the next malloc makes to the family on its own
 * account, such as reallocarray to realloc, are not written down.
 *
 * Concurrency: any thread; events are ordered by trace.event_count.
 * Failure: without the trace's file, or when it is full, calls are passed on.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "program/trace.h"

#define API        __attribute__((visibility("default")))
#define ARENA_SIZE 65536
#define NO_THREAD  UINT32_MAX

/* Not yet in libc's headers. */
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t align, size_t size);

/* The next malloc in line; NULL where it has no such function. */
static struct {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *block, size_t size);
    void *(*reallocarray)(void *block, size_t count, size_t size);
    void *(*memalign)(size_t align, size_t size);
    void *(*aligned_alloc)(size_t align, size_t size);
    int (*posix_memalign)(void **out, size_t align, size_t size);
    void *(*valloc)(size_t size);
    void *(*pvalloc)(size_t size);
    void (*free)(void *block);
    void (*free_sized)(void *block, size_t size);
    void (*free_aligned_sized)(void *block, size_t align, size_t size);
} next;

enum { STATE_NEW, STATE_RESOLVING, STATE_RESOLVED, STATE_READY };

static _Atomic int state;
static struct trace *trace;
static _Atomic bool *is_on; /* a page that is zero in forked children */
static pthread_key_t end_key;

static _Thread_local uint32_t thread_number = NO_THREAD;
static _Thread_local bool is_inside; /* in a call that is written down */

/* The arena for dlsym. Each piece has its size before it. */
static _Alignas(16) char arena[ARENA_SIZE];
static _Atomic size_t arena_used;

static bool
is_in_arena(const void *block)
{
    uintptr_t addr = (uintptr_t)block;

    return addr - (uintptr_t)arena < ARENA_SIZE;
}

static void *
arena_take(size_t size)
{
    if (size > ARENA_SIZE) {
        return NULL;
    }
    size_t taken = 16 + ((size + 15) & ~(size_t)15);
    size_t at = atomic_fetch_add(&arena_used, taken);
    if (at + taken > ARENA_SIZE) {
        return NULL;
    }
    memcpy(arena + at, &size, sizeof(size));
    return arena + at + 16;
}

static size_t
arena_size(const void *block)
{
    size_t size;

    memcpy(&size, (const char *)block - 16, sizeof(size));
    return size;
}

static void
resolve(void)
{
#define RESOLVE(name)                                                          \
    do {                                                                       \
        void *found = dlsym(RTLD_NEXT, #name);                                 \
        memcpy(&next.name, &found, sizeof(found));                             \
    } while (0)
    RESOLVE(malloc);
    RESOLVE(calloc);
    RESOLVE(realloc);
    RESOLVE(reallocarray);
    RESOLVE(memalign);
    RESOLVE(aligned_alloc);
    RESOLVE(posix_memalign);
    RESOLVE(valloc);
    RESOLVE(pvalloc);
    RESOLVE(free);
    RESOLVE(free_sized);
    RESOLVE(free_aligned_sized);
#undef RESOLVE
}

static void note(uint32_t kind, const void *block, size_t size, size_t extra);

static void
on_thread_end(void *arg)
{
    (void)arg;
    note(TRACE_THREAD_END, NULL, 0, 0);
}

/* Maps the trace when this is the process to record. */
static bool
open_trace(void)
{
    const char *path = getenv("MALSTROM_RECORD");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    struct trace *mapped = mmap(
        NULL, sizeof(struct trace), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED) {
        return false;
    }
    if (mapped->pid != (uint32_t)getpid()) {
        munmap(mapped, sizeof(struct trace));
        return false;
    }
    mapped->image++;
    atomic_store(&mapped->thread_count, 0);
    atomic_store(&mapped->event_count, 0);
    trace = mapped;
    return true;
}

static bool
open_switch(void)
{
    void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE),
        PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED ||
        madvise(page, (size_t)sysconf(_SC_PAGESIZE), MADV_WIPEONFORK) != 0) {
        return false;
    }
    is_on = page;
    return true;
}

/* libc has read the environment by now; before, calls are passed on. */
static void
start_recording(void)
{
    int saved_errno = errno;

    is_inside = true;
    if (open_trace() && open_switch() &&
        pthread_key_create(&end_key, on_thread_end) == 0) {
        atomic_store(is_on, true);
    }
    is_inside = false;
    errno = saved_errno;
}

/* True when calls can be passed on; false while dlsym is at work. The first
 * call comes before there are threads. */
static bool
is_ready(void)
{
    int now = atomic_load_explicit(&state, memory_order_acquire);

    if (now == STATE_READY) {
        return true;
    }
    if (now == STATE_RESOLVING) {
        return false;
    }
    if (now == STATE_NEW) {
        int saved_errno = errno;
        atomic_store(&state, STATE_RESOLVING);
        resolve();
        atomic_store(&state, STATE_RESOLVED);
        errno = saved_errno;
    }
    if (environ != NULL) {
        atomic_store(&state, STATE_READY);
        start_recording();
    }
    return true;
}

__attribute__((constructor)) static void
start_early(void)
{
    is_ready();
}

static void
note(uint32_t kind, const void *block, size_t size, size_t extra)
{
    if (is_on == NULL || !atomic_load_explicit(is_on, memory_order_relaxed)) {
        return;
    }
    if (thread_number == NO_THREAD) {
        bool was_inside = is_inside;
        thread_number = atomic_fetch_add(&trace->thread_count, 1);
        is_inside = true;
        pthread_setspecific(end_key, trace);
        is_inside = was_inside;
    }
    struct trace_event event = {.addr = (uintptr_t)block,
        .size = size,
        .extra = extra,
        .thread = thread_number};
    trace_write(trace, &event, kind);
}

/* A call that brings a block: passed on, then written down. */
#define BRING(kind, call, size, extra)                                         \
    do {                                                                       \
        bool is_outermost = !is_inside;                                        \
        is_inside = true;                                                      \
        void *brought = (call);                                                \
        if (is_outermost) {                                                    \
            is_inside = false;                                                 \
            note(kind, brought, size, extra);                                  \
        }                                                                      \
        return brought;                                                        \
    } while (0)

API void *
malloc(size_t size)
{
    if (!is_ready()) {
        return arena_take(size);
    }
    BRING(OP_MALLOC, next.malloc(size), size, 0);
}

API void *
calloc(size_t count, size_t size)
{
    size_t product;

    if (!is_ready()) { /* the arena is zero, and never used again */
        return __builtin_mul_overflow(count, size, &product)
                   ? NULL
                   : arena_take(product);
    }
    BRING(OP_CALLOC, next.calloc(count, size), size, count);
}

/* The block leaves the arena; what it held goes along. */
static void *
leave_arena(const void *block, size_t size)
{
    size_t old_size = arena_size(block);
    void *moved = malloc(size);

    if (moved != NULL) {
        memcpy(moved, block, old_size < size ? old_size : size);
    }
    return moved;
}

API void *
realloc(void *block, size_t size)
{
    if (is_in_arena(block)) {
        return leave_arena(block, size);
    }
    if (!is_ready()) {
        return arena_take(size);
    }
    if (block != NULL && !is_inside) {
        note(TRACE_RESIZE, block, size, 0);
    }
    BRING(OP_REALLOC, next.realloc(block, size), size, 0);
}

API void *
reallocarray(void *block, size_t count, size_t size)
{
    size_t product;

    if (is_in_arena(block) || !is_ready()) {
        if (__builtin_mul_overflow(count, size, &product)) {
            errno = ENOMEM;
            return NULL;
        }
        return realloc(block, product);
    }
    if (block != NULL && !is_inside) {
        note(TRACE_RESIZE, block, size, count);
    }
    BRING(OP_REALLOCARRAY, next.reallocarray(block, count, size), size, count);
}

API void *
memalign(size_t align, size_t size)
{
    if (!is_ready()) {
        return NULL;
    }
    BRING(OP_MEMALIGN, next.memalign(align, size), size, align);
}

API void *
aligned_alloc(size_t align, size_t size)
{
    if (!is_ready()) {
        return NULL;
    }
    BRING(OP_ALIGNED_ALLOC, next.aligned_alloc(align, size), size, align);
}

API void *
valloc(size_t size)
{
    if (!is_ready()) {
        return NULL;
    }
    BRING(OP_VALLOC, next.valloc(size), size, 0);
}

API void *
pvalloc(size_t size)
{
    if (!is_ready()) {
        return NULL;
    }
    BRING(OP_PVALLOC, next.pvalloc(size), size, 0);
}

API int
posix_memalign(void **out, size_t align, size_t size)
{
    bool is_outermost = !is_inside;

    if (!is_ready()) {
        return ENOMEM;
    }
    is_inside = true;
    int code = next.posix_memalign(out, align, size);
    if (is_outermost) {
        is_inside = false;
        note(OP_POSIX_MEMALIGN, code == 0 ? *out : NULL, size, align);
    }
    return code;
}

/* True when the block is none of the next malloc's: nothing is to be done. */
static bool
note_free(uint32_t kind, const void *block)
{
    if (is_in_arena(block) || !is_ready()) {
        return true;
    }
    if (block != NULL && !is_inside) {
        note(kind, block, 0, 0);
    }
    return false;
}

API void
free(void *block)
{
    if (!note_free(OP_FREE, block)) {
        bool was_inside = is_inside;
        is_inside = true;
        next.free(block);
        is_inside = was_inside;
    }
}

API void
free_sized(void *block, size_t size)
{
    if (note_free(OP_FREE_SIZED, block)) {
        return;
    }
    bool was_inside = is_inside;
    is_inside = true;
    if (next.free_sized != NULL) {
        next.free_sized(block, size);
    } else {
        next.free(block);
    }
    is_inside = was_inside;
}

API void
free_aligned_sized(void *block, size_t align, size_t size)
{
    if (note_free(OP_FREE_ALIGNED_SIZED, block)) {
        return;
    }
    bool was_inside = is_inside;
    is_inside = true;
    if (next.free_aligned_sized != NULL) {
        next.free_aligned_sized(block, align, size);
    } else {
        next.free(block);
    }
    is_inside = was_inside;
}
