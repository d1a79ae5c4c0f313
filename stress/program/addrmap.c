/*
 * addrmap.c - from an address to a number (contract: addrmap.h)
 *
 * Linear probing, at most half full. An entry is removed by moving later ones
 * of its run back, so that there are no tombstones: a trace puts and takes
 * millions of times with few entries alive.
 *
 * Invariants, always; addrmap_check() asserts each:
 *   I1  count is the number of entries that are not empty, at most half.
 *   I2  Between the place where an entry's hash points and where it stands, no
 *       place is empty.
 */
#include "program/addrmap.h"

#include <assert.h>

#include "base/check.h"
#include "base/random.h"
#include "program/mapped.h"

#define CAPACITY_MIN 1024

static_assert(sizeof(struct addrmap_entry) == 16,
    "a power of two, so that whole pages hold a power of two of them");

static size_t
home_of(const struct addrmap *map, uint64_t addr)
{
    return random_mix(addr) & (map->capacity - 1);
}

static size_t
after(const struct addrmap *map, size_t place)
{
    return (place + 1) & (map->capacity - 1);
}

/* The place of addr, or the empty one where it would stand. */
static size_t
find(const struct addrmap *map, uint64_t addr)
{
    size_t place = home_of(map, addr);

    while (map->entries[place].addr != 0 && map->entries[place].addr != addr) {
        place = after(map, place);
    }
    return place;
}

void
addrmap_check(const struct addrmap *map)
{
    size_t count = 0;

    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].addr != 0) {
            count++;
            CHECK(find(map, map->entries[i].addr) == i); /* I2 */
        }
    }
    CHECK(count == map->count && 2 * count <= map->capacity); /* I1 */
}

static bool
grow(struct addrmap *map)
{
    struct addrmap old = *map;
    struct addrmap grown = {.count = old.count};
    size_t capacity = old.capacity == 0 ? CAPACITY_MIN : 2 * old.capacity;

    if (!mapped_grow(&grown.entries, &grown.capacity, capacity,
            sizeof(struct addrmap_entry))) {
        return false;
    }
    ASSERT((grown.capacity & (grown.capacity - 1)) == 0);
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.entries[i].addr != 0) {
            grown.entries[find(&grown, old.entries[i].addr)] = old.entries[i];
        }
    }
    addrmap_fini(&old);
    *map = grown;
    return true;
}

bool
addrmap_put(struct addrmap *map, uint64_t addr, uint32_t value)
{
    ASSERT(addr != 0 && value != ADDRMAP_NONE);
    if (2 * (map->count + 1) > map->capacity && !grow(map)) {
        return false;
    }
    size_t place = find(map, addr);
    map->count += map->entries[place].addr == 0;
    map->entries[place] = (struct addrmap_entry){addr, value};
    return true;
}

/* Closes the gap at place: entries of the run that may stand there move. */
static void
close_gap(struct addrmap *map, size_t gap)
{
    size_t mask = map->capacity - 1;

    for (size_t i = after(map, gap); map->entries[i].addr != 0;
         i = after(map, i)) {
        size_t home = home_of(map, map->entries[i].addr);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            map->entries[gap] = map->entries[i];
            gap = i;
        }
    }
    map->entries[gap] = (struct addrmap_entry){0};
}

uint32_t
addrmap_take(struct addrmap *map, uint64_t addr)
{
    if (map->count == 0) {
        return ADDRMAP_NONE;
    }
    size_t place = find(map, addr);
    if (map->entries[place].addr == 0) {
        return ADDRMAP_NONE;
    }
    uint32_t value = map->entries[place].value;
    map->count--;
    close_gap(map, place);
    return value;
}

void
addrmap_fini(struct addrmap *map)
{
    mapped_drop(&map->entries, &map->capacity, sizeof(struct addrmap_entry));
    map->count = 0;
}
