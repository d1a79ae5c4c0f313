/*
 * dlmalloc_test.c - the design through its door: what callers rely on
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/pages.h"
#include "base/random.h"
#include "dlmalloc/dlmalloc.h"

#define SLOTS 400

/* A block, and the byte that all of it holds. */
struct slot {
    unsigned char *block;
    size_t size;
    unsigned char mark;
};

static void
fill(struct slot *slot, unsigned char mark)
{
    slot->mark = mark;
    memset(slot->block, mark, slot->size);
}

static void
assert_holds(const struct slot *slot, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (slot->block[i] != slot->mark) {
            fail_msg("byte %zu of %zu is %u, not %u", i, slot->size,
                slot->block[i], slot->mark);
        }
    }
}

static void
take(struct heap *heap, struct slot *slot, struct random *random, size_t max)
{
    size_t align = (size_t)1 << random_between(random, 4, 14);

    slot->size = random_log_between(random, 1, max);
    switch (random_below(random, 8)) {
    case 0:
        slot->block = dlm_ops.memalign(heap, align, slot->size);
        assert_int_equal((uintptr_t)slot->block % align, 0);
        break;
    case 1:
        slot->block = dlm_ops.calloc(heap, 1, slot->size);
        slot->mark = 0;
        assert_holds(slot, slot->size);
        break;
    default:
        slot->block = dlm_ops.malloc(heap, slot->size);
    }
    assert_non_null(slot->block);
    assert_int_equal((uintptr_t)slot->block % 16, 0);
}

static void
resize(struct heap *heap, struct slot *slot, struct random *random, size_t max)
{
    size_t size = random_log_between(random, 1, max);

    slot->block = dlm_ops.realloc(heap, slot->block, size);
    assert_non_null(slot->block);
    assert_holds(slot, size < slot->size ? size : slot->size);
    slot->size = size;
}

static void
give(struct heap *heap, struct slot *slot, struct random *random)
{
    assert_holds(slot, slot->size);
    assert_true(dlm_ops.usable_size(heap, slot->block) >= slot->size);
    if (random_one_in(random, 4)) {
        dlm_ops.free_sized(heap, slot->block, slot->size);
    } else {
        dlm_ops.free(heap, slot->block);
    }
    slot->block = NULL;
}

/* Random calls on one heap; every block keeps what was written to it. */
static void
churn(struct heap *heap, uint64_t seed, unsigned steps, size_t max)
{
    struct slot slots[SLOTS] = {0};
    struct random random;

    random_seed(&random, seed);
    for (unsigned step = 0; step < steps; step++) {
        struct slot *slot = &slots[random_below(&random, SLOTS)];

        if (slot->block == NULL) {
            take(heap, slot, &random, max);
        } else if (random_one_in(&random, 3)) {
            resize(heap, slot, &random, max);
        } else {
            give(heap, slot, &random);
            continue;
        }
        fill(slot, (unsigned char)random_next(&random));
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].block != NULL) {
            give(heap, &slots[i], &random);
        }
    }
}

static void
assert_empty(struct heap *heap)
{
    struct alloc_stats stats;

    dlm_ops.check(heap);
    dlm_ops.stats(heap, &stats);
    assert_int_equal(stats.used_count, 0);
    assert_int_equal(stats.used_size, 0);
    assert_int_equal(stats.direct_count, 0);
    assert_int_equal(stats.mapped_size, stats.free_size + stats.meta_size);
}

static void
dlmalloc_keeps_contents_under_churn(void **state)
{
    (void)state;
    const size_t max[] = {100, 2000, 50000, 2000000};

    for (unsigned i = 0; i < 4; i++) {
        struct heap *heap = dlm_ops.open();
        assert_non_null(heap);
        for (unsigned round = 0; round < 20; round++) {
            churn(heap, 100 * i + round, i == 3 ? 300 : 1000, max[i]);
            assert_empty(heap);
        }
        dlm_ops.close(heap);
    }
}

static void *
churn_thread(void *seed)
{
    churn(NULL, (uintptr_t)seed, 2000, 3000);
    return NULL;
}

static void
dlmalloc_serves_threads_that_come_and_go(void **state)
{
    (void)state;
    for (uintptr_t round = 0; round < 3; round++) {
        pthread_t threads[4];

        for (uintptr_t i = 0; i < 4; i++) {
            assert_int_equal(0, pthread_create(&threads[i], NULL, churn_thread,
                                    (void *)(4 * round + i)));
        }
        for (unsigned i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
        }
        assert_empty(NULL);
    }
}

static void
malloc_of_zero_gives_distinct_blocks(void **state)
{
    (void)state;
    void *first = dlm_malloc(0);
    void *second = dlm_malloc(0);

    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    dlm_free(first);
    dlm_free(second);
}

static void
realloc_to_zero_frees(void **state)
{
    (void)state;
    assert_null(dlm_realloc(dlm_malloc(100), 0));
    assert_empty(NULL);
    void *block = dlm_realloc(NULL, 0);
    assert_non_null(block);
    dlm_free(block);
}

static void
requests_beyond_ptrdiff_max_are_refused(void **state)
{
    (void)state;
    const size_t sizes[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 15,
        SIZE_MAX - 4096, (size_t)PTRDIFF_MAX, PTRDIFF_MAX - 4096};
    void *block = dlm_malloc(100);

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *out = block;

        errno = 0;
        assert_null(dlm_malloc(sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(dlm_calloc(1, sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(dlm_realloc(block, sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(dlm_memalign(64, sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(dlm_pvalloc(sizes[i]));
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(dlm_posix_memalign(&out, 64, sizes[i]), ENOMEM);
        assert_ptr_equal(out, block);
    }
    errno = 0;
    assert_null(dlm_calloc(SIZE_MAX / 2, 3));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(dlm_reallocarray(block, SIZE_MAX / 2, 3));
    assert_int_equal(errno, ENOMEM);
    dlm_free(block);
    assert_empty(NULL);
}

static void
memalign_takes_each_alignment_as_documented(void **state)
{
    (void)state;
    void *blocks[64];
    unsigned count = 0;

    for (size_t align = 1; align <= (size_t)1 << 30; align *= 2) {
        void *block = dlm_memalign(align, 10);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block % align, 0);
        memset(block, 1, dlm_malloc_usable_size(block));
        blocks[count++] = block;
    }
    void *odd = dlm_memalign(48, 10); /* rounded up to 64 */
    assert_int_equal((uintptr_t)odd % 64, 0);
    dlm_free(odd);
    dlm_check();
    while (count > 0) {
        dlm_free(blocks[--count]);
    }
    errno = 0;
    assert_null(dlm_memalign(((size_t)1 << 63) + 1, 10));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(dlm_memalign((size_t)1 << 63, 10));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(dlm_aligned_alloc(48, 48));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(dlm_posix_memalign(blocks, 4, 8), EINVAL);
    assert_empty(NULL);
}

static void
success_and_free_keep_errno(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 100, 100000, 5000000};

    for (unsigned i = 0; i < 4; i++) {
        errno = 1234;
        void *block = dlm_malloc(sizes[i]);
        block = dlm_realloc(block, 2 * sizes[i] + 1);
        dlm_free(block);
        dlm_free(NULL);
        assert_int_equal(errno, 1234);
    }
}

static void
heaps_live_side_by_side(void **state)
{
    (void)state;
    struct dlm_heap *a = dlm_open();
    struct dlm_heap *b = dlm_open();

    for (unsigned i = 0; i < 1000; i++) {
        (void)dlm_mspace_malloc(a, 1000 * i);
        (void)dlm_mspace_calloc(b, i, 10);
    }
    dlm_mspace_check(a);
    assert_int_equal(dlm_mspace_mallinfo2(b).hblks, 0);
    assert_true(dlm_mspace_mallinfo2(a).hblks > 0);
    dlm_close(a);
    dlm_mspace_check(b);
    dlm_close(b);
}

static _Atomic bool stop;

static void *
churn_until_stopped(void *seed)
{
    uintptr_t round = (uintptr_t)seed;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        churn(NULL, round++, 100, 300000);
    }
    return NULL;
}

/* Whatever the other threads held when the child was made. */
static void
child_of_fork_allocates(void **state)
{
    (void)state;
    pthread_t threads[2];
    int status;

    for (uintptr_t i = 0; i < 2; i++) {
        assert_int_equal(0,
            pthread_create(&threads[i], NULL, churn_until_stopped, (void *)i));
    }
    for (unsigned i = 0; i < 20; i++) {
        pid_t child = fork();

        if (child == 0) {
            alarm(20);
            void *block = dlm_malloc(1000);
            dlm_free(dlm_realloc(block, 1000000));
            dlm_check();
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_empty(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dlmalloc_keeps_contents_under_churn),
        cmocka_unit_test(dlmalloc_serves_threads_that_come_and_go),
        cmocka_unit_test(malloc_of_zero_gives_distinct_blocks),
        cmocka_unit_test(realloc_to_zero_frees),
        cmocka_unit_test(requests_beyond_ptrdiff_max_are_refused),
        cmocka_unit_test(memalign_takes_each_alignment_as_documented),
        cmocka_unit_test(success_and_free_keep_errno),
        cmocka_unit_test(heaps_live_side_by_side),
        cmocka_unit_test(child_of_fork_allocates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
