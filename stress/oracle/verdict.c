/*
 * verdict.c - the kinds of finding (contract: verdict.h)
 */
#include "oracle/verdict.h"

#include <string.h>
#include <time.h>

#define AWAIT_MS 100

const struct verdict verdicts[VERDICT_KIND_COUNT] = {
    [VERDICT_OVERLAP] = {"overlap", "two live blocks share bytes", true},
    [VERDICT_ALIGNMENT] = {"alignment",
        "a block is less aligned than asked for, or than its size needs",
        false},
    [VERDICT_CONTENT] = {"content",
        "a block's bytes changed, or realloc lost some", true},
    [VERDICT_ZEROING] = {"zeroing", "calloc returned bytes that are not zero",
        false},
    [VERDICT_SIZE] = {"size",
        "usable_size is below the size asked for, changes, or counts bytes "
        "that are not the block's",
        false},
    [VERDICT_ERRNO] = {"errno",
        "errno or the returned code is not what the call documents", false},
    [VERDICT_NULL] = {"null",
        "a modest request is refused, memory being plenty", false},
    [VERDICT_OVERFLOW] = {"overflow",
        "a size that no object can have is accepted", false},
    [VERDICT_CRASH] = {"crash", "the process died in a valid program", true},
    [VERDICT_HANG] = {"hang", "a call uses the CPU and never returns", true},
    [VERDICT_DEADLOCK] = {"deadlock", "all threads sleep and none can go on",
        true},
    [VERDICT_LEAK] = {"leak",
        "all blocks are freed and the allocator still counts some", false},
    [VERDICT_GROWTH] = {"growth",
        "equal programs run again and again take ever more memory", false},
    [VERDICT_HEAP_CHECK] = {"heap-check",
        "the allocator's own check of its structures failed", true},
    [VERDICT_MISUSE] = {"misuse",
        "the allocator accuses a valid program of misuse and stops it", true},
    [VERDICT_FORK] = {"fork", "a forked child hangs or breaks in the allocator",
        true},
    [VERDICT_RACE] = {"race",
        "two threads access a byte, one writes, and C11 orders neither first",
        true},
    [VERDICT_OWNERSHIP] = {"ownership",
        "the allocator touches a live block, or pages that it gave back", true},
    [VERDICT_LIVELOCK] = {"livelock",
        "threads run and run under a fair schedule, and none gets anywhere",
        true},
    [VERDICT_NONDETERMINISM] = {"nondeterminism",
        "one program under one schedule runs in two ways", false},
};

enum verdict_kind
verdict_find(const char *name)
{
    int kind = 0;
    while (
        kind < VERDICT_KIND_COUNT && strcmp(verdicts[kind].name, name) != 0) {
        kind++;
    }
    return (enum verdict_kind)kind;
}

bool
finding_put(struct finding_box *box, const struct finding *finding)
{
    uint32_t none = FINDING_NONE;
    if (!atomic_compare_exchange_strong(&box->state, &none, FINDING_BEGUN)) {
        return false;
    }
    box->finding = *finding;
    /* Pairs with the acquire in finding_get: the text is there. */
    atomic_store_explicit(&box->state, FINDING_THERE, memory_order_release);
    return true;
}

void
finding_await(struct finding_box *box)
{
    static const struct timespec millisecond = {0, 1000000};
    for (int i = 0; i < AWAIT_MS && finding_get(box) == NULL; i++) {
        nanosleep(&millisecond, NULL);
    }
}

const struct finding *
finding_get(struct finding_box *box)
{
    uint32_t state = atomic_load_explicit(&box->state, memory_order_acquire);
    return state == FINDING_THERE ? &box->finding : NULL;
}
