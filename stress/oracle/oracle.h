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

#include "alloc.h"
#include "oracle/call.h"
#include "oracle/claims.h"
#include "oracle/policy.h"
#include "oracle/verdict.h"

struct oracle_thread {
    _Alignas(64) uint64_t serial; /* keys the next pattern */
    size_t live_size; /* bytes asked for, minus bytes freed: may wrap */
    size_t live_count;
};

struct oracle_options {
    struct policy policy;
    const struct alloc_ops *ops; /* for usable_size, and stats at the end */
    struct heap *heap;
    bool has_usable_size; /* the target has malloc_usable_size */
    bool faults;          /* OS calls are made to fail: NULL is legal */
    size_t whole_max;     /* blocks up to here are patterned byte by byte */
    /* Kinds already reported, by call: they are counted, and the run goes on.
     * Only kinds that leave the heap intact. May be NULL. */
    const bool (*muted)[OP_KIND_COUNT];
};

struct oracle {
    struct observer observer; /* hand &oracle.observer to a runner */
    struct oracle_options options;
    struct claims claims;
    struct oracle_thread *threads; /* PROGRAM_THREADS_MAX + 1 of them */
    _Atomic uint32_t taken;        /* 0, or a finding is written or there */
    _Atomic uint64_t muted_count;
    struct finding *finding; /* where it goes */
};

bool oracle_init(struct oracle *oracle, const struct oracle_options *options,
    struct finding *finding);
void oracle_fini(struct oracle *oracle);

/* Before each program: forgets the last finding. All blocks must be freed. */
void oracle_begin(struct oracle *oracle, const struct oracle_options *options);

/* True when a finding was made; then *oracle->finding holds it. */
bool oracle_found(struct oracle *oracle);

/* Sets the finding, unless there is one already; for other observers. */
bool oracle_report(struct oracle *oracle, const struct finding *finding);
