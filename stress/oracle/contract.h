/*
 * contract.h - what each call of the malloc family promises
 *
 *     oracle --> a finished call, a policy --> the clause it breaks, or none
 *
 * The part of the oracle that needs no shadow heap: what follows from a call's
 * arguments, its result and errno alone.
 *
 * Concurrency: pure functions; any thread. Failure: none.
 * Design: C23 7.24.3; POSIX.1-2024; malloc(3), posix_memalign(3) of Linux.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "oracle/call.h"
#include "oracle/policy.h"
#include "oracle/verdict.h"

/* The bytes that the caller may use; false when count * size overflows. */
bool contract_size(const struct call *call, size_t *size);

/* A call that has NULL as its only right answer. */
bool contract_refuses(const struct policy *policy, const struct call *call);

/* What the result's address must be a multiple of. */
size_t contract_align(const struct policy *policy, const struct call *call);

/* The alignment is one that the call documents as an error or as undefined:
 * the call may refuse it. */
bool contract_align_is_bad(const struct call *call);

/* A request that can only fail when memory is short. */
bool contract_is_modest(const struct call *call);

/* Each fills kind, expected and seen, and returns true, when the call breaks
 * the contract. modest: the request is, and memory is plenty. */
bool contract_breaks_refused(const struct policy *policy,
    const struct call *call, bool modest, struct finding *finding);
bool contract_breaks_granted(const struct policy *policy,
    const struct call *call, struct finding *finding);
bool contract_breaks_errno(const struct policy *policy, const struct call *call,
    bool modest, struct finding *finding);

/* The call as C has it, with its result. */
void contract_print(const struct call *call, char *text, size_t text_size);
