/*
 * block.c - one block taken, resized, given back (contract: block.h)
 *
 * A block of a size class is an object of a small span and goes through the
 * caches. A larger one, or one aligned above a page, is a span of its own.
 *
 * What free is given is checked before it is believed: its page must be a
 * span's, and it must be where an object of the class can begin. That an object
 * is free already is found out when it is the newest of its cache, or when it
 * comes to its span's bitmap; with check_free all places are searched at once.
 */
#include "tcmalloc/block.h"

#include <string.h>

#include "tcmalloc/cpucache.h"
#include "tcmalloc/misuse.h"
#include "tcmalloc/threadcache.h"

/* ---- take */

_Atomic bool tcm_block_counted;
_Thread_local struct sampler tcm_block_sampler TLS_INITIAL_EXEC;

static void *
take_object(struct tcm_heap *heap, unsigned size_class)
{
    struct tcm_front *front = tcm_heap_front(heap);
    void *object = NULL;

    if (front == NULL) {
        (void)tcm_transfer_take(&heap->transfers[size_class], &object, 1, 1);
    } else if (front->moves->pop(front->slab, size_class, &object, 1) == 0) {
        object = tcm_front_refill(front, size_class);
    }
    if (object != NULL) {
        tcm_block_use(object, size_class);
    }
    return object;
}

static struct tcm_span *
take_span(struct tcm_heap *heap, size_t size, size_t align)
{
    size_t pages = (size + TCM_PAGE - 1) >> TCM_PAGE_SHIFT;

    return tcm_pageheap_take_large(
        &heap->pageheap, pages == 0 ? 1 : pages, align);
}

static void *
take_large(struct tcm_heap *heap, size_t size, size_t align, bool *zeroed)
{
    struct tcm_span *span = take_span(heap, size, align);

    if (span == NULL) {
        return NULL;
    }
    *zeroed = span->zeroed;
    return span->addr;
}

/* A block of any size that is in the profile: it has pages of its own. */
static __attribute__((noinline)) void *
take_sampled(struct tcm_heap *heap, size_t size, size_t align, bool *zeroed)
{
    void *block =
        guarded_take_sampled(&heap->guarded, &heap->sampled, size, align);

    if (block != NULL) {
        *zeroed = true;
        return block;
    }
    struct tcm_span *span = take_span(heap, size, align);
    if (span == NULL) {
        return NULL;
    }
    tcm_span_set_sample(span, sampled_add(&heap->sampled, size));
    *zeroed = span->zeroed;
    return span->addr;
}

void *
tcm_block_take(struct tcm_heap *heap, size_t size, size_t align, bool zero)
{
    bool zeroed = false;

    if (size > PTRDIFF_MAX || align > PTRDIFF_MAX) {
        return NULL;
    }
    unsigned size_class = tcm_sizemap_class_aligned(size, align);
    void *block = NULL;
    if (heap->sampled.on &&
        sampled_pick(&heap->sampled, &tcm_block_sampler, size)) {
        block = take_sampled(heap, size, align, &zeroed);
    }
    if (block == NULL) {
        block = size_class != 0 ? take_object(heap, size_class)
                                : take_large(heap, size, align, &zeroed);
    }
    if (block != NULL && zero && !zeroed) {
        memset(block, 0, size);
    }
    return block;
}

/* ---- give */

/* The owner of a live block, as far as can be told without a lock. */
static void *
owner_of(struct tcm_heap *heap, const void *block)
{
    void *owner = tcm_owner_get(&heap->pageheap.map, block);
    unsigned size_class = tcm_owner_class(owner);

    if (owner == TCM_OWNER_FREED) {
        tcm_misuse(TCM_DOUBLE_FREE, block);
    }
    if (owner == NULL ||
        (size_class == 0 ? tcm_owner_span(owner)->addr != block
                         : !tcm_sizemap_starts(size_class, block))) {
        tcm_misuse(TCM_INVALID, block);
    }
    return owner;
}

struct search {
    unsigned size_class;
    const void *object;
    bool found;
};

static void
search_front(struct tcm_front *front, void *arg)
{
    struct search *search = arg;

    search->found = search->found || tcm_slab_holds(front->slab,
                                         search->size_class, search->object);
}

/* Searches the caller's own cache, those of the CPUs, and the shared tiers. */
static void
check_live(struct tcm_heap *heap, unsigned size_class, const void *object)
{
    struct search search = {size_class, object, false};
    struct local *local = local_peek(&heap->threadcaches);

    if (local != NULL) {
        search_front(&tcm_threadcache_of(local)->front, &search);
    }
    if (heap->has_cpu_caches) {
        tcm_cpucache_each(search_front, &search);
    }
    if (search.found ||
        tcm_transfer_holds(&heap->transfers[size_class], object)) {
        tcm_misuse(TCM_DOUBLE_FREE, object);
    }
}

static void
give_large(struct tcm_heap *heap, struct tcm_span *span)
{
    struct profile_sample *sample = tcm_span_sample(span);
    char *block = span->addr;

    if (sample != NULL) {
        sampled_remove(&heap->sampled, sample);
    }
    tcm_pageheap_give_large(&heap->pageheap, block);
}

static void
give_object(struct tcm_heap *heap, unsigned size_class, void *object)
{
    struct tcm_front *front = tcm_heap_front(heap);

    if (front != NULL && tcm_slab_newest(front->slab, size_class) == object) {
        tcm_misuse(TCM_DOUBLE_FREE, object);
    }
    tcm_block_rest(object, size_class);
    if (front == NULL) {
        tcm_transfer_give(&heap->transfers[size_class], &object, 1);
    } else if (front->moves->push(front->slab, size_class, &object, 1) == 0) {
        tcm_front_spill(front, size_class, object);
    }
}

void
tcm_block_give(struct tcm_heap *heap, void *block)
{
    if (guarded_owns(&heap->guarded, block)) {
        guarded_give_sampled(&heap->guarded, &heap->sampled, block);
        return;
    }
    void *owner = owner_of(heap, block);
    unsigned size_class = tcm_owner_class(owner);

    if (size_class == 0) {
        give_large(heap, tcm_owner_span(owner));
        return;
    }
    if (heap->options.check_free) {
        check_live(heap, size_class, block);
    }
    give_object(heap, size_class, block);
}

/* ---- resize */

size_t
tcm_block_size(struct tcm_heap *heap, const void *block)
{
    if (guarded_owns(&heap->guarded, block)) {
        return guarded_size(&heap->guarded, block);
    }
    void *owner = owner_of(heap, block);
    unsigned size_class = tcm_owner_class(owner);

    return size_class != 0 ? tcm_classes[size_class].size
                           : tcm_span_size(tcm_owner_span(owner));
}

/* A block keeps its place when it is large enough and at least half used, so
 * that a program that shrinks its blocks has memory back. */
bool
tcm_block_resize(struct tcm_heap *heap, void *block, size_t size)
{
    if (guarded_owns(&heap->guarded, block)) {
        return false;
    }
    size_t old_size = tcm_block_size(heap, block);
    void *owner = tcm_owner_get(&heap->pageheap.map, block);

    if (size <= old_size) {
        return size >= old_size / 2 || old_size <= 64;
    }
    if (tcm_owner_class(owner) != 0 || size > PTRDIFF_MAX ||
        tcm_span_sample(tcm_owner_span(owner)) != NULL) {
        return false;
    }
    return tcm_pageheap_extend(&heap->pageheap, tcm_owner_span(owner),
        (size + TCM_PAGE - 1) >> TCM_PAGE_SHIFT);
}
