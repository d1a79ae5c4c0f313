/*
 * heap.c - all the state of one heap (contract: heap.h)
 *
 * Nothing is made at load time. The first call finds tables of zeroes and no
 * cache, so it comes the slow way, and that way starts here.
 */
#include "tcmalloc/heap.h"

#include <string.h>

#include "base/check.h"
#include "base/env.h"
#include "base/fork.h"
#include "base/machine.h"
#include "base/pages.h"
#include "base/stack.h"
#include "parts/pprof.h"
#include "tcmalloc/block.h"
#include "tcmalloc/cpucache.h"
#include "tcmalloc/threadcache.h"

#define GUARDED_MEAN ((uint64_t)2 << 20)

struct tcm_heap tcm_heap_process;

static struct {
    struct mtx lock;
    _Atomic bool ready;
    struct tcm_options options;
} start = {.lock = {.rank = MTX_PROCESS}};

/* As the program is loaded, before it has threads: a fork beside the first call
 * would else leave the lock held in the child. */
__attribute__((constructor(102))) static void
enter_start_lock(void)
{
    fork_init();
    fork_enter(&start.lock);
}

static const struct sampled_form sampled_form = {
    .design = "tcmalloc", .suffix = ".pb.gz", .write = pprof_write_proto};

__attribute__((destructor)) static void
end_profile(void)
{
    sampled_end(&tcm_heap_process.sampled);
}

static void
read_options(struct tcm_options *options)
{
    *options = (struct tcm_options){
        .thread_cache_size = (uint64_t)32 << 20,
        .huge_cache_size = (uint64_t)32 << 20,
        .huge = true,
        .cache = true,
        .cpu_caches = true,
        .own_caches = (uint64_t)machine.cpu_count() + 1,
        .guarded_slots = 64,
        .soft_limit = UINT64_MAX,
        .hard_limit = UINT64_MAX,
        .profile = {.prefix = "tcmalloc", .prefix_size = strlen("tcmalloc")},
    };
    struct sampled_options *profile = &options->profile;
    const struct env_option known[] = {
        {"thread_cache", ENV_SIZE, &options->thread_cache_size, NULL, 0,
            (uint64_t)1 << 40},
        {"huge_cache", ENV_SIZE, &options->huge_cache_size, NULL, 0,
            (uint64_t)1 << 40},
        {"huge", ENV_FLAG, &options->huge, NULL, 0, 0},
        {"cache", ENV_FLAG, &options->cache, NULL, 0, 0},
        {"cpu_caches", ENV_FLAG, &options->cpu_caches, NULL, 0, 0},
        {"own_caches", ENV_SIZE, &options->own_caches, NULL, 0, UINT64_MAX},
        {"check_free", ENV_FLAG, &options->check_free, NULL, 0, 0},
        {"guarded", ENV_SIZE, &options->guarded, NULL, 0, UINT32_MAX},
        {"guarded_slots", ENV_SIZE, &options->guarded_slots, NULL, 1, 4096},
        {"memory_limit", ENV_SIZE, &options->soft_limit, NULL, 0, UINT64_MAX},
        {"memory_limit_hard", ENV_SIZE, &options->hard_limit, NULL, 0,
            UINT64_MAX},
        {"release_rate", ENV_NUMBER, &options->release_rate, NULL, 0, 1000},
        {"profile", ENV_SIZE, &profile->mean, NULL, 0, (uint64_t)1 << 40},
        {"profile_prefix", ENV_TEXT, &profile->prefix, &profile->prefix_size, 0,
            0},
        {"profile_final", ENV_FLAG, &profile->final, NULL, 0, 0},
        {"profile_interval", ENV_SIZE, &profile->interval, NULL, 0,
            (uint64_t)1 << 60},
    };
    (void)env_read(
        "tcmalloc", "TCM_OPTIONS", known, sizeof known / sizeof known[0]);
    if (options->guarded != 0 && profile->mean == 0) {
        profile->mean = GUARDED_MEAN; /* They are sampled blocks. */
    }
}

static struct local **
place_of_self(void)
{
    return &tcm_self;
}

/* What the process's heap has beyond others. */
static void
init_process(struct tcm_heap *heap)
{
    const struct tcm_options *options = &heap->options;
    const struct tcm_pageheap_limits limits = {
        .soft = options->soft_limit,
        .hard = options->hard_limit,
        .release_rate = (double)options->release_rate,
    };

    heap->pageheap.classmap = &tcm_classmap;
    tcm_pageheap_set_limits(&heap->pageheap, &limits);
    sampled_init(&heap->sampled, &heap->meta, &sampled_form, &options->profile);
    atomic_store_explicit(
        &tcm_block_counted, heap->sampled.on, memory_order_relaxed);
    guarded_init(&heap->guarded, &heap->meta, "tcmalloc", options->guarded,
        options->guarded_slots);
}

/* The choice between the two kinds of front, once for all: without caches of
 * CPUs every thread has its own. */
static void
start_fronts(struct tcm_heap *heap)
{
    const struct tcm_options *options = &heap->options;

    heap->has_cpu_caches = heap == &tcm_heap_process && options->cache &&
                           options->cpu_caches &&
                           tcm_cpucache_start(&heap->meta, heap->transfers,
                               &heap->front_pool, !heap->sampled.on);
    heap->own_max = !options->cache        ? 0
                    : heap->has_cpu_caches ? options->own_caches
                                           : SIZE_MAX;
}

/* In zeroed memory. */
static void
init(struct tcm_heap *heap, bool process)
{
    struct tcm_options *options = &heap->options;

    *options = start.options;
    meta_init(&heap->meta, heap->first_meta, sizeof heap->first_meta);
    heap->slab_shape = process ? TCM_SLAB_FULL : TCM_SLAB_SMALL;
    atomic_init(&heap->front_pool.room, options->thread_cache_size);
    tcm_pageheap_init(&heap->pageheap, &heap->meta,
        options->huge_cache_size >> TCM_HUGEPAGE_SHIFT, options->huge);
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        tcm_transfer_init(
            &heap->transfers[i], &heap->pageheap, i, heap->transfer_slots[i]);
    }
    local_set_init(&heap->threadcaches, &tcm_threadcache_kind,
        process ? place_of_self : NULL, NULL);
    if (process) {
        init_process(heap);
    }
    start_fronts(heap);
}

void
tcm_heap_start(void)
{
    /* Pairs with the release below. */
    if (atomic_load_explicit(&start.ready, memory_order_acquire)) {
        return;
    }
    mtx_lock(&start.lock);
    bool first = !atomic_load_explicit(&start.ready, memory_order_relaxed);
    if (first) {
        fork_init();
        read_options(&start.options);
        init(&tcm_heap_process, true);
        atomic_store_explicit(&start.ready, true, memory_order_release);
    }
    mtx_unlock(&start.lock);
    if (first && tcm_heap_process.sampled.on) {
        stack_start(); /* It allocates. */
    }
}

struct tcm_heap *
tcm_heap_new(void)
{
    size_t size = pages_round_up(sizeof(struct tcm_heap));

    tcm_heap_start();
    struct tcm_heap *heap = pages_map(size, pages_os_size());
    if (heap == NULL) {
        return NULL;
    }
    (void)pages_huge(heap, size, false); /* It is touched here and there. */
    init(heap, false);
    heap->options.check_free = true;
    return heap;
}

void
tcm_heap_delete(struct tcm_heap *heap)
{
    struct local *local;

    LOCAL_EACH (local, &heap->threadcaches) {
        tcm_front_fini(&tcm_threadcache_of(local)->front);
    }
    local_set_fini(&heap->threadcaches);
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        tcm_transfer_fini(&heap->transfers[i]);
    }
    tcm_pageheap_fini(&heap->pageheap);
    meta_fini(&heap->meta);
    (void)pages_unmap(heap, pages_round_up(sizeof *heap));
}

struct tcm_front *
tcm_heap_front(struct tcm_heap *heap)
{
    struct local *local = local_peek(&heap->threadcaches);
    struct tcm_threadcache *cache =
        local == NULL ? NULL : tcm_threadcache_of(local);

    /* Relaxed: a few more or less do not matter. */
    if (cache == NULL && atomic_load_explicit(&heap->own_count,
                             memory_order_relaxed) < heap->own_max) {
        cache = tcm_threadcache_get(heap);
    }
    return cache != NULL          ? &cache->front
           : heap->has_cpu_caches ? tcm_cpucache_front()
                                  : NULL;
}

bool
tcm_heap_trim(struct tcm_heap *heap)
{
    struct local *local = local_peek(&heap->threadcaches);

    if (local != NULL) {
        tcm_front_drain(&tcm_threadcache_of(local)->front);
    }
    if (heap->has_cpu_caches) {
        tcm_cpucache_drain_all();
    }
    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        tcm_transfer_drain(&heap->transfers[i], true);
    }
    return tcm_pageheap_release(&heap->pageheap, SIZE_MAX / 2) > 0;
}

void
tcm_heap_each_front(struct tcm_heap *heap, tcm_front_fn *visit, void *arg)
{
    struct local *local;

    mtx_lock(&heap->threadcaches.lock);
    LOCAL_EACH (local, &heap->threadcaches) {
        visit(&tcm_threadcache_of(local)->front, arg);
    }
    mtx_unlock(&heap->threadcaches.lock);
    if (heap->has_cpu_caches) {
        tcm_cpucache_each(visit, arg);
    }
}

static void
count_front(struct tcm_front *front, void *arg)
{
    size_t *counts = arg;

    for (unsigned i = 1; i < TCM_CLASS_COUNT; i++) {
        counts[i] += tcm_slab_count(front->slab, i);
    }
}

void
tcm_heap_count_cached(struct tcm_heap *heap, size_t counts[TCM_CLASS_COUNT])
{
    tcm_heap_each_front(heap, count_front, counts);
}

static void
check_front(struct tcm_front *front, void *unused)
{
    (void)unused;
    tcm_front_check(front);
}

void
tcm_heap_check(struct tcm_heap *heap)
{
    tcm_heap_each_front(heap, check_front, NULL);
    tcm_pageheap_check(&heap->pageheap);
    if (heap->sampled.on) {
        mtx_lock(&heap->sampled.lock);
        profile_check(&heap->sampled.profile);
        mtx_unlock(&heap->sampled.lock);
    }
}
