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
 * jem_mallctl returns its error.
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
int jem_malloc_info(int options, FILE *stream);

/*
 * jemalloc's own calls. Blocks of theirs and of the family's are alike. flags is
 * the sum of what applies; a size of 0 is as 1. A cache or an arena named by its
 * index exists. What an explicit arena serves must not be in any cache when the
 * arena is reset or destroyed: name JEM_MALLOCX_TCACHE_NONE to give it back.
 */
#define JEM_MALLOCX_LG_ALIGN(log2) ((int)(log2))
#define JEM_MALLOCX_ALIGN(align)   ((int)__builtin_ctzl(align))
#define JEM_MALLOCX_ZERO           0x40
#define JEM_MALLOCX_TCACHE(index)  ((int)(((unsigned)(index) + 2) << 8))
#define JEM_MALLOCX_TCACHE_NONE    JEM_MALLOCX_TCACHE(-1)
#define JEM_MALLOCX_ARENA(index)   ((int)(((unsigned)(index) + 1) << 20))

void *jem_mallocx(size_t size, int flags);
void *jem_rallocx(void *block, size_t size, int flags);
/* Resizes in place to size + extra bytes, or as near to it as can be, but at
 * least to size; returns the block's usable size, changed or not. */
size_t jem_xallocx(void *block, size_t size, size_t extra, int flags);
size_t jem_sallocx(const void *block, int flags);
void jem_dallocx(void *block, int flags);
void jem_sdallocx(void *block, size_t size, int flags);
/* The usable size that jem_mallocx would give; 0 when it cannot. */
size_t jem_nallocx(size_t size, int flags);

/*
 * Reads and changes what has a name; docs/designs/jemalloc.md lists the names.
 * Returns 0, or EINVAL (*old_size or new_size is wrong; what fits is read),
 * ENOENT (no such name), EPERM (not to be read, or not to be written), EAGAIN
 * (out of memory), EFAULT (the action failed otherwise).
 */
#define JEM_MALLCTL_ARENAS_ALL       4096
#define JEM_MALLCTL_ARENAS_DESTROYED 4097

int jem_mallctl(const char *name, void *old, size_t *old_size,
    const void *new_value, size_t new_size);
/* A name as numbers, one for each part between dots; *mib_length is how many
 * there is room for, and then are. Numbers of the name may be changed in it. */
int jem_mallctlnametomib(const char *name, size_t *mib, size_t *mib_length);
int jem_mallctlbymib(const size_t *mib, size_t mib_length, void *old,
    size_t *old_size, const void *new_value, size_t new_size);

/* Statistics, by write, or on stderr when it is NULL. Letters: J for JSON; left
 * out are with g what never changes, m the sums over arenas, d destroyed ones,
 * a each arena, b bins, l large classes. */
void jem_malloc_stats_print(
    void (*write)(void *arg, const char *text), void *arg, const char *letters);

#pragma GCC visibility pop

/* For the registry of designs. */
extern const struct alloc_ops jem_ops;

#ifdef __cplusplus
}
#endif
