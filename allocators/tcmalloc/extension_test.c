/*
 * extension_test.c - MallocExtension in C: properties, limits, release, text
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/death.h"
#include "tcmalloc/heap.h"
#include "tcmalloc/inspect.h"
#include "tcmalloc/tcmalloc.h"

#define MIB ((size_t)1 << 20)

static size_t
property(const char *name)
{
    size_t value = 4711;

    assert_int_equal(tcm_ext_get_numeric_property(name, &value), 1);
    return value;
}

static void
extension_properties_follow_what_is_allocated(void **state)
{
    (void)state;
    size_t before = property("generic.current_allocated_bytes");
    void *large = tcm_malloc(10 * MIB);
    assert_int_equal(
        property("generic.current_allocated_bytes"), before + 10 * MIB);
    assert_true(property("generic.heap_size") >= 10 * MIB);
    assert_true(property("generic.total_physical_bytes") <=
                property("generic.heap_size"));
    tcm_free(large);
    assert_int_equal(property("generic.current_allocated_bytes"), before);

    void *blocks[200];
    assert_int_equal(tcm_malloc_batch(500, blocks, 200), 200);
    size_t cached = property("tcmalloc.current_total_thread_cache_bytes");
    size_t rest = property("tcmalloc.transfer_cache_free_bytes") +
                  property("tcmalloc.central_cache_free_bytes");
    tcm_free_batch(blocks, 200);
    assert_int_equal(property("generic.current_allocated_bytes"), before);
    assert_true(property("tcmalloc.current_total_thread_cache_bytes") > cached);
    assert_true(property("tcmalloc.transfer_cache_free_bytes") +
                    property("tcmalloc.central_cache_free_bytes") >=
                rest);
}

static void
extension_refuses_what_it_does_not_know(void **state)
{
    size_t value = 4711;

    (void)state;
    assert_int_equal(tcm_ext_get_numeric_property("generic.no", &value), 0);
    assert_int_equal(value, 4711);
    assert_int_equal(tcm_ext_set_numeric_property("generic.no", 1), 0);
    assert_int_equal(tcm_ext_set_numeric_property("generic.heap_size", 1), 0);
    assert_int_equal(tcm_ext_write_profile("/nowhere/at/all"), 0);
}

static void
extension_gives_memory_back_on_demand(void **state)
{
    (void)state;
    void *large = tcm_malloc(20 * MIB);
    memset(large, 1, 20 * MIB);
    tcm_free(large);
    size_t dirty = property("tcmalloc.pageheap_free_bytes");
    size_t clean = property("tcmalloc.pageheap_unmapped_bytes");
    assert_true(dirty >= 20 * MIB);
    tcm_ext_release_memory_to_system(0);
    assert_int_equal(property("tcmalloc.pageheap_free_bytes"), dirty);
    tcm_ext_release_memory_to_system(8 * MIB);
    size_t released = property("tcmalloc.pageheap_unmapped_bytes") - clean;
    assert_in_range(released, 8 * MIB, 12 * MIB);
    tcm_ext_release_free_memory();
    assert_int_equal(property("tcmalloc.pageheap_free_bytes"), 0);
}

/* Blocks that fill a page each, so that free pages lie between used ones. */
static void
extension_gives_memory_back_when_a_program_shrinks(void **state)
{
    enum { COUNT = 4096 };
    static void *blocks[COUNT];
    size_t *dirty_min = &tcm_heap_process.pageheap.hugecache.dirty_min;
    size_t usual = *dirty_min;

    (void)state;
    *dirty_min = 2; /* 4 MiB */
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = tcm_malloc(8192);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, 8192);
    }
    size_t clean = property("tcmalloc.pageheap_unmapped_bytes");
    for (unsigned i = 0; i < COUNT; i++) {
        if (i % 8 != 0) {
            tcm_free(blocks[i]);
        }
    }
    assert_true(property("tcmalloc.pageheap_free_bytes") <= 6 * MIB);
    assert_true(
        property("tcmalloc.pageheap_unmapped_bytes") >= clean + 20 * MIB);
    tcm_inspect_check(&tcm_heap_process);
    for (unsigned i = 0; i < COUNT; i += 8) {
        tcm_free(blocks[i]);
    }
    *dirty_min = usual;
}

static void
extension_hard_limit_ends_in_enomem(void **state)
{
    void *blocks[64] = {NULL};
    size_t count = 0;

    (void)state;
    tcm_ext_release_free_memory();
    size_t used = property("generic.total_physical_bytes");
    assert_int_equal(tcm_ext_get_memory_limit(1), SIZE_MAX);
    tcm_ext_set_memory_limit(40 * MIB, 1);
    assert_int_equal(tcm_ext_get_memory_limit(1), 40 * MIB);
    while (count < 64 && (blocks[count] = tcm_malloc(2 * MIB)) != NULL) {
        count++;
    }
    assert_in_range(count, 10, 20);
    errno = 0;
    assert_null(tcm_malloc(2 * MIB));
    assert_int_equal(errno, ENOMEM);
    tcm_free(blocks[--count]);
    void *again = tcm_malloc(2 * MIB); /* Free pages make way. */
    assert_non_null(again);
    tcm_free(again);
    tcm_inspect_check(&tcm_heap_process);
    while (count > 0) {
        tcm_free(blocks[--count]);
    }
    tcm_ext_set_memory_limit(SIZE_MAX, 1);
    tcm_ext_release_free_memory();
    assert_true(property("generic.total_physical_bytes") <= used + MIB);
}

static void
extension_soft_limit_gives_free_pages_back(void **state)
{
    (void)state;
    assert_int_equal(tcm_ext_set_numeric_property(
                         "tcmalloc.desired_usage_limit_bytes", 16 * MIB),
        1);
    assert_int_equal(tcm_ext_get_memory_limit(0), 16 * MIB);
    for (unsigned i = 0; i < 8; i++) {
        void *large = tcm_malloc((10 + i) * MIB);
        assert_non_null(large);
        memset(large, 1, (10 + i) * MIB);
        tcm_free(large);
        tcm_free(tcm_malloc(2 * MIB));
        assert_true(property("tcmalloc.pageheap_free_bytes") <= 16 * MIB);
    }
    /* More than the limit is still to be had. */
    void *large = tcm_malloc(40 * MIB);
    assert_non_null(large);
    tcm_free(large);
    tcm_inspect_check(&tcm_heap_process);
    tcm_ext_set_memory_limit(SIZE_MAX, 0);
}

/* How much stays when 16 spans of 1.5 MiB come free one after the other: less
 * than the huge cache keeps. */
static size_t
left_after_frees(double rate)
{
    void *blocks[16];

    tcm_ext_release_free_memory();
    tcm_ext_set_memory_release_rate(rate);
    for (unsigned i = 0; i < 16; i++) {
        blocks[i] = tcm_malloc(3 * MIB / 2);
        memset(blocks[i], 1, 3 * MIB / 2);
    }
    for (unsigned i = 0; i < 16; i++) {
        tcm_free(blocks[i]);
    }
    tcm_inspect_check(&tcm_heap_process);
    return property("tcmalloc.pageheap_free_bytes");
}

static void
extension_release_rate_gives_a_share_back(void **state)
{
    (void)state;
    assert_true(tcm_ext_get_memory_release_rate() == 0);
    size_t all = left_after_frees(0);
    size_t half = left_after_frees(500);
    size_t none = left_after_frees(1000);
    assert_true(tcm_ext_get_memory_release_rate() == 1000);
    assert_true(all >= 20 * MIB);
    assert_in_range(all - half, 10 * MIB, 14 * MIB);
    assert_in_range(all - none, 22 * MIB, 26 * MIB);
    tcm_ext_set_memory_release_rate(-1);
    assert_true(tcm_ext_get_memory_release_rate() == 0);
}

static void
extension_knows_its_blocks(void **state)
{
    static int foreign;

    (void)state;
    for (size_t size = 0; size < 4 * MIB; size = size * 3 / 2 + 1) {
        char *block = tcm_malloc(size);

        assert_int_equal(tcm_malloc_usable_size(block),
            tcm_ext_get_estimated_allocated_size(size));
        assert_int_equal(tcm_ext_get_ownership(block), 1);
        assert_int_equal(tcm_ext_get_ownership(block + 1), 0);
        tcm_free(block);
    }
    assert_int_equal(tcm_ext_get_ownership(&foreign), 0);
    assert_int_equal(tcm_ext_get_ownership(NULL), 0);
    assert_int_equal(tcm_ext_get_estimated_allocated_size(SIZE_MAX), SIZE_MAX);
}

static void
extension_stats_have_a_line_for_each_class(void **state)
{
    static char text[1 << 16];
    int fd = memfd_create("extension_test", 0);
    size_t used = 0, listed_used = 0;

    (void)state;
    void *block = tcm_malloc(1000);
    tcm_ext_write_stats(fd);
    assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
    close(fd);
    assert_int_equal(
        sscanf(text, "generic.current_allocated_bytes %zu", &used), 1);
    assert_non_null(strstr(text, "tcmalloc.hard_usage_limit_bytes none\n"));
    const char *line = strstr(text, "class size spans");
    assert_non_null(line);
    while ((line = strchr(line, '\n')) != NULL && line[1] != '\0') {
        size_t size, count;

        line++;
        assert_int_equal(sscanf(line, "%*u %zu %*u %zu", &size, &count), 2);
        listed_used += size * count;
    }
    assert_int_equal(listed_used, used);
    tcm_free(block);
}

static void
start_with(void *options)
{
    setenv("TCM_OPTIONS", options, 1);
    tcm_free(tcm_malloc(1));
    if (tcm_ext_get_memory_limit(1) != 64 * MIB) {
        dprintf(2, "no limit\n");
    }
    abort();
}

/* In children that have not called yet. */
static void
extension_options_are_read_and_complained_of(void **state)
{
    (void)state;
    assert_dies(start_with,
        (void *)(uintptr_t) "memory_limit_hard:64m,release_rate:5,speed:9",
        "malstrom-tcmalloc: TCM_OPTIONS: unknown option: \"speed:9\"\n");
    assert_dies(start_with, (void *)(uintptr_t) "memory_limit_hard:lots",
        "malstrom-tcmalloc: TCM_OPTIONS: not a size: "
        "\"memory_limit_hard:lots\"\nno limit\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extension_options_are_read_and_complained_of),
        cmocka_unit_test(extension_properties_follow_what_is_allocated),
        cmocka_unit_test(extension_refuses_what_it_does_not_know),
        cmocka_unit_test(extension_gives_memory_back_on_demand),
        cmocka_unit_test(extension_gives_memory_back_when_a_program_shrinks),
        cmocka_unit_test(extension_hard_limit_ends_in_enomem),
        cmocka_unit_test(extension_soft_limit_gives_free_pages_back),
        cmocka_unit_test(extension_release_rate_gives_a_share_back),
        cmocka_unit_test(extension_knows_its_blocks),
        cmocka_unit_test(extension_stats_have_a_line_for_each_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
