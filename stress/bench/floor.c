/*
 * floor.c - a malloc that costs nothing: what a program takes by itself
 *
 *     LD_PRELOAD=build/release/lib/libfloor.so TEST
 *
 * malloc gives back the block that the calling thread freed last, whatever its
 * size: one load and one store, no class, no lock, no look at a block. So a
 * program that frees one block for each that it allocates, as larson does,
 * shows its own time: its loop, and the cache misses on its own blocks, which
 * grow with its threads' number. No malloc can lose less by more threads, since
 * none can do less.
 *
 *     region: | block | block | ... | block | untouched ... |
 *                                           ^ next
 *
 * Every block has room for ROOM bytes, so any of them serves any request up to
 * that. Larger ones, and those of calloc, are cut anew and not used again.
 * The region is backed by huge pages, where the kernel has them.
 *
 * Nothing here knows of malstrom. When the region is used up, malloc returns
 * NULL.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORTED    __attribute__((visibility("default")))
#define ROOM        ((size_t)1040)
#define ALIGN       ((size_t)16)
#define REGION_SIZE ((size_t)1 << 34)

static char *region;
static _Atomic size_t used_size;
static _Thread_local void *last __attribute__((tls_model("initial-exec")));

/* The program has one thread when it is loaded, and allocates before this only
 * from the loader, by the loader's own malloc. */
__attribute__((constructor)) static void
map_region(void)
{
    if (region == NULL) {
        region = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        (void)madvise(region, REGION_SIZE, MADV_HUGEPAGE);
    }
}

static void *
cut(size_t size)
{
    map_region();
    size_t rounded = ((size < ROOM ? ROOM : size) + ALIGN - 1) & ~(ALIGN - 1);
    if (region == MAP_FAILED || size > REGION_SIZE) {
        errno = ENOMEM;
        return NULL;
    }
    size_t start = atomic_fetch_add(&used_size, rounded);
    if (start > REGION_SIZE - rounded) {
        errno = ENOMEM;
        return NULL;
    }
    return region + start;
}

EXPORTED void *
malloc(size_t size)
{
    void *block = last;
    if (__builtin_expect(block == NULL || size > ROOM, 0)) {
        return cut(size);
    }
    last = NULL;
    return block;
}

EXPORTED void
free(void *block)
{
    if (block != NULL) {
        last = block;
    }
}

EXPORTED void *
calloc(size_t count, size_t size)
{
    size_t product;
    if (__builtin_mul_overflow(count, size, &product)) {
        errno = ENOMEM;
        return NULL;
    }
    return cut(product); /* Zero: nobody has had it. */
}

/* Every block lies in the region, so what is read past its end is mapped. */
EXPORTED void *
realloc(void *block, size_t size)
{
    if (block != NULL && size <= ROOM) {
        return block;
    }
    char *moved = cut(size);
    if (moved != NULL && block != NULL) {
        size_t before = (size_t)(moved - (char *)block);
        memcpy(moved, block, size < before ? size : before);
    }
    return moved;
}
