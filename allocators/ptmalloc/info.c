/*
 * info.c - what programs written for glibc read: mallinfo2, malloc_stats and
 * malloc_info (contract: ptmalloc.h)
 *
 * The forms and the meaning of each number are those of the glibc manual and of
 * mallinfo(3), malloc_stats(3) and malloc_info(3). Where glibc speaks of
 * fastbins, these speak of chunks in caches and in returned batches; those in
 * threads' caches belong to no one arena and are in the totals alone.
 *
 * Numbers are taken first and printed after, since a stream may allocate.
 */
#include <errno.h>

#include "base/print.h"
#include "ptmalloc/inspect.h"
#include "ptmalloc/ptmalloc.h"
#include "ptmalloc/returned.h"

/* Rows of free chunks: one a cache bin, then one a doubling. */
#define ROWS (PTM_CACHE_BINS + 10u)

struct row {
    size_t from, to; /* the least and the largest chunk in it */
    size_t size, count;
};

struct arena_info {
    size_t system_size, system_peak, top_size;
    size_t subheap_count;
    struct row fast, rest; /* sums */
    struct row unsorted;
    struct row rows[ROWS]; /* fast and sorted ones */
};

static unsigned
row_of(size_t size)
{
    unsigned row = PTM_CACHE_BINS;
    if (size <= PTM_CACHE_MAX) {
        return ptm_cache_bin(size);
    }
    for (size >>= 19; size > 0; size >>= 1) {
        row++;
    }
    return row;
}

static void
add_to_row(struct row *row, size_t size)
{
    row->from = row->count == 0 || size < row->from ? size : row->from;
    row->to = size > row->to ? size : row->to;
    row->size += size;
    row->count++;
}

static void
add_binned(const struct chunk *chunk, bool is_unsorted, void *arg)
{
    struct arena_info *info = arg;
    size_t size = chunk_size(chunk);
    add_to_row(&info->rest, size);
    add_to_row(is_unsorted ? &info->unsorted : &info->rows[row_of(size)], size);
}

static void
add_returned(const struct ptm_cached *cached, void *arg)
{
    struct arena_info *info = arg;
    size_t size = ptm_head_size(chunk_of_block(cached));
    add_to_row(&info->fast, size);
    add_to_row(&info->rows[row_of(size)], size);
}

static void
take_info(struct ptm_arena *arena, struct arena_info *info)
{
    *info = (struct arena_info){.subheap_count = 0};
    mtx_lock(&arena->lock);
    info->system_size = arena->top.system_size;
    info->system_peak = arena->top.system_peak;
    info->top_size = chunk_size(arena->top.chunk);
    for (const struct ptm_subheap *subheap = arena->top.newest; subheap != NULL;
         subheap = subheap->older) {
        info->subheap_count++;
    }
    ptm_bins_each(&arena->bins, add_binned, info);
    add_to_row(&info->rest, info->top_size);
    ptm_returned_each_locked(arena, add_returned, info);
    mtx_unlock(&arena->lock);
}

/* ---- mallinfo2 */

struct mallinfo2
ptm_mallinfo2(void)
{
    struct ptm_heap *heap = ptm_heap_main();
    struct mallinfo2 sum = {0};
    struct alloc_stats stats;
    struct arena_info info;
    struct ptm_arena *arena;
    unsigned i;
    if (heap == NULL) {
        return sum;
    }
    PTM_ARENA_EACH (arena, i, heap) {
        take_info(arena, &info);
        sum.arena += info.system_size;
        sum.keepcost += info.top_size;
        sum.ordblks += info.rest.count;
    }
    ptm_inspect_stats(heap, &stats);
    sum.smblks =
        stats.free_count > sum.ordblks ? stats.free_count - sum.ordblks : 0;
    sum.fsmblks = stats.cached_size;
    sum.hblks = stats.direct_count;
    sum.hblkhd = stats.direct_size;
    sum.fordblks = stats.free_size < sum.arena ? stats.free_size : sum.arena;
    sum.uordblks = sum.arena - sum.fordblks;
    return sum;
}

/* ---- malloc_stats */

static void
print_use(struct print *print, size_t system_size, size_t used_size)
{
    print_format(print, "system bytes     = %zu\n", system_size);
    print_format(print, "in use bytes     = %zu\n", used_size);
}

void
ptm_malloc_stats(void)
{
    struct ptm_heap *heap = ptm_heap_main();
    size_t system_size = 0, used_size = 0;
    struct arena_info info;
    struct ptm_arena *arena;
    struct print print;
    unsigned i;
    if (heap == NULL) {
        return;
    }
    print_init(&print, 2);
    PTM_ARENA_EACH (arena, i, heap) {
        take_info(arena, &info);
        size_t used = info.system_size - info.rest.size - info.fast.size;
        print_format(&print, "Arena %u:\n", arena->index);
        print_use(&print, info.system_size, used);
        system_size += info.system_size;
        used_size += used;
    }
    mtx_lock(&heap->direct_lock);
    size_t direct_size = heap->direct_size;
    size_t direct_peak = heap->direct_peak;
    size_t direct_count_peak = heap->direct_count_peak;
    mtx_unlock(&heap->direct_lock);
    print_format(&print, "Total (incl. mmap):\n");
    print_use(&print, system_size + direct_size, used_size + direct_size);
    print_format(&print, "max mmap regions = %zu\n", direct_count_peak);
    print_format(&print, "max mmap bytes   = %zu\n", direct_peak);
    print_flush(&print);
}

/* ---- malloc_info */

static void
print_row(FILE *stream, const char *name, const struct row *row)
{
    if (row->count > 0) {
        fprintf(stream,
            "  <%s from=\"%zu\" to=\"%zu\" total=\"%zu\" count=\"%zu\"/>\n",
            name, row->from, row->to, row->size, row->count);
    }
}

static void
print_sum(FILE *stream, const char *element, const char *type, size_t size)
{
    fprintf(stream, "<%s type=\"%s\" size=\"%zu\"/>\n", element, type, size);
}

static void
print_total(FILE *stream, const char *type, size_t count, size_t size)
{
    fprintf(stream, "<total type=\"%s\" count=\"%zu\" size=\"%zu\"/>\n", type,
        count, size);
}

static void
print_arena(FILE *stream, unsigned index, const struct arena_info *info)
{
    fprintf(stream, "<heap nr=\"%u\">\n<sizes>\n", index);
    for (unsigned row = 0; row < ROWS; row++) {
        print_row(stream, "size", &info->rows[row]);
    }
    print_row(stream, "unsorted", &info->unsorted);
    fprintf(stream, "</sizes>\n");
    print_total(stream, "fast", info->fast.count, info->fast.size);
    print_total(stream, "rest", info->rest.count, info->rest.size);
    print_sum(stream, "system", "current", info->system_size);
    print_sum(stream, "system", "max", info->system_peak);
    print_sum(stream, "aspace", "total", info->system_size);
    print_sum(stream, "aspace", "mprotect", info->system_size);
    print_sum(stream, "aspace", "subheaps", info->subheap_count);
    fprintf(stream, "</heap>\n");
}

/* The arenas' sums, printed one by one; in caches there is more. */
static void
print_arenas(FILE *stream, struct ptm_heap *heap, struct arena_info *sum)
{
    struct arena_info info;
    struct ptm_arena *arena;
    unsigned i;
    PTM_ARENA_EACH (arena, i, heap) {
        take_info(arena, &info);
        print_arena(stream, i, &info);
        sum->system_size += info.system_size;
        sum->system_peak += info.system_peak;
        sum->rest.size += info.rest.size;
        sum->rest.count += info.rest.count;
    }
}

int
ptm_malloc_info(int options, FILE *stream)
{
    struct ptm_heap *heap = ptm_heap_main();
    struct arena_info sum = {.subheap_count = 0};
    struct alloc_stats stats;
    if (options != 0 || heap == NULL) {
        errno = options != 0 ? EINVAL : ENOMEM;
        return -1;
    }
    fprintf(stream, "<malloc version=\"1\">\n");
    print_arenas(stream, heap, &sum);
    ptm_inspect_stats(heap, &stats);
    print_total(stream, "fast",
        stats.free_count > sum.rest.count ? stats.free_count - sum.rest.count
                                          : 0,
        stats.cached_size);
    print_total(stream, "rest", sum.rest.count, sum.rest.size);
    print_total(stream, "mmap", stats.direct_count, stats.direct_size);
    print_sum(stream, "system", "current", sum.system_size);
    print_sum(stream, "system", "max", sum.system_peak);
    print_sum(stream, "aspace", "total", sum.system_size);
    print_sum(stream, "aspace", "mprotect", sum.system_size);
    fprintf(stream, "</malloc>\n");
    return ferror(stream) ? -1 : 0;
}
