/*
 * inspect.c - statistics, walks, dumps and checks of a whole heap (contract:
 * inspect.h)
 *
 * Nothing here is kept: all is read off the structures. A mapping's spans are
 * met one behind the other through the page map. What the caches hold is in use
 * to the spans, so it is taken off there and added to what is free.
 *
 * A heap under test is checked after each call, and uses few of its classes. So
 * the check asks each class first whether it has anything at all, which takes no
 * lock, and goes on where it has not: with nothing counted and all lists empty,
 * each invariant holds. Rejected: a record of the classes that calls have changed
 * since the last check. It would cost less still, and miss a stray write.
 */
#include "tcmalloc/inspect.h"

#include <malloc.h>
#include <string.h>

#include "base/check.h"
#include "base/print.h"
#include "tcmalloc/tcmalloc.h"
#include "tcmalloc/threadcache.h"

/* ---- the objects in caches */

typedef void objects_fn(
    void *const *objects, size_t count, const char *owner, void *arg);

/* One class's objects in a front, for whom they are shown to. */
struct showing {
    unsigned size_class;
    objects_fn *visit;
    void *arg;
};

static void
show_front(struct tcm_front *front, void *arg)
{
    const struct showing *showing = arg;
    struct tcm_slab *slab = front->slab;
    unsigned size_class = showing->size_class;

    showing->visit(tcm_slab_slot(slab, slab->runs[size_class].begin + 1),
        tcm_slab_count(slab, size_class), "front cache", showing->arg);
}

/* Every array of cached objects of a class. */
static void
each_cached(
    struct tcm_heap *heap, unsigned size_class, objects_fn *visit, void *arg)
{
    struct tcm_transfer *transfer = &heap->transfers[size_class];
    struct showing showing = {size_class, visit, arg};

    visit(transfer->slots, transfer->count, "transfer cache", arg);
    tcm_heap_each_front(heap, show_front, &showing);
}

/* ---- statistics */

/* What a class's spans, objects and tails come to. */
static void
add_class(struct tcm_heap *heap, unsigned size_class, size_t cached,
    struct alloc_stats *stats)
{
    const struct tcm_class *class = &tcm_classes[size_class];
    struct tcm_transfer *transfer = &heap->transfers[size_class];
    struct tcm_central *central = &transfer->central;

    mtx_lock(&transfer->lock);
    cached += transfer->count;
    mtx_unlock(&transfer->lock);
    mtx_lock(&central->lock);
    size_t all = central->span_count * class->object_count;
    size_t span_size = central->span_count * class->pages * TCM_PAGE;
    size_t free_count = central->free_count + cached;
    mtx_unlock(&central->lock);

    /* Objects on their way are counted twice, where the heap is not quiet. */
    size_t used = all < free_count ? 0 : all - free_count;
    stats->used_count += used;
    stats->used_size += used * class->size;
    stats->free_count += free_count;
    stats->free_size += free_count * class->size;
    stats->cached_size += cached * class->size;
    stats->meta_size += span_size - all * class->size;
}

/* What the heap's mappings and large spans come to. */
static void
set_pages(struct tcm_heap *heap, struct alloc_stats *stats)
{
    struct tcm_pageheap_stats pages;

    memset(stats, 0, sizeof *stats);
    tcm_pageheap_stats(&heap->pageheap, &pages);
    stats->meta_size = sizeof *heap + meta_mapped_size(&heap->meta) +
                       pagemap_meta_size(&heap->pageheap.map);
    stats->mapped_size =
        (pages.mapped_pages << TCM_PAGE_SHIFT) + stats->meta_size;
    stats->mapped_peak = stats->mapped_size; /* Addresses never go back. */
    stats->used_count = pages.large_count;
    stats->used_size = pages.large_pages << TCM_PAGE_SHIFT;
    stats->free_count = pages.free_runs;
    stats->free_size = pages.free_pages << TCM_PAGE_SHIFT;
    stats->purged_size = pages.clean_pages << TCM_PAGE_SHIFT;
}

void
tcm_inspect_stats(struct tcm_heap *heap, struct alloc_stats *stats)
{
    size_t cached[TCM_CLASS_COUNT] = {0};

    tcm_heap_count_cached(heap, cached);
    set_pages(heap, stats);
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        add_class(heap, i, cached[i], stats);
    }
}

/* ---- walking */

/* Which objects of one span lie in caches, and where. */
struct marks {
    const struct tcm_span *span;
    uint64_t bits[BITMAP_WORDS(TCM_OBJECTS_MAX)];
    size_t count;
    bool twice; /* an object in two places */
};

static void
mark_objects(void *const *objects, size_t count, const char *owner, void *arg)
{
    struct marks *marks = arg;
    const struct tcm_span *span = marks->span;

    (void)owner;
    for (size_t i = 0; i < count; i++) {
        size_t offset = (size_t)((char *)objects[i] - span->addr);

        if ((char *)objects[i] >= span->addr && offset < tcm_span_size(span)) {
            size_t index = tcm_sizemap_index(span->size_class, offset);

            if (bitmap_get(marks->bits, index) ||
                bitmap_get(span->free_bits, index)) {
                marks->twice = true;
            } else {
                bitmap_set(marks->bits, index);
                marks->count++;
            }
        }
    }
}

static void
find_cached(
    struct tcm_heap *heap, const struct tcm_span *span, struct marks *marks)
{
    memset(marks, 0, sizeof *marks);
    marks->span = span;
    each_cached(heap, span->size_class, mark_objects, marks);
}

static void
walk_objects(struct tcm_heap *heap, const struct tcm_span *span,
    alloc_walk_fn *visit, void *arg)
{
    size_t size = tcm_classes[span->size_class].size;
    size_t count = tcm_span_object_count(span);
    struct marks marks;

    find_cached(heap, span, &marks);
    for (size_t i = 0; i < count; i++) {
        bool is_free = bitmap_get(span->free_bits, i);
        bool is_cached = bitmap_get(marks.bits, i);
        const struct alloc_piece piece = {
            .kind = is_free     ? ALLOC_PIECE_FREE
                    : is_cached ? ALLOC_PIECE_CACHED
                                : ALLOC_PIECE_USED,
            .addr = span->addr + i * size,
            .size = size,
            .owner = is_free     ? "span"
                     : is_cached ? "cache"
                                 : "object",
        };
        visit(&piece, arg);
    }
    if (count * size < tcm_span_size(span)) {
        const struct alloc_piece tail = {ALLOC_PIECE_META,
            span->addr + count * size, tcm_span_size(span) - count * size,
            "span tail"};
        visit(&tail, arg);
    }
}

static const struct tcm_span *
span_at(struct tcm_heap *heap, const char *addr)
{
    return tcm_owner_span(tcm_owner_get(&heap->pageheap.map, addr));
}

/* Shows the free pages from addr on; returns where they end. */
static const char *
walk_free(struct tcm_heap *heap, const char *addr, const char *end,
    alloc_walk_fn *visit, void *arg)
{
    const char *next = addr + TCM_PAGE;

    while (next < end && span_at(heap, next) == NULL) {
        next += TCM_PAGE;
    }
    const struct alloc_piece piece = {
        ALLOC_PIECE_FREE, addr, (size_t)(next - addr), "page heap"};
    visit(&piece, arg);
    return next;
}

static const char *
walk_span(struct tcm_heap *heap, const struct tcm_span *span,
    alloc_walk_fn *visit, void *arg)
{
    if (span->size_class != 0) {
        walk_objects(heap, span, visit, arg);
    } else {
        const struct alloc_piece piece = {
            ALLOC_PIECE_USED, span->addr, tcm_span_size(span), "large span"};
        visit(&piece, arg);
    }
    return span->addr + tcm_span_size(span);
}

static void
walk_mapping(struct tcm_heap *heap, const struct tcm_mapping *mapping,
    alloc_walk_fn *visit, void *arg)
{
    const char *end = mapping->addr + mapping->size;
    const char *addr = mapping->addr;
    const struct alloc_piece region = {
        ALLOC_PIECE_REGION, mapping->addr, mapping->size, "mapping"};

    visit(&region, arg);
    while (addr < end) {
        const struct tcm_span *span = span_at(heap, addr);

        addr = span == NULL ? walk_free(heap, addr, end, visit, arg)
                            : walk_span(heap, span, visit, arg);
    }
}

void
tcm_inspect_walk(struct tcm_heap *heap, alloc_walk_fn *visit, void *arg)
{
    const struct alloc_piece own = {
        ALLOC_PIECE_META, heap, sizeof *heap, "heap"};

    visit(&own, arg);
    for (const struct tcm_mapping *mapping = heap->pageheap.hugecache.mappings;
         mapping != NULL; mapping = mapping->next) {
        walk_mapping(heap, mapping, visit, arg);
    }
}

/* ---- checking */

/* No object of a span is in two places, and what the caches hold are objects of
 * the class's spans. */
static void
check_objects(struct tcm_heap *heap, unsigned size_class, size_t cached)
{
    struct tcm_transfer *transfer = &heap->transfers[size_class];
    struct tcm_central *central = &transfer->central;
    struct list *link;
    unsigned index;

    cached += transfer->count;
    if (cached == 0) {
        return;
    }
    TCM_CENTRAL_EACH (link, index, central) {
        struct marks marks;

        find_cached(heap, tcm_span_of(link), &marks);
        CHECK(!marks.twice);
        cached -= marks.count;
    }
    CHECK(cached == 0);
}

void
tcm_inspect_check(struct tcm_heap *heap)
{
    size_t cached[TCM_CLASS_COUNT] = {0};
    struct alloc_stats stats;

    tcm_heap_check(heap);
    tcm_heap_count_cached(heap, cached);
    set_pages(heap, &stats);
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        if (cached[i] > 0 || !tcm_transfer_is_idle(&heap->transfers[i])) {
            tcm_transfer_check(&heap->transfers[i]);
            check_objects(heap, i, cached[i]);
            add_class(heap, i, cached[i], &stats);
        }
    }
    CHECK(stats.mapped_size ==
          stats.used_size + stats.free_size + stats.meta_size);
}

/* ---- printing */

/* Which kind of front caches the start chose. */
static void
dump_choice(const struct tcm_heap *heap, struct print *print)
{
    if (heap->has_cpu_caches) {
        print_format(print,
            "  front caches: of CPUs, and their own for up to %zu threads\n",
            heap->own_max);
    } else {
        print_format(print, "  front caches: %s\n",
            heap->options.cache ? "of threads" : "none");
    }
}

static void
dump_front(struct tcm_front *front, void *fd)
{
    tcm_front_dump(front, *(const int *)fd);
}

void
tcm_inspect_dump(struct tcm_heap *heap, int fd)
{
    struct alloc_stats stats;
    struct print print;

    tcm_inspect_stats(heap, &stats);
    print_init(&print, fd);
    print_format(&print, "tcmalloc: mapped %zu\n", stats.mapped_size);
    dump_choice(heap, &print);
    print_format(&print, "  used %zu in %zu blocks\n", stats.used_size,
        stats.used_count);
    print_format(&print, "  free %zu, of it cached %zu, purged %zu\n",
        stats.free_size, stats.cached_size, stats.purged_size);
    print_format(&print, "  metadata %zu\n", stats.meta_size);
    print_flush(&print);
    tcm_heap_each_front(heap, dump_front, &fd);
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        tcm_transfer_dump(&heap->transfers[i], fd);
    }
    tcm_pageheap_dump(&heap->pageheap, fd);
}

void
tcm_malloc_stats(void)
{
    tcm_heap_start();
    tcm_inspect_dump(&tcm_heap_process, 2);
}

struct mallinfo2
tcm_mallinfo2(void)
{
    struct alloc_stats stats;

    tcm_heap_start();
    tcm_inspect_stats(&tcm_heap_process, &stats);
    return (struct mallinfo2){
        .arena = stats.mapped_size,
        .ordblks = stats.free_count,
        .fsmblks = stats.cached_size,
        .uordblks = stats.used_size,
        .fordblks = stats.free_size,
        .keepcost = stats.free_size - stats.purged_size - stats.cached_size,
    };
}

int
tcm_mallopt(int parameter, int value)
{
    /* glibc's parameters speak of structures that this design has not. */
    (void)parameter;
    (void)value;
    return 0;
}
