/*
 * chunk.c - boundary-tag chunks: what prints them (contract: chunk.h)
 *
 * Invariants of a run of chunks, whenever its lock is free; chunk_check() asserts
 * each:
 *   I1  Sizes are multiples of CHUNK_ALIGN, at least CHUNK_MIN_SIZE, and lead
 *       from the first chunk to the end exactly.
 *   I2  CHUNK_PREV_USED says whether the chunk before is used.
 *   I3  The word behind a free chunk is its size.
 *   I4  No two free chunks are neighbours.
 */
#include "parts/chunk.h"

#include "base/print.h"

void
chunk_dump(const struct chunk *chunk, int fd)
{
    struct print print;

    print_init(&print, fd);
    print_format(&print, "%p size %zu flags %x\n", (const void *)chunk,
        chunk_size(chunk), (unsigned)chunk_flags(chunk));
    print_flush(&print);
}
