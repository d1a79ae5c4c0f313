/*
 * dlmalloc.h - the dlmalloc design: boundary tags, best fit, one lock a heap
 *
 *     malloc --> bins: small, tries --> victim --> top --> segment --> OS
 *            '-> large: a mapping of its own ------------------------> OS
 *
 * The public names. The malloc family is as malloc(3), posix_memalign(3) and
 * C23 7.24.3 have it. All blocks are aligned to 16. malloc(0) gives a block of
 * its own; realloc(block, 0) frees and gives NULL.
 *
 * A heap may also be opened as an object, an mspace: its blocks are its own,
 * and to close it gives all of them back at once.
 *
 * Tuning: dlm_mallopt with M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD,
 * M_MMAP_MAX; or the environment, DLM_OPTIONS="mmap_threshold:1m,top_pad:64k",
 * with the same four names in lower case, without M_.
 *
 * Concurrency: any thread, any time, also in a child of fork. dlm_close wants
 * no other call on that heap in flight.
 * Failure: NULL and ENOMEM; posix_memalign returns its error. free keeps errno.
 * Misuse ends in "malstrom-dlmalloc: WHAT: ADDRESS" and abort.
 * Design: Lea, "A Memory Allocator" (1996), and the notes on version 2.8.
 */
#pragma once

#include <malloc.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

void *dlm_malloc(size_t size);
void *dlm_calloc(size_t count, size_t size);
void *dlm_realloc(void *block, size_t size);
void *dlm_reallocarray(void *block, size_t count, size_t size);
void *dlm_memalign(size_t align, size_t size);
void *dlm_aligned_alloc(size_t align, size_t size);
int dlm_posix_memalign(void **out, size_t align, size_t size);
void *dlm_valloc(size_t size);
void *dlm_pvalloc(size_t size);
void dlm_free(void *block);
void dlm_free_sized(void *block, size_t size);
void dlm_free_aligned_sized(void *block, size_t align, size_t size);
size_t dlm_malloc_usable_size(void *block);
int dlm_malloc_trim(size_t pad);
struct mallinfo2 dlm_mallinfo2(void);
int dlm_mallopt(int parameter, int value);
void dlm_malloc_stats(void);
int dlm_malloc_info(int options, FILE *stream);

/* Aborts with one line if the heap is broken. Costs a walk of all of it. */
void dlm_check(void);

/* count zeroed blocks of size bytes, side by side; each is freed alone. Their
 * addresses go to blocks[], or, if that is NULL, to an array that is a block
 * too. Returns the array; NULL when out of memory. */
void **dlm_independent_calloc(size_t count, size_t size, void **blocks);
/* The same with a size for each, not zeroed. */
void **dlm_independent_comalloc(
    size_t count, const size_t *sizes, void **blocks);
/* Frees count blocks under one lock, and sets the elements to NULL. */
void dlm_bulk_free(void **blocks, size_t count);

/* Heaps as objects. One that is opened has the tuning that was set for the
 * process's. */
struct dlm_heap;

struct dlm_heap *dlm_open(void); /* NULL and ENOMEM */
void dlm_close(struct dlm_heap *heap);
void *dlm_mspace_malloc(struct dlm_heap *heap, size_t size);
void *dlm_mspace_calloc(struct dlm_heap *heap, size_t count, size_t size);
void *dlm_mspace_realloc(struct dlm_heap *heap, void *block, size_t size);
void *dlm_mspace_memalign(struct dlm_heap *heap, size_t align, size_t size);
void dlm_mspace_free(struct dlm_heap *heap, void *block);
size_t dlm_mspace_usable_size(struct dlm_heap *heap, const void *block);
int dlm_mspace_trim(struct dlm_heap *heap, size_t pad);
int dlm_mspace_mallopt(struct dlm_heap *heap, int parameter, int value);
struct mallinfo2 dlm_mspace_mallinfo2(struct dlm_heap *heap);
void dlm_mspace_check(struct dlm_heap *heap);
void **dlm_mspace_independent_calloc(
    struct dlm_heap *heap, size_t count, size_t size, void **blocks);
void **dlm_mspace_independent_comalloc(
    struct dlm_heap *heap, size_t count, const size_t *sizes, void **blocks);
void dlm_mspace_bulk_free(struct dlm_heap *heap, void **blocks, size_t count);

#pragma GCC visibility pop

/* For the registry of designs. */
extern const struct alloc_ops dlm_ops;

#ifdef __cplusplus
}
#endif
