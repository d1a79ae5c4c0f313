/*
 * jemalloc.h - the jemalloc design: arenas, slabs, extents and decay
 *
 *     malloc --> thread's cache --> arena: bins of slabs --> page cache --> OS
 *     small       a stack a class     (four arenas a CPU)     dirty, muzzy,
 *                                                             retained
 *
 * The public names. The malloc family is as malloc(3), posix_memalign(3) and C23
 * 7.24.3 have it. Blocks of 9 bytes and more are aligned to 16, smaller ones to
 * 8. malloc(0) gives a block of its own; realloc(block, 0) frees and gives NULL.
 *
 * Concurrency: any thread, any time, also in a child of fork.
 * Failure: NULL and ENOMEM; posix_memalign returns its error. free keeps errno.
 * Misuse ends in "malstrom-jemalloc: WHAT: ADDRESS" and abort.
 * Design: Evans, "A Scalable Concurrent malloc(3) Implementation for FreeBSD"
 * (BSDCan 2006); jemalloc(3).
 */
#pragma once

#include <malloc.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

void *jem_malloc(size_t size);
void *jem_calloc(size_t count, size_t size);
void *jem_realloc(void *block, size_t size);
void *jem_reallocarray(void *block, size_t count, size_t size);
void *jem_memalign(size_t align, size_t size);
void *jem_aligned_alloc(size_t align, size_t size);
int jem_posix_memalign(void **out, size_t align, size_t size);
void *jem_valloc(size_t size);
void *jem_pvalloc(size_t size);
void jem_free(void *block);
void jem_free_sized(void *block, size_t size);
void jem_free_aligned_sized(void *block, size_t align, size_t size);
size_t jem_malloc_usable_size(void *block);
int jem_malloc_trim(size_t pad);
struct mallinfo2 jem_mallinfo2(void);
int jem_mallopt(int parameter, int value);
void jem_malloc_stats(void);

#pragma GCC visibility pop

/* For the registry of designs. */
extern const struct alloc_ops jem_ops;

#ifdef __cplusplus
}
#endif
