/*
 * treebin.h - free chunks of 1 KiB and more, in tries by the bits of their size
 *
 *     map: bit i says that roots[i] is not NULL; two bins a power of two
 *
 *     roots[i] --> node ----> node     child[b]: the next lower bit of the size
 *                   |  \                is b. A node itself may be of any size
 *                   |   '--> node       that leads to it.
 *                  ring of chunks of the same size, through chunk.link
 *
 * A search for the least size that fits follows the size's bits from the root
 * and remembers the last subtree to the right that it passed. Its cost is the
 * number of bits that differ within a bin, not the number of chunks.
 *
 * Concurrency: guarded by the lock of the heap that the bins are part of.
 * Failure: none. A chunk whose links were overwritten is misuse.
 * Design: Lea, "A Memory Allocator" and his notes on version 2.8: bitwise
 * digital tries; Knuth, "The Art of Computer Programming" 3, 6.3.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parts/chunk.h"

#define DLM_TREE_COUNT 64
#define DLM_TREE_SHIFT 10 /* the least size is 1 << 10 */

/* A free chunk in a trie, or in the ring of one that is. */
struct dlm_node {
    struct chunk chunk;
    struct dlm_node *child[2];
    struct dlm_node **slot; /* what points to it; NULL: only in a ring */
    size_t purged_size;     /* of its pages, given back to the OS */
};

struct dlm_treebins {
    uint64_t map;
    struct dlm_node *roots[DLM_TREE_COUNT];
};

static inline struct dlm_node *
dlm_treebin_node(struct chunk *chunk)
{
    return (struct dlm_node *)(void *)chunk;
}

void dlm_treebin_init(struct dlm_treebins *trees);

/* Which bin a size belongs to. */
unsigned dlm_treebin_index(size_t size);

/* Puts a free chunk, its head and foot set, into its trie. */
void dlm_treebin_put(
    struct dlm_treebins *trees, struct chunk *chunk, size_t size);
/* Takes that free chunk out. */
void dlm_treebin_remove(struct dlm_treebins *trees, struct chunk *chunk);
/* True when that free chunk may become of that greater size where it stands,
 * being alone in its trie; the caller then sets its head and foot. */
bool dlm_treebin_can_grow(
    const struct dlm_treebins *trees, struct chunk *chunk, size_t size);

/* The least chunk of at least that size, or NULL. It stays where it is. */
struct chunk *dlm_treebin_find(const struct dlm_treebins *trees, size_t size);

/* Every chunk, in no order of sizes; visit may not change the bins. */
void dlm_treebin_each(const struct dlm_treebins *trees,
    void (*visit)(struct dlm_node *node, void *arg), void *arg);

/* Aborts if broken; returns how many chunks there are. */
size_t dlm_treebin_check(const struct dlm_treebins *trees);
/* A line for each bin that holds a chunk. */
void dlm_treebin_dump(const struct dlm_treebins *trees, int fd);
