/*
 * family.h - the calls of the malloc family that follow from the others
 *
 *     posix_memalign, reallocarray, ... --> a design's malloc, memalign, realloc
 *
 * Each design writes malloc, calloc, realloc, memalign, free and usable_size.
 * The rest differ between designs in nothing: argument checks and the errors
 * that POSIX, C23 and glibc document. They are written here once, over any
 * struct alloc_ops.
 *
 * Concurrency: as the calls beneath. Failure: as each call documents; block and
 * heap unchanged.
 * Design: POSIX.1-2017 posix_memalign; C23 7.24.3; glibc manual, 3.2.3;
 * malloc_info(3).
 */
#pragma once

#include <stdio.h>

#include "alloc.h"

/* No object is larger: glibc refuses such sizes with ENOMEM, so do we. */
#define FAMILY_SIZE_MAX ((size_t)PTRDIFF_MAX)

/* count * size into *product; false on overflow. */
bool family_product(size_t count, size_t size, size_t *product);

/* memalign's alignment: the next power of two, as glibc rounds an odd one.
 * False, with EINVAL, when there is none. */
bool family_round_align(size_t align, size_t *power);

/* NULL and EINVAL unless align is a power of two (glibc 2.38's rule; C17 lets
 * size be any, so no multiple of align is asked for). */
void *family_aligned_alloc(
    const struct alloc_ops *ops, struct heap *heap, size_t align, size_t size);
/* EINVAL unless align is a power of two and a multiple of sizeof(void *). */
int family_posix_memalign(const struct alloc_ops *ops, struct heap *heap,
    void **out, size_t align, size_t size);
void *family_valloc(
    const struct alloc_ops *ops, struct heap *heap, size_t size);
/* Rounds size up to whole OS pages; ENOMEM if that overflows. */
void *family_pvalloc(
    const struct alloc_ops *ops, struct heap *heap, size_t size);
void *family_reallocarray(const struct alloc_ops *ops, struct heap *heap,
    void *block, size_t count, size_t size);

/* malloc_info of the process's heap, of a design without arenas to tell of: the
 * sums. -1: with EINVAL, as options is not 0, or the stream has failed. */
int family_malloc_info(const struct alloc_ops *ops, int options, FILE *stream);

/*
 * FAMILY_OPS(ops_name, prefix): the adapters that a design's alloc_ops needs
 * for these five, as static functions ops_reallocarray and so on, which call
 * the functions above with &ops_name; and the five public ones,
 * PREFIXreallocarray ..., on the process's heap.
 */
#define FAMILY_OPS(ops_name, prefix)                                           \
    static void *ops_reallocarray(                                             \
        struct heap *heap, void *block, size_t count, size_t size)             \
    {                                                                          \
        return family_reallocarray(&ops_name, heap, block, count, size);       \
    }                                                                          \
    static void *ops_aligned_alloc(                                            \
        struct heap *heap, size_t align, size_t size)                          \
    {                                                                          \
        return family_aligned_alloc(&ops_name, heap, align, size);             \
    }                                                                          \
    static int ops_posix_memalign(                                             \
        struct heap *heap, void **out, size_t align, size_t size)              \
    {                                                                          \
        return family_posix_memalign(&ops_name, heap, out, align, size);       \
    }                                                                          \
    static void *ops_valloc(struct heap *heap, size_t size)                    \
    {                                                                          \
        return family_valloc(&ops_name, heap, size);                           \
    }                                                                          \
    static void *ops_pvalloc(struct heap *heap, size_t size)                   \
    {                                                                          \
        return family_pvalloc(&ops_name, heap, size);                          \
    }                                                                          \
    void *prefix##reallocarray(void *block, size_t count, size_t size)         \
    {                                                                          \
        return ops_reallocarray(NULL, block, count, size);                     \
    }                                                                          \
    void *prefix##aligned_alloc(size_t align, size_t size)                     \
    {                                                                          \
        return ops_aligned_alloc(NULL, align, size);                           \
    }                                                                          \
    int prefix##posix_memalign(void **out, size_t align, size_t size)          \
    {                                                                          \
        return ops_posix_memalign(NULL, out, align, size);                     \
    }                                                                          \
    void *prefix##valloc(size_t size)                                          \
    {                                                                          \
        return ops_valloc(NULL, size);                                         \
    }                                                                          \
    void *prefix##pvalloc(size_t size)                                         \
    {                                                                          \
        return ops_pvalloc(NULL, size);                                        \
    }

/*
 * FAMILY_PUBLIC(prefix): the public calls that are the design's own adapters on
 * the process's heap. malloc and free are not among them: they have paths of
 * their own.
 */
#define FAMILY_PUBLIC(prefix)                                                  \
    void *prefix##calloc(size_t count, size_t size)                            \
    {                                                                          \
        return ops_calloc(NULL, count, size);                                  \
    }                                                                          \
    void *prefix##realloc(void *block, size_t size)                            \
    {                                                                          \
        return ops_realloc(NULL, block, size);                                 \
    }                                                                          \
    void *prefix##memalign(size_t align, size_t size)                          \
    {                                                                          \
        return ops_memalign(NULL, align, size);                                \
    }                                                                          \
    void prefix##free_sized(void *block, size_t size)                          \
    {                                                                          \
        ops_free_sized(NULL, block, size);                                     \
    }                                                                          \
    void prefix##free_aligned_sized(void *block, size_t align, size_t size)    \
    {                                                                          \
        ops_free_aligned_sized(NULL, block, align, size);                      \
    }                                                                          \
    size_t prefix##malloc_usable_size(void *block)                             \
    {                                                                          \
        return ops_usable_size(NULL, block);                                   \
    }                                                                          \
    int prefix##malloc_trim(size_t pad)                                        \
    {                                                                          \
        return ops_trim(NULL, pad);                                            \
    }
