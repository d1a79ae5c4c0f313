/*
 * guarded.c - a few sampled blocks between guard pages (contract: guarded.h)
 *
 * A block that must be aligned cannot always end where its page ends. What is
 * behind it there is filled with a pattern, looked at when the block is freed.
 *
 * Invariants, true whenever the lock is free:
 *   I1  The page of a slot in the queue is inaccessible.
 *   I2  A slot that is not LIVE is in the queue, unless the OS has refused to
 *       make its page inaccessible: then it is never used again.
 */
#include "guarded.h"

#include <string.h>

#include "base/check.h"
#include "base/fault.h"
#include "base/machine.h"
#include "base/maps.h"
#include "base/pages.h"
#include "base/print.h"
#include "base/stack.h"

#define FRAMES_MAX 24
#define PATTERN    0xf5

struct trace {
    size_t depth;
    uintptr_t frames[FRAMES_MAX];
};

enum slot_state { SLOT_FRESH, SLOT_LIVE, SLOT_FREED };

struct guarded_slot {
    struct guarded_slot *next; /* in the queue */
    enum slot_state state;
    char *page;
    char *block;
    size_t size;
    void *tag;
    struct trace allocated, freed;
};

/* ---- what went wrong */

static void
look(struct trace *trace)
{
    uintptr_t frames[STACK_DEPTH_MAX];
    size_t depth = stack_capture(frames);

    trace->depth = depth < FRAMES_MAX ? depth : FRAMES_MAX;
    memcpy(trace->frames, frames, trace->depth * sizeof frames[0]);
}

/* One frame, and the file whose code it is in. */
struct frame_search {
    struct print *print;
    uintptr_t addr;
};

static void
print_if_in(const struct maps_entry *entry, void *arg)
{
    const struct frame_search *search = arg;

    if (search->addr >= entry->begin && search->addr < entry->end) {
        print_format(search->print, " %s+%lx", entry->path,
            (unsigned long)(search->addr - entry->begin + entry->offset));
    }
}

static void
print_trace(const char *title, const struct trace *trace)
{
    struct print print;

    print_init(&print, 2);
    print_format(&print, "%s:\n", title);
    for (size_t i = 0; i < trace->depth; i++) {
        struct frame_search search = {&print, trace->frames[i]};

        print_format(&print, "    %lx", (unsigned long)trace->frames[i]);
        (void)maps_each(print_if_in, &search);
        print_text(&print, "\n");
    }
    print_flush(&print);
}

/* addr: what was touched or freed, where that is not the block itself. */
static _Noreturn void
report(const struct guarded *guarded, const struct guarded_slot *slot,
    const char *what, const void *addr)
{
    struct print print;

    print_init(&print, 2);
    print_format(&print, "guarded block %p of %zu bytes, at %p\n",
        (const void *)slot->block, slot->size, addr);
    print_flush(&print);
    print_trace("allocated by", &slot->allocated);
    if (slot->state == SLOT_FREED) {
        print_trace("freed by", &slot->freed);
    }
    check_misuse(guarded->design, what, slot->block);
}

/* ---- slots */

/* The slot whose page, or the guard page before it, this is in; the last for
 * the very last guard page. */
static struct guarded_slot *
slot_near(const struct guarded *guarded, const void *addr)
{
    size_t page =
        (size_t)((const char *)addr - guarded->begin) / guarded->page_size;
    size_t index = page / 2;

    return &guarded->slots[index < guarded->slot_count ? index : index - 1];
}

static void
explain_locked(struct guarded *guarded, const char *addr)
    REQUIRES(guarded->lock)
{
    struct guarded_slot *slot = slot_near(guarded, addr);

    if (addr >= slot->page && addr < slot->page + guarded->page_size) {
        if (slot->state == SLOT_FREED) {
            report(guarded, slot, "use after free", addr);
        }
        return;
    }
    /* A guard page between two slots: the nearer one's. */
    bool near_left = addr >= slot->page + guarded->page_size ||
                     (slot != guarded->slots &&
                         slot->page - addr > (ptrdiff_t)guarded->page_size / 2);
    if (near_left && addr < slot->page) {
        slot--;
    }
    if (slot->state != SLOT_FRESH) {
        report(guarded, slot,
            slot->state == SLOT_FREED ? "use after free"
            : near_left               ? "overflow"
                                      : "underflow",
            addr);
    }
}

static void
explain(const void *addr, void *arg)
{
    struct guarded *guarded = arg;

    if (guarded_owns(guarded, addr)) {
        mtx_lock(&guarded->lock);
        explain_locked(guarded, addr);
        mtx_unlock(&guarded->lock);
    }
}

static void
enqueue(struct guarded *guarded, struct guarded_slot *slot)
{
    slot->next = NULL;
    *guarded->last = slot;
    guarded->last = &slot->next;
}

static bool
make_slots(struct guarded *guarded, struct meta *meta)
{
    size_t count = guarded->slot_count;
    size_t page = pages_os_size();
    size_t size = (2 * count + 1) * page;

    guarded->slots = meta_take(meta, count * sizeof *guarded->slots);
    if (guarded->slots == NULL) {
        return false;
    }
    guarded->begin = pages_reserve(size, page);
    if (guarded->begin == NULL) {
        return false;
    }
    guarded->end = guarded->begin + size;
    guarded->page_size = page;
    guarded->last = &guarded->first;
    for (size_t i = 0; i < count; i++) {
        guarded->slots[i].page = guarded->begin + (2 * i + 1) * page;
        enqueue(guarded, &guarded->slots[i]);
    }
    return true;
}

void
guarded_init(struct guarded *guarded, struct meta *meta, const char *design,
    uint64_t one_in, size_t slot_count)
{
    guarded->design = design;
    guarded->one_in = one_in;
    guarded->slot_count = slot_count;
    if (one_in == 0 || !make_slots(guarded, meta)) {
        return;
    }
    mtx_init(&guarded->lock, MTX_PROFILE);
    random_seed(&guarded->random, machine.random());
    guarded->on = true;
    (void)fault_watch(explain, guarded); /* Else faults are not explained. */
}

bool
guarded_pick(struct guarded *guarded)
{
    /* Relaxed: a count. */
    return guarded->on && atomic_fetch_add_explicit(
                              &guarded->pick_count, 1, memory_order_relaxed) %
                                  guarded->one_in ==
                              0;
}

/* ---- take, give */

static struct guarded_slot *
take_slot_locked(struct guarded *guarded) REQUIRES(guarded->lock)
{
    struct guarded_slot *slot = guarded->first;

    if (slot == NULL || !pages_commit(slot->page, guarded->page_size)) {
        return NULL;
    }
    guarded->first = slot->next;
    if (guarded->first == NULL) {
        guarded->last = &guarded->first;
    }
    slot->state = SLOT_LIVE;
    return slot;
}

static void
place(struct guarded *guarded, struct guarded_slot *slot, size_t align)
    REQUIRES(guarded->lock)
{
    size_t offset = 0;

    if ((random_next(&guarded->random) & 1) != 0) {
        offset = (guarded->page_size - slot->size) & ~(align - 1);
    }
    slot->block = slot->page + offset;
    size_t rest = guarded->page_size - offset - slot->size;
    memset(slot->block + slot->size, PATTERN, rest);
}

void *
guarded_take(struct guarded *guarded, size_t size, size_t align, void *tag)
{
    struct trace trace;

    if (size > guarded->page_size || align > guarded->page_size) {
        return NULL;
    }
    look(&trace);
    mtx_lock(&guarded->lock);
    struct guarded_slot *slot = take_slot_locked(guarded);
    if (slot != NULL) {
        slot->size = size == 0 ? 1 : size; /* So that it is in its page. */
        slot->tag = tag;
        slot->allocated = trace;
        place(guarded, slot, align);
    }
    char *block = slot == NULL ? NULL : slot->block;
    mtx_unlock(&guarded->lock);
    return block;
}

/* The live slot of a block; a report when it is not. */
static struct guarded_slot *
live_slot_locked(struct guarded *guarded, const void *block)
    REQUIRES(guarded->lock)
{
    struct guarded_slot *slot = slot_near(guarded, block);

    if (slot->state == SLOT_FREED && slot->block == block) {
        report(guarded, slot, "double free", block);
    }
    if (slot->state != SLOT_LIVE || slot->block != block) {
        report(guarded, slot, "invalid pointer", block);
    }
    return slot;
}

static void
check_rest(const struct guarded *guarded, const struct guarded_slot *slot)
{
    const char *end = slot->page + guarded->page_size;

    for (const char *at = slot->block + slot->size; at < end; at++) {
        if ((unsigned char)*at != PATTERN) {
            report(guarded, slot, "overflow", at);
        }
    }
}

void *
guarded_give(struct guarded *guarded, void *block)
{
    struct trace trace;

    look(&trace);
    mtx_lock(&guarded->lock);
    struct guarded_slot *slot = live_slot_locked(guarded, block);
    check_rest(guarded, slot);
    void *tag = slot->tag;
    slot->state = SLOT_FREED;
    slot->freed = trace;
    if (pages_decommit(slot->page, guarded->page_size)) {
        enqueue(guarded, slot);
    }
    mtx_unlock(&guarded->lock);
    return tag;
}

size_t
guarded_size(struct guarded *guarded, const void *block)
{
    mtx_lock(&guarded->lock);
    size_t size = live_slot_locked(guarded, block)->size;
    mtx_unlock(&guarded->lock);
    return size;
}

/* ---- as sampled blocks */

void *
guarded_take_sampled(
    struct guarded *guarded, struct sampled *sampled, size_t size, size_t align)
{
    size_t least = size > 8 ? 16 : 8;

    if (!guarded_pick(guarded)) {
        return NULL;
    }
    struct profile_sample *sample = sampled_add(sampled, size);
    void *block =
        guarded_take(guarded, size, align < least ? least : align, sample);
    if (block == NULL && sample != NULL) {
        sampled_remove(sampled, sample);
    }
    return block;
}

void
guarded_give_sampled(
    struct guarded *guarded, struct sampled *sampled, void *block)
{
    struct profile_sample *sample = guarded_give(guarded, block);

    if (sample != NULL) {
        sampled_remove(sampled, sample);
    }
}
