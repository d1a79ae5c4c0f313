/*
 * tcmalloc.h - the tcmalloc design: front caches, transfer caches, spans and a
 * page heap that knows of huge pages
 *
 *     malloc --> front cache --> transfer cache --> central list --> page heap
 *                a thread's       batches of one     spans of one     hugepages
 *                or a CPU's       size class         size class
 *
 * The public names. The malloc family is as malloc(3), posix_memalign(3) and C23
 * 7.24.3 have it. Blocks of 9 bytes and more are aligned to 16, smaller ones to
 * 8. malloc(0) gives a block of its own; realloc(block, 0) frees and gives NULL.
 *
 * Concurrency: any thread, any time, also in a child of fork.
 * Failure: NULL and ENOMEM; posix_memalign returns its error. free keeps errno.
 * Misuse ends in "malstrom-tcmalloc: WHAT: ADDRESS" and abort.
 * Design: docs/designs/tcmalloc.md.
 */
#pragma once

#include <malloc.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

void *tcm_malloc(size_t size);
void *tcm_calloc(size_t count, size_t size);
void *tcm_realloc(void *block, size_t size);
void *tcm_reallocarray(void *block, size_t count, size_t size);
void *tcm_memalign(size_t align, size_t size);
void *tcm_aligned_alloc(size_t align, size_t size);
int tcm_posix_memalign(void **out, size_t align, size_t size);
void *tcm_valloc(size_t size);
void *tcm_pvalloc(size_t size);
void tcm_free(void *block);
void tcm_free_sized(void *block, size_t size);
void tcm_free_aligned_sized(void *block, size_t align, size_t size);
size_t tcm_malloc_usable_size(void *block);
int tcm_malloc_trim(size_t pad);
struct mallinfo2 tcm_mallinfo2(void);
int tcm_mallopt(int parameter, int value);
void tcm_malloc_stats(void);

#pragma GCC visibility pop

/* For the registry of designs. */
extern const struct alloc_ops tcm_ops;

#ifdef __cplusplus
}
#endif
