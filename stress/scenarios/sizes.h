/*
 * sizes.h - the sizes and alignments that scenarios draw
 *
 *     random --> sizes --> every scenario
 *
 * Real programs ask mostly for small blocks, and allocators break at edges: of
 * a size class, of a page, of what a header adds to it. Both kinds are drawn
 * from one seeded source, so that equal seeds give equal sizes.
 *
 * Concurrency: as the generator given. Failure: none.
 */
#pragma once

#include <stdint.h>

#include "base/random.h"

/* 0 .. max: small ones are common, edges are frequent, all occur. */
uint64_t sizes_any(struct random *random, uint64_t max);
/* low .. high: an edge of a size class or of a page, or close to one. */
uint64_t sizes_edge(struct random *random, uint64_t low, uint64_t high);
/* A power of two in 1 .. max, itself a power of two. */
uint64_t sizes_align(struct random *random, uint64_t max);
/* Within an eighth of the size: mostly its class, now and then a neighbour. */
uint64_t sizes_near(struct random *random, uint64_t size);

/* Edge number i: 2^k and the three steps up to 2^(k+1), which is where most
 * designs have their classes. sizes_edge_at(0) is 8; they rise with i. */
uint64_t sizes_edge_at(unsigned i);
