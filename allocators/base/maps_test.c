/*
 * maps_test.c - the mappings of this process are found, the longest names too
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/maps.h"

struct search {
    uintptr_t addr;
    unsigned found;
    uintptr_t last_end;
    struct maps_entry entry;
    char path[200];
};

static void
look(const struct maps_entry *entry, void *arg)
{
    struct search *search = arg;

    assert_true(entry->begin < entry->end);
    assert_true(entry->begin >= search->last_end);
    search->last_end = entry->end;
    if (search->addr >= entry->begin && search->addr < entry->end) {
        search->found++;
        search->entry = *entry;
        snprintf(search->path, sizeof search->path, "%s", entry->path);
    }
}

static struct search
find(const void *addr)
{
    struct search search = {.addr = (uintptr_t)addr};

    assert_true(maps_each(look, &search));
    assert_int_equal(search.found, 1);
    return search;
}

static void
maps_shows_code_and_data_of_this_program(void **state)
{
    static char data;

    (void)state;
    struct search code = find((const void *)(uintptr_t)find);
    assert_true(code.entry.executable);
    assert_non_null(strstr(code.path, "maps_test"));
    assert_false(find(&data).entry.executable);
}

/* So many that the file does not fit the buffer. */
static void
maps_shows_each_of_many_mappings(void **state)
{
    long page = sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, (size_t)page * 400, PROT_READ,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_ptr_not_equal(pages, MAP_FAILED);
    for (long i = 1; i < 400; i += 2) {
        assert_int_equal(
            mprotect(pages + i * page, (size_t)page, PROT_NONE), 0);
    }
    for (long i = 1; i < 399; i++) {
        struct search search = find(pages + i * page);

        assert_int_equal(search.entry.begin, (uintptr_t)(pages + i * page));
        assert_string_equal(search.path, "");
    }
    munmap(pages, (size_t)page * 400);
}

static void
maps_copy_is_the_whole_file(void **state)
{
    static char copy[1 << 20];
    int fd = memfd_create("maps_test", 0);

    (void)state;
    assert_true(maps_copy(fd));
    ssize_t size = pread(fd, copy, sizeof copy - 1, 0);
    assert_true(size > 0);
    assert_non_null(strstr(copy, "maps_test"));
    assert_non_null(strstr(copy, "[stack]"));
    close(fd);
    assert_false(maps_copy(-1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_shows_code_and_data_of_this_program),
        cmocka_unit_test(maps_shows_each_of_many_mappings),
        cmocka_unit_test(maps_copy_is_the_whole_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
