/*
 * arena.c - chunks under one lock (contract: arena.h)
 *
 * A request is served by the bins or, when no chunk there is large enough, by
 * the top, which grows if need be. A freed chunk is joined with its neighbours
 * at once: the caches in front of the arena do what deferred joining would.
 *
 *   I1  Two free chunks are never neighbours, and none is the top's.
 *   I2  Every free chunk but the top is in the bins.
 */
#include "ptmalloc/arena.h"

#include "base/pages.h"
#include "base/print.h"
#include "ptmalloc/heap.h"
#include "ptmalloc/returned.h"

/* ---- allocation */

struct chunk *
ptm_arena_take_locked(struct ptm_arena *arena, size_t size)
{
    size_t sort_max = ptm_tuning_get(&arena->heap->tuning.unsorted_max);
    struct chunk *chunk = ptm_bins_take(&arena->bins, size, sort_max);
    return chunk != NULL ? chunk : ptm_top_cut(&arena->top, size);
}

/* The top shall be long enough for size. */
static bool
grow_locked(struct ptm_arena *arena, size_t size) REQUIRES(arena->lock)
{
    const struct ptm_tuning *tuning = &arena->heap->tuning;
    size_t pad = ptm_tuning_get(&tuning->top_pad);
    return ptm_top_extend(&arena->top, size, pad) ||
           ptm_top_renew(&arena->top, &arena->bins, size, pad, tuning->is_huge);
}

struct chunk *
ptm_arena_alloc_locked(struct ptm_arena *arena, size_t size)
{
    struct chunk *chunk = ptm_arena_take_locked(arena, size);
    if (chunk == NULL && grow_locked(arena, size)) {
        chunk = ptm_top_cut(&arena->top, size);
    }
    return chunk;
}

/* Frees the first lead_size bytes of a used chunk; returns what is left. */
static struct chunk *
cut_lead_locked(struct ptm_arena *arena, struct chunk *chunk, size_t lead_size)
    REQUIRES(arena->lock)
{
    size_t size = chunk_size(chunk);
    struct chunk *rest = chunk_at(chunk, lead_size);
    chunk->head = lead_size | (chunk->head & PTM_PREV_USED);
    rest->head = (size - lead_size) | PTM_PREV_USED;
    ptm_arena_free_locked(arena, chunk);
    return rest;
}

/* Frees what a used chunk has beyond size bytes. */
static void
cut_tail_locked(struct ptm_arena *arena, struct chunk *chunk, size_t size)
    REQUIRES(arena->lock)
{
    size_t tail_size = chunk_size(chunk) - size;
    if (tail_size >= CHUNK_MIN_SIZE) {
        struct chunk *tail = chunk_at(chunk, size);
        chunk->head = size | (chunk->head & PTM_PREV_USED);
        tail->head = tail_size | PTM_PREV_USED;
        ptm_arena_free_locked(arena, tail);
    }
}

struct chunk *
ptm_arena_alloc_aligned_locked(
    struct ptm_arena *arena, size_t align, size_t size)
{
    struct chunk *chunk =
        ptm_arena_alloc_locked(arena, size + align + CHUNK_MIN_SIZE);
    if (chunk == NULL) {
        return NULL;
    }
    size_t lead_size = (size_t)(-(uintptr_t)chunk_block(chunk) & (align - 1));
    if (lead_size != 0 && lead_size < CHUNK_MIN_SIZE) {
        lead_size += align; /* Too little for a chunk of its own. */
    }
    if (lead_size != 0) {
        chunk = cut_lead_locked(arena, chunk, lead_size);
    }
    cut_tail_locked(arena, chunk, size);
    return chunk;
}

/* ---- freeing */

/* What can be told of a chunk from itself and its next. */
static void
check_used_locked(struct ptm_arena *arena, const struct chunk *chunk)
    REQUIRES(arena->lock)
{
    const struct chunk *next = chunk_next(chunk);
    size_t size = chunk_size(chunk);
    if (chunk == arena->top.chunk) {
        ptm_misuse("double free or corruption (top)", chunk);
    }
    /* There is always one behind it. */
    if (size < CHUNK_MIN_SIZE ||
        !ptm_subheap_holds(chunk, size + CHUNK_BLOCK_OFFSET)) {
        ptm_misuse("invalid size or pointer in free", chunk);
    }
    if ((next->head & PTM_PREV_USED) == 0) {
        ptm_misuse("double free or corruption (!prev)", chunk);
    }
    if (chunk_size(next) < CHUNK_OVERHEAD_FOOT ||
        !ptm_subheap_holds(next, chunk_size(next))) {
        ptm_misuse("invalid next size in free", chunk);
    }
}

static bool
is_free_locked(struct ptm_arena *arena, const struct chunk *chunk)
    REQUIRES(arena->lock)
{
    return chunk != arena->top.chunk && chunk_size(chunk) >= CHUNK_MIN_SIZE &&
           (chunk_next(chunk)->head & PTM_PREV_USED) == 0;
}

/* Joins with a free chunk before; returns the chunk that begins there. */
static struct chunk *
join_prev_locked(struct ptm_arena *arena, struct chunk *chunk)
    REQUIRES(arena->lock)
{
    if ((chunk->head & PTM_PREV_USED) != 0) {
        return chunk;
    }
    struct chunk *prev = chunk_prev(chunk);
    if (ptm_subheap_of(prev) != ptm_subheap_of(chunk) ||
        chunk_size(prev) != chunk->prev_foot) {
        ptm_misuse("corrupted size vs. prev_size", chunk);
    }
    ptm_bins_remove(&arena->bins, prev);
    prev->head += chunk_size(chunk);
    return prev;
}

/* Gives back what the top has beyond the threshold. */
static void
maybe_trim_locked(struct ptm_arena *arena) REQUIRES(arena->lock)
{
    const struct ptm_tuning *tuning = &arena->heap->tuning;
    const struct ptm_top *top = &arena->top;
    size_t threshold = ptm_tuning_get(&tuning->trim_threshold);
    if (chunk_size(top->chunk) < threshold) {
        return;
    }
    size_t pad = ptm_tuning_get(&tuning->top_pad);
    while (chunk_size(top->chunk) >= threshold &&
           ptm_top_drop_newest(&arena->top, &arena->bins)) {
        /* The subheap before may be all top, too. */
    }
    if (chunk_size(top->chunk) >= threshold &&
        chunk_size(top->chunk) - PTM_FENCE_SIZE > pad) {
        (void)ptm_top_shrink(&arena->top, pad);
    }
}

void
ptm_arena_free_locked(struct ptm_arena *arena, struct chunk *chunk)
{
    check_used_locked(arena, chunk);
    struct chunk *next = chunk_next(chunk);
    chunk = join_prev_locked(arena, chunk);
    if (next == arena->top.chunk) {
        ptm_top_join(&arena->top, chunk);
        maybe_trim_locked(arena);
        return;
    }
    if (is_free_locked(arena, next)) {
        ptm_bins_remove(&arena->bins, next);
        chunk->head += chunk_size(next);
    } else {
        ptm_head_set_prev_used(next, false);
    }
    chunk_set_free(chunk, chunk_size(chunk));
    ptm_bins_push(&arena->bins, chunk);
}

/* ---- resizing */

/* A block past the threshold rather moves to a mapping, which grows by moving
 * pages, than that the top grows for it. */
static bool
grow_into_top_locked(struct ptm_arena *arena, struct chunk *chunk, size_t size)
    REQUIRES(arena->lock)
{
    const struct ptm_tuning *tuning = &arena->heap->tuning;
    size_t more = size - chunk_size(chunk);
    if (ptm_top_lend(&arena->top, chunk, more)) {
        return true;
    }
    return size < ptm_tuning_get(&tuning->mmap_threshold) &&
           ptm_top_extend(
               &arena->top, more, ptm_tuning_get(&tuning->top_pad)) &&
           ptm_top_lend(&arena->top, chunk, more);
}

static bool
grow_in_place_locked(struct ptm_arena *arena, struct chunk *chunk, size_t size)
    REQUIRES(arena->lock)
{
    struct chunk *next = chunk_next(chunk);
    if (next == arena->top.chunk) {
        return grow_into_top_locked(arena, chunk, size);
    }
    if (!is_free_locked(arena, next) ||
        chunk_size(next) < size - chunk_size(chunk)) {
        return false;
    }
    ptm_bins_remove(&arena->bins, next);
    chunk->head += chunk_size(next);
    ptm_head_set_prev_used(chunk_next(chunk), true);
    cut_tail_locked(arena, chunk, size);
    return true;
}

bool
ptm_arena_resize_locked(
    struct ptm_arena *arena, struct chunk *chunk, size_t size)
{
    check_used_locked(arena, chunk);
    if (size > chunk_size(chunk)) {
        return grow_in_place_locked(arena, chunk, size);
    }
    cut_tail_locked(arena, chunk, size);
    return true;
}

bool
ptm_arena_trim_locked(struct ptm_arena *arena, size_t pad)
{
    bool any = false;
    while (ptm_top_drop_newest(&arena->top, &arena->bins)) {
        any = true;
    }
    any |= ptm_top_shrink(&arena->top, pad);
    return ptm_bins_purge(&arena->bins) || any;
}

/* ---- life and walks */

struct ptm_arena *
ptm_arena_new(struct ptm_heap *heap, unsigned index)
{
    size_t lead_size = (sizeof(struct ptm_subheap) + sizeof(struct ptm_arena) +
                           CHUNK_ALIGN - 1) &
                       ~(CHUNK_ALIGN - 1);
    size_t wanted = lead_size + PTM_FENCE_SIZE;
    size_t pad = ptm_tuning_get(&heap->tuning.top_pad);
    if (pad > PTM_SUBHEAP_SIZE - wanted) {
        pad = PTM_SUBHEAP_SIZE - wanted;
    }
    struct ptm_subheap *subheap =
        ptm_subheap_new(NULL, lead_size, wanted + pad, heap->tuning.is_huge);
    if (subheap == NULL) {
        return NULL;
    }
    struct ptm_arena *arena = (struct ptm_arena *)(void *)(subheap + 1);
    subheap->arena = arena;
    mtx_init(&arena->lock, MTX_ARENA);
    arena->heap = heap;
    arena->index = index;
    ptm_bins_init(&arena->bins);
    ptm_top_init(&arena->top, subheap);
    return arena;
}

void
ptm_arena_delete(struct ptm_arena *arena)
{
    mtx_fini(&arena->lock);
    struct ptm_top top = arena->top; /* Its subheaps hold the arena. */
    ptm_top_fini(&top);
}

static void
each_chunk_of_subheap(struct ptm_arena *arena, struct ptm_subheap *subheap,
    ptm_chunk_fn *visit, void *arg) REQUIRES(arena->lock)
{
    char *end = ptm_subheap_end(subheap);
    struct chunk *chunk = ptm_subheap_first_chunk(subheap);
    while ((char *)chunk < end && chunk != arena->top.chunk) {
        struct chunk *next = chunk_next(chunk);
        CHECK(chunk_size(chunk) >= CHUNK_OVERHEAD_FOOT);
        CHECK((char *)next <= end);
        bool used = (char *)next == end || chunk_size(chunk) < CHUNK_MIN_SIZE ||
                    (next->head & PTM_PREV_USED) != 0;
        visit(arena, chunk, used, arg);
        chunk = next;
    }
    if (chunk == arena->top.chunk) {
        visit(arena, chunk, false, arg);
    }
}

void
ptm_arena_each_chunk_locked(
    struct ptm_arena *arena, ptm_chunk_fn *visit, void *arg)
{
    for (struct ptm_subheap *subheap = arena->top.newest; subheap != NULL;
         subheap = subheap->older) {
        each_chunk_of_subheap(arena, subheap, visit, arg);
    }
}

/* ---- checking */

struct census {
    bool was_free; /* the chunk before: then this one must be used */
    size_t free_count, free_size;
};

static void
check_chunk(struct ptm_arena *arena, struct chunk *chunk, bool used, void *arg)
{
    struct census *census = arg;
    CHECK(((uintptr_t)chunk & (CHUNK_ALIGN - 1)) == 0);
    CHECK(used || !census->was_free); /* I1 */
    census->was_free = !used && chunk != arena->top.chunk;
    if (census->was_free) {
        census->free_count++;
        census->free_size += chunk_size(chunk);
    }
}

void
ptm_arena_check(struct ptm_arena *arena)
{
    struct census census = {0};
    mtx_lock(&arena->lock);
    ptm_top_check(&arena->top);
    CHECK(arena->top.newest->arena == arena);
    ptm_arena_each_chunk_locked(arena, check_chunk, &census);
    ptm_bins_check(&arena->bins);
    CHECK(ptm_bins_count(&arena->bins) == census.free_count); /* I2 */
    CHECK(arena->bins.free_size == census.free_size);         /* I2 */
    ptm_returned_check_locked(arena);
    mtx_unlock(&arena->lock);
}

void
ptm_arena_dump(struct ptm_arena *arena, int fd)
{
    struct print print;
    print_init(&print, fd);
    mtx_lock(&arena->lock);
    print_format(&print, "  arena %u: threads %u, returned %zu\n", arena->index,
        atomic_load(&arena->thread_count), atomic_load(&arena->returned_size));
    print_flush(&print);
    ptm_top_dump(&arena->top, fd);
    ptm_bins_dump(&arena->bins, fd);
    mtx_unlock(&arena->lock);
}
