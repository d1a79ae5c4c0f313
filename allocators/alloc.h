/*
 * alloc.h - the one door: every allocator in this tree is a struct alloc_ops
 *
 * Drivers (fuzz/, stress/) and wrappers (preload/) see nothing else, so whatever
 * they can do to one design they can do to all, and to the system's malloc:
 *
 *     runner, fuzz target --> struct alloc_ops --> one design, or libc
 *
 * A heap is an object. NULL names the process's own heap, the one that the
 * drop-in library serves; open() makes another beside it, and close() gives
 * back all its memory and leaves no trace, which is what makes a fuzz input
 * repeatable.
 *
 * Concurrency: the malloc family may be called by any thread at any time, and a
 * block may be freed by a thread that did not allocate it. open may be called
 * by any thread. close, check, walk and dump want the heap quiet: no other call
 * on that heap in flight.
 * Failure: a call that allocates returns NULL (posix_memalign: ENOMEM) when out
 * of memory and changes nothing; errno is as POSIX, C23 and glibc document.
 * Misuse (double free, foreign pointer, wrong size) ends in check_misuse().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct heap;

/*
 * What a heap holds, in bytes and counts. Exact when the heap is quiet.
 * mapped_size = used_size + free_size + meta_size
 */
struct alloc_stats {
    size_t mapped_size;  /* got from the OS and not given back */
    size_t mapped_peak;  /* the largest mapped_size so far */
    size_t used_size;    /* usable bytes of blocks that callers hold */
    size_t used_count;   /* blocks that callers hold */
    size_t free_size;    /* free for reuse, caches included */
    size_t free_count;   /* free chunks, regions or objects */
    size_t cached_size;  /* of free_size: in per-thread or per-CPU caches */
    size_t meta_size;    /* headers, maps, tables, padding */
    size_t direct_size;  /* of mapped_size: blocks with mappings of their own */
    size_t direct_count; /* how many such blocks */
    size_t purged_size;  /* of free_size: pages whose memory the OS has back */
};

/* What one walk step shows: a piece of the heap, from low addresses to high
 * within its region. One form for all designs: people read it, tools draw it. */
enum alloc_piece_kind {
    ALLOC_PIECE_REGION, /* a mapping: segment, subheap, extent, hugepage */
    ALLOC_PIECE_USED,   /* a block that a caller holds */
    ALLOC_PIECE_FREE,   /* free: bin, span, top, designated victim */
    ALLOC_PIECE_CACHED, /* free, in a per-thread or per-CPU cache */
    ALLOC_PIECE_META    /* headers, maps, bitmaps */
};

struct alloc_piece {
    enum alloc_piece_kind kind;
    const void *addr;
    size_t size;
    const char
        *owner; /* which structure holds it: "top", "bin 12", "arena 3" */
};

typedef void alloc_walk_fn(const struct alloc_piece *piece, void *arg);

struct alloc_ops {
    const char *name; /* also the corpus/ folder and the CTest label */
    bool signal_safe; /* a signal handler may allocate and free: claimed */

    struct heap *(*open)(void); /* NULL when out of memory */
    void (*close)(struct heap *heap);

    /* The malloc family. Contracts: malloc(3), posix_memalign(3), C23 7.24.3. */
    void *(*malloc)(struct heap *heap, size_t size);
    void *(*calloc)(struct heap *heap, size_t count, size_t size);
    void *(*realloc)(struct heap *heap, void *block, size_t size);
    void *(*reallocarray)(
        struct heap *heap, void *block, size_t count, size_t size);
    void *(*memalign)(struct heap *heap, size_t align, size_t size);
    void *(*aligned_alloc)(struct heap *heap, size_t align, size_t size);
    int (*posix_memalign)(
        struct heap *heap, void **out, size_t align, size_t size);
    void *(*valloc)(struct heap *heap, size_t size);
    void *(*pvalloc)(struct heap *heap, size_t size);
    void (*free)(struct heap *heap, void *block);
    void (*free_sized)(struct heap *heap, void *block, size_t size);
    void (*free_aligned_sized)(
        struct heap *heap, void *block, size_t align, size_t size);
    size_t (*usable_size)(struct heap *heap, const void *block);

    /* Gives free memory back to the OS; keeps pad bytes at the top where the
     * design has one. True if any was given back. */
    bool (*trim)(struct heap *heap, size_t pad);

    /* Any of these may be NULL: libc's malloc shows none of it. */
    void (*thread_exit)(struct heap *heap); /* flush the caller's caches */
    void (*stats)(struct heap *heap, struct alloc_stats *stats);
    void (*check)(struct heap *heap); /* walk all; abort if broken */
    void (*walk)(struct heap *heap, alloc_walk_fn *visit, void *arg);
    void (*dump)(struct heap *heap, int fd); /* print for people */
};

/* The registry, in a fixed order; NULL-terminated. */
extern const struct alloc_ops *const alloc_all[];

/* The design of that name, or NULL. */
const struct alloc_ops *alloc_find(const char *name);
