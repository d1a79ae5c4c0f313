/*
 * ctl_thread.c - the calling thread, and explicit caches, by name (contract:
 * ctl_rows.h)
 */
#include "jemalloc/ctl_rows.h"

#include <errno.h>

#include "jemalloc/block.h"
#include "jemalloc/heap.h"

/* ---- the calling thread */

static int
own_tcache(const struct jem_ctl_call *call, struct jem_tcache **tcache)
{
    *tcache = jem_heap_tcache(call->heap);
    return *tcache == NULL ? EAGAIN : 0;
}

int
jem_ctl_get_thread_arena(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    *value = error == 0 ? tcache->arena->index : 0;
    return error;
}

int
jem_ctl_set_thread_arena(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    if (error != 0) {
        return error;
    }
    if (value >= jem_heap_arena_end(call->heap)) {
        return EFAULT;
    }
    struct jem_arena *arena = jem_heap_arena(call->heap, (unsigned)value);
    if (arena == NULL) {
        return EAGAIN;
    }
    if (!jem_arena_exists(arena)) {
        return EFAULT;
    }
    jem_heap_bind(tcache, arena);
    return 0;
}

/* Where the calling thread's bytes are counted, from the first time on. */
int
jem_ctl_get_thread_counter(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    if (error == 0 && !tcache->counting) {
        jem_block_count(tcache);
    }
    *value = error == 0 ? (uintptr_t)((char *)tcache + call->row->data) : 0;
    return error;
}

int
jem_ctl_get_thread_count(const struct jem_ctl_call *call, uint64_t *value)
{
    uint64_t place;
    int error = jem_ctl_get_thread_counter(call, &place);
    *value = error == 0 ? *(const uint64_t *)place : 0;
    return error;
}

int
jem_ctl_get_thread_cached(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    *value = error == 0 && tcache->class_limit != 0;
    return error;
}

int
jem_ctl_set_thread_cached(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    if (error != 0) {
        return error;
    }
    unsigned limit = jem_heap_class_limit(call->heap);
    if (value != 0 && (limit == 0 || tcache->counting)) {
        return EFAULT;
    }
    jem_tcache_limit(tcache, value != 0 ? limit : 0);
    return 0;
}

int
jem_ctl_flush_thread(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    (void)value;
    if (error != 0) {
        return error;
    }
    if (tcache->class_limit == 0) {
        return EFAULT;
    }
    jem_tcache_drain(tcache);
    return 0;
}

int
jem_ctl_idle_thread(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    (void)value;
    if (error == 0) {
        jem_tcache_drain(tcache);
        jem_arena_decay(tcache->arena);
    }
    return error;
}

int
jem_ctl_reset_peak(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_tcache *tcache;
    int error = own_tcache(call, &tcache);
    (void)value;
    if (error == 0) {
        jem_tcache_reset_peak(tcache);
    }
    return error;
}

/* ---- explicit caches */

int
jem_ctl_create_cache(const struct jem_ctl_call *call, uint64_t *value)
{
    struct jem_tcache *own;
    int error = own_tcache(call, &own);
    if (error != 0) {
        return error;
    }
    unsigned index = jem_heap_create_cache(call->heap, own->arena);
    *value = index;
    return index == JEM_NO_INDEX ? EAGAIN : 0;
}

int
jem_ctl_flush_cache(const struct jem_ctl_call *call, uint64_t value)
{
    struct jem_tcache *tcache = jem_heap_cache(call->heap, (unsigned)value);
    if (tcache == NULL) {
        return EFAULT;
    }
    jem_tcache_drain(tcache);
    return 0;
}

int
jem_ctl_destroy_cache(const struct jem_ctl_call *call, uint64_t value)
{
    return jem_heap_destroy_cache(call->heap, (unsigned)value) ? 0 : EFAULT;
}
