/*
 * policy.c - which contract is judged (contract: policy.h)
 *
 * A clause is in a named policy only when every correct allocator that serves
 * such programs keeps it. What some keep and others do not, by design, stands
 * at the end of the table and is in none.
 */
#include "oracle/policy.h"

#include <string.h>

const struct clause_text clause_texts[CLAUSE_COUNT] = {
    [CLAUSE_OVERLAP] = {"overlap", "live blocks are disjoint", 1, 1, 1},
    [CLAUSE_ALIGN_FIT] = {"align_fit",
        "a block is aligned for any object that fits into it", 1, 1, 1},
    [CLAUSE_ALIGN_ASKED] = {"align_asked",
        "memalign and its kin align blocks of 1 byte and more as asked", 1, 1,
        1},
    [CLAUSE_ZEROING] = {"zeroing", "calloc's bytes are zero", 1, 1, 1},
    [CLAUSE_CONTENT] = {"content",
        "a block keeps its bytes until it is freed, through realloc too", 1, 1,
        1},
    [CLAUSE_OVERFLOW] = {"overflow",
        "calloc and reallocarray refuse a product that overflows", 1, 1, 1},
    [CLAUSE_SIZE_MAX] = {"size_max", "sizes above PTRDIFF_MAX are refused", 0,
        0, 1},
    [CLAUSE_NULL_MODEST] = {"null_modest",
        "a modest request gets memory while there is plenty", 1, 1, 1},
    [CLAUSE_ERRNO_NULL] = {"errno_null",
        "a refused request sets ENOMEM, or EINVAL for a bad alignment", 0, 1,
        1},
    [CLAUSE_ERRNO_ABSURD] = {"errno_absurd",
        "so does one of any call but malloc and calloc that makes no sense: "
        "past 2^47 bytes, or of a bad alignment",
        0, 1, 0},
    [CLAUSE_ERRNO_FREE] = {"errno_free", "free keeps errno", 0, 1, 1},
    [CLAUSE_ERRNO_SUCCESS] = {"errno_success",
        "a modest request that succeeds keeps errno", 0, 0, 1},
    [CLAUSE_MEMALIGN_CODE] = {"memalign_code",
        "posix_memalign returns EINVAL for a bad alignment, else 0 or ENOMEM",
        0, 1, 1},
    [CLAUSE_MEMALIGN_OUT] = {"memalign_out",
        "posix_memalign that fails leaves the pointer alone", 0, 1, 1},
    [CLAUSE_USABLE] = {"usable",
        "malloc_usable_size is at least the size asked for, does not change, "
        "and all of it can be written",
        0, 0, 1},
    [CLAUSE_FORK_CHILD] = {"fork_child",
        "the forked child of a threaded program may allocate and free", 0, 0,
        1},
    [CLAUSE_ALIGN_16] = {"align_16", "every block is aligned to 16 bytes", 0, 0,
        0},
    [CLAUSE_ALIGN_ZERO] = {"align_zero",
        "memalign and its kin align blocks of 0 bytes as asked, too", 0, 0, 0},
    [CLAUSE_ZERO_UNIQUE] = {"zero_unique",
        "a request of 0 bytes gets a block, not NULL", 0, 0, 0},
    [CLAUSE_REALLOC_FREES] = {"realloc_frees",
        "realloc(block, 0) frees the block and returns NULL", 0, 0, 0},
    [CLAUSE_OOM_NULL] = {"oom_null",
        "a request too large for the machine returns NULL and does not abort",
        0, 0, 0},
};

/* The clauses of a named policy; false when there is none of that name. */
static bool
find_named(const char *name, size_t length, uint32_t *clauses)
{
    static const char *const names[] = {"c", "posix", "glibc"};
    uint32_t sets[3] = {0, 0, 0};
    for (int i = 0; i < CLAUSE_COUNT; i++) {
        sets[0] |= (uint32_t)clause_texts[i].in_c << i;
        sets[1] |= (uint32_t)clause_texts[i].in_posix << i;
        sets[2] |= (uint32_t)clause_texts[i].in_glibc << i;
    }
    for (int i = 0; i < 3; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0) {
            *clauses = sets[i];
            return true;
        }
    }
    return false;
}

struct policy
policy_default(void)
{
    struct policy policy = {0};
    find_named("glibc", strlen("glibc"), &policy.clauses);
    return policy;
}

static int
find_clause(const char *name, size_t length)
{
    for (int i = 0; i < CLAUSE_COUNT; i++) {
        const char *known = clause_texts[i].name;
        if (strlen(known) == length && memcmp(known, name, length) == 0) {
            return i;
        }
    }
    return -1;
}

bool
policy_parse(struct policy *policy, const char *text, const char **error,
    size_t *error_offset)
{
    size_t at = strcspn(text, "+-");
    *policy = policy_default();
    *error_offset = 0;
    *error = "unknown policy (c, posix or glibc)";
    if (at > 0 && !find_named(text, at, &policy->clauses)) {
        return false;
    }
    *error = "empty policy";
    if (text[0] == '\0') {
        return false;
    }
    while (text[at] != '\0') {
        bool on = text[at] == '+';
        size_t length = strcspn(text + at + 1, "+-");
        int clause = find_clause(text + at + 1, length);
        *error = "unknown clause";
        *error_offset = at + 1;
        if (clause < 0) {
            return false;
        }
        uint32_t bit = (uint32_t)1 << clause;
        policy->clauses = on ? policy->clauses | bit : policy->clauses & ~bit;
        at += 1 + length;
    }
    return true;
}
