/*
 * oracle.h - judges every call by the contract, over a shadow heap
 *
 *     runner --> calls --> oracle --> claims   who owns each byte
 *                             |  \--> pattern  what each byte holds
 *                             \----> struct finding
 *
 * The oracle knows of each block what the program was promised, and checks
 * what can be seen: that live blocks are disjoint (whatever their bytes), keep
 * their bytes, are aligned, zeroed, large enough, and that each call returns
 * and sets errno as the policy has it. On a correct allocator it is silent.
 *
 * Concurrency: as observers (call.h). The first finding of a run is kept.
 * Failure: oracle_init returns false when its memory cannot be mapped. It takes
 * no memory from malloc.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "oracle/call.h"
#include "oracle/claims.h"
#include "oracle/policy.h"
#include "oracle/verdict.h"

struct heap;

struct oracle_thread {
    _Alignas(64) uint64_t serial; /* keys the next pattern */
    /* Bytes it asked for minus bytes it freed: wraps, the sum does not. */
    _Atomic size_t live_size;
};

struct oracle_options {
    struct policy policy;
    /* malloc_usable_size of the target, on that heap; NULL: it has none. */
    size_t (*usable_size)(struct heap *heap, const void *block);
    struct heap *heap;
    bool faults;      /* OS calls are made to fail: NULL is legal */
    size_t whole_max; /* blocks up to here are patterned byte by byte */
    /* Other threads run: changed bytes may be the work of a second owner, who
     * is given a moment to show himself (oracle.c). */
    bool waits_for_cause;
    /* Kinds already reported, by call: they are counted, and the run goes on.
     * Only kinds that leave the heap intact. May be NULL. */
    const bool (*muted)[OP_KIND_COUNT];
};

struct oracle {
    struct observer observer; /* hand &oracle.observer to a runner */
    struct oracle_options options;
    struct claims claims;
    struct oracle_thread *threads; /* PROGRAM_THREADS_MAX + 1 of them */
    const struct block *blocks;    /* the run's; blocks[id - 1] */
    struct finding_box *box;       /* where a finding goes */
    _Atomic uint64_t muted_counts[VERDICT_KIND_COUNT];
    bool is_fork_child; /* what it finds is of kind fork */
};

bool oracle_init(struct oracle *oracle);
void oracle_fini(struct oracle *oracle);

/*
 * Before each run: what to judge, and where a finding goes. The box is empty.
 * The claims of a run that was stopped stay: the oracle is good for no further
 * run then.
 */
void oracle_begin(struct oracle *oracle, const struct oracle_options *options,
    struct finding_box *box);
