/*
 * heap.c - all the state of one heap (contract: heap.h)
 *
 * The process's heap is static, so its address is known when the fast paths
 * are compiled. It begins as zeroes: no bin is marked, there is no top, and
 * nothing lies in low .. low + span, so the fast paths fall through to the slow
 * ones, which start it. That happens in the loader, long before there are
 * threads or constructors. What needs the environment waits for the constructor.
 *
 * A heap that is opened has a mapping of its own for its state, so that to
 * close it no memory need be kept until last but that.
 *
 * Invariant:
 *   I1  Every heap that was started or opened is on the registry, but dlm_main
 *       only once the constructor has run.
 */
#include "dlmalloc/heap.h"

#include <errno.h>

#include "base/check.h"
#include "base/fork.h"
#include "base/machine.h"
#include "base/pages.h"
#include "dlmalloc/direct.h"
#include "dlmalloc/segment.h"

struct dlm_heap dlm_main = {
    .lock = {.rank = MTX_ARENA, .is_patient = true},
    .tuning = DLM_TUNING_DEFAULT,
};

static struct {
    struct mtx lock;
    struct list heaps; /* [lock] */
} registry = {
    .lock = {.rank = MTX_OPTIONS},
    .heaps = {&registry.heaps, &registry.heaps},
};

/* Bit 0 keeps the cookie from being 0, which means "not started". */
void
dlm_heap_start(struct dlm_heap *heap)
{
    heap->cookie = (machine.random() ^ (uintptr_t)heap) | 1;
    dlm_smallbin_init(&heap->small);
    dlm_treebin_init(&heap->trees);
    list_init(&heap->segments);
    dlm_direct_init(heap);
}

void
dlm_heap_count(struct dlm_heap *heap, size_t got, size_t given)
{
    heap->mapped_size += got - given;
    if (heap->mapped_size > heap->mapped_peak) {
        heap->mapped_peak = heap->mapped_size;
    }
}

/* ---- the registry */

static void
enter(struct dlm_heap *heap)
{
    mtx_lock(&registry.lock);
    list_push(&registry.heaps, &heap->others);
    mtx_unlock(&registry.lock);
}

static void
leave(struct dlm_heap *heap)
{
    mtx_lock(&registry.lock);
    list_remove(&heap->others);
    mtx_unlock(&registry.lock);
}

/* After base's constructors, which keep the environment. */
__attribute__((constructor(102))) static void
start_main(void)
{
    fork_init();
    fork_enter(&registry.lock);
    fork_enter(&dlm_main.lock);
    enter(&dlm_main);
    mtx_lock(&dlm_main.lock);
    dlm_tuning_read(&dlm_main.tuning);
    mtx_unlock(&dlm_main.lock);
}

static bool
holds(const struct dlm_heap *heap, const void *block)
{
    return dlm_segment_holding(heap, block) != NULL ||
           dlm_direct_holding(heap, block) != NULL;
}

/* The caller holds a lock of a higher rank than the registry's and is about to
 * die: it waits for none. */
bool
dlm_heap_is_stranger(const struct dlm_heap *heap, const void *block)
{
    bool is_found = false;
    struct list *link;

    if (!mtx_trylock(&registry.lock)) {
        return false;
    }
    LIST_EACH (link, &registry.heaps) {
        struct dlm_heap *other = LIST_OF(link, struct dlm_heap, others);

        if (other != heap && mtx_trylock(&other->lock)) {
            is_found |= holds(other, block);
            mtx_unlock(&other->lock);
        }
    }
    mtx_unlock(&registry.lock);
    return is_found;
}

/* ---- opening and closing */

/* What the user set; not what the process's heap has learned from its blocks. */
static struct dlm_tuning
copy_tuning(void)
{
    struct dlm_tuning tuning = DLM_TUNING_DEFAULT;

    mtx_lock(&dlm_main.lock);
    if (!dlm_main.tuning.is_dynamic) {
        tuning = dlm_main.tuning;
    }
    mtx_unlock(&dlm_main.lock);
    return tuning;
}

struct dlm_heap *
dlm_heap_open(void)
{
    size_t own_size = pages_round_up(sizeof(struct dlm_heap));
    struct dlm_heap *heap = pages_map(own_size, pages_os_size());

    if (heap == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    heap->tuning = copy_tuning();
    heap->own_size = own_size;
    mtx_init(&heap->lock, MTX_ARENA);
    heap->lock.is_patient = true;
    mtx_lock(&heap->lock);
    dlm_heap_start(heap);
    dlm_heap_count(heap, own_size, 0);
    mtx_unlock(&heap->lock);
    enter(heap);
    return heap;
}

static void
unmap_directs(struct dlm_heap *heap)
{
    struct tree_node *node;

    while ((node = tree_first(&heap->directs)) != NULL) {
        struct dlm_direct *direct = dlm_direct_of(node);

        tree_remove(&heap->directs, node);
        (void)pages_unmap(direct, direct->mapped_size);
    }
}

static void
unmap_segments(struct dlm_heap *heap)
{
    struct list *link;

    while ((link = list_pop(&heap->segments)) != NULL) {
        struct dlm_segment *segment = dlm_segment_of(link);

        (void)pages_unmap(segment, segment->reserved_size);
    }
}

void
dlm_heap_close(struct dlm_heap *heap)
{
    leave(heap);
    mtx_fini(&heap->lock);
    unmap_directs(heap);
    unmap_segments(heap);
    (void)pages_unmap(heap, heap->own_size);
}
