/*
 * weak.c - atomics with C11's orders (contract: weak.h)
 *
 * A location is an address and a size that some atomic operation had. It keeps
 * its last stores in a ring, newest first to scan:
 *
 *     location --> | newest | ... | oldest kept |
 *                     value, seen[thread], what it releases
 *
 * seen[t] of a store is the counter of t when t first wrote or read that store
 * or a newer one. A load by a thread whose view has that counter must not read
 * anything older: one rule for the four coherence axioms. The rules for
 * sequential consistency take the order of execution as the total order S:
 *
 *   - a load that is seq_cst reads no store older than the newest seq_cst one,
 *     nor older than what was seen before some seq_cst fence (fence_view);
 *   - after a seq_cst fence a thread's loads read no store older than what was
 *     seen before earlier such fences (its view took fence_view in), nor older
 *     than seq_cst stores before the fence (fence_stamp). Both travel along
 *     happens-before, as RC11's psc has it.
 *
 * A release sequence goes on through read-modify-writes of anybody and, as in
 * C11 but not C++20, through plain stores of the thread that heads it. Where
 * several heads meet we take all their clocks: an edge too many hides a race, an
 * edge too few would invent one.
 *
 * Invariants:
 *   I1  ring entries are in modification order; memory holds the newest value.
 *   I2  if seen[t] is set in a store it is set in all older ones kept, and not
 *       later there.
 *   I3  locations of a chain lie in one granule of 8 bytes; exact duplicates do
 *       not exist.
 *   I4  released of a store means something only when has_released.
 */
#include "observe/weak.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "observe/race.h"
#include "observe/runtime.h"

#define STORES_MAX       8
#define LOCATIONS_MAX    32768u
#define STALE_IN_ROW_MAX 8
#define SYNCS_MAX        8192u

struct store {
    uint64_t value;
    uintptr_t pc;
    uint32_t sc_stamp; /* its number among seq_cst stores; 0: is none */
    bool has_released;
    uint32_t seen[CLOCK_THREADS_MAX];
    struct seen released;
};

struct location {
    uintptr_t addr;
    uint8_t size;
    uint8_t count;  /* stores kept; 0: memory changed by another size */
    uint8_t newest; /* index in stores[] */
    uint32_t next;  /* in the chain of its 8 bytes */
    uint32_t heads; /* threads that head a release sequence, as bits */
    uint32_t
        written[CLOCK_THREADS_MAX]; /* newest atomic write of each thread */
    uint32_t read[CLOCK_THREADS_MAX];
    struct store stores[STORES_MAX];
};

/* A clock of our own, in an open-addressed table. */
struct sync {
    uintptr_t key;
    uint32_t run;
    struct seen seen;
};

static struct location *locations; /* index 0 is none */
static uint32_t location_count;
static uint32_t location_free; /* chain of dropped ones */
static struct sync *syncs;     /* SYNCS_MAX, and one for the overflow */
static uint32_t sync_count;
static struct clock fence_view; /* what was seen before seq_cst fences */
static uint32_t sc_stamp;
static uint8_t *pair_counters;
static size_t pair_count;

bool
weak_init(void)
{
    locations = mmap(NULL, LOCATIONS_MAX * sizeof(struct location),
        PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
        0);
    syncs = mmap(NULL, (SYNCS_MAX + 1) * sizeof(struct sync),
        PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
        0);
    return locations != MAP_FAILED && syncs != MAP_FAILED;
}

void
weak_clear(void)
{
    memset(syncs, 0, (SYNCS_MAX + 1) * sizeof(struct sync));
}

void
weak_begin(void)
{
    location_count = 1;
    location_free = 0;
    sync_count = 0;
    memset(&fence_view, 0, sizeof(fence_view));
    sc_stamp = 0;
}

void
observe_count_pairs(uint8_t *counters, size_t count)
{
    pair_counters = counters;
    pair_count = count;
}

static bool
is_acquire(enum weak_order order)
{
    return order != ORDER_RELAXED && order != ORDER_RELEASE;
}

static bool
is_release(enum weak_order order)
{
    return order >= ORDER_RELEASE;
}

static uint32_t
my_count(const struct thread *me)
{
    return me->seen.hb.at[me->id];
}

/*
 * Locations.
 */

static uint64_t
read_memory(uintptr_t addr, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)addr, size);
    return value;
}

static struct store *
store_at(struct location *location, unsigned age)
{
    unsigned index = (location->newest + STORES_MAX - age) % STORES_MAX;
    return &location->stores[index];
}

static bool
overlaps(const struct location *location, uint8_t mask)
{
    return (race_mask(location->addr, location->size) & mask) != 0;
}

static void
add_released(struct store *store, const struct seen *seen)
{
    if (store->has_released) {
        seen_join(&store->released, seen);
    } else {
        store->released = *seen;
        store->has_released = true;
    }
}

/* The history begins with what memory holds. What stores of other sizes to
 * these bytes released is released by it. */
static void
begin_history(struct location *location, uint32_t chain)
{
    location->count = 1;
    location->newest = 0;
    location->heads = 0;
    struct store *first = &location->stores[0];
    memset(first, 0, offsetof(struct store, released)); /* I4 */
    first->value = read_memory(location->addr, location->size);
    uint8_t mask = race_mask(location->addr, location->size);
    for (uint32_t i = chain; i != 0; i = locations[i].next) {
        struct location *other = &locations[i];
        if (other != location && other->count > 0 && overlaps(other, mask)) {
            const struct store *newest = store_at(other, 0);
            if (newest->has_released) {
                add_released(first, &newest->released);
            }
        }
    }
}

static struct location *
take_location(void)
{
    if (location_free != 0) {
        struct location *location = &locations[location_free];
        location_free = location->next;
        return location;
    }
    return location_count < LOCATIONS_MAX ? &locations[location_count++] : NULL;
}

/* The location of exactly these bytes, made if need be; NULL when none is
 * left. */
static struct location *
find_location(struct wide *wide, uintptr_t addr, unsigned size)
{
    for (uint32_t i = wide->location; i != 0; i = locations[i].next) {
        if (locations[i].addr == addr && locations[i].size == size) {
            if (locations[i].count == 0) {
                begin_history(&locations[i], wide->location);
            }
            return &locations[i];
        }
    }
    struct location *location = take_location();
    if (location != NULL) {
        location->addr = addr;
        location->size = (uint8_t)size;
        memset(location->written, 0, sizeof(location->written));
        memset(location->read, 0, sizeof(location->read));
        begin_history(location, wide->location);
        location->next = wide->location;
        wide->location = (uint32_t)(location - locations);
    }
    return location;
}

/* These bytes change: locations of another size that overlap lose their
 * histories. */
static void
outdate_others(struct wide *wide, const struct location *changed)
{
    uint8_t mask = race_mask(changed->addr, changed->size);
    for (uint32_t i = wide->location; i != 0; i = locations[i].next) {
        if (&locations[i] != changed && overlaps(&locations[i], mask)) {
            locations[i].count = 0;
        }
    }
}

uint32_t
weak_conflict(
    uint32_t location, uint8_t mask, bool plain_write, bool *other_writes)
{
    const struct clock *hb = &hot.current->seen.hb;
    for (; location != 0; location = locations[location].next) {
        const struct location *other = &locations[location];
        if (!overlaps(other, mask)) {
            continue;
        }
        for (unsigned i = 0; i < thread_count; i++) {
            *other_writes = other->written[i] > hb->at[i];
            if (*other_writes) {
                return clock_epoch(i, other->written[i]);
            }
            if (plain_write && other->read[i] > hb->at[i]) {
                return clock_epoch(i, other->read[i]);
            }
        }
    }
    return 0;
}

uint32_t
weak_drop(uint32_t location, uint8_t mask)
{
    uint32_t left = 0;
    while (location != 0) {
        uint32_t next = locations[location].next;
        uint32_t *list =
            overlaps(&locations[location], mask) ? &location_free : &left;
        locations[location].next = *list;
        *list = location;
        location = next;
    }
    return left;
}

/*
 * Loads.
 */

/* Must a load by the caller read this store or a newer one? */
static bool
hides_older(const struct store *store, enum weak_order order)
{
    const struct thread *me = hot.current;
    if (store->sc_stamp != 0 &&
        (order == ORDER_SEQ_CST || store->sc_stamp <= me->seen.fence_stamp)) {
        return true;
    }
    for (unsigned i = 0; i < thread_count; i++) {
        uint32_t seen = store->seen[i];
        if (seen != 0 &&
            (seen <= me->seen.view.at[i] ||
                (order == ORDER_SEQ_CST && seen <= fence_view.at[i]))) {
            return true;
        }
    }
    return false;
}

/* The ages of the stores that a load may read, newest first; returns how many.
 * With `refused`, those of that value are left out. */
static unsigned
list_readable(struct location *location, enum weak_order order,
    const uint64_t *refused, uint8_t ages[STORES_MAX])
{
    unsigned count = 0;
    for (unsigned age = 0; age < location->count; age++) {
        const struct store *store = store_at(location, age);
        if (refused == NULL || store->value != *refused) {
            ages[count++] = (uint8_t)age;
        }
        if (hides_older(store, order)) {
            break;
        }
    }
    return count;
}

/* I2 */
static void
mark_seen(struct location *location, unsigned age)
{
    const struct thread *me = hot.current;
    for (; age < location->count; age++) {
        struct store *store = store_at(location, age);
        if (store->seen[me->id] != 0) {
            break;
        }
        store->seen[me->id] = my_count(me);
    }
}

static void
count_pair(uintptr_t store_pc, uintptr_t load_pc)
{
    if (pair_counters != NULL) {
        uint64_t hash = random_mix(store_pc ^ load_pc << 20);
        uint8_t *counter = &pair_counters[hash % pair_count];
        *counter = (uint8_t)(*counter + (*counter < 255));
    }
}

/* The caller reads the store of that age. */
static uint64_t
take_store(struct location *location, unsigned age, enum weak_order order,
    uintptr_t pc)
{
    struct thread *me = hot.current;
    struct store *store = store_at(location, age);
    mark_seen(location, age);
    location->read[me->id] = my_count(me);
    if (store->has_released) {
        seen_join(
            is_acquire(order) ? &me->seen : &me->relaxed, &store->released);
    }
    if (age > 0) {
        me->stale_count++;
        stats.stale_loads++;
    } else {
        me->stale_count = 0;
    }
    count_pair(store->pc, pc);
    hash_add(store->value);
    return store->value;
}

static bool
may_be_stale(void)
{
    return !plan->strong && hot.current->stale_count < STALE_IN_ROW_MAX;
}

/* No location left: the newest value, and an edge from all that came before. */
static uint64_t
load_without_history(uintptr_t addr, unsigned size)
{
    weak_acquire(0);
    return read_memory(addr, size);
}

static struct location *
locate(
    uintptr_t addr, unsigned size, bool write, uintptr_t pc, struct wide **wide)
{
    *wide = race_atomic(addr, size, write, pc);
    return *wide != NULL ? find_location(*wide, addr, size) : NULL;
}

uint64_t
weak_load(uintptr_t addr, unsigned size, enum weak_order order, uintptr_t pc)
{
    sched_note_idle(hot.current);
    struct wide *wide;
    struct location *location = locate(addr, size, false, pc, &wide);
    if (location == NULL) {
        return load_without_history(addr, size);
    }
    uint8_t ages[STORES_MAX];
    unsigned count =
        may_be_stale() ? list_readable(location, order, NULL, ages) : 1;
    unsigned way = count > 1 ? sched_choose_store(count) : 0;
    uint64_t value = take_store(location, way == 0 ? 0 : ages[way], order, pc);
    trace_event(
        way == 0 ? EVENT_LOAD : EVENT_LOAD_STALE, pc, addr, size, value);
    return value;
}

void
weak_load_newest(
    uintptr_t addr, unsigned size, enum weak_order order, uintptr_t pc)
{
    struct wide *wide;
    struct location *location = locate(addr, size, false, pc, &wide);
    if (location == NULL) {
        load_without_history(addr, size);
        return;
    }
    uint64_t value = take_store(location, 0, order, pc);
    trace_event(EVENT_LOAD, pc, addr, size, value);
}

bool
weak_refuses(uintptr_t addr, unsigned size, uint64_t expected,
    enum weak_order order, uintptr_t pc, uint64_t *value)
{
    uint64_t newest = read_memory(addr, size);
    bool succeeds = newest == expected; /* unless it reads an older store */
    struct wide *wide;
    struct location *location = locate(addr, size, false, pc, &wide);
    if (location == NULL) {
        *value = load_without_history(addr, size);
        return !succeeds;
    }
    uint8_t ages[STORES_MAX];
    unsigned count = list_readable(location, order, &expected, ages);
    unsigned ways = count + (succeeds ? 1 : 0);
    unsigned way = may_be_stale() && ways > 1 ? sched_choose_store(ways) : 0;
    if (succeeds && way == 0) {
        return false;
    }
    sched_note_idle(hot.current);
    unsigned age = ages[succeeds ? way - 1 : way];
    *value = take_store(location, age, order, pc);
    trace_event(
        age == 0 ? EVENT_CAS_FAIL : EVENT_LOAD_STALE, pc, addr, size, *value);
    return true;
}

/*
 * Stores.
 */

static struct store *
push_store(struct location *location, uint64_t value, enum weak_order order,
    uintptr_t pc)
{
    struct thread *me = hot.current;
    mark_seen(location, 0); /* The caller knows a newer one: its own. */
    location->newest = (uint8_t)((location->newest + 1) % STORES_MAX);
    location->count += location->count < STORES_MAX;
    struct store *store = store_at(location, 0);
    store->value = value;
    store->pc = pc;
    store->sc_stamp = order == ORDER_SEQ_CST ? ++sc_stamp : 0;
    memset(store->seen, 0, sizeof(store->seen));
    store->seen[me->id] = my_count(me);
    store->has_released = false;
    location->written[me->id] = my_count(me);
    return store;
}

/* The store heads a release sequence of the caller: by its own order, or by a
 * release fence before it. */
static void
release_by(
    struct location *location, struct store *store, enum weak_order order)
{
    struct thread *me = hot.current;
    const struct seen *head = is_release(order)  ? &me->seen
                              : me->has_released ? &me->released
                                                 : NULL;
    if (head == NULL) {
        return;
    }
    add_released(store, head);
    location->heads |= 1u << me->id;
}

/* The sequence that the store before was in goes on through this one. */
static void
inherit(struct location *location, struct store *store)
{
    const struct store *before =
        location->count > 1 ? store_at(location, 1) : NULL;
    if (before != NULL && before->has_released) {
        store->released = before->released;
        store->has_released = true;
    }
}

static void
note_change(bool changed)
{
    if (changed) {
        sched_note_progress(hot.current);
    } else {
        sched_note_idle(hot.current);
    }
}

static void
finish_store(struct wide *wide, struct location *location, uint64_t value,
    enum weak_order order)
{
    outdate_others(wide, location);
    hash_add(value);
    if (is_release(order)) {
        thread_tick(hot.current);
    }
}

void
weak_store(uintptr_t addr, unsigned size, uint64_t value, enum weak_order order,
    uintptr_t pc)
{
    note_change(read_memory(addr, size) != value);
    struct wide *wide;
    struct location *location = locate(addr, size, true, pc, &wide);
    if (location == NULL) {
        weak_release(0);
        return;
    }
    uint32_t mine = location->heads & 1u << hot.current->id;
    struct store *store = push_store(location, value, order, pc);
    location->heads = mine;
    if (mine != 0) {
        inherit(location, store);
    }
    release_by(location, store, order);
    trace_event(EVENT_STORE, pc, addr, size, value);
    finish_store(wide, location, value, order);
}

void
weak_rmw(uintptr_t addr, unsigned size, uint64_t value, enum weak_order order,
    uintptr_t pc)
{
    note_change(read_memory(addr, size) != value);
    struct wide *wide;
    struct location *location = locate(addr, size, true, pc, &wide);
    if (location == NULL) {
        weak_acquire(0);
        weak_release(0);
        return;
    }
    take_store(location, 0, order, pc);
    struct store *store = push_store(location, value, order, pc);
    inherit(location, store);
    release_by(location, store, order);
    trace_event(EVENT_RMW, pc, addr, size, value);
    finish_store(wide, location, value, order);
}

void
weak_fence(enum weak_order order)
{
    struct thread *me = hot.current;
    if (is_acquire(order)) {
        seen_join(&me->seen, &me->relaxed);
    }
    if (order == ORDER_SEQ_CST) {
        clock_join(&me->seen.view, &fence_view);
        fence_view = me->seen.view;
        me->seen.fence_stamp = sc_stamp;
    }
    if (is_release(order)) {
        me->released = me->seen;
        me->has_released = true;
        thread_tick(me);
    }
}

/*
 * Clocks of our own.
 */

static struct sync *
find_sync(uintptr_t key)
{
    uint32_t run = hot.run_tag;
    uint32_t at = (uint32_t)(random_mix(key) % SYNCS_MAX);
    while (key != 0) {
        struct sync *sync = &syncs[at];
        if (sync->run == run && sync->key == key) {
            return sync;
        }
        if (sync->run != run) {
            if (sync_count == SYNCS_MAX / 2) {
                break;
            }
            sync_count++;
            memset(sync, 0, sizeof(*sync));
            sync->run = run;
            sync->key = key;
            return sync;
        }
        at = (at + 1) % SYNCS_MAX;
    }
    struct sync *shared = &syncs[SYNCS_MAX];
    if (shared->run != run) {
        memset(shared, 0, sizeof(*shared));
        shared->run = run;
    }
    return shared;
}

void
weak_release(uintptr_t key)
{
    seen_join(&find_sync(key)->seen, &hot.current->seen);
    thread_tick(hot.current);
}

void
weak_acquire(uintptr_t key)
{
    seen_join(&hot.current->seen, &find_sync(key)->seen);
}
