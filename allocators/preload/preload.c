/*
 * preload.c - malloc and friends over one design, for LD_PRELOAD or -l
 *
 *     a program's malloc --> this --> PREFIXmalloc of the design
 *
 * Compiled once for each design, with PRELOAD_PREFIX and PRELOAD_HEADER. The
 * compiler makes each function a jump; malloc and free, where a jump would be a
 * tenth of the call, are names that the linker gives the design's functions (the
 * CMake file above). With those every name of glibc's malloc is here: one that
 * is missing would reach glibc's own heap with a block of ours.
 *
 * Concurrency, failure: as the design's header says.
 * Design: glibc manual, "Replacing malloc".
 */
#include <malloc.h>
#include <stdlib.h>

#include PRELOAD_HEADER
#include "base/stack.h"

#define JOIN_(prefix, name) prefix##name
#define JOIN(prefix, name)  JOIN_(prefix, name)
#define OURS(name)          JOIN(PRELOAD_PREFIX, name)
#define EXPORTED            __attribute__((visibility("default")))

/* C23 names that libc's headers may lack. */
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t align, size_t size);

/* This library's own code, by names that the linker makes. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

__attribute__((constructor(101))) static void
tell_own_code(void)
{
    stack_own_code(__ehdr_start, etext);
}

EXPORTED void *
calloc(size_t count, size_t size)
{
    return OURS(calloc)(count, size);
}

EXPORTED void *
realloc(void *block, size_t size)
{
    return OURS(realloc)(block, size);
}

EXPORTED void *
reallocarray(void *block, size_t count, size_t size)
{
    return OURS(reallocarray)(block, count, size);
}

EXPORTED void *
memalign(size_t align, size_t size)
{
    return OURS(memalign)(align, size);
}

EXPORTED void *
aligned_alloc(size_t align, size_t size)
{
    return OURS(aligned_alloc)(align, size);
}

EXPORTED int
posix_memalign(void **out, size_t align, size_t size)
{
    return OURS(posix_memalign)(out, align, size);
}

EXPORTED void *
valloc(size_t size)
{
    return OURS(valloc)(size);
}

EXPORTED void *
pvalloc(size_t size)
{
    return OURS(pvalloc)(size);
}

EXPORTED void
free_sized(void *block, size_t size)
{
    OURS(free_sized)(block, size);
}

EXPORTED void
free_aligned_sized(void *block, size_t align, size_t size)
{
    OURS(free_aligned_sized)(block, align, size);
}

EXPORTED size_t
malloc_usable_size(void *block)
{
    return OURS(malloc_usable_size)(block);
}

EXPORTED int
malloc_trim(size_t pad)
{
    return OURS(malloc_trim)(pad);
}

EXPORTED struct mallinfo2
mallinfo2(void)
{
    return OURS(mallinfo2)();
}

/* The older form, whose numbers are ints and wrap, as glibc's do. */
EXPORTED struct mallinfo
mallinfo(void)
{
    struct mallinfo2 info = OURS(mallinfo2)();

    return (struct mallinfo){
        .arena = (int)info.arena,
        .ordblks = (int)info.ordblks,
        .smblks = (int)info.smblks,
        .hblks = (int)info.hblks,
        .hblkhd = (int)info.hblkhd,
        .usmblks = (int)info.usmblks,
        .fsmblks = (int)info.fsmblks,
        .uordblks = (int)info.uordblks,
        .fordblks = (int)info.fordblks,
        .keepcost = (int)info.keepcost,
    };
}

EXPORTED int
mallopt(int parameter, int value)
{
    return OURS(mallopt)(parameter, value);
}

EXPORTED void
malloc_stats(void)
{
    OURS(malloc_stats)();
}

EXPORTED int
malloc_info(int options, FILE *stream)
{
    return OURS(malloc_info)(options, stream);
}
