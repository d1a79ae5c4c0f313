/*
 * foreign.c - somebody else's C allocator as a target of observed runs
 *
 *     its sources --> FOREIGN_MALLOC and friends --> this table --> explore
 *
 * malstrom_foreign() in CMakeLists.txt compiles this file with the names of the
 * allocator's functions. Those that are not named are absent, and programs do
 * without them.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "alloc.h"

void *FOREIGN_MALLOC(size_t size);
void FOREIGN_FREE(void *block);

static void *
take(struct heap *heap, size_t size)
{
    (void)heap;
    return FOREIGN_MALLOC(size);
}

static void
give(struct heap *heap, void *block)
{
    (void)heap;
    FOREIGN_FREE(block);
}

#ifdef FOREIGN_CALLOC
void *FOREIGN_CALLOC(size_t count, size_t size);

static void *
take_zeroed(struct heap *heap, size_t count, size_t size)
{
    (void)heap;
    return FOREIGN_CALLOC(count, size);
}
#endif

#ifdef FOREIGN_REALLOC
void *FOREIGN_REALLOC(void *block, size_t size);

static void *
resize(struct heap *heap, void *block, size_t size)
{
    (void)heap;
    return FOREIGN_REALLOC(block, size);
}
#endif

#ifdef FOREIGN_MEMALIGN
void *FOREIGN_MEMALIGN(size_t align, size_t size);

static void *
take_aligned(struct heap *heap, size_t align, size_t size)
{
    (void)heap;
    return FOREIGN_MEMALIGN(align, size);
}
#endif

#ifdef FOREIGN_USABLE_SIZE
size_t FOREIGN_USABLE_SIZE(void *block);

static size_t
usable_size(struct heap *heap, const void *block)
{
    (void)heap;
    return FOREIGN_USABLE_SIZE((void *)(uintptr_t)block);
}
#endif

static const struct alloc_ops foreign_ops = {
    .name = FOREIGN_NAME,
    .malloc = take,
    .free = give,
#ifdef FOREIGN_CALLOC
    .calloc = take_zeroed,
#endif
#ifdef FOREIGN_REALLOC
    .realloc = resize,
#endif
#ifdef FOREIGN_MEMALIGN
    .memalign = take_aligned,
#endif
#ifdef FOREIGN_USABLE_SIZE
    .usable_size = usable_size,
#endif
};

const struct alloc_ops *const alloc_all[] = {&foreign_ops, NULL};

const struct alloc_ops *
alloc_find(const char *name)
{
    return strcmp(name, FOREIGN_NAME) == 0 ? &foreign_ops : NULL;
}
