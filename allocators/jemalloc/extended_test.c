/*
 * extended_test.c - mallocx and its family: flags, sizes, caches, arenas
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/death.h"
#include "base/pages.h"
#include "jemalloc/heap.h"
#include "jemalloc/jemalloc.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static unsigned
create(const char *name)
{
    unsigned index = UINT32_MAX;
    size_t size = sizeof index;
    assert_int_equal(jem_mallctl(name, &index, &size, NULL, 0), 0);
    return index;
}

static void
destroy_cache(unsigned index)
{
    assert_int_equal(
        jem_mallctl("tcache.destroy", NULL, NULL, &index, sizeof index), 0);
}

static unsigned
arena_of(const void *block)
{
    unsigned index = UINT32_MAX;
    size_t size = sizeof index;
    assert_int_equal(
        jem_mallctl("arenas.lookup", &index, &size, &block, sizeof block), 0);
    return index;
}

static void
mallocx_aligns_as_told(void **state)
{
    (void)state;
    for (unsigned log2 = 0; log2 < 24; log2++) {
        for (size_t size = 1; size < 3 * MIB; size = size * 5 + 3) {
            int flags = JEM_MALLOCX_LG_ALIGN(log2);
            char *block = jem_mallocx(size, flags);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % ((size_t)1 << log2), 0);
            assert_int_equal(jem_sallocx(block, 0), jem_nallocx(size, flags));
            assert_true(jem_sallocx(block, 0) >= size);
            memset(block, 0xee, size);
            jem_sdallocx(block, size, flags);
        }
    }
    assert_int_equal(JEM_MALLOCX_ALIGN(4096), JEM_MALLOCX_LG_ALIGN(12));
}

static void
assert_zeroed(const char *block, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        assert_int_equal(block[i], 0);
    }
}

/* Blocks used before come zeroed to their last usable byte, and so does what a
 * resize adds. */
static void
mallocx_zeroes_all_that_is_usable(void **state)
{
    static const size_t sizes[] = {1, 24, 100, 5000, 20000, 300000};
    (void)state;
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *block = jem_mallocx(sizes[i], 0);
        memset(block, 0xff, jem_sallocx(block, 0));
        jem_dallocx(block, 0);
        block = jem_mallocx(sizes[i], JEM_MALLOCX_ZERO);
        size_t usable = jem_sallocx(block, 0);
        assert_zeroed(block, 0, usable);
        memset(block, 0xff, usable);
        block = jem_rallocx(block, 3 * usable, JEM_MALLOCX_ZERO);
        assert_non_null(block);
        assert_zeroed(block, usable, jem_sallocx(block, 0));
        assert_int_equal(block[usable - 1], (char)0xff);
        jem_dallocx(block, 0);
    }
}

static void
rallocx_keeps_alignment_and_contents(void **state)
{
    (void)state;
    for (size_t size = 40; size < 4 * MIB; size *= 3) {
        char *block = jem_mallocx(size, 0);
        memset(block, 7, size);
        block = jem_rallocx(block, 2 * size, JEM_MALLOCX_ALIGN(64 * KIB));
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % (64 * KIB), 0);
        assert_int_equal(block[0] + block[size - 1], 14);
        block = jem_rallocx(block, 10, 0);
        assert_int_equal(block[0] + block[9], 14);
        jem_sdallocx(block, 10, 0);
    }
}

/* xallocx never moves a block; what it returns is what the block is. */
static void
xallocx_resizes_in_place_or_not_at_all(void **state)
{
    (void)state;
    char *small = jem_mallocx(100, 0);
    assert_int_equal(jem_xallocx(small, 112, 0, 0), 112);
    assert_int_equal(jem_xallocx(small, 113, 1000, 0), 112);
    assert_int_equal(jem_xallocx(small, 1, 0, 0), 112);
    jem_dallocx(small, 0);

    unsigned arena = create("arenas.create");
    int flags = JEM_MALLOCX_ARENA(arena) | JEM_MALLOCX_TCACHE_NONE;
    char *large = jem_mallocx(64 * KIB, flags);
    assert_int_equal(jem_xallocx(large, 128 * KIB, 0, 0), 128 * KIB);
    char *wall = jem_mallocx(64 * KIB, flags);
    assert_ptr_equal(wall, large + 128 * KIB);
    assert_int_equal(jem_xallocx(large, 129 * KIB, 0, 0), 128 * KIB);
    assert_int_equal(jem_xallocx(large, 20 * KIB, 0, 0), 20 * KIB);
    /* Up to the wall, though more was asked for. */
    assert_int_equal(jem_xallocx(large, 32 * KIB, MIB, 0), 128 * KIB);
    assert_int_equal(jem_xallocx(large, SIZE_MAX, 0, 0), 128 * KIB);
    assert_int_equal(jem_xallocx(large, 64 * KIB, SIZE_MAX, 0), 128 * KIB);
    jem_dallocx(wall, JEM_MALLOCX_TCACHE_NONE);
    jem_dallocx(large, JEM_MALLOCX_TCACHE_NONE);
}

static void
nallocx_says_what_cannot_be(void **state)
{
    (void)state;
    assert_int_equal(jem_nallocx(PTRDIFF_MAX, 0), 0);
    assert_int_equal(jem_nallocx(SIZE_MAX, 0), 0);
    assert_int_equal(jem_nallocx(1, JEM_MALLOCX_LG_ALIGN(63)), 0);
    assert_int_equal(jem_nallocx(1, 0), 8);
    errno = 0;
    assert_null(jem_mallocx(SIZE_MAX, 0));
    assert_int_equal(errno, ENOMEM);
    assert_null(jem_mallocx(1, JEM_MALLOCX_LG_ALIGN(63)));
    assert_null(jem_mallocx(1, JEM_MALLOCX_ARENA(4000)));
}

static void
rallocx_refused_leaves_the_block(void **state)
{
    (void)state;
    char *block = jem_mallocx(100, 0);
    memset(block, 9, 100);
    pages_fail_at(1, true);
    errno = 0;
    assert_null(jem_rallocx(block, 512 * MIB, 0));
    assert_int_equal(errno, ENOMEM);
    pages_fail_at(0, false);
    assert_int_equal(block[0] + block[99], 18);
    jem_dallocx(block, 0);
}

static void
explicit_cache_keeps_blocks_to_itself(void **state)
{
    (void)state;
    unsigned cache = create("tcache.create");
    unsigned other = create("tcache.create");
    assert_true(cache != other);
    void *block = jem_mallocx(200, JEM_MALLOCX_TCACHE(cache));
    jem_dallocx(block, JEM_MALLOCX_TCACHE(cache));
    void *elsewhere = jem_mallocx(200, JEM_MALLOCX_TCACHE(other));
    assert_ptr_not_equal(elsewhere, block);
    assert_ptr_equal(jem_mallocx(200, JEM_MALLOCX_TCACHE(cache)), block);
    jem_sdallocx(block, 200, JEM_MALLOCX_TCACHE_NONE);
    jem_sdallocx(elsewhere, 200, JEM_MALLOCX_TCACHE(cache));
    assert_int_equal(
        jem_mallctl("tcache.flush", NULL, NULL, &cache, sizeof cache), 0);
    destroy_cache(cache);
    destroy_cache(other);
    assert_int_equal(
        jem_mallctl("tcache.destroy", NULL, NULL, &cache, sizeof cache),
        EFAULT);
    assert_int_equal(create("tcache.create"), 0); /* The lowest free one. */
    destroy_cache(0);
    jem_heap_check(jem_heap_main());
}

static void
named_arena_serves_the_block(void **state)
{
    (void)state;
    unsigned one = create("arenas.create");
    unsigned two = create("arenas.create");
    unsigned cache = create("tcache.create");
    for (size_t size = 8; size < MIB; size = size * 4 + 1) {
        void *a = jem_mallocx(size, JEM_MALLOCX_ARENA(one));
        void *b = jem_mallocx(size, JEM_MALLOCX_ARENA(two));
        void *c = jem_mallocx(
            size, JEM_MALLOCX_ARENA(two) | JEM_MALLOCX_TCACHE(cache));
        assert_int_equal(arena_of(a), one);
        assert_int_equal(arena_of(b), two);
        assert_int_equal(arena_of(c), two);
        jem_dallocx(a, JEM_MALLOCX_TCACHE_NONE);
        jem_dallocx(b, JEM_MALLOCX_TCACHE_NONE);
        jem_dallocx(c, JEM_MALLOCX_TCACHE(cache));
    }
    destroy_cache(cache);
    jem_heap_check(jem_heap_main());
}

/* ---- misuse */

static void
sdallocx_wrong_size(void *unused)
{
    (void)unused;
    jem_sdallocx(jem_mallocx(100, 0), 50, 0);
}

static void
sdallocx_wrong_alignment(void *unused)
{
    (void)unused;
    jem_sdallocx(jem_mallocx(100, 0), 100, JEM_MALLOCX_LG_ALIGN(20));
}

static void
dallocx_no_cache(void *unused)
{
    (void)unused;
    jem_dallocx(jem_mallocx(100, 0), JEM_MALLOCX_TCACHE(77));
}

static void
extended_names_misuse(void **state)
{
    (void)state;
    assert_dies(
        sdallocx_wrong_size, NULL, "malstrom-jemalloc: wrong size in free: 0x");
    assert_dies(sdallocx_wrong_alignment, NULL,
        "malstrom-jemalloc: wrong size in free: 0x");
    assert_dies(dallocx_no_cache, NULL,
        "malstrom-jemalloc: no cache of that index: 0x");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mallocx_aligns_as_told),
        cmocka_unit_test(mallocx_zeroes_all_that_is_usable),
        cmocka_unit_test(rallocx_keeps_alignment_and_contents),
        cmocka_unit_test(xallocx_resizes_in_place_or_not_at_all),
        cmocka_unit_test(nallocx_says_what_cannot_be),
        cmocka_unit_test(rallocx_refused_leaves_the_block),
        cmocka_unit_test(explicit_cache_keeps_blocks_to_itself),
        cmocka_unit_test(named_arena_serves_the_block),
        cmocka_unit_test(extended_names_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
