/*
 * addrmap.h - from an address to a number, for traces
 *
 *     trace_convert --> addrmap: block address --> its last event
 *
 * A hash table with open addressing on mapped memory.
 *
 * Concurrency: one thread.
 * Failure: addrmap_put returns false when memory runs out, nothing changed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRMAP_NONE UINT32_MAX

struct addrmap_entry {
    uint64_t addr; /* 0: empty */
    uint32_t value;
};

/* All zero is an empty one. */
struct addrmap {
    struct addrmap_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

/* addr is not 0; replaces what was there. */
bool addrmap_put(struct addrmap *map, uint64_t addr, uint32_t value);
/* Removes it; ADDRMAP_NONE when it is not there. */
uint32_t addrmap_take(struct addrmap *map, uint64_t addr);
void addrmap_fini(struct addrmap *map);
void addrmap_check(const struct addrmap *map); /* aborts if broken */
