/*
 * oracle.c - judges every call by the contract (contract: oracle.h)
 *
 * A block's life here: granted, its usable bytes are claimed and then patterned
 * (in that order: bytes that belong to another are never written); before free
 * and realloc, by whichever thread, the pattern is verified and the claim given
 * back, so that the memory's next owner finds it unclaimed.
 *
 * A realloc that fails claims the block again: it still is the program's. While
 * the call runs the old range is unwatched, since a realloc that moves may hand
 * it to another thread before it returns.
 *
 * Changed bytes are a symptom. Where threads run, the cause may be that the
 * allocator gave the block twice, and the second owner, between the return of
 * his call and his claim, is not seen yet; or has freed it already, and the
 * block, in use and on a free list, is soon given again. So a thread that finds
 * changed bytes keeps its claim and lets the others run for a moment. The clash
 * of one of them then is the first finding, and names both owners.
 *
 * Invariants, for each struct block between calls:
 *   I1  addr is NULL, or [addr, addr + usable) is claimed by its id.
 *   I2  addr is NULL, or the pattern of (seed, whole) stands in [0, usable).
 */
#include "oracle/oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/random.h"
#include "oracle/contract.h"
#include "oracle/memory.h"
#include "oracle/pattern.h"

#define WHOLE_SOMETIMES ((size_t)1 << 20) /* one in 16 of these is whole */

static struct oracle *
oracle_of(struct observer *observer)
{
    return (struct oracle *)observer; /* its first member */
}

static bool
has(const struct oracle *oracle, enum clause clause)
{
    return policy_has(&oracle->options.policy, clause);
}

/* A forked child's finding is of kind fork, and says which it would be. */
static void
name_fork_child(struct finding *finding)
{
    char text[FINDING_TEXT_MAX];
    snprintf(text, sizeof text, "in the forked child (%s): %.200s",
        verdicts[finding->kind].name, finding->seen);
    memcpy(finding->seen, text, sizeof text);
    finding->kind = VERDICT_FORK;
}

/* Kinds that another thread's overlap may explain. */
static bool
is_symptom(enum verdict_kind kind)
{
    return kind == VERDICT_CONTENT || kind == VERDICT_ZEROING;
}

/* Completes and reports a finding. True: it is muted, go on. */
static bool
report(struct oracle *oracle, const struct call *call, struct finding *finding)
{
    const bool(*muted)[OP_KIND_COUNT] = oracle->options.muted;
    if (muted != NULL && muted[finding->kind][call->kind]) {
        atomic_fetch_add_explicit(
            &oracle->muted_counts[finding->kind], 1, memory_order_relaxed);
        return true;
    }
    finding->op_kind = call->kind;
    finding->thread = call->thread;
    finding->op_index = call->op_index;
    contract_print(call, finding->call, sizeof finding->call);
    if (oracle->is_fork_child) {
        name_fork_child(finding);
    } else if (oracle->options.waits_for_cause && is_symptom(finding->kind)) {
        finding_await(oracle->box);
    }
    finding_put(oracle->box, finding);
    return false;
}

static bool __attribute__((format(printf, 5, 6)))
report_seen(struct oracle *oracle, const struct call *call,
    enum verdict_kind kind, const char *expected, const char *seen, ...)
{
    struct finding finding = {.kind = kind};
    va_list args;
    va_start(args, seen);
    snprintf(finding.expected, sizeof finding.expected, "%s", expected);
    vsnprintf(finding.seen, sizeof finding.seen, seen, args);
    va_end(args);
    return report(oracle, call, &finding);
}

/* The claims clashed: says whose block it is. Bytes beyond what both asked for
 * are a matter of usable_size. */
static bool
report_clash(struct oracle *oracle, const struct call *call, const char *addr,
    size_t size, size_t usable, const struct claims_clash *clash)
{
    const struct block *other = NULL;
    if (clash->owner != CLAIMS_NOBODY && oracle->blocks != NULL) {
        other = &oracle->blocks[clash->owner - 1];
    }
    if (other == NULL) {
        return report_seen(oracle, call, VERDICT_OVERLAP,
            "the block's bytes are its own until it is freed",
            "of %p, %zu bytes, the byte at %p was given to another block, "
            "freed since",
            (const void *)addr, size, (void *)clash->addr);
    }
    uintptr_t other_addr = atomic_load(&other->note_addr);
    size_t other_size = (size_t)atomic_load(&other->note_size);
    uint64_t maker = atomic_load(&other->note_maker);
    /* A block of size 0 is distinct by its address: count it as one byte. */
    uintptr_t end = (uintptr_t)addr + (size == 0 ? 1 : size);
    uintptr_t other_end = other_addr + (other_size == 0 ? 1 : other_size);
    bool overlap = (uintptr_t)addr < other_end && other_addr < end;
    enum verdict_kind kind = overlap ? VERDICT_OVERLAP : VERDICT_SIZE;
    return report_seen(oracle, call, kind,
        kind == VERDICT_SIZE ? "all bytes that usable_size counts are usable"
                             : "live blocks are disjoint",
        "%p, %zu bytes (usable %zu), shares the byte at %p with %p, %zu bytes, "
        "made by thread %u, operation %lu",
        (const void *)addr, size, usable, (void *)clash->addr,
        (void *)other_addr, other_size, (unsigned)(maker >> 48),
        (unsigned long)(maker & (((uint64_t)1 << 48) - 1)));
}

static struct pattern
pattern_of(const struct block *block, char *addr)
{
    return (struct pattern){addr, block->usable, block->seed, block->whole};
}

/* The first `to` bytes of the block, which may have moved to addr. */
static bool
verify(struct oracle *oracle, const struct call *call, char *addr, size_t to,
    const char *expected)
{
    struct pattern pattern = pattern_of(call->block, addr);
    size_t wrong = pattern_verify(&pattern, to);
    if (wrong == PATTERN_NOWHERE || !has(oracle, CLAUSE_CONTENT)) {
        return true;
    }
    return report_seen(oracle, call, VERDICT_CONTENT, expected,
        "byte %zu of %p, %zu bytes (usable %zu), is 0x%02x, not 0x%02x", wrong,
        (void *)addr, call->old_size, call->block->usable,
        (unsigned char)addr[wrong], pattern_byte(&pattern, wrong));
}

/* Claims are for at least one byte: blocks of size 0 are distinct as well. */
static size_t
claim_size(const struct block *block)
{
    return block->usable == 0 ? 1 : block->usable;
}

static bool
take_claim(struct oracle *oracle, const struct call *call)
{
    struct block *block = call->block;
    struct claims_clash clash;
    atomic_store_explicit(
        &block->note_addr, (uintptr_t)block->addr, memory_order_relaxed);
    atomic_store_explicit(&block->note_size, block->size, memory_order_relaxed);
    if (!has(oracle, CLAUSE_OVERLAP) ||
        claims_take(&oracle->claims, block->addr, claim_size(block), block->id,
            &clash)) {
        return true;
    }
    return report_clash(
        oracle, call, block->addr, block->size, block->usable, &clash);
}

static bool
give_claim(struct oracle *oracle, const struct call *call)
{
    struct block *block = call->block;
    struct claims_clash clash;
    if (!has(oracle, CLAUSE_OVERLAP) ||
        claims_give(&oracle->claims, block->addr, claim_size(block), block->id,
            &clash)) {
        return true;
    }
    return report_clash(
        oracle, call, block->addr, block->size, block->usable, &clash);
}

/* Sets block->usable. */
static bool
judge_usable(struct oracle *oracle, const struct call *call)
{
    struct block *block = call->block;
    block->usable = block->size;
    if (oracle->options.usable_size == NULL || !has(oracle, CLAUSE_USABLE)) {
        return true;
    }
    size_t usable =
        oracle->options.usable_size(oracle->options.heap, block->addr);
    if (usable < block->size) {
        return report_seen(oracle, call, VERDICT_SIZE,
            "malloc_usable_size is at least the size asked for",
            "of %p, %zu bytes, it is %zu", (void *)block->addr, block->size,
            usable);
    }
    block->usable = usable;
    return true;
}

static bool
is_modest(struct oracle *oracle, const struct call *call)
{
    return !oracle->options.faults && contract_is_modest(call);
}

/* NULL for a modest request: a finding only where memory is plenty. */
static bool
is_plenty(struct oracle *oracle)
{
    size_t live_size = 0;
    for (unsigned i = 0; i <= PROGRAM_THREADS_MAX; i++) {
        live_size += atomic_load_explicit(
            &oracle->threads[i].live_size, memory_order_relaxed);
    }
    return memory_is_plenty(live_size);
}

static void
add_live(struct oracle *oracle, const struct call *call, size_t size)
{
    _Atomic size_t *live = &oracle->threads[call->thread].live_size;
    size_t now = atomic_load_explicit(live, memory_order_relaxed);
    atomic_store_explicit(live, now + size, memory_order_relaxed);
}

static bool
judge_refused(struct oracle *oracle, const struct call *call)
{
    struct finding finding; /* filled where the contract is broken */
    const struct policy *policy = &oracle->options.policy;
    bool modest = policy_has(policy, CLAUSE_NULL_MODEST) &&
                  is_modest(oracle, call) && is_plenty(oracle);
    bool goes_on = true;
    if (contract_breaks_refused(policy, call, modest, &finding)) {
        goes_on = report(oracle, call, &finding);
    }
    struct block *block = call->block;
    if (goes_on && block->addr != NULL) {
        goes_on = take_claim(oracle, call) &&
                  verify(oracle, call, block->addr, block->usable,
                      "a realloc that fails leaves the block as it was");
    }
    return goes_on;
}

/* A fresh pattern over the whole block (I2). */
static void
fill_anew(struct oracle *oracle, const struct call *call)
{
    struct block *block = call->block;
    struct oracle_thread *thread = &oracle->threads[call->thread];
    uint64_t serial = thread->serial++ << 9 | call->thread;
    block->seed = random_mix(serial + 1);
    block->whole = block->usable <= oracle->options.whole_max ||
                   (block->usable <= WHOLE_SOMETIMES && block->seed % 16 == 0);
    struct pattern pattern = pattern_of(block, block->addr);
    pattern_fill(&pattern, 0);
}

static bool
judge_zeroed(struct oracle *oracle, const struct call *call)
{
    struct block *block = call->block;
    size_t whole_max = oracle->options.whole_max;
    struct pattern pattern = {block->addr, block->size,
        oracle->threads[call->thread].serial, block->size <= whole_max};
    size_t found = pattern_nonzero(&pattern, block->size);
    if (found == PATTERN_NOWHERE || !has(oracle, CLAUSE_ZEROING)) {
        return true;
    }
    return report_seen(oracle, call, VERDICT_ZEROING,
        "all bytes of a block from calloc are zero",
        "byte %zu of %p, %zu bytes, is 0x%02x", found, (void *)block->addr,
        block->size, (unsigned char)block->addr[found]);
}

/* The block at hand came from, or through, realloc: its bytes come along. The
 * pattern goes on with the old seed where it was kept (I2). */
static bool
judge_kept(struct oracle *oracle, const struct call *call, size_t old_usable)
{
    struct block *block = call->block;
    size_t kept = call->old_size < block->size ? call->old_size : block->size;
    size_t usable = block->usable;
    block->usable = old_usable;
    bool good = verify(oracle, call, block->addr, kept,
        "realloc keeps the bytes up to the lesser of both sizes");
    block->usable = usable;
    if (block->whole != (usable <= oracle->options.whole_max)) {
        fill_anew(oracle, call);
        return good;
    }
    struct pattern pattern = pattern_of(block, block->addr);
    pattern_fill(&pattern, kept);
    return good;
}

static bool
judge_granted(struct oracle *oracle, const struct call *call)
{
    struct finding finding; /* filled where the contract is broken */
    struct block *block = call->block;
    const struct policy *policy = &oracle->options.policy;
    size_t old_usable = block->usable;

    if (contract_breaks_granted(policy, call, &finding)) {
        if (!report(oracle, call, &finding)) {
            return false;
        }
        if (finding.kind == VERDICT_OVERFLOW) {
            block->size = 0; /* of what was asked for, nothing is promised */
        }
    }
    atomic_store_explicit(&block->note_maker,
        (uint64_t)call->thread << 48 | call->op_index, memory_order_relaxed);
    if (!judge_usable(oracle, call) || !take_claim(oracle, call)) {
        return false;
    }
    add_live(oracle, call, block->size);
    if (call->old_addr != NULL) {
        if (!judge_kept(oracle, call, old_usable)) {
            return false;
        }
    } else {
        if (call->kind == OP_CALLOC && !judge_zeroed(oracle, call)) {
            return false;
        }
        fill_anew(oracle, call);
    }
    return !contract_breaks_errno(
               policy, call, is_modest(oracle, call), &finding) ||
           report(oracle, call, &finding);
}

/* The block is about to be verified and, if gone, leaves the shadow heap. */
static bool
before(struct observer *observer, struct call *call)
{
    struct oracle *oracle = oracle_of(observer);
    struct block *block = call->block;
    if (block == NULL || block->addr == NULL) {
        return true;
    }
    bool keeps = call->kind == OP_USABLE_SIZE || call->kind == OP_TOUCH;
    if (!verify(oracle, call, block->addr, block->usable,
            "a block keeps its bytes until it is freed")) {
        return false;
    }
    return keeps || give_claim(oracle, call);
}

static bool
judge_usable_again(struct oracle *oracle, const struct call *call)
{
    size_t expected = call->old_addr == NULL ? 0 : call->block->usable;
    if (call->value == expected || oracle->options.usable_size == NULL ||
        !has(oracle, CLAUSE_USABLE)) {
        return true;
    }
    return report_seen(oracle, call, VERDICT_SIZE,
        call->old_addr == NULL ? "malloc_usable_size(NULL) is 0"
                               : "malloc_usable_size does not change",
        "of %p it was %zu and now is %zu", (void *)call->old_addr, expected,
        call->value);
}

static bool
judge_freed(struct oracle *oracle, const struct call *call)
{
    struct finding finding; /* filled where the contract is broken */
    add_live(oracle, call, (size_t)0 - call->old_size);
    return !contract_breaks_errno(
               &oracle->options.policy, call, true, &finding) ||
           report(oracle, call, &finding);
}

static bool
after(struct observer *observer, struct call *call)
{
    struct oracle *oracle = oracle_of(observer);
    bool is_realloc = call->kind == OP_REALLOC || call->kind == OP_REALLOCARRAY;
    switch (call->kind) {
    case OP_FREE:
    case OP_FREE_SIZED:
    case OP_FREE_ALIGNED_SIZED:
        return judge_freed(oracle, call);
    case OP_USABLE_SIZE:
        return judge_usable_again(oracle, call);
    case OP_TOUCH:
        if (call->block->addr != NULL) {
            fill_anew(oracle, call);
        }
        return true;
    default:
        break;
    }
    if (!op_shapes[call->kind].allocates && !is_realloc) {
        return true;
    }
    if (is_realloc && call->old_addr != NULL && call->block->addr == NULL) {
        return judge_freed(oracle, call); /* realloc(block, 0) */
    }
    bool failed =
        call->result == NULL || call->result == CALL_POISON || call->code != 0;
    if (failed) {
        return judge_refused(oracle, call);
    }
    if (is_realloc) {
        add_live(oracle, call, (size_t)0 - call->old_size);
    }
    return judge_granted(oracle, call);
}

static void
begin(struct observer *observer, const struct block *blocks)
{
    struct oracle *oracle = oracle_of(observer);
    oracle->blocks = blocks;
    for (unsigned i = 0; i <= PROGRAM_THREADS_MAX; i++) {
        oracle->threads[i].serial = 0;
        atomic_store_explicit(
            &oracle->threads[i].live_size, 0, memory_order_relaxed);
    }
}

static bool
forked(struct observer *observer, struct call *call, int status)
{
    struct oracle *oracle = oracle_of(observer);
    static const char expected[] =
        "the forked child allocates, frees, verifies and exits with status 0";
    if (status == OBSERVER_IN_CHILD) {
        oracle->is_fork_child = true;
        return true;
    }
    if (finding_get(oracle->box) != NULL) {
        return false; /* the child's own */
    }
    if (WIFSIGNALED(status)) {
        return report_seen(oracle, call, VERDICT_FORK, expected,
            "it died by signal %d (%s)", WTERMSIG(status),
            sigdescr_np(WTERMSIG(status)));
    }
    return WEXITSTATUS(status) == 0 ||
           report_seen(oracle, call, VERDICT_FORK, expected,
               "it exited with status %d", WEXITSTATUS(status));
}

bool
oracle_init(struct oracle *oracle)
{
    size_t size = (PROGRAM_THREADS_MAX + 1) * sizeof(struct oracle_thread);
    void *threads = mmap(
        NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (threads == MAP_FAILED) {
        return false;
    }
    *oracle = (struct oracle){
        .observer = {begin, before, after, forked, NULL},
        .threads = threads,
    };
    if (!claims_init(&oracle->claims)) {
        munmap(threads, size);
        return false;
    }
    return true;
}

void
oracle_fini(struct oracle *oracle)
{
    claims_fini(&oracle->claims);
    munmap(oracle->threads,
        (PROGRAM_THREADS_MAX + 1) * sizeof(struct oracle_thread));
}

void
oracle_begin(struct oracle *oracle, const struct oracle_options *options,
    struct finding_box *box)
{
    oracle->options = *options;
    oracle->box = box;
}
