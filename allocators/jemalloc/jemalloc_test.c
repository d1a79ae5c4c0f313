/*
 * jemalloc_test.c - what the public names promise beyond ../design_test.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/death.h"
#include "base/pages.h"
#include "jemalloc/jemalloc.h"

/* ---- the first call */

/* Every call of the door, with no memory for a heap; then with some. */
static int
live_without_a_heap(void)
{
    struct alloc_stats stats;
    pages_fail_at(1, true);
    errno = 0;
    bool refused = jem_malloc(1) == NULL && errno == ENOMEM;
    bool trimmed = jem_malloc_trim(0) != 0;
    jem_ops.thread_exit(NULL);
    jem_ops.check(NULL);
    jem_ops.walk(NULL, NULL, NULL);
    jem_ops.dump(NULL, STDERR_FILENO);
    jem_ops.stats(NULL, &stats);
    pages_fail_at(0, false);
    return refused && !trimmed && stats.mapped_size == 0 &&
                   jem_malloc(1) != NULL
               ? 0
               : 1;
}

/* First of the tests, since this process has no heap yet. */
static void
jemalloc_survives_without_a_heap(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(live_without_a_heap());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- misuse */

static void
free_foreign(void *unused)
{
    static char foreign[64];
    (void)unused;
    jem_free(foreign);
}

static void
free_inside_large(void *unused)
{
    (void)unused;
    jem_free((char *)jem_malloc(1 << 20) + 16);
}

static void
free_other_heap(void *unused)
{
    (void)unused;
    struct heap *one = jem_ops.open();
    struct heap *other = jem_ops.open();
    jem_ops.free(other, jem_ops.malloc(one, 10));
}

static void
free_too_large(void *unused)
{
    (void)unused;
    jem_free_sized(jem_malloc(100), 1000);
}

static void
free_inside_region(void *unused)
{
    (void)unused;
    jem_free((char *)jem_malloc(100) + 4);
    (void)jem_malloc_trim(0);
}

static void
free_twice_then_trim(void *unused)
{
    (void)unused;
    void *block = jem_malloc(100);
    jem_free(block);
    jem_free(block);
    (void)jem_malloc_trim(0);
}

static void
jemalloc_names_misuse(void **state)
{
    (void)state;
    assert_dies(
        free_foreign, NULL, "malstrom-jemalloc: not a block of this heap: 0x");
    assert_dies(free_inside_large, NULL,
        "malstrom-jemalloc: address inside a block: 0x");
    assert_dies(
        free_other_heap, NULL, "malstrom-jemalloc: block of another heap: 0x");
    assert_dies(
        free_too_large, NULL, "malstrom-jemalloc: wrong size in free: 0x");
    assert_dies(free_inside_region, NULL,
        "malstrom-jemalloc: free of an address inside a block: 0x");
    assert_dies(
        free_twice_then_trim, NULL, "malstrom-jemalloc: double free: 0x");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jemalloc_survives_without_a_heap),
        cmocka_unit_test(jemalloc_names_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
