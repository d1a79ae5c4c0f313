/*
 * chunk.c - boundary-tag chunks: the checker (contract: chunk.h)
 *
 * Invariants of a run of chunks, whenever its lock is free:
 *   I1  Sizes are multiples of CHUNK_ALIGN, at least CHUNK_MIN_SIZE, and lead
 *       from the first chunk to the end exactly.
 *   I2  CHUNK_PREV_USED says whether the chunk before is used.
 *   I3  The word behind a free chunk is its size.
 *   I4  No two free chunks are neighbours.
 */
#include "parts/chunk.h"

#include "base/check.h"
#include "base/print.h"

size_t
chunk_check_run(const struct chunk *first, const struct chunk *end,
    bool (*is_used)(const struct chunk *chunk))
{
    bool prev_used = true;
    size_t count = 0;

    for (const struct chunk *chunk = first; chunk != end;
         chunk = chunk_next(chunk)) {
        size_t size = chunk_size(chunk);

        CHECK(size >= CHUNK_MIN_SIZE);                              /* I1 */
        CHECK(size <= (uintptr_t)end - (uintptr_t)chunk);           /* I1 */
        CHECK((chunk_flags(chunk) & CHUNK_FLAG_NONE) == 0);         /* I1 */
        CHECK(prev_used == ((chunk->head & CHUNK_PREV_USED) != 0)); /* I2 */
        CHECK(is_used(chunk) || chunk_foot_matches(chunk));         /* I3 */
        CHECK(is_used(chunk) || prev_used);                         /* I4 */
        prev_used = is_used(chunk);
        count++;
    }
    return count;
}

void
chunk_dump(const struct chunk *chunk, int fd)
{
    struct print print;

    print_init(&print, fd);
    print_format(&print, "%p size %zu flags %x\n", (const void *)chunk,
        chunk_size(chunk), (unsigned)chunk_flags(chunk));
    print_flush(&print);
}
