/*
 * guarded_test.c - guarded blocks of the tcmalloc design: what they catch, and
 * that they are blocks like any other
 *
 * Each case is a child that reads its own options: every block is sampled and,
 * while there are slots, guarded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <signal.h>
#include <unistd.h>

#include "base/death.h"
#include "tcmalloc/heap.h"
#include "tcmalloc/inspect.h"
#include "tcmalloc/tcmalloc.h"

#define SIZE 96

static void
start(void)
{
    setenv("TCM_OPTIONS", "profile:1,guarded:1", 1);
}

/* A guarded block that ends where its page ends, or begins where it begins. */
static char *
take(bool right)
{
    char *block = NULL;

    for (unsigned i = 0; i < 60; i++) {
        block = tcm_malloc(SIZE);
        if (guarded_owns(&tcm_heap_process.guarded, block) &&
            (((uintptr_t)block & 4095) != 0) == right) {
            return block;
        }
    }
    dprintf(2, "no such block\n");
    _exit(1);
}

/* Not seen through by the compiler. */
static __attribute__((noinline)) void
touch(char *addr)
{
    __asm__ __volatile__("movb $1, %0" : "=m"(*addr));
}

static void
overflow(void *arg)
{
    (void)arg;
    start();
    touch(take(true) + SIZE);
}

static void
overflow_unseen_till_free(void *arg)
{
    (void)arg;
    start();
    char *block = take(false);
    touch(block + SIZE);
    tcm_free(block);
}

static void
underflow(void *arg)
{
    (void)arg;
    start();
    touch(take(false) - 1);
}

static void
use_after_free(void *arg)
{
    (void)arg;
    start();
    char *block = take(true);
    tcm_free(block);
    touch(block + SIZE / 2);
}

static void
double_free(void *arg)
{
    (void)arg;
    start();
    char *block = take(true);
    tcm_free(block);
    tcm_free(block);
}

static void
free_inside(void *arg)
{
    (void)arg;
    start();
    tcm_free(take(true) + 16);
}

static void
guarded_blocks_die_of_misuse_at_once(void **state)
{
    (void)state;
    assert_dies(overflow, NULL, "malstrom-tcmalloc: overflow: 0x");
    assert_dies(
        overflow_unseen_till_free, NULL, "malstrom-tcmalloc: overflow: 0x");
    assert_dies(underflow, NULL, "malstrom-tcmalloc: underflow: 0x");
    assert_dies(use_after_free, NULL, "malstrom-tcmalloc: use after free: 0x");
    assert_dies(double_free, NULL, "malstrom-tcmalloc: double free: 0x");
    assert_dies(free_inside, NULL, "malstrom-tcmalloc: invalid pointer: 0x");
}

/* Counts the frames under a title. */
static unsigned
frames_under(const char *text, const char *title)
{
    const char *line = strstr(text, title);
    unsigned count = 0;

    assert_non_null(line);
    while ((line = strchr(line, '\n')) != NULL &&
           strncmp(line, "\n    0x", 7) == 0) {
        line++;
        count += strstr(line, "guarded_test+0x") != NULL;
    }
    return count;
}

static void
guarded_reports_show_both_stacks(void **state)
{
    char text[DEATH_TEXT_MAX];

    (void)state;
    death_capture(use_after_free, NULL, text);
    assert_non_null(strstr(text, "of 96 bytes, at 0x"));
    assert_true(frames_under(text, "allocated by:") >= 2);
    assert_true(frames_under(text, "freed by:") >= 2);
    death_capture(overflow, NULL, text);
    assert_true(frames_under(text, "allocated by:") >= 2);
    assert_null(strstr(text, "freed by:"));
}

/* ---- other faults */

static void
say_so(int signal_number)
{
    (void)signal_number;
    (void)!write(2, "the program's own handler\n", 26);
    abort();
}

static void
fault_elsewhere(void *handler)
{
    if (handler != NULL) {
        signal(SIGSEGV, say_so);
    } else {
        signal(SIGSEGV, SIG_DFL);
    }
    start();
    tcm_free(take(true));
    touch((char *)(uintptr_t)8);
}

static void
guarded_leaves_other_faults_to_whom_they_belong(void **state)
{
    char text[DEATH_TEXT_MAX];

    (void)state;
    assert_dies(fault_elsewhere, text, "the program's own handler\n");
    int status = death_capture(fault_elsewhere, NULL, text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* ---- blocks like any other */

static void
use_blocks(void *arg)
{
    static char *blocks[500];
    unsigned guarded_count = 0;

    (void)arg;
    start();
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 500; i++) {
            size_t size = (i * 37) % 5000;
            size_t align = (size_t)1 << (i % 12);
            char *block = i % 3 == 0   ? tcm_calloc(1, size)
                          : i % 3 == 1 ? tcm_malloc(size)
                                       : tcm_memalign(align, size);
            bool aligned =
                ((uintptr_t)block & (size > 8 ? 15 : 7)) == 0 &&
                (i % 3 != 2 || ((uintptr_t)block & (align - 1)) == 0);

            guarded_count += guarded_owns(&tcm_heap_process.guarded, block);
            for (size_t k = 0; i % 3 == 0 && k < size; k++) {
                aligned = aligned && block[k] == 0;
            }
            if (!aligned || tcm_malloc_usable_size(block) < size) {
                abort();
            }
            memset(block, (int)i, size);
            blocks[i] = tcm_realloc(block, size + 100);
        }
        for (unsigned i = 0; i < 500; i++) {
            size_t size = (i * 37) % 5000;

            if (size > 0 && (unsigned char)blocks[i][size - 1] != (i & 0xff)) {
                abort();
            }
            tcm_free_sized(blocks[i], size + 100);
        }
        tcm_inspect_check(&tcm_heap_process);
    }
    /* Each slot, again and again. */
    if (guarded_count < 64 * 10 ||
        sampled_live(&tcm_heap_process.sampled).count != 0) {
        abort();
    }
}

static void
guarded_blocks_are_blocks_like_any_other(void **state)
{
    char text[DEATH_TEXT_MAX];

    (void)state;
    assert_int_equal(death_capture(use_blocks, NULL, text), 0);
    assert_string_equal(text, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guarded_blocks_die_of_misuse_at_once),
        cmocka_unit_test(guarded_reports_show_both_stacks),
        cmocka_unit_test(guarded_leaves_other_faults_to_whom_they_belong),
        cmocka_unit_test(guarded_blocks_are_blocks_like_any_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
