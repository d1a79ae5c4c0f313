/*
 * top.c - the chunk at the end of an arena's newest subheap (contract: top.h)
 *
 *   I1  The top ends where the newest subheap's usable part ends.
 *   I2  The top is at least PTM_FENCE_SIZE long, so that fences find room, and
 *       the chunk before it is used.
 *   I3  Older subheaps end in two chunks of CHUNK_OVERHEAD_FOOT that are never
 *       free; where one such chunk was left over, in three.
 *   I4  system_size is the sum of the subheaps' usable_size, at most
 *       system_peak.
 */
#include "ptmalloc/top.h"

#include "base/poison.h"
#include "base/print.h"

/* The top begins there now. */
static void
set_top(struct ptm_top *top, struct chunk *chunk)
{
    char *end = ptm_subheap_end(top->newest);
    top->chunk = chunk;
    chunk->head = (size_t)(end - (char *)chunk) | PTM_PREV_USED;
    ptm_bins_poison(chunk);
}

static void
count_system(struct ptm_top *top, size_t old_size, size_t new_size)
{
    top->system_size += new_size - old_size;
    if (top->system_size > top->system_peak) {
        top->system_peak = top->system_size;
    }
}

/* The size of a top that nobody has written over. */
static size_t
checked_size(const struct ptm_top *top)
{
    size_t size = chunk_size(top->chunk);
    uintptr_t end = (uintptr_t)top->chunk + size;
    if (end != (uintptr_t)ptm_subheap_end(top->newest)) { /* I1 */
        ptm_misuse("corrupted top size", top->chunk);
    }
    return size;
}

void
ptm_top_init(struct ptm_top *top, struct ptm_subheap *subheap)
{
    *top = (struct ptm_top){.newest = subheap};
    count_system(top, 0, subheap->usable_size);
    set_top(top, ptm_subheap_first_chunk(subheap));
}

void
ptm_top_fini(struct ptm_top *top)
{
    struct ptm_subheap *subheap = top->newest;
    while (subheap != NULL) { /* The last one may hold the top itself. */
        struct ptm_subheap *older = subheap->older;
        ptm_subheap_delete(subheap);
        subheap = older;
    }
}

/* ---- cutting */

struct chunk *
ptm_top_cut(struct ptm_top *top, size_t size)
{
    struct chunk *chunk = top->chunk;
    size_t old_size = checked_size(top);
    if (old_size < size + PTM_FENCE_SIZE) {
        return NULL;
    }
    poison_use(chunk, size + CHUNK_BLOCK_OFFSET);
    chunk->head = size | PTM_PREV_USED; /* I2 */
    top->chunk = chunk_at(chunk, size);
    top->chunk->head = (old_size - size) | PTM_PREV_USED;
    return chunk;
}

void
ptm_top_join(struct ptm_top *top, struct chunk *chunk)
{
    (void)checked_size(top);
    set_top(top, chunk);
}

bool
ptm_top_lend(struct ptm_top *top, struct chunk *chunk, size_t more)
{
    struct chunk *next = top->chunk;
    size_t old_size = checked_size(top);
    if (old_size < more + PTM_FENCE_SIZE) {
        return false;
    }
    poison_use(next, more + CHUNK_BLOCK_OFFSET);
    chunk->head += more;
    top->chunk = chunk_at(next, more);
    top->chunk->head = (old_size - more) | PTM_PREV_USED;
    return true;
}

/* ---- growing */

bool
ptm_top_extend(struct ptm_top *top, size_t size, size_t pad)
{
    struct ptm_subheap *subheap = top->newest;
    size_t old_size = subheap->usable_size;
    size_t wanted =
        (size_t)((char *)top->chunk - (char *)subheap) + size + PTM_FENCE_SIZE;
    (void)checked_size(top);
    if (wanted <= old_size) {
        return true;
    }
    if (!ptm_subheap_grow(subheap, wanted + pad) &&
        !ptm_subheap_grow(subheap, wanted)) {
        return false;
    }
    set_top(top, top->chunk);
    count_system(top, old_size, subheap->usable_size);
    return true;
}

/* The old top's end becomes two fences, and what is before them free. I3 */
static void
fence_top(struct ptm_top *top, struct ptm_bins *bins)
{
    struct chunk *chunk = top->chunk;
    size_t left = checked_size(top) - PTM_FENCE_SIZE;
    poison_use(chunk, left + PTM_FENCE_SIZE);
    struct chunk *fence = chunk_at(chunk, left);
    fence->head = CHUNK_OVERHEAD_FOOT | PTM_PREV_USED;
    chunk_next(fence)->head = CHUNK_OVERHEAD_FOOT | PTM_PREV_USED;
    if (left >= CHUNK_MIN_SIZE) {
        chunk_set_free(chunk, left);
        ptm_head_set_prev_used(fence, false);
        ptm_bins_push(bins, chunk);
    } else if (left > 0) { /* too small for a chunk */
        chunk->head = left | PTM_PREV_USED;
    }
}

bool
ptm_top_renew(struct ptm_top *top, struct ptm_bins *bins, size_t size,
    size_t pad, bool huge)
{
    struct ptm_subheap *older = top->newest;
    size_t wanted = sizeof *older + size + PTM_FENCE_SIZE;
    if (pad > PTM_SUBHEAP_SIZE - wanted) {
        pad = PTM_SUBHEAP_SIZE - wanted;
    }
    struct ptm_subheap *subheap =
        ptm_subheap_new(older->arena, sizeof *older, wanted + pad, huge);
    if (subheap == NULL) {
        return false;
    }
    fence_top(top, bins);
    subheap->older = older;
    top->newest = subheap;
    set_top(top, ptm_subheap_first_chunk(subheap));
    count_system(top, 0, subheap->usable_size);
    return true;
}

/* ---- giving memory back */

bool
ptm_top_drop_newest(struct ptm_top *top, struct ptm_bins *bins)
{
    struct ptm_subheap *subheap = top->newest;
    struct ptm_subheap *older = subheap->older;
    if (older == NULL || top->chunk != ptm_subheap_first_chunk(subheap)) {
        return false;
    }
    struct chunk *fence = chunk_at(ptm_subheap_end(older), -PTM_FENCE_SIZE);
    if (chunk_size(fence) != CHUNK_OVERHEAD_FOOT) { /* I3 */
        ptm_misuse("corrupted fence", fence);
    }
    struct chunk *chunk = fence;
    if ((fence->head & PTM_PREV_USED) == 0) {
        chunk = chunk_prev(fence);
        ptm_bins_remove(bins, chunk);
    }
    count_system(top, subheap->usable_size, 0);
    ptm_subheap_delete(subheap);
    top->newest = older;
    set_top(top, chunk);
    return true;
}

bool
ptm_top_shrink(struct ptm_top *top, size_t pad)
{
    struct ptm_subheap *subheap = top->newest;
    size_t old_size = subheap->usable_size;
    size_t used =
        (size_t)((char *)top->chunk - (char *)subheap) + PTM_FENCE_SIZE;
    (void)checked_size(top);
    if (pad > old_size - used || !ptm_subheap_shrink(subheap, used + pad)) {
        return false;
    }
    set_top(top, top->chunk);
    count_system(top, old_size, subheap->usable_size);
    return true;
}

/* ---- checking */

static void
check_fences(const struct ptm_subheap *subheap)
{
    const struct chunk *fence =
        chunk_at(ptm_subheap_end(subheap), -PTM_FENCE_SIZE);
    CHECK(chunk_size(fence) == CHUNK_OVERHEAD_FOOT);             /* I3 */
    CHECK(chunk_size(chunk_next(fence)) == CHUNK_OVERHEAD_FOOT); /* I3 */
    CHECK((chunk_next(fence)->head & PTM_PREV_USED) != 0);       /* I3 */
}

void
ptm_top_check(const struct ptm_top *top)
{
    size_t system_size = 0;
    for (const struct ptm_subheap *subheap = top->newest; subheap != NULL;
         subheap = subheap->older) {
        ptm_subheap_check(subheap);
        CHECK(subheap->arena == top->newest->arena);
        system_size += subheap->usable_size;
        if (subheap != top->newest) {
            check_fences(subheap);
        }
    }
    CHECK(system_size == top->system_size); /* I4 */
    CHECK(top->system_size <= top->system_peak);
    CHECK((char *)chunk_next(top->chunk) == ptm_subheap_end(top->newest));
    CHECK(chunk_size(top->chunk) >= PTM_FENCE_SIZE); /* I2 */
    CHECK((top->chunk->head & PTM_PREV_USED) != 0);  /* I2 */
}

void
ptm_top_dump(const struct ptm_top *top, int fd)
{
    struct print print;
    print_init(&print, fd);
    print_format(&print, "    top: %zu; subheaps %zu, at most %zu\n",
        chunk_size(top->chunk), top->system_size, top->system_peak);
    print_flush(&print);
    for (const struct ptm_subheap *subheap = top->newest; subheap != NULL;
         subheap = subheap->older) {
        ptm_subheap_dump(subheap, fd);
    }
}
