/*
 * trace.c - from a recorded trace to a heap program (contract: trace.h)
 *
 * Two passes over the events. The first finds, for each event on a block, the
 * next one on it, and for each thread its first and last event. With that known
 * ahead, the second writes the operations in the trace's order, and chooses for
 * each block a slot that fits the list which takes it over.
 *
 *     trace       t1: malloc A            t1: malloc B      t2: free A
 *     next event      '--------------------------------------^
 *     lists       t1: malloc 0  malloc 1      t2: wait 0  free 0
 *
 * The rejected alternative is to let slots be addresses, numbered: then a wait
 * for a slot meets whatever block has that address at the time.
 *
 * Invariants of the second pass; the property test checks what follows from
 * them, that all schedules mean the same:
 *   I1  The trace's order is a schedule: played in it, every wait finds its
 *       block. So no wait is in vain under any schedule.
 *   I2  A list works on a block that another one had last only after it knows
 *       of that list's operation (slotpool.h): by a wait on the block's slot if
 *       the operation filled it, by a ticket's if it was a resize.
 *   I3  When a list fills a slot, the slot is empty.
 *
 * A resize stands where its end is: it began with the block taken out of the
 * map, so what came between can have had nothing to do with it.
 */
#include "program/trace.h"

#include "program/addrmap.h"
#include "program/mapped.h"
#include "program/slotpool.h"

#define NONE        UINT32_MAX
#define TICKET_SIZE 1

/* What is known of an event's block when its turn comes. */
struct link {
    uint32_t next;   /* the next event on the block, or NONE */
    bool is_first;   /* nothing came before: what follows is not set */
    uint16_t list;   /* the one that had the block last ... */
    uint32_t point;  /* ... and when */
    uint32_t slot;   /* where the block is */
    uint32_t ticket; /* the slot of a ticket to wait for, or NONE */
};

struct traced_thread {
    uint32_t last;   /* its last event */
    uint32_t resize; /* the last event on the block it resizes, or NONE */
    uint16_t list;
    bool has_list;
    bool ended; /* the thread's end was seen */
};

struct list_state {
    uint32_t thread; /* whose operations were written last */
    bool in_use;     /* by a thread that has events left */
    bool shared;     /* more threads were alive than there are lists */
};

struct convert {
    const struct trace *trace;
    size_t event_count;
    struct program *program;
    struct trace_summary *summary;
    struct link *links; /* one an event */
    size_t link_capacity;
    struct traced_thread *threads;
    size_t thread_capacity;
    unsigned thread_count;
    struct list_state lists[PROGRAM_THREADS_MAX];
    struct slotpool *pool;
    size_t pool_capacity;
    struct addrmap live; /* address to the last event on its block */
    bool no_slot;        /* all are in use: the program ends here */
};

static bool
is_resize(uint32_t kind)
{
    return kind == OP_REALLOC || kind == OP_REALLOCARRAY;
}

static bool
is_free(uint32_t kind)
{
    return kind == OP_FREE || kind == OP_FREE_SIZED ||
           kind == OP_FREE_ALIGNED_SIZED;
}

/* The event's kind, or NONE when it is not of the last image, or damaged. */
static uint32_t
kind_of(const struct convert *convert, size_t index)
{
    const struct trace *trace = convert->trace;
    uint32_t tag =
        atomic_load_explicit(&trace->events[index].tag, memory_order_acquire);
    uint32_t kind = (tag & 0xff) - 1;

    if (tag >> 8 != trace->image || (tag & 0xff) == 0 ||
        trace->events[index].thread >= convert->thread_count) {
        return NONE;
    }
    if (kind == TRACE_RESIZE || kind == TRACE_THREAD_END ||
        (kind < OP_KIND_COUNT && op_shapes[kind].allocates) || is_free(kind)) {
        return kind;
    }
    return NONE;
}

/* A resize to 0 bytes that brought no block: it freed the old one. */
static bool
resize_frees(const struct trace_event *event, uint32_t kind)
{
    bool is_zero =
        event->size == 0 || (kind == OP_REALLOCARRAY && event->extra == 0);

    return is_resize(kind) && event->addr == 0 && is_zero;
}

/* from is NONE when the block is not known. */
static void
link_events(struct convert *convert, uint32_t from, uint32_t to)
{
    if (from != NONE) {
        convert->links[from].next = to;
        convert->links[to].is_first = false;
    }
}

/* A resize that was refused leaves the block as it was. */
static bool
scan_resize_end(struct convert *convert, uint32_t index, uint32_t kind)
{
    const struct trace_event *event = &convert->trace->events[index];
    struct traced_thread *thread = &convert->threads[event->thread];
    uint32_t before = thread->resize;

    thread->resize = NONE;
    if (event->addr == 0 && !resize_frees(event, kind)) {
        return before == NONE ||
               addrmap_put(
                   &convert->live, convert->trace->events[before].addr, before);
    }
    link_events(convert, before, index);
    return event->addr == 0 || addrmap_put(&convert->live, event->addr, index);
}

/* First pass: what this event has to do with earlier ones. */
static bool
scan_event(struct convert *convert, uint32_t index, uint32_t kind)
{
    const struct trace_event *event = &convert->trace->events[index];
    struct traced_thread *thread = &convert->threads[event->thread];

    thread->last = index;
    if (kind == TRACE_THREAD_END) {
        thread->ended = true;
    } else if (kind == TRACE_RESIZE) {
        thread->resize = addrmap_take(&convert->live, event->addr);
    } else if (is_resize(kind)) {
        return scan_resize_end(convert, index, kind);
    } else if (is_free(kind)) {
        link_events(convert, addrmap_take(&convert->live, event->addr), index);
    } else if (event->addr != 0) {
        return addrmap_put(&convert->live, event->addr, index);
    }
    return true;
}

static bool
scan(struct convert *convert)
{
    for (uint32_t i = 0; i < convert->event_count; i++) {
        convert->links[i] =
            (struct link){.next = NONE, .ticket = NONE, .is_first = true};
        uint32_t kind = kind_of(convert, i);
        if (kind != NONE && !scan_event(convert, i, kind)) {
            return false;
        }
    }
    return true;
}

/* The lowest list that is free, or one to share. */
static uint16_t
choose_list(struct convert *convert, uint32_t thread)
{
    for (uint16_t i = 0; i < PROGRAM_THREADS_MAX; i++) {
        if (!convert->lists[i].in_use) {
            return i;
        }
    }
    uint16_t list = (uint16_t)(thread % PROGRAM_THREADS_MAX);
    convert->lists[list].shared = true;
    return list;
}

/* A thread that has ended leaves its list to one that begins later. */
static void
assign_lists(struct convert *convert)
{
    for (uint32_t i = 0; i < convert->event_count; i++) {
        if (kind_of(convert, i) == NONE) {
            continue;
        }
        uint32_t number = convert->trace->events[i].thread;
        struct traced_thread *thread = &convert->threads[number];
        if (!thread->has_list) {
            thread->has_list = true;
            thread->list = choose_list(convert, number);
            convert->lists[thread->list].in_use = true;
            convert->summary->thread_count++;
        }
        struct list_state *list = &convert->lists[thread->list];
        if (thread->ended && thread->last == i && !list->shared) {
            list->in_use = false;
        }
    }
}

static uint32_t
point_of(const struct convert *convert, unsigned list)
{
    return (uint32_t)convert->program->threads[list].op_count;
}

static bool
write_op(struct convert *convert, unsigned list, const struct op *op)
{
    return program_add(convert->program, list, op);
}

static bool
write_slot_op(
    struct convert *convert, unsigned list, enum op_kind kind, uint32_t slot)
{
    return write_op(
        convert, list, &(struct op){.kind = (uint8_t)kind, .slot = slot});
}

/* Frees what the slot holds; from then on the slot is the list's to give. */
static bool
write_free(
    struct convert *convert, unsigned list, enum op_kind kind, uint32_t slot)
{
    return write_slot_op(convert, list, kind, slot) &&
           slotpool_give(convert->pool, list, slot, point_of(convert, list));
}

static uint32_t
take_slot(struct convert *convert, unsigned list, unsigned next_list)
{
    uint32_t slot = slotpool_take(convert->pool, list, next_list);

    convert->no_slot |= slot == SLOTPOOL_NONE;
    return slot;
}

/* Makes the list come after the last operation on the block (I2). */
static bool
write_order(struct convert *convert, unsigned list, const struct link *link)
{
    struct slotpool *pool = convert->pool;
    bool written = true;

    if (link->ticket != NONE) {
        written = write_slot_op(convert, list, OP_WAIT, link->ticket) &&
                  write_free(convert, list, OP_FREE, link->ticket);
    } else if (!slotpool_knows(pool, list, link->list, link->point)) {
        written = write_slot_op(convert, list, OP_WAIT, link->slot);
    }
    slotpool_learn(pool, list, link->list, link->point);
    return written;
}

static unsigned
next_list_of(const struct convert *convert, uint32_t index)
{
    uint32_t next = convert->links[index].next;
    uint32_t of = next == NONE ? index : next;

    return convert->threads[convert->trace->events[of].thread].list;
}

/* Tells the next event on the block where to find it. */
static bool
pass_on(struct convert *convert, uint32_t index, unsigned list, uint32_t slot)
{
    const struct link *link = &convert->links[index];
    unsigned next_list = next_list_of(convert, index);

    if (link->next == NONE) {
        return true;
    }
    struct link *next = &convert->links[link->next];
    next->slot = slot;
    next->list = (uint16_t)list;
    if (!link->is_first && next_list != list) {
        next->ticket = take_slot(convert, list, next_list);
        convert->summary->ticket_count++;
        if (convert->no_slot || !write_op(convert, list,
                                    &(struct op){.kind = OP_MALLOC,
                                        .slot = next->ticket,
                                        .size = TICKET_SIZE})) {
            return false;
        }
    }
    next->point = point_of(convert, list);
    return true;
}

/* A call that brought a block, new or resized. */
static bool
write_allocation(
    struct convert *convert, uint32_t index, uint32_t kind, unsigned list)
{
    const struct trace_event *event = &convert->trace->events[index];
    const struct link *link = &convert->links[index];
    const struct op_shape *shape = &op_shapes[kind];
    uint32_t slot = link->slot;

    if (link->is_first) {
        slot = take_slot(convert, list, next_list_of(convert, index));
    } else if (!write_order(convert, list, link)) {
        return false;
    }
    if (convert->no_slot ||
        !write_op(convert, list,
            &(struct op){.kind = (uint8_t)kind,
                .slot = slot,
                .size = event->size,
                .count = shape->has_count ? event->extra : 0,
                .align = shape->has_align ? event->extra : 0})) {
        return false;
    }
    /* Some allocators return a block where this one freed the old one. */
    return resize_frees(event, kind) ? write_free(convert, list, OP_FREE, slot)
                                     : pass_on(convert, index, list, slot);
}

/* Second pass: the operation for this event, if any. */
static bool
write_event(struct convert *convert, uint32_t index, uint32_t kind)
{
    const struct trace_event *event = &convert->trace->events[index];
    const struct link *link = &convert->links[index];
    unsigned list = convert->threads[event->thread].list;
    bool frees = is_free(kind) || resize_frees(event, kind);

    if (kind == TRACE_RESIZE || kind == TRACE_THREAD_END ||
        (frees && link->is_first) || (!frees && event->addr == 0)) {
        return true;
    }
    struct list_state *state = &convert->lists[list];
    if (state->thread != event->thread && !state->shared &&
        point_of(convert, list) > 0 &&
        !write_op(convert, list, &(struct op){.kind = OP_EXIT})) {
        return false;
    }
    state->thread = event->thread;
    if (is_free(kind)) {
        return write_order(convert, list, link) &&
               write_free(convert, list, (enum op_kind)kind, link->slot);
    }
    return write_allocation(convert, index, kind, list);
}

static bool
write_program(struct convert *convert)
{
    for (uint32_t i = 0; i < convert->event_count; i++) {
        uint32_t kind = kind_of(convert, i);
        if (kind != NONE && !write_event(convert, i, kind)) {
            convert->summary->is_cut |= convert->no_slot;
            return convert->no_slot;
        }
    }
    return true;
}

static bool
begin(struct convert *convert)
{
    uint64_t event_count = atomic_load(&convert->trace->event_count);

    convert->summary->is_cut = event_count >= TRACE_EVENTS_MAX;
    convert->event_count =
        event_count < TRACE_EVENTS_MAX ? event_count : TRACE_EVENTS_MAX;
    convert->thread_count = atomic_load(&convert->trace->thread_count);
    if (!mapped_grow(&convert->links, &convert->link_capacity,
            convert->event_count + 1, sizeof(struct link)) ||
        !mapped_grow(&convert->threads, &convert->thread_capacity,
            convert->thread_count + 1, sizeof(struct traced_thread)) ||
        !mapped_grow(&convert->pool, &convert->pool_capacity, 1,
            sizeof(struct slotpool))) {
        return false;
    }
    for (unsigned i = 0; i < convert->thread_count; i++) {
        convert->threads[i].resize = NONE;
    }
    return true;
}

static void
end(struct convert *convert)
{
    addrmap_fini(&convert->live);
    if (convert->pool != NULL) {
        slotpool_fini(convert->pool);
    }
    mapped_drop(
        &convert->pool, &convert->pool_capacity, sizeof(struct slotpool));
    mapped_drop(&convert->threads, &convert->thread_capacity,
        sizeof(struct traced_thread));
    mapped_drop(&convert->links, &convert->link_capacity, sizeof(struct link));
}

bool
trace_convert(struct program *program, const struct trace *trace,
    struct trace_summary *summary)
{
    struct convert convert = {
        .trace = trace, .program = program, .summary = summary};

    *summary = (struct trace_summary){0};
    bool done = begin(&convert) && scan(&convert);
    if (done) {
        assign_lists(&convert);
        done = write_program(&convert);
    }
    end(&convert);
    return done;
}
