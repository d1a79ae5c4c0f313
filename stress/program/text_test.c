/*
 * text_test.c - the text form: both ways, and every error with its line
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/machine.h"
#include "base/random.h"
#include "program/text.h"

static const char whole_text[] = "malstrom heap program 1\n"
                                 "target ./lib with space.so\n"
                                 "scenario churn\n"
                                 "policy glibc+zero_unique\n"
                                 "finding heap-check\n"
                                 "seed 42\n"
                                 "slots 64\n"
                                 "thread 0\n"
                                 "  malloc 3 128\n"
                                 "  calloc 3 10 16\n"
                                 "  realloc 3 0xffffffffffffffff\n"
                                 "  reallocarray 63 0x100000000 4294967295\n"
                                 "  memalign 3 64 1000\n"
                                 "  aligned_alloc 3 4096 4096\n"
                                 "  posix_memalign 3 0x8000000000000000 1\n"
                                 "  valloc 0 1\n"
                                 "  pvalloc 0 1\n"
                                 "  free 0\n"
                                 "  free_sized 0\n"
                                 "  free_aligned_sized 0\n"
                                 "  usable_size 0\n"
                                 "  touch 0\n"
                                 "  wait 0\n"
                                 "  trim 4096\n"
                                 "  stats\n"
                                 "  yield\n"
                                 "  time 1000\n"
                                 "  exit\n"
                                 "  fork\n"
                                 "thread 1\n"
                                 "thread 2\n"
                                 "  free 1\n"
                                 "schedule 0 1 0 255\n"
                                 "fault os 3\n"
                                 "fault os 4294967296 every\n"
                                 "end\n";

static struct program *
new_program(void)
{
    struct program *program = program_new();

    assert_non_null(program);
    return program;
}

static struct program *
read_text(const char *text)
{
    struct program *program = new_program();
    struct text_error error;

    if (!text_read(program, text, strlen(text), &error)) {
        fail_msg("%zu: %s", error.line, error.reason);
    }
    program_check(program);
    return program;
}

static void
text_goes_both_ways_unchanged(void **state)
{
    struct program *program = read_text(whole_text);
    struct buffer buffer = {0};

    (void)state;
    assert_int_equal(program_op_count(program), OP_KIND_COUNT + 1);
    assert_int_equal(program->thread_count, 3);
    assert_string_equal(program->target, "./lib with space.so");
    assert_true(text_write(program, &buffer));
    assert_true(buffer_add(&buffer, "", 1));
    assert_string_equal(buffer.data, whole_text);
    buffer_fini(&buffer);
    program_delete(program);
}

/* Random programs, with sizes of every magnitude. */
static void
add_random(struct program *program, struct random *random)
{
    struct op op = {
        .kind = (uint8_t)random_below(random, OP_KIND_COUNT),
        .slot = (uint32_t)random_log_between(random, 0, PROGRAM_SLOTS_MAX - 1),
        .size = random_log_between(random, 0, UINT64_MAX),
        .count = random_log_between(random, 0, UINT64_MAX),
        .align = random_log_between(random, 0, UINT64_MAX),
    };
    struct fault fault = {
        .n = random_log_between(random, 1, UINT64_MAX),
        .every = random_one_in(random, 2),
    };

    assert_true(program_add(program,
        (unsigned)random_log_between(random, 0, PROGRAM_THREADS_MAX - 1), &op));
    uint8_t choice = (uint8_t)random_below(random, 4);
    for (uint64_t i = random_between(random, 1, 6); i > 0; i--) {
        assert_true(program_add_schedule(program, choice));
    }
    if (random_one_in(random, 10)) {
        assert_true(program_add_fault(program, &fault));
    }
}

static void
text_of_random_programs_reads_back_equal(void **state)
{
    struct program *from = new_program();
    struct program *to = new_program();
    struct buffer buffer = {0};
    struct text_error error;

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct random random;

        random_seed(&random, seed);
        program_clear(from);
        for (uint64_t i = random_below(&random, 300); i > 0; i--) {
            add_random(from, &random);
        }
        buffer.size = 0;
        assert_true(text_write(from, &buffer));
        assert_true(text_read(to, buffer.data, buffer.size, &error));
        assert_true(program_equal(from, to));
    }
    buffer_fini(&buffer);
    program_delete(from);
    program_delete(to);
}

static void
text_reads_what_people_write(void **state)
{
    struct program *program =
        read_text("malstrom heap program 1 # a comment\r\n"
                  "# another\r\n"
                  "\r\n"
                  "fault os 1 # the first\n"
                  "thread 1\n"
                  "\tmalloc\t0x10  0X1F #comment\n"
                  "thread 0\n"
                  "free 16\n"
                  "schedule 1\n"
                  "thread 1\n"
                  "free 16\n"
                  "schedule 0*2\n"
                  "end\n"
                  "# over\n");

    (void)state;
    assert_int_equal(program->slot_count, 17);
    assert_int_equal(program->threads[1].op_count, 2);
    assert_int_equal(program->threads[1].ops[0].slot, 16);
    assert_int_equal(program->threads[1].ops[0].size, 31);
    assert_int_equal(program->schedule_count, 3);
    assert_false(program->faults[0].every);
    program_delete(program);
}

struct wrong {
    const char *text;
    size_t line;
    const char *reason;
};

#define FIRST "malstrom heap program 1\n"

static const struct wrong wrongs[] = {
    {"", 1,
        "not a heap program: the first line is not 'malstrom heap program 1'"},
    {"\177ELF", 1,
        "not a heap program: the first line is not 'malstrom heap program 1'"},
    {"malstrom heap program\n", 1,
        "not a heap program: the first line is not 'malstrom heap program 1'"},
    {"malstrom heap program 2\nend\n", 1, "version 2 is not known here (1 is)"},
    {"malstrom heap program one\n", 1,
        "version 'one' is not a number below 2^64"},
    {"malstrom heap program 1 beta\n", 1, "unexpected 'beta'"},
    {FIRST, 1, "cut short: there is no 'end' line"},
    {FIRST "thread 0\n  malloc 0 1\n", 3, "cut short: there is no 'end' line"},
    {FIRST "slots 64\nthread 0\n malloc 99 1\nend\n", 4,
        "slot 99 out of range (0..63)"},
    {FIRST "slots 0\nthread 0\n malloc 0 1\nend\n", 4,
        "slot 0 out of range (there is none)"},
    {FIRST "thread 0\nfree 16777216\nend\n", 3,
        "slot 16777216 out of range (0..16777215)"},
    {FIRST "slots 16777217\n", 2, "slots 16777217 out of range (0..16777216)"},
    {FIRST "thread 256\n", 2, "thread 256 out of range (0..255)"},
    {FIRST "thread\n", 2, "thread is missing"},
    {FIRST "malloc 0 1\n", 2, "malloc before the first thread"},
    {FIRST "thread 0\nslots 4\n", 3, "slots must come before the first thread"},
    {FIRST "thread 0\nmalloc 0\n", 3, "size is missing"},
    {FIRST "thread 0\nmalloc\n", 3, "slot is missing"},
    {FIRST "thread 0\nmalloc 0 1 2\n", 3, "unexpected '2'"},
    {FIRST "thread 0\nmemalign 0 8\n", 3, "size is missing"},
    {FIRST "thread 0\nmalloc 0 -1\n", 3,
        "size '-1' is not a number below 2^64"},
    {FIRST "thread 0\nmalloc 0 18446744073709551616\n", 3,
        "size '18446744073709551616' is not a number below 2^64"},
    {FIRST "thread 0\nmalloc 0 0x10000000000000000\n", 3,
        "size '0x10000000000000000' is not a number below 2^64"},
    {FIRST "thread 0\nmalloc 0 0x\n", 3,
        "size '0x' is not a number below 2^64"},
    {FIRST "thread 0\nmallocc 0 1\n", 3, "unknown word 'mallocc'"},
    {FIRST "frobnicate the heap and every one of its blocks\n", 2,
        "unknown word 'frobnicate'"},
    {FIRST "a_word_that_goes_on_and_on_without_an_end\n", 2,
        "unknown word 'a_word_that_goes_on_and_on_witho...'"},
    {FIRST "\001a\200\n", 2, "unknown word '?a?'"},
    {FIRST "schedule 256\n", 2, "schedule '256' is not a number in 0..255"},
    {FIRST "schedule 1*\n", 2, "schedule '1*' is not a number in 0..255"},
    {FIRST "schedule *2\n", 2, "schedule '*2' is not a number in 0..255"},
    {FIRST "schedule 1*0\n", 2, "schedule '1*0' is not a number in 0..255"},
    {FIRST "schedule 0*67108864 1\n", 2, "schedule is longer than 67108864"},
    {FIRST "fault cpu 1\n", 2, "unknown fault 'cpu' (known: os)"},
    {FIRST "fault\n", 2, "unknown fault '' (known: os)"},
    {FIRST "fault os 0\n", 2, "fault 0: calls count from 1"},
    {FIRST "fault os 1 always\n", 2, "unexpected 'always'"},
    {FIRST "target a\001b\n", 2, "target wants a name of 1 to 255 characters"},
    {FIRST "target\n", 2, "target wants a name of 1 to 255 characters"},
    {FIRST "finding a_name_of_more_than_31_characters\n", 2,
        "finding wants a name of 1 to 31 characters"},
    {FIRST "seed x\n", 2, "seed 'x' is not a number below 2^64"},
    {FIRST "end\nthread 0\n", 3, "unexpected 'thread' after the end"},
};

static void
text_refuses_with_line_and_reason(void **state)
{
    struct program *program = new_program();

    (void)state;
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        struct text_error error;

        assert_false(
            text_read(program, wrongs[i].text, strlen(wrongs[i].text), &error));
        assert_string_equal(error.reason, wrongs[i].reason);
        assert_int_equal(error.line, wrongs[i].line);
        program_check(program);
    }
    program_delete(program);
}

static void
text_cut_anywhere_is_refused(void **state)
{
    struct program *program = new_program();
    struct text_error error;
    size_t size = strlen(whole_text);

    (void)state;
    for (size_t cut = 0; cut < size - 1; cut++) {
        assert_false(text_read(program, whole_text, cut, &error));
        assert_int_not_equal(error.reason[0], '\0');
    }
    /* Only the last newline may be missing. */
    assert_true(text_read(program, whole_text, size - 1, &error));
    program_delete(program);
}

static void
text_takes_a_nul_for_an_unknown_word(void **state)
{
    static const char text[] = FIRST "thread 0\nfree\0x 0\n";
    struct program *program = new_program();
    struct text_error error;

    (void)state;
    assert_false(text_read(program, text, sizeof(text) - 1, &error));
    assert_string_equal(error.reason, "unknown word 'free?x'");
    program_delete(program);
}

static void
text_op_prints_one_operation(void **state)
{
    char line[64];
    char brief[8];

    (void)state;
    struct op op = {.kind = OP_CALLOC, .slot = 3, .count = 10, .size = 16};
    text_op(&op, line, sizeof(line));
    assert_string_equal(line, "calloc 3 10 16");
    text_op(&op, brief, sizeof(brief));
    assert_string_equal(brief, "calloc ");
}

/* A trace of a million lines takes well under a second; the bound leaves room
 * for a loaded machine and for sanitizers. */
static void
text_of_a_million_lines_is_read_fast(void **state)
{
    struct program *program = new_program();
    struct buffer buffer = {0};
    struct text_error error;

    (void)state;
    for (uint32_t i = 0; i < 1000000; i++) {
        struct op op = {.kind = i % 3 == 0 ? OP_FREE : OP_MALLOC,
            .slot = i % 5000,
            .size = i};
        assert_true(program_add(program, i % 4, &op));
    }
    assert_true(text_write(program, &buffer));
    uint64_t start = machine_kernel.clock_ns();
    assert_true(text_read(program, buffer.data, buffer.size, &error));
    uint64_t ns = machine_kernel.clock_ns() - start;
    print_message("%lu lines a second\n",
        (unsigned long)(1000000 * UINT64_C(1000000000) / ns));
    assert_int_equal(program_op_count(program), 1000000);
    assert_true(ns < UINT64_C(10000000000));
    buffer_fini(&buffer);
    program_delete(program);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_goes_both_ways_unchanged),
        cmocka_unit_test(text_of_random_programs_reads_back_equal),
        cmocka_unit_test(text_reads_what_people_write),
        cmocka_unit_test(text_refuses_with_line_and_reason),
        cmocka_unit_test(text_cut_anywhere_is_refused),
        cmocka_unit_test(text_takes_a_nul_for_an_unknown_word),
        cmocka_unit_test(text_op_prints_one_operation),
        cmocka_unit_test(text_of_a_million_lines_is_read_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
