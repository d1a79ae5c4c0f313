/*
 * pages_test.c - pages.h: alignment, contents, and every call that can fail
 *
 * A machine between pages and the kernel keeps account of what is mapped, and
 * can be told to place mappings badly, so that the aligned map has to cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

#include "base/death.h"
#include "base/machine.h"
#include "base/pages.h"

#define PAGE ((size_t)4096)
#define MIB  ((size_t)1 << 20)

static int64_t mapped_size;  /* what pages holds, as the account has it */
static uintptr_t next_place; /* not 0: where the next mapping goes */

static void *
count_map(void *hint, size_t size, bool usable)
{
    if (next_place != 0) {
        hint = (void *)next_place;
        next_place += size + PAGE;
    }
    void *addr = machine_kernel.map(hint, size, usable);
    mapped_size += addr == NULL ? 0 : (int64_t)size;
    return addr;
}

static bool
count_unmap(void *addr, size_t size)
{
    bool done = machine_kernel.unmap(addr, size);

    mapped_size -= done ? (int64_t)size : 0;
    return done;
}

static int
set_up(void **state)
{
    (void)state;
    assert_int_equal(pages_os_size(), PAGE);
    machine.map = count_map;
    machine.unmap = count_unmap;
    mapped_size = 0;
    next_place = 0;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    pages_fail_at(0, false);
    machine = machine_kernel;
    assert_int_equal(mapped_size, 0);
    return 0;
}

/* From here on the kernel is asked for places that begin a page past a multiple
 * of 16 MiB, where there is room. Returns the first. */
static void *
place_badly(void)
{
    uintptr_t room = (uintptr_t)machine_kernel.map(NULL, 64 * MIB, false);

    assert_true(machine_kernel.unmap((void *)room, 64 * MIB));
    next_place = (room + 16 * MIB - 1) / (16 * MIB) * (16 * MIB) + PAGE;
    return (void *)next_place;
}

static void
pages_round_up_reports_overflow(void **state)
{
    (void)state;
    assert_int_equal(pages_round_up(0), 0);
    assert_int_equal(pages_round_up(1), PAGE);
    assert_int_equal(pages_round_up(PAGE), PAGE);
    assert_int_equal(pages_round_up(PAGE + 1), 2 * PAGE);
    assert_int_equal(pages_round_up(SIZE_MAX - PAGE + 1), SIZE_MAX - PAGE + 1);
    assert_int_equal(pages_round_up(SIZE_MAX - PAGE + 2), 0);
    assert_int_equal(pages_round_up(SIZE_MAX), 0);
}

static void
pages_map_is_aligned_zero_and_exact(void **state)
{
    (void)state;
    for (size_t align = PAGE; align <= 64 * MIB; align *= 2) {
        for (size_t size = PAGE; size <= 16 * PAGE; size *= 4) {
            unsigned char *addr = pages_map(size, align);

            assert_non_null(addr);
            assert_int_equal((uintptr_t)addr % align, 0);
            assert_int_equal(mapped_size, size);
            for (size_t i = 0; i < size; i += 512) {
                assert_int_equal(addr[i], 0);
                addr[i] = 1;
            }
            assert_true(pages_unmap(addr, size));
        }
    }
}

static void
pages_map_cuts_a_badly_placed_mapping(void **state)
{
    (void)state;
    for (size_t align = 2 * PAGE; align <= 8 * MIB; align *= 2) {
        place_badly();
        pages_fail_at(0, false);
        unsigned char *addr = pages_map(3 * PAGE, align);

        assert_non_null(addr);
        assert_true(pages_call_count() > 1);
        assert_int_equal((uintptr_t)addr % align, 0);
        assert_int_equal(mapped_size, 3 * PAGE);
        addr[0] = addr[3 * PAGE - 1] = 1;
        assert_true(pages_unmap(addr, 3 * PAGE));
    }
}

/* Each of the calls inside an aligned map fails in turn, once. */
static void
pages_map_that_fails_anywhere_leaves_nothing(void **state)
{
    uint64_t n = 0;
    void *addr;

    (void)state;
    do {
        n++;
        void *place = place_badly();
        pages_fail_at(n, false);
        errno = 55;
        addr = pages_map(3 * PAGE, 8 * MIB);
        assert_int_equal(errno, 55);
        if (n == 2) { /* the unmapping of the first try itself was refused */
            assert_int_equal(mapped_size, addr == NULL ? 3 * PAGE : 0);
            mapped_size = 0;
            machine_kernel.unmap(place, 3 * PAGE);
        } else {
            assert_int_equal(mapped_size, addr == NULL ? 0 : 3 * PAGE);
        }
    } while (addr == NULL);
    assert_int_equal(n, 6); /* map, unmap, map, two cuts; the 6th is none */
    pages_fail_at(0, false);
    assert_true(pages_unmap(addr, 3 * PAGE));
}

static void
pages_map_refuses_what_overflows(void **state)
{
    (void)state;
    assert_null(pages_map(SIZE_MAX - PAGE + 1, PAGE));
    assert_null(pages_map((size_t)1 << 62, (size_t)1 << 62));
    place_badly();
    assert_null(pages_map(PAGE, (size_t)1 << 63));
}

static void
write_byte(void *arg)
{
    *(unsigned char *)arg = 1;
}

static void
assert_inaccessible(void *addr)
{
    char said[DEATH_TEXT_MAX];
    int status = death_capture(write_byte, addr, said);

    /* A sanitizer reports and exits; else it is the signal. */
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

static void
pages_reserve_is_usable_only_where_committed(void **state)
{
    (void)state;
    unsigned char *addr = pages_reserve(4 * MIB, 2 * MIB);

    assert_non_null(addr);
    assert_int_equal((uintptr_t)addr % (2 * MIB), 0);
    assert_inaccessible(addr);
    assert_true(pages_commit(addr, MIB));
    addr[0] = addr[MIB - 1] = 7;
    assert_inaccessible(addr + MIB);
    assert_true(pages_decommit(addr, MIB));
    assert_inaccessible(addr);
    assert_true(pages_commit(addr, MIB));
    assert_int_equal(addr[0], 0);
    assert_int_equal(addr[MIB - 1], 0);
    assert_true(pages_unmap(addr, 4 * MIB));
}

/* "Heuristic": the kernel refuses what is more than there is at once. */
static bool
kernel_refuses_much(void)
{
    FILE *file = fopen("/proc/sys/vm/overcommit_memory", "r");
    bool refuses = file != NULL && fgetc(file) == '0';

    if (file != NULL) {
        fclose(file);
    }
    return refuses;
}

static void
pages_commit_refuses_more_than_the_machine_has(void **state)
{
    struct sysinfo info;

    (void)state;
    if (!kernel_refuses_much()) {
        skip();
    }
    assert_int_equal(sysinfo(&info), 0);
    size_t size = (info.totalram + info.totalswap) * info.mem_unit + MIB;
    char *addr = pages_reserve(size, PAGE);
    assert_non_null(addr);
    assert_false(pages_commit(addr, size));
    assert_true(pages_commit(addr, MIB));
    assert_true(pages_unmap(addr, size));
}

static void
pages_purge_zeroes_or_says_no(void **state)
{
    (void)state;
    unsigned char *addr = pages_map(2 * PAGE, PAGE);

    addr[0] = addr[PAGE] = 7;
    assert_true(pages_purge(addr, PAGE));
    assert_int_equal(addr[0], 0);
    assert_int_equal(addr[PAGE], 7);

    /* The kernel keeps locked pages. Sanitizers make mlock do nothing. */
    assert_int_equal(syscall(SYS_mlock, addr, 2 * PAGE), 0);
    errno = 55;
    assert_false(pages_purge(addr, 2 * PAGE));
    assert_false(pages_decommit(addr, 2 * PAGE));
    assert_int_equal(errno, 55);
    assert_int_equal(addr[PAGE], 7);
    assert_int_equal(syscall(SYS_munlock, addr, 2 * PAGE), 0);

    assert_true(pages_purge_lazily(addr, 2 * PAGE));
    assert_true(addr[PAGE] == 7 || addr[PAGE] == 0);
    assert_true(pages_unmap(addr, 2 * PAGE));
}

static void
pages_decommit_that_fails_leaves_the_pages_accessible(void **state)
{
    (void)state;
    unsigned char *addr = pages_map(PAGE, PAGE);

    for (uint64_t n = 1; n <= 2; n++) {
        addr[0] = 7;
        pages_fail_at(n, false);
        assert_false(pages_decommit(addr, PAGE));
        assert_true(addr[0] == 7 || addr[0] == 0);
    }
    pages_fail_at(0, false);
    assert_true(pages_unmap(addr, PAGE));
}

static void
pages_remap_keeps_contents_or_changes_nothing(void **state)
{
    (void)state;
    unsigned char *addr = pages_map(16 * PAGE, PAGE);

    addr[0] = addr[16 * PAGE - 1] = 7;
    /* Something stands behind a hole of the last four pages. */
    assert_ptr_equal(pages_remap(addr, 16 * PAGE, 12 * PAGE, false), addr);
    void *wall = mmap(addr + 12 * PAGE, PAGE, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_equal(wall, addr + 12 * PAGE);
    errno = 55;
    assert_null(pages_remap(addr, 12 * PAGE, 20 * PAGE, false));
    assert_int_equal(errno, 55);
    assert_int_equal(addr[0], 7);

    unsigned char *moved = pages_remap(addr, 12 * PAGE, 20 * PAGE, true);
    assert_non_null(moved);
    assert_ptr_not_equal(moved, addr);
    assert_int_equal(moved[0], 7);
    assert_int_equal(moved[20 * PAGE - 1], 0);
    munmap(wall, PAGE);
    mapped_size += 4 * (int64_t)PAGE;
    assert_true(pages_unmap(moved, 20 * PAGE));
}

static void
pages_huge_is_advice(void **state)
{
    (void)state;
    void *addr = pages_map(4 * MIB, PAGES_HUGE_SIZE);

    /* A kernel without huge pages refuses; nothing else may happen. */
    bool has_huge = pages_huge(addr, 4 * MIB, true);
    assert_int_equal(pages_huge(addr, 4 * MIB, false), has_huge);
    *(unsigned char *)addr = 1;
    assert_true(pages_unmap(addr, 4 * MIB));
}

static void
pages_fail_at_fails_the_nth_call_once_or_always(void **state)
{
    (void)state;
    unsigned char *addr = pages_map(PAGE, PAGE);

    pages_fail_at(3, false);
    assert_true(pages_purge(addr, PAGE));
    assert_true(pages_commit(addr, PAGE));
    assert_false(pages_purge(addr, PAGE));
    assert_true(pages_purge(addr, PAGE));
    assert_int_equal(pages_call_count(), 4);

    pages_fail_at(2, true);
    assert_true(pages_purge(addr, PAGE));
    assert_false(pages_purge_lazily(addr, PAGE));
    assert_false(pages_commit(addr, PAGE));
    assert_false(pages_decommit(addr, PAGE));
    assert_false(pages_huge(addr, PAGE, true));
    assert_null(pages_map(PAGE, PAGE));
    assert_null(pages_reserve(PAGE, PAGE));
    assert_null(pages_remap(addr, PAGE, 2 * PAGE, true));
    assert_false(pages_unmap(addr, PAGE));
    assert_int_equal(pages_call_count(), 9);

    pages_fail_at(0, true);
    assert_int_equal(pages_call_count(), 0);
    assert_true(pages_unmap(addr, PAGE));
}

#define PAGES_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        PAGES_TEST(pages_round_up_reports_overflow),
        PAGES_TEST(pages_map_is_aligned_zero_and_exact),
        PAGES_TEST(pages_map_cuts_a_badly_placed_mapping),
        PAGES_TEST(pages_map_that_fails_anywhere_leaves_nothing),
        PAGES_TEST(pages_map_refuses_what_overflows),
        PAGES_TEST(pages_reserve_is_usable_only_where_committed),
        PAGES_TEST(pages_commit_refuses_more_than_the_machine_has),
        PAGES_TEST(pages_purge_zeroes_or_says_no),
        PAGES_TEST(pages_decommit_that_fails_leaves_the_pages_accessible),
        PAGES_TEST(pages_remap_keeps_contents_or_changes_nothing),
        PAGES_TEST(pages_huge_is_advice),
        PAGES_TEST(pages_fail_at_fails_the_nth_call_once_or_always),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
