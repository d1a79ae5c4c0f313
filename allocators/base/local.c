/*
 * local.c - what each thread has of its own on a heap (contract: local.h)
 *
 * One exit hook serves all sets: it walks the registry and drops the thread's
 * object in each. Rejected: a hook for each set, which would dangle when a heap
 * is closed before the thread ends.
 *
 *   I1  An object is in `used` or in `spare` of its set, not in both.
 *   I2  by_id[i] or the TLS variable leads to an object in `used`, or nowhere.
 */
#include "base/local.h"

#include "base/check.h"
#include "base/fork.h"

/* All sets. The lock comes before those of every heap. */
static struct {
    struct mtx once; /* guards ready */
    bool ready;
    struct mtx lock;
    struct local_set *sets; /* [lock] */
} registry;

/* ---- the circular lists */

static void
init_head(struct local *head)
{
    head->next = head;
    head->prev = head;
}

static void
unlink_local(struct local *local)
{
    local->next->prev = local->prev;
    local->prev->next = local->next;
}

static void
push_local(struct local *head, struct local *local)
{
    local->next = head->next;
    local->prev = head;
    head->next->prev = local;
    head->next = local;
}

static void
make_spare_locked(struct local_set *set, struct local *local)
    REQUIRES(set->lock)
{
    set->kind->leave(local);
    unlink_local(local);
    push_local(&set->spare, local);
}

/* ---- fork */

static struct local **
place_of(struct local_set *set)
{
    return set->place != NULL ? set->place() : &set->by_id[thread_id()];
}

/* In the child: every object but the caller's has lost its thread. */
static void
leave_others(struct local_set *set)
{
    struct local *own = *place_of(set);
    mtx_lock(&set->lock);
    for (struct local *local = set->used.next; local != &set->used;) {
        struct local *next = local->next;
        if (local != own) {
            make_spare_locked(set, local);
        }
        local = next;
    }
    for (unsigned id = 0; id < set->id_end; id++) {
        if (set->by_id[id] != own) {
            set->by_id[id] = NULL;
        }
    }
    mtx_unlock(&set->lock);
}

static void
adopt_in_child(void)
{
    for (struct local_set *set = registry.sets; set != NULL; set = set->next) {
        leave_others(set);
    }
}

static void
start(void)
{
    mtx_lock(&registry.once);
    if (!registry.ready) {
        mtx_init(&registry.lock, MTX_OPTIONS);
        fork_init();
        fork_on_child(adopt_in_child);
        registry.ready = true;
    }
    mtx_unlock(&registry.once);
}

/* ---- sets */

void
local_set_init(struct local_set *set, const struct local_kind *kind,
    struct local **(*place)(void), struct local *none)
{
    start();
    mtx_init(&set->lock, MTX_THREADS);
    set->kind = kind;
    set->place = place;
    set->none = none;
    init_head(&set->used);
    init_head(&set->spare);
    mtx_lock(&registry.lock);
    set->prev = NULL;
    set->next = registry.sets;
    if (set->next != NULL) {
        set->next->prev = set;
    }
    registry.sets = set;
    mtx_unlock(&registry.lock);
}

void
local_set_fini(struct local_set *set)
{
    mtx_lock(&registry.lock);
    if (set->prev == NULL) {
        registry.sets = set->next;
    } else {
        set->prev->next = set->next;
    }
    if (set->next != NULL) {
        set->next->prev = set->prev;
    }
    mtx_unlock(&registry.lock);
    mtx_fini(&set->lock);
}

/* ---- objects */

struct local *
local_peek(struct local_set *set)
{
    struct local *local = *place_of(set);
    return local == set->none ? NULL : local;
}

void
local_drop(struct local_set *set)
{
    struct local **place = place_of(set);
    struct local *local = *place;
    if (local == NULL || local == set->none) {
        return;
    }
    *place = set->none;
    set->kind->drain(local);
    mtx_lock(&set->lock);
    make_spare_locked(set, local);
    mtx_unlock(&set->lock);
}

/* The exit hook of every thread that has an object somewhere. The process's own
 * sets come first and without the registry's lock: they are never taken out,
 * and many threads may end at once. */
static void
drop_everywhere(void *process_set)
{
    struct local_set *set = process_set;
    if (set != NULL) {
        local_drop(set);
        return;
    }
    mtx_lock(&registry.lock);
    for (set = registry.sets; set != NULL; set = set->next) {
        if (set->place == NULL) {
            local_drop(set);
        }
    }
    mtx_unlock(&registry.lock);
}

static struct local *
make_locked(struct local_set *set) REQUIRES(set->lock)
{
    struct local *spare = set->spare.next;
    bool has_spare = spare != &set->spare;
    struct local *local = set->kind->make(set, has_spare ? spare : NULL);
    if (local == NULL) {
        return NULL;
    }
    if (has_spare) {
        ASSERT(local == spare);
        unlink_local(local);
    }
    push_local(&set->used, local);
    if (set->place == NULL && set->id_end <= thread_id()) {
        set->id_end = thread_id() + 1;
    }
    return local;
}

struct local *
local_get(struct local_set *set)
{
    struct local **place = place_of(set);
    if (*place != NULL && *place != set->none) {
        return *place;
    }
    /* The last id is shared by all threads past the table's end. */
    void *hook_arg = set->place != NULL ? set : NULL;
    if (thread_id() >= THREAD_ID_MAX - 1 ||
        !thread_on_exit(drop_everywhere, hook_arg)) {
        return NULL;
    }
    mtx_lock(&set->lock);
    struct local *local = make_locked(set);
    mtx_unlock(&set->lock);
    if (local != NULL) {
        *place = local;
    }
    return local;
}
