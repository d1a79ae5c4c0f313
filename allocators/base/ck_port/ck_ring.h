/*
 * ck_ring.h - CK's ring, with its accesses to slots spelt out for tools
 *
 *     our code --> <ck_ring.h>: this --> CK's own, which includes <ck_pr.h>
 *
 * CK's ring counts on two things that C11 has no words for, though no machine
 * that CK runs on breaks them:
 *   - A producer writes into a slot if the consumers' index says that it is free.
 *     The write depends on the load by control, and no fence stands between.
 *   - One consumer of several copies a slot first and then sees, by its compare
 *     and swap, whether the slot was its own. A producer may be writing there.
 *
 * The algorithm stays CK's. The load of the consumers' index gets consume order.
 * The copies, told apart by the name that CK gives their destination, become: into
 * a slot, relaxed stores; out of a slot that is this consumer's, memcpy as it was;
 * out of one that may not be, relaxed loads, hidden as those of ck_pr.h are.
 *
 * What this hides: a stale copy that is used although the exchange failed.
 *
 * Concurrency: as the suffix of each function says: spsc, spmc, mpsc, mpmc.
 * Failure: a full ring refuses, an empty one gives nothing.
 * Design: the manual pages ck_ring_*(3).
 */
#pragma once

#include <ck_pr.h>
#include <ck_string.h>

CK_PORT_LOAD(uint_dependent, unsigned int, unsigned int, __ATOMIC_CONSUME)

/* Word by word, so that a pointer moves whole, or else by the byte. */
static inline bool
ck_ring_has_words(const void *slot, unsigned int size)
{
    return ((uintptr_t)slot | size) % sizeof(uint64_t) == 0;
}

static inline void
ck_ring_copy_buffer(void *slot, const void *entry, unsigned int size)
{
    unsigned char *to = (unsigned char *)slot;
    const unsigned char *from = (const unsigned char *)entry;
    bool words = ck_ring_has_words(slot, size);

    for (unsigned int i = 0; i < size; i += words ? sizeof(uint64_t) : 1) {
        uint64_t word;

        if (words) {
            memcpy(&word, &from[i], sizeof word);
            __atomic_store_n(
                (uint64_t *)(void *)&to[i], word, __ATOMIC_RELAXED);
        } else {
            __atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
        }
    }
}

CK_PORT_INLINE void
ck_ring_copy_data(void *entry, const void *slot, unsigned int size)
{
    unsigned char *to = (unsigned char *)entry;
    const unsigned char *from = (const unsigned char *)slot;
    bool words = ck_ring_has_words(slot, size);

    for (unsigned int i = 0; i < size; i += words ? sizeof(uint64_t) : 1) {
        if (words) {
            uint64_t word = __atomic_load_n(
                (const uint64_t *)(const void *)&from[i], __ATOMIC_RELAXED);
            memcpy(&to[i], &word, sizeof word);
        } else {
            to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
        }
    }
}

static inline void
ck_ring_copy_target(void *entry, const void *slot, unsigned int size)
{
    memcpy(entry, slot, size);
}

/* CK's own names, for as long as its header is read. */
#undef ck_pr_load_uint
#define ck_pr_load_uint(index)                                                 \
    ((index) == &ring->c_head ? ck_pr_md_load_uint_dependent(index)            \
                              : ck_pr_md_load_uint(index))
#define memcpy(to, from, size) ck_ring_copy_##to(to, from, size)

#include_next <ck_ring.h>

#undef memcpy
#undef ck_pr_load_uint
#define ck_pr_load_uint(target) ck_pr_md_load_uint(target)
