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
int tcm_malloc_info(int options, FILE *stream);

/* Several blocks of one size at once: how many there are. */
size_t tcm_malloc_batch(size_t size, void **blocks, size_t count);
void tcm_free_batch(void **blocks, size_t count);

/*
 * What MallocExtension gives in C++. Property names and options are in
 * docs/designs/tcmalloc.md; calls that return int give 1, or 0 for "no such
 * property", "refused" or "not written".
 */
int tcm_ext_get_numeric_property(const char *name, size_t *value);
int tcm_ext_set_numeric_property(const char *name, size_t value);

/* Gives about that many bytes of free memory back to the OS. */
void tcm_ext_release_memory_to_system(size_t size);
void tcm_ext_release_free_memory(void); /* all of it */
/* Of each 1000 pages that come free in the page heap, so many go back to the OS
 * at once; 0 is none. */
void tcm_ext_set_memory_release_rate(double rate);
double tcm_ext_get_memory_release_rate(void);
/* Bytes that spans and free pages may hold: above the soft limit free pages go
 * back to the OS, above the hard one allocations fail with ENOMEM. SIZE_MAX is
 * no limit. */
void tcm_ext_set_memory_limit(size_t size, int hard);
size_t tcm_ext_get_memory_limit(int hard);

/* The size that a block of that size would have. */
size_t tcm_ext_get_estimated_allocated_size(size_t size);
/* 1: a live block's address, or one in a cache; 0: not ours. */
int tcm_ext_get_ownership(const void *block);
/* Statistics in text: sums, and a line for each size class in use. */
void tcm_ext_write_stats(int fd);
/* The sampled profile, as profile.proto, to a file; 0 when it is off. */
int tcm_ext_write_profile(const char *path);

#pragma GCC visibility pop

/* For the registry of designs. */
extern const struct alloc_ops tcm_ops;

#ifdef __cplusplus
}
#endif
