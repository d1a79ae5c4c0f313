/*
 * contract.c - what each call of the malloc family promises (contract: contract.h)
 *
 * Two rules keep this silent on every correct allocator. Where documents leave
 * a choice (a bad alignment given to memalign, size 0, which of two errors
 * comes first) every choice is right. And a request is held against NULL only
 * when it is small: how much memory a machine has is no clause.
 */
#include "oracle/contract.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#define MODEST_SIZE ((size_t)1 << 20)
#define ALIGN_MAX   ((size_t)1 << 16) /* larger ones some refuse by EINVAL */
#define HUGE_SIZE   ((size_t)1 << 47) /* no address space serves more */

static bool
is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static bool
is_realloc(const struct call *call)
{
    return call->kind == OP_REALLOC || call->kind == OP_REALLOCARRAY;
}

bool
contract_size(const struct call *call, size_t *size)
{
    if (!op_shapes[call->kind].has_count) {
        *size = call->size;
        return true;
    }
    return !__builtin_mul_overflow(call->count, call->size, size);
}

bool
contract_refuses(const struct policy *policy, const struct call *call)
{
    size_t size;
    if (!contract_size(call, &size)) {
        return policy_has(policy, CLAUSE_OVERFLOW);
    }
    return size > PTRDIFF_MAX && policy_has(policy, CLAUSE_SIZE_MAX);
}

bool
contract_align_is_bad(const struct call *call)
{
    if (!op_shapes[call->kind].has_align) {
        return false;
    }
    if (call->kind == OP_POSIX_MEMALIGN && call->align % sizeof(void *) != 0) {
        return true;
    }
    return !is_power_of_two(call->align);
}

size_t
contract_align(const struct policy *policy, const struct call *call)
{
    size_t align = policy_has(policy, CLAUSE_ALIGN_16) ? 16 : 1;
    size_t size = 0;
    contract_size(call, &size);
    if (policy_has(policy, CLAUSE_ALIGN_FIT)) {
        while (align < 16 && align * 2 <= size) {
            align *= 2;
        }
    }
    if (!policy_has(
            policy, size == 0 ? CLAUSE_ALIGN_ZERO : CLAUSE_ALIGN_ASKED)) {
        return align;
    }
    if (call->kind == OP_VALLOC || call->kind == OP_PVALLOC) {
        return 4096;
    }
    if (op_shapes[call->kind].has_align && !contract_align_is_bad(call) &&
        call->align > align) {
        return call->align;
    }
    return align;
}

bool
contract_is_modest(const struct call *call)
{
    size_t size;
    return contract_size(call, &size) && size <= MODEST_SIZE &&
           call->align <= ALIGN_MAX && !contract_align_is_bad(call);
}

static bool __attribute__((format(printf, 3, 4)))
set(struct finding *finding, enum verdict_kind kind, const char *seen, ...)
{
    va_list args;
    va_start(args, seen);
    finding->kind = kind;
    vsnprintf(finding->seen, sizeof finding->seen, seen, args);
    va_end(args);
    return true;
}

static void __attribute__((format(printf, 2, 3)))
expect(struct finding *finding, const char *expected, ...)
{
    va_list args;
    va_start(args, expected);
    vsnprintf(finding->expected, sizeof finding->expected, expected, args);
    va_end(args);
}

static bool
breaks_code(const struct policy *policy, const struct call *call,
    struct finding *finding)
{
    bool is_bad = contract_align_is_bad(call);
    bool is_plain = call->align <= ALIGN_MAX && call->size <= PTRDIFF_MAX;
    bool may_be_invalid = is_bad || !is_plain;
    bool may_be_nomem = !is_bad || !is_plain;
    if (policy_has(policy, CLAUSE_MEMALIGN_CODE) &&
        !(call->code == EINVAL && may_be_invalid) &&
        !(call->code == ENOMEM && may_be_nomem)) {
        expect(finding, "posix_memalign returns %s",
            is_bad ? "EINVAL (22): the alignment is not a power of two times "
                     "sizeof(void *)"
                   : "ENOMEM (12) when it fails");
        return set(finding, VERDICT_ERRNO, "it returned %d", call->code);
    }
    if (policy_has(policy, CLAUSE_MEMALIGN_OUT) &&
        call->result != CALL_POISON) {
        expect(finding, "posix_memalign that fails leaves *out as it was, %p",
            CALL_POISON);
        return set(finding, VERDICT_ERRNO, "it returned %d and set *out to %p",
            call->code, call->result);
    }
    return false;
}

bool
contract_breaks_refused(const struct policy *policy, const struct call *call,
    bool modest, struct finding *finding)
{
    size_t size = 0;
    bool is_size = contract_size(call, &size);
    if (is_size && size == 0) {
        expect(
            finding, "a request of 0 bytes gets a block (clause zero_unique)");
        return policy_has(policy, CLAUSE_ZERO_UNIQUE) && !is_realloc(call) &&
               !contract_align_is_bad(call) &&
               set(finding, VERDICT_NULL, "it got NULL");
    }
    if (modest && policy_has(policy, CLAUSE_NULL_MODEST)) {
        expect(finding, "%zu bytes, memory being plenty", size);
        return set(finding, VERDICT_NULL, "the call failed, errno %d",
            call->kind == OP_POSIX_MEMALIGN ? call->code : call->error);
    }
    if (call->kind == OP_POSIX_MEMALIGN) {
        return breaks_code(policy, call, finding);
    }
    bool may_be_invalid =
        contract_align_is_bad(call) || call->align > ALIGN_MAX ||
        (call->kind == OP_ALIGNED_ALLOC && size % call->align != 0);
    bool is_absurd = call->kind != OP_MALLOC && call->kind != OP_CALLOC &&
                     (!is_size || size > HUGE_SIZE || call->align > HUGE_SIZE ||
                         contract_align_is_bad(call));
    enum clause clause = is_absurd ? CLAUSE_ERRNO_ABSURD : CLAUSE_ERRNO_NULL;
    if (!policy_has(policy, clause) || call->error == ENOMEM ||
        (call->error == EINVAL && may_be_invalid)) {
        return false;
    }
    expect(finding, "NULL comes with errno ENOMEM (12)%s",
        may_be_invalid ? " or EINVAL (22)" : "");
    return call->error == CALL_ERRNO
               ? set(finding, VERDICT_ERRNO, "errno was left as it was")
               : set(finding, VERDICT_ERRNO, "errno is %d", call->error);
}

bool
contract_breaks_granted(const struct policy *policy, const struct call *call,
    struct finding *finding)
{
    size_t size = 0;
    contract_size(call, &size);
    if (contract_refuses(policy, call)) {
        expect(finding, "NULL and ENOMEM: no object is that large");
        return set(finding, VERDICT_OVERFLOW, "a block at %p", call->result);
    }
    if (call->kind == OP_POSIX_MEMALIGN && contract_align_is_bad(call) &&
        policy_has(policy, CLAUSE_MEMALIGN_CODE)) {
        expect(finding, "EINVAL (22): the alignment is not a power of two "
                        "times sizeof(void *)");
        return set(finding, VERDICT_ERRNO, "it returned 0");
    }
    size_t align = contract_align(policy, call);
    uintptr_t excess = (uintptr_t)call->result & (align - 1);
    if (excess != 0) {
        expect(finding, "an address that is a multiple of %zu", align);
        return set(finding, VERDICT_ALIGNMENT, "%p, which is %zu beyond one",
            call->result, (size_t)excess);
    }
    if (is_realloc(call) && size == 0 && call->old_addr != NULL &&
        policy_has(policy, CLAUSE_REALLOC_FREES)) {
        expect(finding, "the block is freed and the result NULL "
                        "(clause realloc_frees)");
        return set(finding, VERDICT_NULL, "a block at %p", call->result);
    }
    return false;
}

bool
contract_breaks_errno(const struct policy *policy, const struct call *call,
    bool modest, struct finding *finding)
{
    bool frees = call->kind == OP_FREE || call->kind == OP_FREE_SIZED ||
                 call->kind == OP_FREE_ALIGNED_SIZED;
    enum clause clause = frees ? CLAUSE_ERRNO_FREE : CLAUSE_ERRNO_SUCCESS;
    if (call->error == CALL_ERRNO || !policy_has(policy, clause) ||
        !(frees || modest)) {
        return false;
    }
    expect(finding, "errno is kept: it was %d", CALL_ERRNO);
    return set(finding, VERDICT_ERRNO, "errno is %d", call->error);
}

static const char *const call_names[OP_KIND_COUNT] = {
    [OP_MALLOC] = "malloc",
    [OP_CALLOC] = "calloc",
    [OP_REALLOC] = "realloc",
    [OP_REALLOCARRAY] = "reallocarray",
    [OP_MEMALIGN] = "memalign",
    [OP_ALIGNED_ALLOC] = "aligned_alloc",
    [OP_POSIX_MEMALIGN] = "posix_memalign",
    [OP_VALLOC] = "valloc",
    [OP_PVALLOC] = "pvalloc",
    [OP_FREE] = "free",
    [OP_FREE_SIZED] = "free_sized",
    [OP_FREE_ALIGNED_SIZED] = "free_aligned_sized",
    [OP_USABLE_SIZE] = "malloc_usable_size",
    [OP_TOUCH] = "touch",
    [OP_TRIM] = "malloc_trim",
    [OP_STATS] = "mallinfo2",
};

void
contract_print(const struct call *call, char *text, size_t text_size)
{
    const struct op_shape *shape = &op_shapes[call->kind];
    bool allocates = shape->allocates && !is_realloc(call);
    const char *name = call_names[call->kind];
    size_t used = (size_t)snprintf(
        text, text_size, "%s(", name == NULL ? shape->name : name);
    const char *comma = "";
    if (!allocates && shape->has_slot) {
        used += (size_t)snprintf(
            text + used, text_size - used, "%p", (void *)call->old_addr);
        comma = ", ";
    }
    if (shape->has_align) {
        used += (size_t)snprintf(
            text + used, text_size - used, "%zu, ", call->align);
        comma = "";
    }
    if (shape->has_count) {
        used += (size_t)snprintf(
            text + used, text_size - used, "%s%zu", comma, call->count);
        comma = ", ";
    }
    if (shape->has_size || call->kind == OP_FREE_SIZED) {
        used += (size_t)snprintf(
            text + used, text_size - used, "%s%zu", comma, call->size);
    }
    used += (size_t)snprintf(text + used, text_size - used, ")");
    if (call->error == 0) {
        return; /* the call is still to be made */
    }
    if (call->kind == OP_POSIX_MEMALIGN && call->code != 0) {
        snprintf(text + used, text_size - used, " = error %d", call->code);
    } else if (shape->allocates || is_realloc(call)) {
        snprintf(text + used, text_size - used, " = %p", call->result);
    }
}
