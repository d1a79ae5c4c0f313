/*
 * guarded_test.c - guarded blocks of the jemalloc design: what they catch, and
 * that they are blocks like any other
 *
 * The options are read when the program is loaded, so each case is this program
 * again, with its name as an argument: every block is sampled and, while there
 * are slots, guarded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/death.h"
#include "jemalloc/heap.h"
#include "jemalloc/jemalloc.h"

#define SIZE 96

static void
require(bool holds, const char *what)
{
    if (!holds) {
        dprintf(2, "%s\n", what);
        _exit(1);
    }
}

static bool
is_guarded(const void *block)
{
    return guarded_owns(&jem_heap_main()->guarded, block);
}

/* A guarded block that ends where its page ends, or begins where it begins. */
static char *
take(bool right)
{
    unsigned tries = 60;
    char *block = NULL;
    bool is_right = false;
    do {
        block = jem_malloc(SIZE);
        is_right = ((uintptr_t)block & 4095) != 0;
        tries--;
    } while (tries != 0 && !(is_guarded(block) && is_right == right));
    require(tries != 0, "no such block");
    return block;
}

/* Not seen through by the compiler. */
static __attribute__((noinline)) void
touch(char *addr)
{
    __asm__ __volatile__("movb $1, %0" : "=m"(*addr));
}

/* ---- what they catch */

static void
overflow(void)
{
    touch(take(true) + SIZE);
}

static void
overflow_by_resize(void)
{
    char *block = jem_realloc(take(true), SIZE + 16);
    touch(block + SIZE + 16); /* Whether left or right: at the latest here. */
    jem_free(block);
}

static void
underflow(void)
{
    touch(take(false) - 1);
}

static void
use_after_free(void)
{
    char *block = take(true);
    jem_free(block);
    touch(block);
}

static void
double_free(void)
{
    char *block = take(true);
    jem_free(block);
    jem_free(block);
}

static void
wrong_size(void)
{
    jem_sdallocx(take(true), 2 * SIZE, 0);
}

/* ---- blocks like any other */

/* The block of number i, of that size, in one of three ways. */
static char *
take_somehow(unsigned i, size_t size)
{
    size_t align = (size_t)1 << (i % 12);
    int flags = JEM_MALLOCX_ALIGN(align) | JEM_MALLOCX_ZERO;
    char *block = i % 3 == 0   ? jem_malloc(size)
                  : i % 3 == 1 ? jem_calloc(1, size)
                               : jem_mallocx(size, flags);
    size_t least = i % 3 == 2 && align > 8 ? align : 8;
    require(((uintptr_t)block & (least - 1)) == 0, "alignment");
    for (size_t k = 0; i % 3 != 0 && k < size; k++) {
        require(block[k] == 0, "zeroing");
    }
    return block;
}

static void
use_blocks(void)
{
    static char *blocks[300];
    unsigned guarded_count = 0;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 300; i++) {
            size_t size = 1 + (i * 37) % 5000;
            char *block = take_somehow(i, size);
            guarded_count += is_guarded(block);
            require(jem_sallocx(block, 0) >= size, "size");
            memset(block, (int)i, jem_malloc_usable_size(block));
            blocks[i] = jem_realloc(block, size + 100);
        }
        for (unsigned i = 0; i < 300; i++) {
            size_t size = 1 + (i * 37) % 5000;
            require((unsigned char)blocks[i][size - 1] == (i & 0xff), "bytes");
            require(jem_xallocx(blocks[i], size, 0, 0) >= size, "in place");
            jem_free_sized(blocks[i], size + 100);
        }
        jem_heap_check(jem_heap_main());
    }
    /* Each slot, again and again. */
    require(guarded_count >= 64 * 10, "guarded blocks");
    require(sampled_live(&jem_heap_main()->sampled).count == 0, "live");
}

/* A destroyed arena takes its blocks along. */
static void
use_arena(void)
{
    unsigned arena;
    size_t size = sizeof arena;
    require(jem_mallctl("arenas.create", &arena, &size, NULL, 0) == 0, "arena");
    for (unsigned i = 0; i < 100; i++) {
        require(!is_guarded(jem_mallocx(SIZE, JEM_MALLOCX_ARENA(arena))),
            "a guarded block of an explicit arena");
    }
}

static const struct guarded_case {
    const char *name;
    void (*run)(void);
    const char *dies; /* saying so; NULL: it lives, in silence */
} cases[] = {
    {"overflow", overflow, "malstrom-jemalloc: overflow: 0x"},
    {"overflow_by_resize", overflow_by_resize,
        "malstrom-jemalloc: overflow: 0x"},
    {"underflow", underflow, "malstrom-jemalloc: underflow: 0x"},
    {"use_after_free", use_after_free, "malstrom-jemalloc: use after free: 0x"},
    {"double_free", double_free, "malstrom-jemalloc: double free: 0x"},
    {"wrong_size", wrong_size, "malstrom-jemalloc: wrong size in free: 0x"},
    {"use_blocks", use_blocks, NULL},
    {"use_arena", use_arena, NULL},
};

/* This program again, as that case. */
static void
execute(void *name)
{
    setenv("JEM_OPTIONS", "guarded:1,lg_prof_sample:0", 1);
    execl("/proc/self/exe", "guarded_test", (const char *)name, NULL);
    _exit(127);
}

static int
run_case(const char *name)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(cases[i].name, name) == 0) {
            cases[i].run();
            return 0;
        }
    }
    return 2;
}

static void
guarded_passes_each_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[40];
        char text[DEATH_TEXT_MAX];
        snprintf(name, sizeof name, "%s", cases[i].name);
        if (cases[i].dies != NULL) {
            assert_dies(execute, name, cases[i].dies);
            continue;
        }
        int status = death_capture(execute, name, text);
        if (status != 0 || text[0] != '\0') {
            fail_msg("%s: status %#x, \"%s\"", name, (unsigned)status, text);
        }
    }
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guarded_passes_each_case),
    };
    if (argc == 2) {
        return run_case(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
