/*
 * transfer.c - batches of one size class on their way between front caches
 * (contract: transfer.h)
 *
 * Last in, first out: what was given last is likeliest to be in some cache.
 *
 * Rejected: a ring of batches, CK's for many producers and consumers. It is
 * faster until there are more threads than CPUs, and then a tenth as fast, as
 * each waits for those that drew a slot before it (measured: docs/designs). And
 * batches of many lengths do not fit its slots, and it cannot say what it holds.
 *
 *   I1  count <= capacity <= TCM_TRANSFER_SLOTS; low_count <= count.
 */
#include "tcmalloc/transfer.h"

#include <string.h>

#include "base/print.h"
#include "tcmalloc/misuse.h"

#define CAPACITY_SIZE ((size_t)512 << 10) /* bytes of objects in the array */
#define DRAIN_BATCH   64u

void
tcm_transfer_init(struct tcm_transfer *transfer, struct tcm_pageheap *pageheap,
    unsigned size_class, void **slots)
{
    size_t room = CAPACITY_SIZE / tcm_classes[size_class].size;

    mtx_init(&transfer->lock, MTX_TRANSFER);
    room = room < 1 ? 1 : room;
    transfer->capacity =
        room < TCM_TRANSFER_SLOTS ? (uint32_t)room : TCM_TRANSFER_SLOTS;
    transfer->count = 0;
    transfer->low_count = 0;
    transfer->slots = slots;
    tcm_central_init(&transfer->central, pageheap, size_class);
}

void
tcm_transfer_fini(struct tcm_transfer *transfer)
{
    tcm_central_fini(&transfer->central);
    mtx_fini(&transfer->lock);
}

/* Moves the newest objects out. */
static size_t
pop_locked(struct tcm_transfer *transfer, void **batch, size_t count)
    REQUIRES(transfer->lock)
{
    count = count < transfer->count ? count : transfer->count;
    transfer->count -= (uint32_t)count;
    memcpy(batch, transfer->slots + transfer->count, count * sizeof *batch);
    if (transfer->low_count > transfer->count) {
        transfer->low_count = transfer->count;
    }
    return count;
}

size_t
tcm_transfer_take(
    struct tcm_transfer *transfer, void **batch, size_t count, size_t fresh)
{
    mtx_lock(&transfer->lock);
    size_t taken = pop_locked(transfer, batch, count);
    mtx_unlock(&transfer->lock);
    return taken > 0 ? taken
                     : tcm_central_take(&transfer->central, batch, fresh);
}

void
tcm_transfer_give(
    struct tcm_transfer *transfer, void *const *batch, size_t count)
{
    mtx_lock(&transfer->lock);
    size_t room = transfer->capacity - transfer->count;
    size_t kept = count < room ? count : room;
    memcpy(transfer->slots + transfer->count, batch, kept * sizeof *batch);
    transfer->count += (uint32_t)kept;
    mtx_unlock(&transfer->lock);
    if (kept < count) {
        tcm_central_give(&transfer->central, batch + kept, count - kept);
    }
}

void
tcm_transfer_drain(struct tcm_transfer *transfer, bool all)
{
    void *batch[DRAIN_BATCH];
    size_t count;

    mtx_lock(&transfer->lock);
    size_t left = all ? transfer->count : transfer->low_count;
    mtx_unlock(&transfer->lock);
    while (left > 0) {
        mtx_lock(&transfer->lock);
        count = pop_locked(
            transfer, batch, left < DRAIN_BATCH ? left : DRAIN_BATCH);
        mtx_unlock(&transfer->lock);
        if (count == 0) {
            break;
        }
        tcm_central_give(&transfer->central, batch, count);
        left -= count;
    }
    mtx_lock(&transfer->lock);
    transfer->low_count = transfer->count;
    mtx_unlock(&transfer->lock);
}

bool
tcm_transfer_holds(struct tcm_transfer *transfer, const void *object)
{
    bool holds = false;

    mtx_lock(&transfer->lock);
    for (uint32_t i = 0; i < transfer->count && !holds; i++) {
        holds = transfer->slots[i] == object;
    }
    mtx_unlock(&transfer->lock);
    return holds || tcm_central_holds(&transfer->central, object);
}

void
tcm_transfer_check(struct tcm_transfer *transfer)
{
    mtx_lock(&transfer->lock);
    CHECK(transfer->count <= transfer->capacity); /* I1 */
    CHECK(transfer->low_count <= transfer->count);
    for (size_t i = 0; i < transfer->count; i++) {
        void *owner =
            tcm_owner_get(&transfer->central.pageheap->map, transfer->slots[i]);
        CHECK(tcm_owner_class(owner) == transfer->central.size_class);
    }
    mtx_unlock(&transfer->lock);
    tcm_central_check(&transfer->central);
}

void
tcm_transfer_dump(struct tcm_transfer *transfer, int fd)
{
    struct tcm_central *central = &transfer->central;
    struct print print;

    mtx_lock(&transfer->lock);
    uint32_t count = transfer->count;
    mtx_unlock(&transfer->lock);
    mtx_lock(&central->lock);
    size_t span_count = central->span_count;
    mtx_unlock(&central->lock);
    if (count == 0 && span_count == 0) {
        return;
    }
    print_init(&print, fd);
    print_format(&print, "transfer %u: %u of %u objects\n", central->size_class,
        count, transfer->capacity);
    print_flush(&print);
    tcm_central_dump(central, fd);
}
