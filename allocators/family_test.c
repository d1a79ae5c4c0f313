/*
 * family_test.c - the errors and arguments of the derived calls, over an
 * allocator that only takes notes
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/pages.h"
#include "family.h"

/* What the allocator beneath was asked, and what it shall answer. */
static unsigned call_count;
static size_t asked_align, asked_size;
static void *asked_block, *answer;
static char given[16];

static void *
note_memalign(struct heap *heap, size_t align, size_t size)
{
    assert_null(heap);
    call_count++;
    asked_align = align;
    asked_size = size;
    if (answer == NULL) {
        errno = ENOMEM;
    }
    return answer;
}

static void *
note_realloc(struct heap *heap, void *old, size_t size)
{
    assert_null(heap);
    call_count++;
    asked_block = old;
    asked_size = size;
    return answer;
}

static void
note_stats(struct heap *heap, struct alloc_stats *stats)
{
    assert_null(heap);
    *stats = (struct alloc_stats){.mapped_size = 1000,
        .mapped_peak = 1200,
        .free_size = 300,
        .free_count = 5,
        .direct_size = 400,
        .direct_count = 2};
}

static const struct alloc_ops test_ops;

void *test_reallocarray(void *old, size_t count, size_t size);
void *test_aligned_alloc(size_t align, size_t size);
int test_posix_memalign(void **out, size_t align, size_t size);
void *test_valloc(size_t size);
void *test_pvalloc(size_t size);
FAMILY_OPS(test_ops, test_)

static const struct alloc_ops test_ops = {
    .name = "test",
    .memalign = note_memalign,
    .realloc = note_realloc,
    .reallocarray = ops_reallocarray,
    .aligned_alloc = ops_aligned_alloc,
    .posix_memalign = ops_posix_memalign,
    .valloc = ops_valloc,
    .pvalloc = ops_pvalloc,
    .stats = note_stats,
};

static int
set_up(void **state)
{
    (void)state;
    call_count = 0;
    answer = given;
    errno = 44;
    return 0;
}

static void
aligned_alloc_wants_a_power_of_two(void **state)
{
    static const size_t bad[] = {0, 3, 24, 4095, SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        errno = 0;
        assert_null(test_aligned_alloc(bad[i], 8));
        assert_int_equal(errno, EINVAL);
    }
    assert_int_equal(call_count, 0);
    errno = 44;
    for (size_t align = 1; align != 0; align *= 2) {
        assert_ptr_equal(test_aligned_alloc(align, 7), given);
        assert_int_equal(asked_align, align);
        assert_int_equal(asked_size, 7); /* no multiple is asked for */
    }
    assert_int_equal(errno, 44);
}

static void
posix_memalign_returns_its_error_and_keeps_errno(void **state)
{
    static const size_t bad[] = {0, 1, 2, 4, 3, 24, 4095, SIZE_MAX};
    void *out = &out;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(test_posix_memalign(&out, bad[i], 8), EINVAL);
        assert_ptr_equal(out, &out);
    }
    assert_int_equal(call_count, 0);
    for (size_t align = sizeof(void *); align != 0; align *= 2) {
        assert_int_equal(test_posix_memalign(&out, align, 7), 0);
        assert_ptr_equal(out, given);
        assert_int_equal(asked_align, align);
    }
    answer = NULL;
    assert_int_equal(test_posix_memalign(&out, 64, 7), ENOMEM);
    assert_ptr_equal(out, given);
    assert_int_equal(errno, 44);
}

static void
valloc_and_pvalloc_go_by_os_pages(void **state)
{
    size_t page = pages_os_size();

    (void)state;
    assert_ptr_equal(test_valloc(3), given);
    assert_int_equal(asked_align, page);
    assert_int_equal(asked_size, 3);
    assert_ptr_equal(test_pvalloc(3), given);
    assert_int_equal(asked_align, page);
    assert_int_equal(asked_size, page);
    test_pvalloc(page);
    assert_int_equal(asked_size, page);
    test_pvalloc(page + 1);
    assert_int_equal(asked_size, 2 * page);
    test_pvalloc(SIZE_MAX - page + 1);
    assert_int_equal(asked_size, SIZE_MAX - page + 1);
    assert_int_equal(errno, 44);
    call_count = 0;
    assert_null(test_pvalloc(SIZE_MAX - page + 2));
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(call_count, 0);
}

static void
reallocarray_refuses_products_that_overflow(void **state)
{
    (void)state;
    assert_ptr_equal(test_reallocarray(&answer, 6, 7), given);
    assert_ptr_equal(asked_block, &answer);
    assert_int_equal(asked_size, 42);
    test_reallocarray(NULL, SIZE_MAX, 1);
    assert_int_equal(asked_size, SIZE_MAX);
    test_reallocarray(NULL, 0, SIZE_MAX);
    assert_int_equal(asked_size, 0);
    assert_int_equal(errno, 44);
    call_count = 0;
    assert_null(test_reallocarray(given, (size_t)1 << 32, (size_t)1 << 32));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(test_reallocarray(given, SIZE_MAX / 2 + 1, 2));
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(call_count, 0);
}

static void
product_is_exact(void **state)
{
    size_t product;

    (void)state;
    assert_true(family_product(SIZE_MAX, 1, &product));
    assert_true(product == SIZE_MAX);
    assert_true(family_product(0, SIZE_MAX, &product));
    assert_int_equal(product, 0);
    assert_true(family_product(SIZE_MAX / 3, 3, &product));
    assert_false(family_product(SIZE_MAX / 3 + 1, 3, &product));
}

static void
malloc_info_prints_the_sums_as_xml(void **state)
{
    char text[1000] = "";
    FILE *stream = fmemopen(text, sizeof text, "w");

    (void)state;
    assert_non_null(stream);
    assert_int_equal(family_malloc_info(&test_ops, 0, stream), 0);
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(text,
        "<malloc version=\"1\">\n"
        "<total type=\"fast\" count=\"0\" size=\"0\"/>\n"
        "<total type=\"rest\" count=\"5\" size=\"300\"/>\n"
        "<total type=\"mmap\" count=\"2\" size=\"400\"/>\n"
        "<system type=\"current\" size=\"600\"/>\n"
        "<system type=\"max\" size=\"1200\"/>\n"
        "<aspace type=\"total\" size=\"600\"/>\n"
        "<aspace type=\"mprotect\" size=\"600\"/>\n"
        "</malloc>\n");
}

static void
malloc_info_refuses_options_and_tells_of_a_broken_stream(void **state)
{
    FILE *full = fopen("/dev/full", "w");

    (void)state;
    assert_non_null(full);
    assert_int_equal(setvbuf(full, NULL, _IONBF, 0), 0);
    assert_int_equal(family_malloc_info(&test_ops, 1, full), -1);
    assert_int_equal(errno, EINVAL);
    assert_false(ferror(full));
    assert_int_equal(family_malloc_info(&test_ops, 0, full), -1);
    fclose(full);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(aligned_alloc_wants_a_power_of_two, set_up),
        cmocka_unit_test_setup(
            posix_memalign_returns_its_error_and_keeps_errno, set_up),
        cmocka_unit_test_setup(valloc_and_pvalloc_go_by_os_pages, set_up),
        cmocka_unit_test_setup(
            reallocarray_refuses_products_that_overflow, set_up),
        cmocka_unit_test_setup(product_is_exact, set_up),
        cmocka_unit_test_setup(malloc_info_prints_the_sums_as_xml, set_up),
        cmocka_unit_test_setup(
            malloc_info_refuses_options_and_tells_of_a_broken_stream, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
