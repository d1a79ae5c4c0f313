/*
 * wrong_malloc.c - a malloc that is wrong in the way that WRONG names, for
 * emit_test.c
 *
 * Blocks are cut from one array and never come back, which is correct and
 * simple. Each mistake is one that a real allocator has had.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE  ((size_t)64 << 20)
#define HEADER_SIZE 16

static _Alignas(4096) char array[ARRAY_SIZE];
static size_t used_size;

static int
is_wrong(const char *way)
{
    const char *wrong = getenv("WRONG");

    return wrong != NULL && strcmp(wrong, way) == 0;
}

static size_t
size_of(const void *block)
{
    size_t size;

    memcpy(&size, (const char *)block - HEADER_SIZE, sizeof(size));
    return size;
}

static void *
cut(size_t align, size_t size)
{
    size_t start = (used_size + HEADER_SIZE + align - 1) & ~(align - 1);

    if (size > ARRAY_SIZE || start + size > ARRAY_SIZE) {
        errno = is_wrong("errno") ? EAGAIN : ENOMEM;
        return NULL;
    }
    char *block = array + start + (is_wrong("alignment") ? 8 : 0);
    memcpy(block - HEADER_SIZE, &size, sizeof(size));
    used_size = start + size;
    if (is_wrong("overlap") && size > 64) {
        used_size -= 24;
    }
    return block;
}

__attribute__((visibility("default"))) void *
malloc(size_t size)
{
    if (is_wrong("null") && size == 3000) {
        errno = ENOMEM;
        return NULL;
    }
    return cut(16, size);
}

__attribute__((visibility("default"))) void
free(void *block)
{
    (void)block;
    if (is_wrong("free-errno")) {
        errno = EINVAL;
    }
}

__attribute__((visibility("default"))) void *
calloc(size_t count, size_t size)
{
    size_t total = count * size;
    char *block;

    if (__builtin_mul_overflow(count, size, &total) && !is_wrong("product")) {
        errno = ENOMEM;
        return NULL;
    }
    block = cut(16, total);
    if (block != NULL && is_wrong("zeroing") && total > 0) {
        block[total - 1] = 1;
    }
    return block;
}

__attribute__((visibility("default"))) void *
realloc(void *block, size_t size)
{
    char *moved = malloc(size);

    if (moved != NULL && block != NULL) {
        size_t old_size = size_of(block);
        size_t kept_size = old_size < size ? old_size : size;

        memcpy(moved, block, kept_size - (is_wrong("content") ? 1 : 0));
    }
    return moved;
}

__attribute__((visibility("default"))) void *
memalign(size_t align, size_t size)
{
    return cut(align < 16 || is_wrong("memalign") ? 16 : align, size);
}

__attribute__((visibility("default"))) int
posix_memalign(void **out, size_t align, size_t size)
{
    if (align % sizeof(void *) != 0 || (align & (align - 1)) != 0 ||
        align == 0) {
        return is_wrong("code") ? -1 : EINVAL;
    }
    void *block = memalign(align, size);
    if (block != NULL || is_wrong("out")) {
        *out = block;
    }
    return block != NULL ? 0 : ENOMEM;
}

__attribute__((visibility("default"))) size_t
malloc_usable_size(void *block)
{
    return block == NULL        ? 0
           : is_wrong("usable") ? size_of(block) - 1
                                : size_of(block);
}
