/*
 * system.c - the malloc that the process has (contract: system.h)
 *
 * Functions that every libc of today has are called by name. The others are
 * weak: NULL where neither libc nor the library has them.
 */
#include "run/system.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program/program.h"

extern void free_sized(void *block, size_t size) __attribute__((weak));
extern void free_aligned_sized(void *block, size_t align, size_t size)
    __attribute__((weak));
extern struct mallinfo2 mallinfo2(void) __attribute__((weak));

static void *
sys_malloc(struct heap *heap, size_t size)
{
    (void)heap;
    return malloc(size);
}

static void *
sys_calloc(struct heap *heap, size_t count, size_t size)
{
    (void)heap;
    return calloc(count, size);
}

static void *
sys_realloc(struct heap *heap, void *block, size_t size)
{
    (void)heap;
    return realloc(block, size);
}

static void *
sys_reallocarray(struct heap *heap, void *block, size_t count, size_t size)
{
    (void)heap;
    return reallocarray(block, count, size);
}

static void *
sys_memalign(struct heap *heap, size_t align, size_t size)
{
    (void)heap;
    return memalign(align, size);
}

static void *
sys_aligned_alloc(struct heap *heap, size_t align, size_t size)
{
    (void)heap;
    return aligned_alloc(align, size);
}

static int
sys_posix_memalign(struct heap *heap, void **out, size_t align, size_t size)
{
    (void)heap;
    return posix_memalign(out, align, size);
}

static void *
sys_valloc(struct heap *heap, size_t size)
{
    (void)heap;
    return valloc(size);
}

static void *
sys_pvalloc(struct heap *heap, size_t size)
{
    (void)heap;
    return pvalloc(size);
}

static void
sys_free(struct heap *heap, void *block)
{
    (void)heap;
    free(block);
}

static void
sys_free_sized(struct heap *heap, void *block, size_t size)
{
    (void)heap;
    if (free_sized != NULL) {
        free_sized(block, size);
    } else {
        free(block);
    }
}

static void
sys_free_aligned_sized(
    struct heap *heap, void *block, size_t align, size_t size)
{
    (void)heap;
    if (free_aligned_sized != NULL) {
        free_aligned_sized(block, align, size);
    } else {
        free(block);
    }
}

static size_t
sys_usable_size(struct heap *heap, const void *block)
{
    (void)heap;
    return malloc_usable_size((void *)(uintptr_t)block);
}

static bool
sys_trim(struct heap *heap, size_t pad)
{
    (void)heap;
    return malloc_trim(pad) != 0;
}

const struct alloc_ops system_ops = {
    .name = "system",
    .malloc = sys_malloc,
    .calloc = sys_calloc,
    .realloc = sys_realloc,
    .reallocarray = sys_reallocarray,
    .memalign = sys_memalign,
    .aligned_alloc = sys_aligned_alloc,
    .posix_memalign = sys_posix_memalign,
    .valloc = sys_valloc,
    .pvalloc = sys_pvalloc,
    .free = sys_free,
    .free_sized = sys_free_sized,
    .free_aligned_sized = sys_free_aligned_sized,
    .usable_size = sys_usable_size,
    .trim = sys_trim,
};

void
system_ask_stats(void)
{
    if (mallinfo2 != NULL) {
        (void)mallinfo2();
    }
}

/* The object that the process's function of that name is in, or NULL. */
static const char *
find_object(const char *function)
{
    Dl_info info;
    void *addr = dlsym(RTLD_DEFAULT, function);
    return addr != NULL && dladdr(addr, &info) != 0 ? info.dli_fname : NULL;
}

const char *
system_object(void)
{
    return find_object("malloc");
}

uint32_t
system_lacks(void)
{
    static const char *const functions[OP_KIND_COUNT] = {
        [OP_CALLOC] = "calloc",
        [OP_REALLOC] = "realloc",
        [OP_REALLOCARRAY] = "reallocarray",
        [OP_MEMALIGN] = "memalign",
        [OP_ALIGNED_ALLOC] = "aligned_alloc",
        [OP_POSIX_MEMALIGN] = "posix_memalign",
        [OP_VALLOC] = "valloc",
        [OP_PVALLOC] = "pvalloc",
        [OP_FREE_SIZED] = "free_sized",
        [OP_FREE_ALIGNED_SIZED] = "free_aligned_sized",
        [OP_USABLE_SIZE] = "malloc_usable_size",
        [OP_TRIM] = "malloc_trim",
        [OP_STATS] = "mallinfo2",
    };
    const char *home = find_object("malloc");
    uint32_t lacks = 0;
    for (int kind = 0; kind < OP_KIND_COUNT; kind++) {
        if (functions[kind] == NULL) {
            continue;
        }
        const char *object = find_object(functions[kind]);
        if (home == NULL || object == NULL || strcmp(object, home) != 0) {
            lacks |= (uint32_t)1 << kind;
        }
    }
    return lacks;
}
