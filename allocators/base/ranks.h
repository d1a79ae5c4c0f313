/*
 * ranks.h - the lock order, one enum
 *
 * A thread takes locks in rising rank. Two locks of one rank are held together
 * only where the rank's comment gives the order. A lock is made with its rank;
 * the witness (debug builds) aborts on a wrong order, and fork takes all locks
 * in this order.
 */
#pragma once

enum mtx_rank {
    MTX_NONE,       /* a test's own lock: not ordered, not taken at fork */
    MTX_PROCESS,    /* the making of a design's heap for the process */
    MTX_OPTIONS,    /* a design's options and registries of heaps */
    MTX_BACKGROUND, /* background threads' state */
    MTX_THREADS,    /* a design's list of threads or their caches */
    MTX_ARENA_LIST, /* the list of a design's arenas */
    MTX_PROFILE,    /* sampled profiles, guarded blocks */
    MTX_ARENA,      /* one arena (ptmalloc), one heap (dlmalloc);
                           two at once only in order of address, at fork */
    MTX_FRONT,      /* a front cache's capacity (tcmalloc) */
    MTX_TRANSFER,   /* a transfer cache */
    MTX_BIN,        /* one size class of an arena (jemalloc) */
    MTX_CENTRAL,    /* a central free list (tcmalloc) */
    MTX_EXTENT,     /* an arena's extents, with decay state */
    MTX_PAGEHEAP,   /* a page heap */
    MTX_PAGEMAP,    /* growing a page map */
    MTX_BASE,       /* metadata memory */
    MTX_RANK_COUNT
};
