/*
 * ctl.c - names, MIBs, and values passed in and out (contract: ctl.h)
 *
 * A call is: find the row, take the indexes, read, write. The table says what
 * differs. A row's number stands in every word of a MIB, so that a MIB needs no
 * search: its first part is the row. The rejected alternative, a tree of nodes,
 * needs a table a level, and the names cannot be read in one place.
 */
#include "jemalloc/ctl.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/check.h"
#include "jemalloc/heap.h"
#include "jemalloc/jemalloc.h"

/* What a caller hands over: where the old value goes, and the new one. */
struct exchange {
    void *old;
    size_t *old_size;
    const void *new_value;
    size_t new_size;
};

/* ---- names */

static size_t
part_size(const char *name)
{
    return strcspn(name, ".");
}

/* A number below 2^32 and nothing else. */
static bool
parse_index(const char *text, size_t size, size_t *index)
{
    *index = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || *index > UINT32_MAX / 10) {
            return false;
        }
        *index = *index * 10 + (size_t)(text[i] - '0');
    }
    return size > 0;
}

/* Matches a name against the row's pattern; parts of it go to mib[]. Returns how
 * many there are, or 0. */
static size_t
match_row(unsigned row, const char *name, size_t mib[JEM_CTL_DEPTH_MAX])
{
    const char *pattern = jem_ctl_rows[row].pattern;
    for (size_t depth = 0;; depth++) {
        size_t size = part_size(pattern);
        size_t name_size = part_size(name);
        mib[depth] = row;
        if (pattern[0] == '%') {
            if (!parse_index(name, name_size, &mib[depth])) {
                return 0;
            }
        } else if (size != name_size || memcmp(pattern, name, size) != 0) {
            return 0;
        }
        pattern += size;
        name += name_size;
        if (*pattern == '\0' || *name == '\0') {
            return *pattern == *name ? depth + 1 : 0;
        }
        pattern++;
        name++;
    }
}

static size_t
find_name(const char *name, size_t mib[JEM_CTL_DEPTH_MAX])
{
    size_t depth = 0;
    for (unsigned row = 0; row < jem_ctl_row_count && depth == 0; row++) {
        depth = match_row(row, name, mib);
    }
    return depth;
}

/* Fills the call from a MIB; false if it is none. */
static bool
read_mib(struct jem_ctl_call *call, const size_t *mib, size_t length)
{
    unsigned index_count = 0;
    size_t depth = 0;
    if (length == 0 || mib[0] >= jem_ctl_row_count) {
        return false;
    }
    call->row = &jem_ctl_rows[mib[0]];
    for (const char *part = call->row->pattern; *part != '\0'; depth++) {
        if (depth == length || (*part != '%' && mib[depth] != mib[0])) {
            return false;
        }
        if (*part == '%') {
            call->index[index_count++] = mib[depth];
        }
        part += part_size(part);
        part += *part == '.';
    }
    return depth == length;
}

/* ---- values */

/* A value in the caller's type. */
union boxed {
    bool flag;
    uint32_t u32;
    uint64_t u64;
};

static_assert(sizeof(unsigned) == sizeof(uint32_t), "boxed as u32");
static_assert(sizeof(size_t) == sizeof(uint64_t), "boxed as u64");
static_assert(sizeof(void *) == sizeof(uint64_t), "boxed as u64");

static size_t
kind_size(enum jem_ctl_kind kind)
{
    switch (kind) {
    case JEM_CTL_VOID:
        return 0;
    case JEM_CTL_FLAG:
        return sizeof(bool);
    case JEM_CTL_UNSIGNED:
        return sizeof(unsigned);
    case JEM_CTL_U32:
        return sizeof(uint32_t);
    case JEM_CTL_U64:
        return sizeof(uint64_t);
    case JEM_CTL_SIZE:
        return sizeof(size_t);
    case JEM_CTL_SSIZE:
        return sizeof(ssize_t);
    case JEM_CTL_TEXT:
    case JEM_CTL_POINTER:
        return sizeof(void *);
    }
    return 0;
}

static void
box(enum jem_ctl_kind kind, uint64_t value, union boxed *boxed)
{
    switch (kind_size(kind)) {
    case sizeof(bool):
        boxed->flag = value != 0;
        break;
    case sizeof(uint32_t):
        boxed->u32 = (uint32_t)value;
        break;
    default:
        boxed->u64 = value;
    }
}

static uint64_t
unbox(enum jem_ctl_kind kind, const union boxed *boxed)
{
    switch (kind_size(kind)) {
    case sizeof(bool):
        return boxed->flag;
    case sizeof(uint32_t):
        return boxed->u32;
    default:
        return boxed->u64;
    }
}

/* Hands the value over; what fits of it, and EINVAL, if the size is wrong. */
static int
hand_over(const struct exchange *exchange, const void *value, size_t size)
{
    if (exchange->old == NULL || exchange->old_size == NULL) {
        return 0;
    }
    if (*exchange->old_size == size) {
        memcpy(exchange->old, value, size);
        return 0;
    }
    if (*exchange->old_size > size) {
        *exchange->old_size = size;
    }
    memcpy(exchange->old, value, *exchange->old_size);
    return EINVAL;
}

static int
read_old(const struct jem_ctl_call *call, const struct exchange *exchange)
{
    uint64_t value;
    union boxed boxed;
    if (call->row->get == NULL) {
        return exchange->old != NULL || exchange->old_size != NULL ? EPERM : 0;
    }
    int error = call->row->get(call, &value);
    if (error == 0) {
        box(call->row->kind, value, &boxed);
        error = hand_over(exchange, &boxed, kind_size(call->row->kind));
    }
    return error;
}

static enum jem_ctl_kind
new_kind(const struct jem_ctl_row *row)
{
    return row->new_kind == JEM_CTL_VOID ? row->kind : row->new_kind;
}

static int
write_new(struct jem_ctl_call *call, const struct exchange *exchange)
{
    enum jem_ctl_kind kind = new_kind(call->row);
    union boxed boxed;
    if (exchange->new_value == NULL) {
        return 0;
    }
    memcpy(&boxed, exchange->new_value, kind_size(kind));
    call->written = unbox(kind, &boxed);
    call->has_written = true;
    return call->row->set(call, call->written);
}

/* What can be said before anything is done. */
static int
check_exchange(const struct jem_ctl_row *row, const struct exchange *exchange)
{
    bool writes = exchange->new_value != NULL || exchange->new_size != 0;
    bool reads = exchange->old != NULL && exchange->old_size != NULL;
    size_t size = kind_size(row->kind);
    if (row->kind == JEM_CTL_VOID) {
        return writes || exchange->old != NULL || exchange->old_size != NULL
                   ? EPERM
                   : 0;
    }
    if (writes && row->set == NULL) {
        return EPERM;
    }
    if (writes && (exchange->new_value == NULL ||
                      exchange->new_size != kind_size(new_kind(row)))) {
        return EINVAL;
    }
    if (row->get == NULL && !writes) {
        return EINVAL; /* Nothing to do it with. */
    }
    if (row->order == JEM_CTL_EFFECT &&
        (!reads || *exchange->old_size != size)) {
        if (exchange->old_size != NULL) {
            *exchange->old_size = 0;
        }
        return EINVAL;
    }
    return 0;
}

static int
carry_out(struct jem_ctl_call *call, const struct exchange *exchange)
{
    const struct jem_ctl_row *row = call->row;
    call->heap = jem_heap_main();
    if (call->heap == NULL) {
        return EAGAIN;
    }
    int error = check_exchange(row, exchange);
    if (error != 0) {
        return error;
    }
    if (row->kind == JEM_CTL_VOID) {
        return row->set(call, 0);
    }
    if (row->order == JEM_CTL_SET_FIRST) {
        error = write_new(call, exchange);
        return error != 0 ? error : read_old(call, exchange);
    }
    error = read_old(call, exchange);
    return error != 0 ? error : write_new(call, exchange);
}

int
jem_ctl_get(const struct jem_ctl_call *call, uint64_t *value)
{
    return call->row->get == NULL ? EPERM : call->row->get(call, value);
}

/* ---- the public calls */

int
jem_mallctl(const char *name, void *old, size_t *old_size,
    const void *new_value, size_t new_size)
{
    size_t mib[JEM_CTL_DEPTH_MAX];
    size_t depth = find_name(name, mib);
    return depth == 0 ? ENOENT
                      : jem_mallctlbymib(
                            mib, depth, old, old_size, new_value, new_size);
}

int
jem_mallctlnametomib(const char *name, size_t *mib, size_t *mib_length)
{
    size_t whole[JEM_CTL_DEPTH_MAX];
    size_t depth = find_name(name, whole);
    if (depth == 0) {
        return ENOENT;
    }
    if (*mib_length > depth) {
        *mib_length = depth;
    }
    memcpy(mib, whole, *mib_length * sizeof *mib);
    return 0;
}

int
jem_mallctlbymib(const size_t *mib, size_t mib_length, void *old,
    size_t *old_size, const void *new_value, size_t new_size)
{
    struct jem_ctl_call call = {.heap = NULL};
    const struct exchange exchange = {old, old_size, new_value, new_size};
    return read_mib(&call, mib, mib_length) ? carry_out(&call, &exchange)
                                            : ENOENT;
}

/* ---- checking */

static size_t
common_prefix(const char *a, const char *b)
{
    size_t size = 0;
    for (size_t i = 0; a[i] == b[i] && a[i] != '\0'; i++) {
        if (a[i] == '.') {
            size = i + 1;
        }
    }
    return size;
}

/* Row r shares no more with any row before than with the one just before. */
static void
check_row(unsigned r)
{
    const char *pattern = jem_ctl_rows[r].pattern;
    unsigned depth = 1;
    unsigned index_count = 0;
    for (const char *c = pattern; *c != '\0'; c++) {
        depth += *c == '.';
        index_count += *c == '%';
    }
    CHECK(depth <= JEM_CTL_DEPTH_MAX && index_count <= JEM_CTL_INDEX_MAX);
    for (unsigned before = 0; before + 1 < r; before++) {
        CHECK(strcmp(pattern, jem_ctl_rows[before].pattern) != 0);
        CHECK(common_prefix(pattern, jem_ctl_rows[before].pattern) <=
              common_prefix(pattern, jem_ctl_rows[r - 1].pattern));
    }
}

void
jem_ctl_check(void)
{
    for (unsigned r = 0; r < jem_ctl_row_count; r++) {
        const struct jem_ctl_row *row = &jem_ctl_rows[r];
        CHECK(row->get != NULL || row->set != NULL);
        CHECK(row->kind != JEM_CTL_VOID || row->get == NULL);
        check_row(r);
    }
}
