/*
 * malloc_info.c - malloc_info over a design that has it
 *
 *     a program's malloc_info --> this --> PREFIXmalloc_info of the design
 *
 * Apart from preload.c, since not every design has the arenas that it tells of.
 *
 * Concurrency, failure: as the design's header says.
 * Design: malloc_info(3).
 */
#include PRELOAD_HEADER

#define JOIN_(prefix, name) prefix##name
#define JOIN(prefix, name)  JOIN_(prefix, name)

__attribute__((visibility("default"))) int
malloc_info(int options, FILE *stream)
{
    return JOIN(PRELOAD_PREFIX, malloc_info)(options, stream);
}
