/*
 * extension.c - what MallocExtension gives, in C (contract: tcmalloc.h)
 *
 *     properties by name, limits, release, statistics --> the process's heap
 *
 * Each number is read off the structures when it is asked for; none is kept for
 * this. Names are those of gperftools' MallocExtension, with google/tcmalloc's
 * for the limits.
 */
#include <string.h>

#include "base/print.h"
#include "tcmalloc/inspect.h"
#include "tcmalloc/tcmalloc.h"
#include "tcmalloc/threadcache.h"

static struct tcm_heap *
process_heap(void)
{
    tcm_heap_start();
    return &tcm_heap_process;
}

/* ---- where memory is */

/* One size class: objects in each tier. */
struct tier_counts {
    size_t span_count, object_count; /* all objects of its spans */
    size_t front, transfer, central;
};

static struct tier_counts
count_tiers(struct tcm_heap *heap, unsigned size_class)
{
    struct tcm_transfer *transfer = &heap->transfers[size_class];
    struct tcm_central *central = &transfer->central;
    size_t cached[TCM_CLASS_COUNT] = {0};

    tcm_heap_count_cached(heap, cached);
    struct tier_counts counts = {.front = cached[size_class]};
    mtx_lock(&transfer->lock);
    counts.transfer = transfer->count;
    mtx_unlock(&transfer->lock);
    mtx_lock(&central->lock);
    counts.central = central->free_count;
    counts.span_count = central->span_count;
    mtx_unlock(&central->lock);
    counts.object_count =
        counts.span_count * tcm_classes[size_class].object_count;
    return counts;
}

/* Bytes of free objects in each tier, all classes. */
static struct tier_counts
sum_tiers(struct tcm_heap *heap)
{
    struct tier_counts sum = {0};

    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        struct tier_counts counts = count_tiers(heap, i);

        sum.front += counts.front * tcm_classes[i].size;
        sum.transfer += counts.transfer * tcm_classes[i].size;
        sum.central += counts.central * tcm_classes[i].size;
    }
    return sum;
}

/* ---- properties */

static size_t
get_allocated(struct tcm_heap *heap)
{
    struct alloc_stats stats;

    tcm_inspect_stats(heap, &stats);
    return stats.used_size;
}

static size_t
get_mapped(struct tcm_heap *heap)
{
    struct alloc_stats stats;

    tcm_inspect_stats(heap, &stats);
    return stats.mapped_size;
}

static size_t
get_physical(struct tcm_heap *heap)
{
    struct alloc_stats stats;

    tcm_inspect_stats(heap, &stats);
    return stats.mapped_size - stats.purged_size;
}

static size_t
get_front(struct tcm_heap *heap)
{
    return sum_tiers(heap).front;
}

static size_t
get_transfer(struct tcm_heap *heap)
{
    return sum_tiers(heap).transfer;
}

static size_t
get_central(struct tcm_heap *heap)
{
    return sum_tiers(heap).central;
}

static size_t
get_page_free(struct tcm_heap *heap)
{
    struct tcm_pageheap_stats stats;

    tcm_pageheap_stats(&heap->pageheap, &stats);
    return (stats.free_pages - stats.clean_pages) << TCM_PAGE_SHIFT;
}

static size_t
get_page_clean(struct tcm_heap *heap)
{
    struct tcm_pageheap_stats stats;

    tcm_pageheap_stats(&heap->pageheap, &stats);
    return stats.clean_pages << TCM_PAGE_SHIFT;
}

static size_t
get_front_max(struct tcm_heap *heap)
{
    return heap->options.thread_cache_size;
}

static size_t
get_soft_limit(struct tcm_heap *heap)
{
    return tcm_pageheap_limits(&heap->pageheap).soft;
}

static size_t
get_hard_limit(struct tcm_heap *heap)
{
    return tcm_pageheap_limits(&heap->pageheap).hard;
}

static size_t
get_profile_mean(struct tcm_heap *heap)
{
    return heap->sampled.on ? heap->sampled.options.mean : 0;
}

static void
set_limit(struct tcm_heap *heap, size_t size, bool hard)
{
    struct tcm_pageheap_limits limits = tcm_pageheap_limits(&heap->pageheap);

    *(hard ? &limits.hard : &limits.soft) = size;
    tcm_pageheap_set_limits(&heap->pageheap, &limits);
}

static void
set_soft_limit(struct tcm_heap *heap, size_t size)
{
    set_limit(heap, size, false);
}

static void
set_hard_limit(struct tcm_heap *heap, size_t size)
{
    set_limit(heap, size, true);
}

static const struct property {
    const char *name;
    size_t (*get)(struct tcm_heap *heap);
    void (*set)(struct tcm_heap *heap, size_t value); /* NULL: only read */
} properties[] = {
    {"generic.current_allocated_bytes", get_allocated, NULL},
    {"generic.heap_size", get_mapped, NULL},
    {"generic.total_physical_bytes", get_physical, NULL},
    {"tcmalloc.current_total_thread_cache_bytes", get_front, NULL},
    {"tcmalloc.thread_cache_free_bytes", get_front, NULL},
    {"tcmalloc.max_total_thread_cache_bytes", get_front_max, NULL},
    {"tcmalloc.transfer_cache_free_bytes", get_transfer, NULL},
    {"tcmalloc.central_cache_free_bytes", get_central, NULL},
    {"tcmalloc.pageheap_free_bytes", get_page_free, NULL},
    {"tcmalloc.pageheap_unmapped_bytes", get_page_clean, NULL},
    {"tcmalloc.desired_usage_limit_bytes", get_soft_limit, set_soft_limit},
    {"tcmalloc.hard_usage_limit_bytes", get_hard_limit, set_hard_limit},
    {"tcmalloc.sampling_period_bytes", get_profile_mean, NULL},
};

static const struct property *
find_property(const char *name)
{
    for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++) {
        if (strcmp(properties[i].name, name) == 0) {
            return &properties[i];
        }
    }
    return NULL;
}

int
tcm_ext_get_numeric_property(const char *name, size_t *value)
{
    const struct property *property = find_property(name);

    if (property == NULL) {
        return 0;
    }
    *value = property->get(process_heap());
    return 1;
}

int
tcm_ext_set_numeric_property(const char *name, size_t value)
{
    const struct property *property = find_property(name);

    if (property == NULL || property->set == NULL) {
        return 0;
    }
    property->set(process_heap(), value);
    return 1;
}

/* ---- limits and release */

void
tcm_ext_release_memory_to_system(size_t size)
{
    if (size > 0) {
        (void)tcm_pageheap_release(&process_heap()->pageheap, size);
    }
}

void
tcm_ext_release_free_memory(void)
{
    (void)tcm_heap_trim(process_heap());
}

void
tcm_ext_set_memory_release_rate(double rate)
{
    struct tcm_heap *heap = process_heap();
    struct tcm_pageheap_limits limits = tcm_pageheap_limits(&heap->pageheap);

    limits.release_rate = rate > 0 ? rate : 0;
    tcm_pageheap_set_limits(&heap->pageheap, &limits);
}

double
tcm_ext_get_memory_release_rate(void)
{
    return tcm_pageheap_limits(&process_heap()->pageheap).release_rate;
}

void
tcm_ext_set_memory_limit(size_t size, int hard)
{
    set_limit(process_heap(), size, hard != 0);
}

size_t
tcm_ext_get_memory_limit(int hard)
{
    struct tcm_heap *heap = process_heap();

    return hard != 0 ? get_hard_limit(heap) : get_soft_limit(heap);
}

/* ---- single blocks */

size_t
tcm_ext_get_estimated_allocated_size(size_t size)
{
    if (size <= TCM_CLASS_SIZE_MAX) {
        return tcm_classes[tcm_sizemap_class(size)].size;
    }
    return size > SIZE_MAX - TCM_PAGE
               ? SIZE_MAX
               : (size + TCM_PAGE - 1) & ~(size_t)(TCM_PAGE - 1);
}

int
tcm_ext_get_ownership(const void *block)
{
    struct tcm_heap *heap = process_heap();
    const void *owner = tcm_owner_get(&heap->pageheap.map, block);
    unsigned size_class = tcm_owner_class(owner);
    const struct tcm_span *span = tcm_owner_span(owner);

    if (span == NULL) {
        return guarded_owns(&heap->guarded, block);
    }
    return size_class == 0 ? span->addr == (const char *)block
                           : tcm_sizemap_starts(size_class, block);
}

size_t
tcm_malloc_batch(size_t size, void **blocks, size_t count)
{
    size_t taken = 0;

    while (taken < count && (blocks[taken] = tcm_malloc(size)) != NULL) {
        taken++;
    }
    return taken;
}

void
tcm_free_batch(void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tcm_free(blocks[i]);
    }
}

/* ---- text */

static void
print_classes(struct print *print, struct tcm_heap *heap)
{
    print_text(print, "class size spans used front transfer central\n");
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        struct tier_counts counts = count_tiers(heap, i);
        size_t free_count = counts.front + counts.transfer + counts.central;

        if (counts.span_count > 0) {
            print_format(print, "%u %u %zu %zu %zu %zu %zu\n", i,
                tcm_classes[i].size, counts.span_count,
                /* Objects on their way are counted twice. */
                counts.object_count < free_count
                    ? 0
                    : counts.object_count - free_count,
                counts.front, counts.transfer, counts.central);
        }
    }
}

void
tcm_ext_write_stats(int fd)
{
    struct tcm_heap *heap = process_heap();
    struct print print;

    print_init(&print, fd);
    for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++) {
        size_t value = properties[i].get(heap);

        print_format(&print, "%s ", properties[i].name);
        if (value == SIZE_MAX) {
            print_text(&print, "none\n");
        } else {
            print_format(&print, "%zu\n", value);
        }
    }
    print_classes(&print, heap);
    print_flush(&print);
}

int
tcm_ext_write_profile(const char *path)
{
    return sampled_write(&process_heap()->sampled, path);
}
