/*
 * heap.h - all the state of one heap
 *
 *     front caches --> transfers (by class) --> page heap --> OS
 *          \________________ struct tcm_heap _______________/
 *
 * The process's heap stands in .bss, so that the fast path knows its address.
 * Other heaps are mapped; they serve tests and fuzzing: each has caches of its
 * threads with little room, and finds every double free at once.
 *
 * Concurrency: any thread. tcm_heap_delete wants the heap to itself.
 * Failure: NULL when out of memory.
 * Design: docs/designs/tcmalloc.md.
 */
#pragma once

#include "base/local.h"
#include "base/meta.h"
#include "guarded.h"
#include "sampled.h"
#include "tcmalloc/front.h"
#include "tcmalloc/pageheap.h"
#include "tcmalloc/slab.h"
#include "tcmalloc/transfer.h"

#define TCM_THREAD_ROOM ((size_t)64 << 10) /* bytes that each cache has */

struct tcm_options {
    uint64_t thread_cache_size; /* bytes that all threads' caches may claim */
    uint64_t huge_cache_size;   /* free hugepages that may always stay */
    bool huge;                  /* ask for huge pages */
    bool cache;                 /* front caches at all */
    bool cpu_caches;            /* front caches of CPUs, where there can be */
    uint64_t own_caches; /* so many threads have one of their own beside them */
    bool check_free;     /* find every double free at once */
    /* Of the process's heap alone. */
    struct sampled_options profile;
    uint64_t guarded;       /* of so many sampled blocks one; 0: none */
    uint64_t guarded_slots; /* at most so many at a time */
    uint64_t soft_limit, hard_limit; /* UINT64_MAX: none */
    int64_t release_rate;
};

struct tcm_heap {
    struct meta meta;
    struct tcm_options options;
    enum tcm_slab_shape slab_shape;
    struct tcm_front_pool front_pool;
    struct sampled sampled;
    struct guarded guarded; /* off on all heaps but the process's */
    struct tcm_transfer transfers[TCM_CLASS_COUNT]; /* [0] is not used */
    void *transfer_slots[TCM_CLASS_COUNT][TCM_TRANSFER_SLOTS];
    _Alignas(CACHE_LINE) char first_meta[(size_t)64 << 10];
    struct local_set threadcaches;
    _Atomic size_t own_count;     /* threads that have a cache of their own */
    size_t own_max;               /* so many may; fixed at start */
    bool has_cpu_caches;          /* fixed at start */
    struct tcm_pageheap pageheap; /* last: its page map is */
};

/* The process's heap; ready after tcm_heap_start. */
extern struct tcm_heap tcm_heap_process;

/* Makes the process's heap and the tables ready, once. */
void tcm_heap_start(void);

struct tcm_heap *tcm_heap_new(void);
void tcm_heap_delete(struct tcm_heap *heap);

/* The calling thread's own front, or its CPU's, made when there is none; NULL
 * when the thread must do without. */
struct tcm_front *tcm_heap_front(struct tcm_heap *heap);

/* Every front. With a lock of rank MTX_THREADS held, so that none goes away. */
void tcm_heap_each_front(struct tcm_heap *heap, tcm_front_fn *visit, void *arg);
/* Adds up how many objects of each class lie in fronts. */
void tcm_heap_count_cached(
    struct tcm_heap *heap, size_t counts[TCM_CLASS_COUNT]);

/* Sends on what caches and transfer caches hold, and gives all free pages back
 * to the OS: true when it got any. Of the threads' caches only the caller's. */
bool tcm_heap_trim(struct tcm_heap *heap);

/* Aborts if a front, the page heap or the profile is broken. What the classes
 * hold is tcm_inspect_check's, which comes by here too. */
void tcm_heap_check(struct tcm_heap *heap);
