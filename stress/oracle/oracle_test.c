/*
 * oracle_test.c - each clause: the wrong call is found, the right one is not
 *
 * No allocator runs here. A test writes down what a call returned, and looks at
 * what the oracle makes of it. Blocks lie in a room of the test's own.
 */
#include "oracle/oracle.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { ROOM_SIZE = 1 << 16, BLOCKS = 8 };
static _Alignas(4096) char room[ROOM_SIZE];
static struct oracle oracle;
static struct finding_box box;
static struct block blocks[BLOCKS];
static size_t usable_extra; /* what usable_size adds to the size */

/* The room's blocks, so that usable_size can answer. */
static size_t
tell_usable(struct heap *heap, const void *addr)
{
    (void)heap;
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i].addr == addr) {
            return blocks[i].size + usable_extra;
        }
    }
    return 0;
}

static void
begin(const char *policy)
{
    struct oracle_options options = {
        .usable_size = tell_usable, .whole_max = ROOM_SIZE};
    const char *error;
    size_t offset;
    assert_true(policy_parse(&options.policy, policy, &error, &offset));
    memset(&box, 0, sizeof box);
    memset(blocks, 0, sizeof blocks);
    memset(room, 0, sizeof room);
    usable_extra = 0;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        blocks[i].id = i + 1;
    }
    oracle_begin(&oracle, &options, &box);
    oracle.observer.begin(&oracle.observer, blocks);
}

static int
set_up(void **state)
{
    (void)state;
    if (!oracle_init(&oracle)) {
        return -1;
    }
    begin("glibc");
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    oracle_fini(&oracle);
    return 0;
}

static struct call
begin_call(enum op_kind kind, int block, size_t size)
{
    struct call call = {.kind = kind,
        .size = size,
        .block = &blocks[block],
        .old_addr = blocks[block].addr,
        .old_size = blocks[block].size,
        .error = CALL_ERRNO};
    return call;
}

static bool
before(struct call *call)
{
    return oracle.observer.before(&oracle.observer, call);
}

static bool
after(struct call *call)
{
    return oracle.observer.after(&oracle.observer, call);
}

/* The call returned `at`; the block becomes that. */
static bool
granted(struct call *call, char *at, size_t size)
{
    call->result = at;
    call->block->addr = at;
    call->block->size = size;
    return after(call);
}

static bool
make(int block, char *at, size_t size)
{
    struct call call = begin_call(OP_MALLOC, block, size);
    return before(&call) && granted(&call, at, size);
}

static bool
drop(int block, int error)
{
    struct call call = begin_call(OP_FREE, block, 0);
    if (!before(&call)) {
        return false;
    }
    call.error = error;
    blocks[block].addr = NULL;
    blocks[block].size = 0;
    return after(&call);
}

static void
assert_finding(enum verdict_kind kind)
{
    const struct finding *finding = finding_get(&box);
    assert_non_null(finding);
    assert_string_equal(verdicts[finding->kind].name, verdicts[kind].name);
    assert_true(finding->expected[0] != '\0');
    assert_true(finding->seen[0] != '\0');
}

static void
oracle_is_silent_on_right_calls(void **state)
{
    (void)state;
    assert_true(make(0, room, 100));
    assert_true(make(1, room + 112, 24));
    assert_true(drop(0, CALL_ERRNO));
    assert_true(make(2, room + 8, 8)); /* eight bytes need eight */
    assert_true(drop(1, CALL_ERRNO));
    assert_true(drop(2, CALL_ERRNO));
    assert_null(finding_get(&box));
}

static void
oracle_finds_overlap_of_any_bytes(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 96; shift += 16) {
        assert_true(make(0, room + 4096, 96));
        assert_false(make(1, room + 4096 + shift, 96));
        assert_finding(VERDICT_OVERLAP);
        tear_down(NULL);
        assert_int_equal(set_up(NULL), 0);
    }
}

static void
oracle_tells_usable_size_from_overlap(void **state)
{
    (void)state;
    usable_extra = 64;
    assert_true(make(0, room, 100));
    assert_false(make(1, room + 112, 100));
    assert_finding(VERDICT_SIZE);
}

static void
oracle_finds_usable_size_below_request(void **state)
{
    (void)state;
    usable_extra = (size_t)0 - 1;
    assert_false(make(0, room, 100));
    assert_finding(VERDICT_SIZE);
}

static void
oracle_finds_usable_size_that_changes(void **state)
{
    (void)state;
    assert_true(make(0, room, 100));
    struct call call = begin_call(OP_USABLE_SIZE, 0, 0);
    assert_true(before(&call));
    call.value = 104;
    assert_false(after(&call));
    assert_finding(VERDICT_SIZE);
}

static void
oracle_finds_each_changed_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < 50; i++) {
        assert_true(make(0, room, 50));
        room[i] ^= 0x40;
        assert_false(drop(0, CALL_ERRNO));
        assert_finding(VERDICT_CONTENT);
        tear_down(NULL);
        assert_int_equal(set_up(NULL), 0);
    }
}

static bool
resize(size_t old_size, size_t size, size_t kept)
{
    assert_true(make(0, room, old_size));
    struct call call = begin_call(OP_REALLOC, 0, size);
    assert_true(before(&call));
    memcpy(room + 8192, room, kept);
    return granted(&call, room + 8192, size);
}

/* malloc gives block 0's bytes to another thread, which claims them late. */
static void *
be_second_owner(void *arg)
{
    (void)arg;
    const struct timespec late = {0, 5000000};
    nanosleep(&late, NULL);
    assert_false(make(1, room + 32, 64));
    return NULL;
}

static void
oracle_prefers_the_second_owner_to_the_bytes_he_changed(void **state)
{
    (void)state;
    pthread_t second;
    oracle.options.waits_for_cause = true;
    assert_true(make(0, room, 100));
    room[40] ^= 1;
    assert_int_equal(pthread_create(&second, NULL, be_second_owner, NULL), 0);
    assert_false(drop(0, CALL_ERRNO));
    pthread_join(second, NULL);
    assert_finding(VERDICT_OVERLAP);
}

static void
oracle_accepts_realloc_that_keeps_the_lesser_size(void **state)
{
    (void)state;
    assert_true(resize(100, 300, 100));
    assert_true(drop(0, CALL_ERRNO));
    assert_true(resize(300, 100, 100));
    assert_true(drop(0, CALL_ERRNO));
}

static void
oracle_finds_realloc_that_loses_the_last_byte(void **state)
{
    (void)state;
    assert_false(resize(100, 300, 99));
    assert_finding(VERDICT_CONTENT);
}

static void
oracle_finds_failed_realloc_that_changed_the_block(void **state)
{
    (void)state;
    assert_true(make(0, room, 64));
    struct call call = begin_call(OP_REALLOC, 0, (size_t)1 << 50);
    assert_true(before(&call));
    room[3] ^= 1;
    call.error = ENOMEM;
    assert_false(after(&call));
    assert_finding(VERDICT_CONTENT);
}

static void
oracle_finds_dirt_in_calloc(void **state)
{
    (void)state;
    struct call call = begin_call(OP_CALLOC, 0, 10);
    call.count = 10;
    room[99] = 1;
    assert_true(before(&call));
    assert_false(granted(&call, room, 100));
    assert_finding(VERDICT_ZEROING);
}

static void
oracle_finds_weak_alignment(void **state)
{
    (void)state;
    struct call call = begin_call(OP_MEMALIGN, 0, 10);
    call.align = 64;
    assert_true(before(&call));
    assert_false(granted(&call, room + 32, 10));
    assert_finding(VERDICT_ALIGNMENT);
}

static void
oracle_asks_malloc_for_the_alignment_that_fits(void **state)
{
    (void)state;
    assert_true(make(0, room + 8, 15));
    assert_true(make(1, room + 36, 4));
    assert_false(make(2, room + 56, 16));
    assert_finding(VERDICT_ALIGNMENT);
}

static void
oracle_asks_for_16_bytes_only_by_name(void **state)
{
    (void)state;
    begin("glibc+align_16");
    assert_false(make(0, room + 8, 8));
    assert_finding(VERDICT_ALIGNMENT);
}

static void
oracle_finds_errno_changed_by_free(void **state)
{
    (void)state;
    assert_true(make(0, room, 10));
    assert_false(drop(0, EINVAL));
    assert_finding(VERDICT_ERRNO);
}

static void
oracle_lets_c_programs_lose_errno(void **state)
{
    (void)state;
    begin("c");
    assert_true(make(0, room, 10));
    assert_true(drop(0, EINVAL));
}

static bool
refuse(enum op_kind kind, size_t count, size_t size, int error)
{
    struct call call = begin_call(kind, 0, size);
    call.count = count;
    assert_true(before(&call));
    call.error = error;
    return after(&call);
}

static void
oracle_wants_enomem_with_null(void **state)
{
    (void)state;
    assert_true(refuse(OP_MALLOC, 0, (size_t)1 << 45, ENOMEM));
    assert_false(refuse(OP_MALLOC, 0, (size_t)1 << 45, CALL_ERRNO));
    assert_finding(VERDICT_ERRNO);
}

static void
oracle_wants_enomem_with_absurd_requests_of_malloc(void **state)
{
    (void)state;
    assert_true(refuse(OP_MALLOC, 0, (size_t)1 << 60, ENOMEM));
    assert_false(refuse(OP_MALLOC, 0, (size_t)1 << 60, CALL_ERRNO));
    assert_finding(VERDICT_ERRNO);
}

static void
oracle_wants_enomem_with_absurd_requests_when_posix_is_judged(void **state)
{
    (void)state;
    assert_true(refuse(OP_VALLOC, 0, (size_t)1 << 60, CALL_ERRNO));
    begin("posix");
    assert_true(refuse(OP_VALLOC, 0, (size_t)1 << 60, ENOMEM));
    assert_false(refuse(OP_VALLOC, 0, (size_t)1 << 60, CALL_ERRNO));
    assert_finding(VERDICT_ERRNO);
}

static void
oracle_finds_modest_request_refused(void **state)
{
    (void)state;
    assert_false(refuse(OP_MALLOC, 0, 1000, ENOMEM));
    assert_finding(VERDICT_NULL);
}

static void
oracle_lets_size_0_be_null(void **state)
{
    (void)state;
    assert_true(refuse(OP_MALLOC, 0, 0, CALL_ERRNO));
    begin("glibc+zero_unique");
    assert_false(refuse(OP_MALLOC, 0, 0, CALL_ERRNO));
    assert_finding(VERDICT_NULL);
}

static void
oracle_wants_blocks_of_size_0_distinct(void **state)
{
    (void)state;
    assert_true(make(0, room, 0));
    assert_false(make(1, room, 0));
    assert_finding(VERDICT_OVERLAP);
}

static void
oracle_finds_overflow_accepted(void **state)
{
    (void)state;
    assert_true(refuse(OP_CALLOC, (size_t)1 << 33, (size_t)1 << 33, ENOMEM));
    struct call call = begin_call(OP_CALLOC, 0, (size_t)1 << 33);
    call.count = (size_t)1 << 33;
    assert_true(before(&call));
    assert_false(granted(&call, room, 0));
    assert_finding(VERDICT_OVERFLOW);
}

static bool
posix_memalign_returns(size_t align, int code, void *out)
{
    struct call call = begin_call(OP_POSIX_MEMALIGN, 0, (size_t)1 << 50);
    call.align = align;
    assert_true(before(&call));
    call.code = code;
    call.result = out;
    return after(&call);
}

static void
oracle_wants_posix_memalign_codes(void **state)
{
    (void)state;
    assert_true(posix_memalign_returns(64, ENOMEM, CALL_POISON));
    assert_true(posix_memalign_returns(24, EINVAL, CALL_POISON));
    assert_false(posix_memalign_returns(64, EINVAL, CALL_POISON));
    assert_finding(VERDICT_ERRNO);
    begin("glibc");
    assert_false(posix_memalign_returns(64, -1, CALL_POISON));
    begin("glibc");
    assert_false(posix_memalign_returns(64, ENOMEM, NULL));
    assert_finding(VERDICT_ERRNO);
}

static void
oracle_counts_muted_findings_and_goes_on(void **state)
{
    (void)state;
    static bool muted[VERDICT_KIND_COUNT][OP_KIND_COUNT];
    muted[VERDICT_ERRNO][OP_FREE] = true;
    oracle.options.muted = muted;
    assert_true(make(0, room, 10));
    assert_true(drop(0, EINVAL));
    assert_null(finding_get(&box));
    assert_int_equal(oracle.muted_counts[VERDICT_ERRNO], 1);
}

static void
policy_reads_and_refuses(void **state)
{
    (void)state;
    struct policy policy;
    const char *error;
    size_t offset;
    assert_true(policy_parse(&policy, "c+errno_free-content", &error, &offset));
    assert_true(policy_has(&policy, CLAUSE_ERRNO_FREE));
    assert_false(policy_has(&policy, CLAUSE_CONTENT));
    assert_false(policy_has(&policy, CLAUSE_USABLE));
    assert_true(policy_parse(&policy, "+zero_unique", &error, &offset));
    assert_true(policy_has(&policy, CLAUSE_USABLE));
    assert_false(policy_parse(&policy, "bsd", &error, &offset));
    assert_false(policy_parse(&policy, "", &error, &offset));
    assert_false(policy_parse(&policy, "glibc+nonsense", &error, &offset));
    assert_int_equal(offset, 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(oracle_is_silent_on_right_calls),
        TEST(oracle_finds_overlap_of_any_bytes),
        TEST(oracle_tells_usable_size_from_overlap),
        TEST(oracle_finds_usable_size_below_request),
        TEST(oracle_finds_usable_size_that_changes),
        TEST(oracle_finds_each_changed_byte),
        TEST(oracle_prefers_the_second_owner_to_the_bytes_he_changed),
        TEST(oracle_accepts_realloc_that_keeps_the_lesser_size),
        TEST(oracle_finds_realloc_that_loses_the_last_byte),
        TEST(oracle_finds_failed_realloc_that_changed_the_block),
        TEST(oracle_finds_dirt_in_calloc),
        TEST(oracle_finds_weak_alignment),
        TEST(oracle_asks_malloc_for_the_alignment_that_fits),
        TEST(oracle_asks_for_16_bytes_only_by_name),
        TEST(oracle_finds_errno_changed_by_free),
        TEST(oracle_lets_c_programs_lose_errno),
        TEST(oracle_wants_enomem_with_null),
        TEST(oracle_wants_enomem_with_absurd_requests_of_malloc),
        TEST(oracle_wants_enomem_with_absurd_requests_when_posix_is_judged),
        TEST(oracle_finds_modest_request_refused),
        TEST(oracle_lets_size_0_be_null),
        TEST(oracle_wants_blocks_of_size_0_distinct),
        TEST(oracle_finds_overflow_accepted),
        TEST(oracle_wants_posix_memalign_codes),
        TEST(oracle_counts_muted_findings_and_goes_on),
        TEST(policy_reads_and_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
