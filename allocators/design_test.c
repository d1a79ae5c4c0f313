/*
 * design_test.c - the design through its door: what callers rely on
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/pages.h"
#include "base/random.h"

#define SLOT_COUNT 1000

static const struct alloc_ops *ops;

/* Random work on one heap; each block holds its slot's number all over. */
static void
churn(struct heap *heap, uint64_t seed, unsigned steps, unsigned check_every)
{
    unsigned char **slots = calloc(SLOT_COUNT, sizeof *slots);
    size_t *sizes = calloc(SLOT_COUNT, sizeof *sizes);
    struct random random;
    random_seed(&random, seed);
    for (unsigned step = 0; step < steps; step++) {
        unsigned k = (unsigned)random_below(&random, SLOT_COUNT);
        size_t size = random_log_between(&random, 1, 200000);
        if (slots[k] == NULL) {
            size_t align = (size_t)1 << random_below(&random, 15);
            slots[k] = random_one_in(&random, 8)
                           ? ops->memalign(heap, align, size)
                           : ops->malloc(heap, size);
        } else if (random_one_in(&random, 4)) {
            slots[k] = ops->realloc(heap, slots[k], size);
            assert_int_equal(slots[k][0], k & 0xff);
        } else {
            assert_int_equal(slots[k][0], k & 0xff);
            assert_int_equal(slots[k][sizes[k] - 1], k & 0xff);
            ops->free(heap, slots[k]);
            slots[k] = NULL;
            continue;
        }
        assert_non_null(slots[k]);
        sizes[k] = size;
        memset(slots[k], (int)(k & 0xff), size);
        if (check_every != 0 && step % check_every == 0) {
            ops->check(heap);
        }
    }
    for (unsigned k = 0; k < SLOT_COUNT; k++) {
        ops->free(heap, slots[k]);
    }
    free(slots);
    free(sizes);
}

static void
design_keeps_contents_under_churn(void **state)
{
    (void)state;
    struct heap *heap = ops->open();
    struct alloc_stats stats;
    assert_non_null(heap);
    churn(heap, 1, 20000, 500);
    ops->check(heap);
    ops->stats(heap, &stats);
    assert_int_equal(stats.used_count, 0);
    assert_int_equal(stats.used_size, 0);
    assert_int_equal(stats.mapped_size, stats.free_size + stats.meta_size);
    ops->close(heap);
}

static void *
churn_thread(void *seed)
{
    churn(NULL, (uintptr_t)seed, 20000, 0);
    return NULL;
}

static void
design_serves_threads_that_come_and_go(void **state)
{
    (void)state;
    struct alloc_stats stats;
    for (unsigned round = 0; round < 3; round++) {
        pthread_t threads[6];
        for (uintptr_t i = 0; i < 6; i++) {
            assert_int_equal(0, pthread_create(&threads[i], NULL, churn_thread,
                                    (void *)(i + 1)));
        }
        for (unsigned i = 0; i < 6; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    ops->check(NULL);
    ops->stats(NULL, &stats);
    assert_int_equal(stats.used_count, 0);
}

/* One thread allocates, the other frees. */
static void *handed[10000];

static void *
free_handed(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 10000; i++) {
        ops->free(NULL, handed[i]);
    }
    return NULL;
}

static void
design_takes_blocks_back_from_other_threads(void **state)
{
    (void)state;
    struct alloc_stats stats;
    pthread_t thread;
    for (unsigned i = 0; i < 10000; i++) {
        handed[i] = ops->malloc(NULL, i % 2000);
        assert_non_null(handed[i]);
    }
    assert_int_equal(0, pthread_create(&thread, NULL, free_handed, NULL));
    pthread_join(thread, NULL);
    ops->check(NULL);
    ops->stats(NULL, &stats);
    assert_int_equal(stats.used_count, 0);
}

static void
design_refuses_what_cannot_be(void **state)
{
    (void)state;
    void *out = &out;
    errno = 0;
    assert_null(ops->malloc(NULL, (size_t)PTRDIFF_MAX + 1));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(ops->malloc(NULL, SIZE_MAX));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(ops->calloc(NULL, SIZE_MAX / 2, 3));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(ops->memalign(NULL, (size_t)1 << 62, (size_t)1 << 62));
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(ops->posix_memalign(NULL, &out, 24, 8), EINVAL);
    assert_ptr_equal(out, &out);
}

static void
design_aligns_every_size(void **state)
{
    (void)state;
    struct heap *heap = ops->open();
    for (size_t align = 1; align <= (size_t)4 << 20; align *= 2) {
        for (size_t size = 0; size < 40000; size = size * 5 / 3 + 1) {
            char *block = ops->memalign(heap, align, size);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block & (align - 1), 0);
            assert_true(ops->usable_size(heap, block) >= size);
            memset(block, 1, ops->usable_size(heap, block));
        }
    }
    ops->check(heap);
    ops->close(heap);
}

static void
design_zeroes_recycled_memory(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 5000, 20000, 200000, 3000000};
    struct heap *heap = ops->open();
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            char *block = ops->calloc(heap, 1, sizes[i]);
            for (size_t k = 0; k < sizes[i]; k++) {
                assert_int_equal(block[k], 0);
            }
            memset(block, 0xff, sizes[i]);
            ops->free(heap, block);
        }
    }
    ops->close(heap);
}

static void
design_survives_every_failing_os_call(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 40; n++) {
        struct heap *heap = ops->open();
        assert_non_null(heap);
        void *blocks[64];
        pages_fail_at(n, (n & 1) == 0);
        for (unsigned i = 0; i < 64; i++) {
            errno = 0;
            blocks[i] = ops->malloc(heap, (size_t)i * 100000 + 1);
            assert_true(blocks[i] != NULL || errno == ENOMEM);
            ops->check(heap);
        }
        pages_fail_at(0, false);
        for (unsigned i = 0; i < 64; i++) {
            ops->free(heap, blocks[i]);
        }
        ops->check(heap);
        ops->close(heap);
    }
}

static void *
allocate_always(void *stop)
{
    while (!atomic_load((_Atomic bool *)stop)) {
        void *small = ops->malloc(NULL, 100);
        void *large = ops->malloc(NULL, 300000);
        ops->free(NULL, small);
        ops->free(NULL, large);
    }
    return NULL;
}

static void
design_works_in_a_child_of_a_threaded_program(void **state)
{
    (void)state;
    _Atomic bool stop = false;
    pthread_t threads[3];
    for (unsigned i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, allocate_always, &stop);
    }
    for (unsigned round = 0; round < 50; round++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            alarm(20);
            for (size_t size = 1; size < 1000000; size = size * 3 / 2 + 1) {
                void *block = ops->malloc(NULL, size);
                if (block == NULL) {
                    _exit(1);
                }
                ops->free(NULL, block);
            }
            ops->check(NULL);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(design_keeps_contents_under_churn),
        cmocka_unit_test(design_serves_threads_that_come_and_go),
        cmocka_unit_test(design_takes_blocks_back_from_other_threads),
        cmocka_unit_test(design_refuses_what_cannot_be),
        cmocka_unit_test(design_aligns_every_size),
        cmocka_unit_test(design_zeroes_recycled_memory),
        cmocka_unit_test(design_survives_every_failing_os_call),
        cmocka_unit_test(design_works_in_a_child_of_a_threaded_program),
    };
    ops = argc == 2 ? alloc_find(argv[1]) : NULL;
    if (ops == NULL) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
