/*
 * central.c - the shared free list of one size class (contract: central.h)
 *
 * A batch is drawn from the spans with most live objects. Load then gathers on
 * few spans while the others drain, become whole, and can be returned. The
 * number of live objects counts by its logarithm: it says how many must be
 * freed before the span is, and one more or less does not matter.
 *
 * Rejected: newest span first. It needs one list and no logarithm, and measures
 * well until a program shrinks; then every span keeps a block or two.
 *
 * Invariants, true whenever the lock is free; check_locked() asserts each:
 *   I1  free_count is the sum of free_count over the spans, span_count their
 *       number.
 *   I2  A span is on the list of its live count, on `full` if none is free.
 *   I3  No span is wholly free: give() sends such a span to the page heap.
 */
#include "tcmalloc/central.h"

#include "base/check.h"
#include "base/print.h"
#include "tcmalloc/misuse.h"

/* The list that the span belongs to. */
static struct list *
list_for(struct tcm_central *central, const struct tcm_span *span)
{
    size_t live = tcm_span_object_count(span) - span->free_count;
    unsigned log;

    if (span->free_count == 0) {
        return &central->full;
    }
    log = live == 0 ? 0 : 63 - (unsigned)__builtin_clzll(live);
    log = log < TCM_CENTRAL_LISTS ? log : TCM_CENTRAL_LISTS - 1;
    return &central->nonempty[TCM_CENTRAL_LISTS - 1 - log];
}

static void
check_locked(struct tcm_central *central) REQUIRES(central->lock)
{
    size_t free_count = 0, span_count = 0;
    struct list *link;
    unsigned index;

    TCM_CENTRAL_EACH (link, index, central) {
        const struct tcm_span *span = tcm_span_of(link);

        tcm_span_check(span);
        CHECK(span->size_class == central->size_class);
        CHECK(list_for(central, span) ==
              tcm_central_list(central, index));               /* I2 */
        CHECK(span->free_count < tcm_span_object_count(span)); /* I3 */
        free_count += span->free_count;
        span_count++;
    }
    CHECK(free_count == central->free_count); /* I1 */
    CHECK(span_count == central->span_count);
}

void
tcm_central_init(struct tcm_central *central, struct tcm_pageheap *pageheap,
    unsigned size_class)
{
    mtx_init(&central->lock, MTX_CENTRAL);
    central->size_class = size_class;
    central->pageheap = pageheap;
    for (unsigned i = 0; i < TCM_CENTRAL_LISTS; i++) {
        list_init(&central->nonempty[i]);
    }
    list_init(&central->full);
    central->span_count = 0;
    central->free_count = 0;
}

void
tcm_central_fini(struct tcm_central *central)
{
    mtx_fini(&central->lock);
}

/* ---- take */

/* Puts one fresh span on a list. Breaks I3, so the caller must then take. */
static bool
refill_locked(struct tcm_central *central) REQUIRES(central->lock)
{
    struct tcm_span *span =
        tcm_pageheap_take(central->pageheap, central->size_class);

    if (span == NULL) {
        return false;
    }
    list_push(list_for(central, span), &span->link);
    central->free_count += span->free_count;
    central->span_count++;
    return true;
}

/* The span with most live objects that has a free one, or NULL. */
static struct tcm_span *
fullest_locked(struct tcm_central *central) REQUIRES(central->lock)
{
    for (unsigned i = 0; i < TCM_CENTRAL_LISTS; i++) {
        struct list *link = list_first(&central->nonempty[i]);

        if (link != NULL) {
            return tcm_span_of(link);
        }
    }
    return NULL;
}

static size_t
take_locked(struct tcm_central *central, void **batch, size_t count)
    REQUIRES(central->lock)
{
    size_t taken = 0;

    while (taken < count) {
        if (central->free_count == 0 && !refill_locked(central)) {
            break; /* Out of pages. A short batch is no error here. */
        }
        struct tcm_span *span = fullest_locked(central);
        size_t part = tcm_span_take(span, batch + taken, count - taken);

        central->free_count -= part;
        taken += part;
        list_move(list_for(central, span), &span->link);
    }
    return taken;
}

size_t
tcm_central_take(struct tcm_central *central, void **batch, size_t count)
{
    ASSERT(count > 0);
    mtx_lock(&central->lock);
    size_t taken = take_locked(central, batch, count);
    ASSERT_HEAP(check_locked(central));
    mtx_unlock(&central->lock);
    return taken;
}

/* ---- give */

/* The span of an object of this class. */
static struct tcm_span *
span_of_object(const struct tcm_central *central, void *object)
{
    void *owner = tcm_owner_get(&central->pageheap->map, object);

    if (owner == TCM_OWNER_FREED) {
        tcm_misuse(TCM_DOUBLE_FREE, object);
    }
    if (tcm_owner_class(owner) != central->size_class) {
        tcm_misuse(TCM_OVERWRITTEN, object);
    }
    return tcm_owner_span(owner);
}

static void
give_one_locked(struct tcm_central *central, void *object)
    REQUIRES(central->lock)
{
    struct tcm_span *span = span_of_object(central, object);
    struct list *before = list_for(central, span);

    tcm_span_give(span, object);
    central->free_count++;
    if (span->free_count == tcm_span_object_count(span)) {
        list_remove(&span->link);
        central->free_count -= span->free_count;
        central->span_count--;
        tcm_pageheap_give(central->pageheap, span); /* I3 */
        return;
    }
    struct list *after = list_for(central, span);
    if (after != before) {
        list_move(after, &span->link);
    }
}

void
tcm_central_give(struct tcm_central *central, void *const *batch, size_t count)
{
    mtx_lock(&central->lock);
    for (size_t i = 0; i < count; i++) {
        give_one_locked(central, batch[i]);
    }
    ASSERT_HEAP(check_locked(central));
    mtx_unlock(&central->lock);
}

/* ---- looking */

bool
tcm_central_holds(struct tcm_central *central, const void *object)
{
    bool holds = false;

    mtx_lock(&central->lock);
    void *owner = tcm_owner_get(&central->pageheap->map, object);
    if (tcm_owner_class(owner) == central->size_class) {
        holds = tcm_span_is_free(tcm_owner_span(owner), object);
    }
    mtx_unlock(&central->lock);
    return holds;
}

void
tcm_central_check(struct tcm_central *central)
{
    struct list *link;
    unsigned index;

    mtx_lock(&central->lock);
    check_locked(central);
    TCM_CENTRAL_EACH (link, index, central) {
        tcm_pageheap_check_owner(central->pageheap, tcm_span_of(link));
    }
    mtx_unlock(&central->lock);
}

void
tcm_central_dump(struct tcm_central *central, int fd)
{
    struct print print;
    struct list *link;
    unsigned index;

    print_init(&print, fd);
    mtx_lock(&central->lock);
    print_format(&print, "central %u: %zu objects free in %zu spans\n",
        central->size_class, central->free_count, central->span_count);
    print_flush(&print);
    TCM_CENTRAL_EACH (link, index, central) {
        tcm_span_dump(tcm_span_of(link), fd);
    }
    mtx_unlock(&central->lock);
}
