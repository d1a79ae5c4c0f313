/*
 * arena.c - chunks under one lock (contract: arena.h)
 *
 * A request is served by the first of these that can: a small bin of its size;
 * an unsorted chunk of its exact size; the least chunk in the bins that is large
 * enough, split; the top, grown if need be. Unsorted chunks that are passed over
 * go to their bins on the way. A small request that would split the last
 * remainder goes on splitting it, so that requests in a row lie in a row.
 *
 *     subheap: | header | chunk | chunk | ...        | top      |
 *     older:   | header | chunk | ...    | fence 16 | fence 16 |
 *
 *   I1  Two free chunks are never neighbours; a free chunk's foot repeats its
 *       size, and the next chunk's PREV_USED is clear.
 *   I2  A free chunk is in exactly one of: unsorted, its small bin, the tree
 *       (IN_TREE set), top.
 *   I3  A small bin that is not empty has its bit in small_map.
 *   I4  top ends where the newest subheap's usable part ends; older subheaps end
 *       in two fence chunks that are never free.
 *   I5  last_remainder, if not NULL, is in the unsorted bin.
 *   I6  free_size is the sum of the sizes of all free chunks but top.
 */
#include "ptmalloc/arena.h"

#include <string.h>

#include "base/check.h"
#include "base/pages.h"
#include "base/poison.h"
#include "base/print.h"
#include "ptmalloc/heap.h"

#define UNSORTED_PASSES_MAX 1000 /* chunks sorted for one request */
#define FENCE_SIZE          (2 * CHUNK_OVERHEAD_FOOT)

/* A large free chunk in the tree: the node stands where the links would. */
struct large_chunk {
    size_t prev_foot;
    size_t head;
    struct tree_node node;
};

static_assert(sizeof(struct large_chunk) <= PTM_SMALL_MAX, "it fits");

static _Noreturn void
misuse(const char *what, const struct chunk *chunk)
{
    check_misuse(PTM_NAME, what, chunk_block(chunk));
}

/* ---- bins */

static struct chunk *
chunk_of_node(const struct tree_node *node)
{
    return node == NULL ? NULL
                        : (struct chunk *)(void *)TREE_OF(
                              node, struct large_chunk, node);
}

static struct tree_node *
node_of(struct chunk *chunk)
{
    return &((struct large_chunk *)(void *)chunk)->node;
}

static int
compare_large(const struct tree_node *a, const struct tree_node *b)
{
    const struct chunk *x = chunk_of_node(a);
    const struct chunk *y = chunk_of_node(b);
    if (chunk_size(x) != chunk_size(y)) {
        return chunk_size(x) < chunk_size(y) ? -1 : 1;
    }
    return (x > y) - (x < y);
}

static int
probe_size(const struct tree_node *node, const void *key)
{
    return chunk_size(chunk_of_node(node)) < *(const size_t *)key ? -1 : 1;
}

/* A free chunk but for its head and links holds nothing (base/poison.h). */
static void
poison_body(const struct chunk *chunk)
{
    size_t size = chunk_size(chunk);
    if (size > sizeof(struct large_chunk)) {
        poison_free((const char *)chunk + sizeof(struct large_chunk),
            size - sizeof(struct large_chunk));
    }
}

static void
use_body(const struct chunk *chunk)
{
    poison_use(chunk, chunk_size(chunk));
}

static void
push_unsorted_locked(struct ptm_arena *arena, struct chunk *chunk)
    REQUIRES(arena->lock)
{
    poison_body(chunk);
    chunk_push(&arena->unsorted, chunk);
    arena->free_size += chunk_size(chunk);
}

/* Into its small bin, or the tree. */
static void
sort_chunk_locked(struct ptm_arena *arena, struct chunk *chunk)
    REQUIRES(arena->lock)
{
    size_t size = chunk_size(chunk);
    poison_body(chunk);
    arena->free_size += size;
    if (size <= PTM_SMALL_MAX) {
        size_t bin = size / CHUNK_ALIGN;
        chunk_push(&arena->small[bin], chunk);
        arena->small_map[bin / 64] |= (uint64_t)1 << (bin % 64); /* I3 */
        return;
    }
    chunk->head |= PTM_IN_TREE;
    tree_insert(&arena->large, node_of(chunk));
}

/* Out of whatever holds it. */
static void
unbin_locked(struct ptm_arena *arena, struct chunk *chunk) REQUIRES(arena->lock)
{
    if (!chunk_foot_matches(chunk)) {
        misuse("corrupted size vs. prev_size", chunk);
    }
    arena->free_size -= chunk_size(chunk);
    if (chunk == arena->last_remainder) {
        arena->last_remainder = NULL;
    }
    if ((chunk->head & PTM_IN_TREE) != 0) {
        tree_remove(&arena->large, node_of(chunk));
        chunk->head &= ~PTM_IN_TREE;
    } else if (!chunk_unlink(chunk)) {
        misuse("corrupted double-linked list", chunk);
    }
    use_body(chunk);
}

/* ---- cutting */

/* Tells a chunk whether the one before is used. Its holder may be reading the
 * head without the lock, so this is a store of one word. */
static void
set_prev_used(struct chunk *chunk, bool used)
{
    size_t head = chunk->head & ~PTM_PREV_USED;
    atomic_store_explicit((_Atomic size_t *)&chunk->head,
        head | (used ? PTM_PREV_USED : 0), memory_order_relaxed);
}

/* Marks a free chunk, in no bin, as used: all of it. */
static void
use_whole(struct chunk *chunk)
{
    set_prev_used(chunk_next(chunk), true);
}

/* Makes the free chunk, in no bin, used with just size bytes; the rest becomes
 * an unsorted chunk. Returns the rest, or NULL when there is none. */
static struct chunk *
use_part_locked(struct ptm_arena *arena, struct chunk *chunk, size_t size)
    REQUIRES(arena->lock)
{
    size_t rest_size = chunk_size(chunk) - size;
    if (rest_size < CHUNK_MIN_SIZE) {
        use_whole(chunk);
        return NULL;
    }
    struct chunk *rest = chunk_at(chunk, size);
    chunk->head = size | (chunk->head & PTM_PREV_USED);
    chunk_set_free(rest, rest_size);
    push_unsorted_locked(arena, rest);
    return rest;
}

/* ---- the top */

static void
set_top(struct ptm_arena *arena, struct chunk *top)
{
    char *end = (char *)arena->newest + arena->newest->usable_size;
    arena->top = top;
    top->head = (size_t)(end - (char *)top) | PTM_PREV_USED;
    poison_body(top);
}

static void
count_system_locked(struct ptm_arena *arena, size_t old_size, size_t new_size)
    REQUIRES(arena->lock)
{
    arena->system_size += new_size - old_size;
    if (arena->system_size > arena->system_peak) {
        arena->system_peak = arena->system_size;
    }
}

/* The old top's end becomes two fences, and what is before them free. I4 */
static void
fence_top_locked(struct ptm_arena *arena) REQUIRES(arena->lock)
{
    struct chunk *top = arena->top;
    arena->top = NULL; /* It is a chunk like others from here on. */
    use_body(top);
    size_t flags = top->head & PTM_PREV_USED;
    size_t left = chunk_size(top) - FENCE_SIZE;
    struct chunk *fence = chunk_at(top, left);
    chunk_at(fence, CHUNK_OVERHEAD_FOOT)->head =
        CHUNK_OVERHEAD_FOOT | PTM_PREV_USED;
    fence->head = CHUNK_OVERHEAD_FOOT | PTM_PREV_USED;
    if (left >= CHUNK_MIN_SIZE) {
        top->head = left | flags;
        ptm_arena_free_locked(arena, top);
    } else if (left > 0) {
        /* 16 bytes: too small for a chunk, so the fence begins here. */
        top->head = left | flags;
    } else {
        fence->head = CHUNK_OVERHEAD_FOOT | flags;
    }
}

static bool
add_subheap_locked(struct ptm_arena *arena, size_t size) REQUIRES(arena->lock)
{
    size_t wanted = sizeof(struct ptm_subheap) + size + FENCE_SIZE +
                    arena->heap->options.top_pad;
    struct ptm_subheap *subheap = ptm_subheap_new(arena, wanted);
    if (subheap == NULL) {
        return false;
    }
    struct ptm_subheap *older = arena->newest;
    subheap->older = older;
    fence_top_locked(arena);
    arena->newest = subheap;
    set_top(arena, ptm_subheap_first_chunk(subheap));
    count_system_locked(arena, 0, subheap->usable_size);
    return true;
}

/* Makes the top large enough to cut size from it and stay a chunk, if its
 * subheap has the room. */
static bool
extend_top_locked(struct ptm_arena *arena, size_t size) REQUIRES(arena->lock)
{
    struct ptm_subheap *subheap = arena->newest;
    size_t old_size = subheap->usable_size;
    size_t wanted =
        (size_t)((char *)arena->top - (char *)subheap) + size + FENCE_SIZE;
    if (!ptm_subheap_grow(subheap, wanted + arena->heap->options.top_pad) &&
        !ptm_subheap_grow(subheap, wanted)) {
        return false;
    }
    arena->top->head =
        (chunk_size(arena->top) + subheap->usable_size - old_size) |
        (arena->top->head & PTM_PREV_USED);
    count_system_locked(arena, old_size, subheap->usable_size);
    poison_body(arena->top);
    return true;
}

static struct chunk *
cut_top_locked(struct ptm_arena *arena, size_t size) REQUIRES(arena->lock)
{
    struct chunk *chunk = arena->top;
    if (chunk_size(chunk) < size + FENCE_SIZE) {
        return NULL;
    }
    size_t rest_size = chunk_size(chunk) - size;
    poison_use(chunk, size + CHUNK_BLOCK_OFFSET);
    chunk->head = size | (chunk->head & PTM_PREV_USED);
    arena->top = chunk_at(chunk, size);
    arena->top->head = rest_size | PTM_PREV_USED;
    return chunk;
}

/* ---- allocation */

static struct chunk *
take_small_exact_locked(struct ptm_arena *arena, size_t size)
    REQUIRES(arena->lock)
{
    struct list *bin = &arena->small[size / CHUNK_ALIGN];
    if (list_empty(bin)) {
        return NULL;
    }
    struct chunk *chunk = chunk_of_link(bin->prev);
    unbin_locked(arena, chunk);
    use_whole(chunk);
    return chunk;
}

static void
check_unsorted(const struct ptm_arena *arena, const struct chunk *chunk)
{
    size_t size = chunk_size(chunk);
    if (size < CHUNK_MIN_SIZE || size > arena->system_size) {
        misuse("invalid size (unsorted)", chunk);
    }
    if ((chunk_next(chunk)->head & PTM_PREV_USED) != 0) {
        misuse("invalid next->prev_inuse (unsorted)", chunk);
    }
}

/* Goes through the unsorted bin, oldest first: a chunk of just this size is
 * taken, the others are sorted. */
static struct chunk *
take_unsorted_locked(struct ptm_arena *arena, size_t size) REQUIRES(arena->lock)
{
    for (unsigned pass = 0; pass < UNSORTED_PASSES_MAX; pass++) {
        if (list_empty(&arena->unsorted)) {
            break;
        }
        struct chunk *chunk = chunk_of_link(arena->unsorted.prev);
        check_unsorted(arena, chunk);
        if (chunk == arena->last_remainder && size <= PTM_SMALL_MAX &&
            arena->unsorted.next == &chunk->link &&
            chunk_size(chunk) >= size + CHUNK_MIN_SIZE) {
            unbin_locked(arena, chunk);
            arena->last_remainder = use_part_locked(arena, chunk, size);
            return chunk;
        }
        unbin_locked(arena, chunk);
        if (chunk_size(chunk) == size) {
            use_whole(chunk);
            return chunk;
        }
        sort_chunk_locked(arena, chunk);
    }
    return NULL;
}

/* The first small bin from `bin` on that is not empty, or 0. */
static size_t
next_small_bin_locked(struct ptm_arena *arena, size_t bin) REQUIRES(arena->lock)
{
    while (bin < PTM_SMALL_COUNT) {
        uint64_t bits = arena->small_map[bin / 64] >> (bin % 64);
        if (bits == 0) {
            bin = (bin / 64 + 1) * 64;
            continue;
        }
        bin += (size_t)__builtin_ctzl(bits);
        if (!list_empty(&arena->small[bin])) {
            return bin;
        }
        arena->small_map[bin / 64] &= ~((uint64_t)1 << (bin % 64));
    }
    return 0;
}

/* The least sorted chunk that is large enough, split. */
static struct chunk *
take_best_locked(struct ptm_arena *arena, size_t size) REQUIRES(arena->lock)
{
    struct chunk *chunk = NULL;
    if (size <= PTM_SMALL_MAX) {
        size_t bin = next_small_bin_locked(arena, size / CHUNK_ALIGN);
        if (bin != 0) {
            chunk = chunk_of_link(arena->small[bin].prev);
        }
    }
    if (chunk == NULL) {
        chunk = chunk_of_node(tree_at_least(&arena->large, probe_size, &size));
    }
    if (chunk == NULL) {
        return NULL;
    }
    unbin_locked(arena, chunk);
    struct chunk *rest = use_part_locked(arena, chunk, size);
    if (rest != NULL && size <= PTM_SMALL_MAX) {
        arena->last_remainder = rest;
    }
    return chunk;
}

struct chunk *
ptm_arena_take_locked(struct ptm_arena *arena, size_t size)
{
    struct chunk *chunk = NULL;
    ASSERT(size >= CHUNK_MIN_SIZE && size % CHUNK_ALIGN == 0);
    if (size <= PTM_SMALL_MAX) {
        chunk = take_small_exact_locked(arena, size);
    }
    if (chunk == NULL) {
        chunk = take_unsorted_locked(arena, size);
    }
    if (chunk == NULL) {
        chunk = take_best_locked(arena, size);
    }
    return chunk != NULL ? chunk : cut_top_locked(arena, size);
}

struct chunk *
ptm_arena_alloc_locked(struct ptm_arena *arena, size_t size)
{
    struct chunk *chunk = ptm_arena_take_locked(arena, size);
    if (chunk == NULL &&
        (extend_top_locked(arena, size) || add_subheap_locked(arena, size))) {
        chunk = cut_top_locked(arena, size);
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
    if (size < CHUNK_MIN_SIZE || size > arena->system_size ||
        ((uintptr_t)chunk & (CHUNK_ALIGN - 1)) != 0 ||
        ptm_subheap_of(next) != ptm_subheap_of(chunk)) {
        misuse("invalid size or pointer in free", chunk);
    }
    if (chunk == arena->top) {
        misuse("double free or corruption (top)", chunk);
    }
    if ((next->head & PTM_PREV_USED) == 0) {
        misuse("double free or corruption (!prev)", chunk);
    }
    if (chunk_size(next) < CHUNK_OVERHEAD_FOOT ||
        chunk_size(next) > arena->system_size) {
        misuse("invalid next size in free", chunk);
    }
}

static bool
is_free_locked(struct ptm_arena *arena, const struct chunk *chunk)
    REQUIRES(arena->lock)
{
    return chunk != arena->top && chunk_size(chunk) >= CHUNK_MIN_SIZE &&
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
    if (chunk_size(prev) != chunk->prev_foot) {
        misuse("corrupted size vs. prev_size", chunk);
    }
    unbin_locked(arena, prev);
    prev->head += chunk_size(chunk);
    return prev;
}

static void maybe_trim_locked(struct ptm_arena *arena) REQUIRES(arena->lock);

void
ptm_arena_free_locked(struct ptm_arena *arena, struct chunk *chunk)
{
    check_used_locked(arena, chunk);
    struct chunk *next = chunk_next(chunk);
    chunk = join_prev_locked(arena, chunk);
    if (next == arena->top) {
        chunk->head += chunk_size(next);
        arena->top = chunk;
        poison_body(chunk);
        maybe_trim_locked(arena);
        return;
    }
    if (is_free_locked(arena, next)) {
        unbin_locked(arena, next);
        chunk->head += chunk_size(next);
    } else {
        set_prev_used(next, false);
    }
    chunk_set_free(chunk, chunk_size(chunk));
    push_unsorted_locked(arena, chunk);
}

/* A block past the threshold rather moves to a mapping, which grows by moving
 * pages, than that the top grows for it. */
static bool
extend_top_in_place_locked(struct ptm_arena *arena, size_t size, size_t more)
    REQUIRES(arena->lock)
{
    return size < atomic_load_explicit(
                      &arena->heap->mmap_threshold, memory_order_relaxed) &&
           extend_top_locked(arena, more);
}

static bool
grow_in_place_locked(struct ptm_arena *arena, struct chunk *chunk, size_t size)
    REQUIRES(arena->lock)
{
    struct chunk *next = chunk_next(chunk);
    size_t more = size - chunk_size(chunk);
    if (next == arena->top) {
        if (chunk_size(next) < more + FENCE_SIZE &&
            !extend_top_in_place_locked(arena, size, more)) {
            return false;
        }
        size_t rest_size = chunk_size(next) - more;
        poison_use(next, more + CHUNK_BLOCK_OFFSET);
        chunk->head += more;
        arena->top = chunk_at(chunk, size);
        arena->top->head = rest_size | PTM_PREV_USED;
        return true;
    }
    if (!is_free_locked(arena, next) || chunk_size(next) < more) {
        return false;
    }
    unbin_locked(arena, next);
    chunk->head += chunk_size(next);
    use_whole(chunk);
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

/* ---- giving memory back */

/* When the whole newest subheap is top, the one before can be the newest. */
static bool
drop_newest_locked(struct ptm_arena *arena) REQUIRES(arena->lock)
{
    struct ptm_subheap *subheap = arena->newest;
    struct ptm_subheap *older = subheap->older;
    if (older == NULL || arena->top != ptm_subheap_first_chunk(subheap)) {
        return false;
    }
    char *end = (char *)older + older->usable_size;
    struct chunk *fence = (struct chunk *)(void *)(end - FENCE_SIZE);
    arena->newest = older;
    count_system_locked(arena, subheap->usable_size, 0);
    ptm_subheap_delete(subheap);
    struct chunk *top = fence;
    if ((fence->head & PTM_PREV_USED) == 0) {
        top = chunk_prev(fence);
        unbin_locked(arena, top);
    } else if (chunk_size(fence) != CHUNK_OVERHEAD_FOOT) {
        misuse("corrupted fence", fence);
    }
    size_t flags = top->head & PTM_PREV_USED;
    arena->top = top;
    top->head = (size_t)(end - (char *)top) | flags;
    poison_body(top);
    return true;
}

static bool
shrink_top_locked(struct ptm_arena *arena, size_t pad) REQUIRES(arena->lock)
{
    struct ptm_subheap *subheap = arena->newest;
    size_t old_size = subheap->usable_size;
    size_t used = (size_t)((char *)arena->top - (char *)subheap) + FENCE_SIZE;
    if (pad > old_size - used || !ptm_subheap_shrink(subheap, used + pad)) {
        return false;
    }
    arena->top->head =
        (chunk_size(arena->top) - old_size + subheap->usable_size) |
        (arena->top->head & PTM_PREV_USED);
    count_system_locked(arena, old_size, subheap->usable_size);
    return true;
}

static void
maybe_trim_locked(struct ptm_arena *arena)
{
    const struct ptm_options *options = &arena->heap->options;
    size_t threshold = atomic_load_explicit(
        &arena->heap->trim_threshold, memory_order_relaxed);
    while (chunk_size(arena->top) >= threshold && drop_newest_locked(arena)) {
        /* The subheap before may be all top, too. */
    }
    if (chunk_size(arena->top) >= threshold &&
        chunk_size(arena->top) > options->top_pad + FENCE_SIZE) {
        (void)shrink_top_locked(arena, options->top_pad);
    }
}

/* Whole pages inside a free chunk, past its links. */
static bool
purge_chunk(const struct chunk *chunk)
{
    size_t page_size = pages_os_size();
    uintptr_t first =
        ((uintptr_t)chunk + sizeof(struct large_chunk) + page_size - 1) &
        ~(page_size - 1);
    uintptr_t end = ((uintptr_t)chunk + chunk_size(chunk)) & ~(page_size - 1);
    return first < end && pages_purge((void *)first, end - first);
}

bool
ptm_arena_trim_locked(struct ptm_arena *arena, size_t pad)
{
    bool any = false;
    const struct tree_node *node;
    const struct list *link;
    while (drop_newest_locked(arena)) {
        any = true;
    }
    any |= shrink_top_locked(arena, pad);
    TREE_EACH (node, &arena->large) {
        any |= purge_chunk(chunk_of_node(node));
    }
    LIST_EACH (link, &arena->unsorted) {
        any |= purge_chunk(chunk_of_link(link));
    }
    return any;
}

/* ---- life and walks */

struct chunk *
ptm_subheap_first_chunk(struct ptm_subheap *subheap)
{
    size_t lead = sizeof *subheap;
    if (subheap->older == NULL) {
        lead +=
            (sizeof(struct ptm_arena) + CHUNK_ALIGN - 1) & ~(CHUNK_ALIGN - 1);
    }
    return chunk_at(subheap, lead);
}

struct ptm_arena *
ptm_arena_new(struct ptm_heap *heap, unsigned index)
{
    struct ptm_subheap *subheap =
        ptm_subheap_new(NULL, sizeof *subheap + sizeof(struct ptm_arena) +
                                  FENCE_SIZE + heap->options.top_pad);
    if (subheap == NULL) {
        return NULL;
    }
    struct ptm_arena *arena = (struct ptm_arena *)(void *)(subheap + 1);
    subheap->arena = arena;
    mtx_init(&arena->lock, MTX_ARENA);
    arena->heap = heap;
    arena->index = index;
    list_init(&arena->unsorted);
    for (size_t bin = 0; bin < PTM_SMALL_COUNT; bin++) {
        list_init(&arena->small[bin]);
    }
    tree_init(&arena->large, compare_large);
    arena->newest = subheap;
    arena->system_size = subheap->usable_size;
    arena->system_peak = subheap->usable_size;
    set_top(arena, ptm_subheap_first_chunk(subheap));
    return arena;
}

void
ptm_arena_delete(struct ptm_arena *arena)
{
    struct ptm_subheap *subheap = arena->newest;
    mtx_fini(&arena->lock);
    while (subheap != NULL) { /* The last one holds the arena. */
        struct ptm_subheap *older = subheap->older;
        ptm_subheap_delete(subheap);
        subheap = older;
    }
}

static void
each_chunk_of_subheap(struct ptm_arena *arena, struct ptm_subheap *subheap,
    ptm_chunk_fn *visit, void *arg) REQUIRES(arena->lock)
{
    char *end = (char *)subheap + subheap->usable_size;
    struct chunk *chunk = ptm_subheap_first_chunk(subheap);
    while ((char *)chunk < end && chunk != arena->top) {
        struct chunk *next = chunk_next(chunk);
        CHECK(chunk_size(chunk) >= CHUNK_OVERHEAD_FOOT);
        CHECK((char *)next <= end);
        bool used = (char *)next == end || chunk_size(chunk) < CHUNK_MIN_SIZE ||
                    (next->head & PTM_PREV_USED) != 0;
        visit(arena, chunk, used, arg);
        chunk = next;
    }
    if (chunk == arena->top) {
        visit(arena, chunk, false, arg);
    }
}

void
ptm_arena_each_chunk_locked(
    struct ptm_arena *arena, ptm_chunk_fn *visit, void *arg)
{
    for (struct ptm_subheap *subheap = arena->newest; subheap != NULL;
         subheap = subheap->older) {
        each_chunk_of_subheap(arena, subheap, visit, arg);
    }
}

/* ---- checking */

struct census {
    const struct chunk *before; /* free: the next one must be used */
    size_t free_count, free_size;
    size_t system_size;
};

static void
check_chunk(struct ptm_arena *arena, struct chunk *chunk, bool used, void *arg)
{
    struct census *census = arg;
    if (census->before != NULL) {
        CHECK(used || chunk_next(census->before) != chunk); /* I1 */
    }
    census->before = NULL;
    CHECK(((uintptr_t)chunk & (CHUNK_ALIGN - 1)) == 0);
    if (used || chunk == arena->top) {
        return;
    }
    CHECK(chunk_foot_matches(chunk)); /* I1 */
    CHECK((chunk->head & PTM_PREV_USED) != 0);
    census->before = chunk;
    census->free_count++;
    census->free_size += chunk_size(chunk);
}

static size_t
check_bins_locked(struct ptm_arena *arena) REQUIRES(arena->lock)
{
    size_t count = list_count(&arena->unsorted);
    const struct tree_node *node;
    const struct list *link;
    list_check(&arena->unsorted);
    for (size_t bin = 0; bin < PTM_SMALL_COUNT; bin++) {
        list_check(&arena->small[bin]);
        LIST_EACH (link, &arena->small[bin]) {
            CHECK(chunk_size(chunk_of_link(link)) == bin * CHUNK_ALIGN);
            CHECK((arena->small_map[bin / 64] >> (bin % 64) & 1) != 0); /* I3 */
            count++;
        }
    }
    tree_check(&arena->large);
    TREE_EACH (node, &arena->large) {
        CHECK((chunk_of_node(node)->head & PTM_IN_TREE) != 0);
        CHECK(chunk_size(chunk_of_node(node)) > PTM_SMALL_MAX);
        count++;
    }
    return count;
}

void
ptm_arena_check(struct ptm_arena *arena)
{
    struct census census = {0};
    mtx_lock(&arena->lock);
    ptm_arena_each_chunk_locked(arena, check_chunk, &census);
    CHECK(check_bins_locked(arena) == census.free_count); /* I2 */
    CHECK(arena->free_size == census.free_size);          /* I6 */
    for (struct ptm_subheap *subheap = arena->newest; subheap != NULL;
         subheap = subheap->older) {
        CHECK(subheap->arena == arena);
        census.system_size += subheap->usable_size;
    }
    CHECK(census.system_size == arena->system_size);
    CHECK((char *)arena->top + chunk_size(arena->top) ==
          (char *)arena->newest + arena->newest->usable_size); /* I4 */
    CHECK(chunk_size(arena->top) >= FENCE_SIZE);
    mtx_unlock(&arena->lock);
}

void
ptm_arena_dump(struct ptm_arena *arena, int fd)
{
    struct print print;
    print_init(&print, fd);
    mtx_lock(&arena->lock);
    print_format(&print, "  arena %u: threads %u system %zu top %zu\n",
        arena->index, atomic_load(&arena->thread_count), arena->system_size,
        chunk_size(arena->top));
    print_format(&print, "    free %zu unsorted %zu large %zu returned %zu\n",
        arena->free_size, list_count(&arena->unsorted), arena->large.count,
        atomic_load(&arena->returned_size));
    mtx_unlock(&arena->lock);
    print_flush(&print);
}
