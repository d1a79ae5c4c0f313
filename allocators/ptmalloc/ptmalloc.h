/*
 * ptmalloc.h - the ptmalloc design: arenas, bins and thread caches
 *
 *     malloc --> thread's cache --> arena: bins, top --> subheap --> OS
 *                 a list a size      (eight a CPU)   \-> direct mappings
 *
 * The public names. The malloc family is as malloc(3), posix_memalign(3) and C23
 * 7.24.3 have it; mallopt, mallinfo2, malloc_info and malloc_trim are as the
 * glibc manual has them. Blocks are aligned to 16. malloc(0) gives a block of
 * its own; realloc(block, 0) frees and gives NULL.
 *
 * Concurrency: any thread, any time, also in a child of fork.
 * Failure: NULL and ENOMEM; posix_memalign returns its error. free keeps errno.
 * Misuse ends in "malstrom-ptmalloc: WHAT: ADDRESS" and abort.
 * Design: Gloger, ptmalloc; glibc manual, 3.2; glibc wiki, "MallocInternals".
 */
#pragma once

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

void *ptm_malloc(size_t size);
void *ptm_calloc(size_t count, size_t size);
void *ptm_realloc(void *block, size_t size);
void *ptm_reallocarray(void *block, size_t count, size_t size);
void *ptm_memalign(size_t align, size_t size);
void *ptm_aligned_alloc(size_t align, size_t size);
int ptm_posix_memalign(void **out, size_t align, size_t size);
void *ptm_valloc(size_t size);
void *ptm_pvalloc(size_t size);
void ptm_free(void *block);
void ptm_free_sized(void *block, size_t size);
void ptm_free_aligned_sized(void *block, size_t align, size_t size);
size_t ptm_malloc_usable_size(void *block);
int ptm_malloc_trim(size_t pad);
struct mallinfo2 ptm_mallinfo2(void);
/* Every parameter of glibc's: see tuning.h. 1 when set, 0 when the value or the
 * name is not known. */
int ptm_mallopt(int parameter, int value);
void ptm_malloc_stats(void);
/* XML on stream; options must be 0. 0, or -1 and errno. */
int ptm_malloc_info(int options, FILE *stream);

#pragma GCC visibility pop

/* For the registry of designs. */
extern const struct alloc_ops ptm_ops;

#ifdef __cplusplus
}
#endif
