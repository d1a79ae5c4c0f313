/*
 * env_test.c - env.h: every kind, its limits, and the exact complaints
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/death.h"
#include "base/env.h"

static uint64_t size;
static int64_t number;
static bool flag;
static const char *text;
static size_t text_length;

static const char *const colours[] = {"red", "green", NULL};
static struct env_choice colour = {colours, 0};

static const struct env_option options[] = {
    {"size", ENV_SIZE, &size, NULL, 16, UINT64_MAX},
    {"number", ENV_NUMBER, &number, NULL, (uint64_t)INT64_MIN, INT64_MAX},
    {"small", ENV_NUMBER, &number, NULL, (uint64_t)-5, 5},
    {"flag", ENV_FLAG, &flag, NULL, 0, 0},
    {"text", ENV_TEXT, &text, &text_length, 0, 0},
    {"paint", ENV_CHOICE, &colour, NULL, 0, 0},
};

static unsigned
read_options(const char *value)
{
    setenv("BASE_OPTIONS", value, 1);
    return env_read(
        "base", "BASE_OPTIONS", options, sizeof(options) / sizeof(options[0]));
}

static void
env_reads_sizes(void **state)
{
    static const struct {
        const char *pair;
        uint64_t value;
    } cases[] = {
        {"size:16", 16},
        {"size:4k", 4096},
        {"size:4K", 4096},
        {"size:3m", 3u << 20},
        {"size:2g", (uint64_t)2 << 30},
        {"size:off", UINT64_MAX},
        {"size:18446744073709551615", UINT64_MAX},
        {"size:17179869183g", (uint64_t)17179869183u << 30},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_options(cases[i].pair), 1);
        assert_true(size == cases[i].value);
    }
}

static void
env_reads_numbers_flags_and_texts(void **state)
{
    static const char *const trues[] = {"flag:true", "flag:on", "flag:1"};
    static const char *const falses[] = {"flag:false", "flag:off", "flag:0"};

    (void)state;
    assert_int_equal(read_options("number:-9223372036854775808"), 1);
    assert_true(number == INT64_MIN);
    assert_int_equal(read_options("number:9223372036854775807"), 1);
    assert_true(number == INT64_MAX);
    assert_int_equal(read_options("small:-5"), 1);
    assert_int_equal(number, -5);
    for (int i = 0; i < 3; i++) {
        flag = false;
        assert_int_equal(read_options(trues[i]), 1);
        assert_true(flag);
        assert_int_equal(read_options(falses[i]), 1);
        assert_false(flag);
    }
    assert_int_equal(read_options("text:a:b,flag:1"), 2);
    assert_int_equal(text_length, 3);
    assert_memory_equal(text, "a:b", 3);
}

static void
env_reads_choices_and_counts_what_is_bad(void **state)
{
    unsigned bad_count;

    (void)state;
    assert_int_equal(read_options("paint:green"), 1);
    assert_int_equal(colour.chosen, 1);
    setenv("BASE_OPTIONS", "paint:red,number:2", 1);
    assert_int_equal(env_read_counting("base", "BASE_OPTIONS", options,
                         sizeof(options) / sizeof(options[0]), &bad_count),
        2);
    assert_int_equal(colour.chosen, 0);
    assert_int_equal(bad_count, 0);
}

static void
env_reads_many_pairs_and_the_last_wins(void **state)
{
    (void)state;
    assert_int_equal(read_options("size:1k,,number:3,size:2k,"), 3);
    assert_int_equal(size, 2048);
    assert_int_equal(number, 3);
    assert_int_equal(read_options(""), 0);
    unsetenv("BASE_OPTIONS");
    assert_int_equal(env_read("base", "BASE_OPTIONS", options, 1), 0);
}

/* In the child: reads, and exits with the count; its stderr is compared. */
static void
complain(void *arg)
{
    _exit((int)read_options(arg));
}

static void
assert_complaint(const char *value, int set_count, const char *expected)
{
    char said[DEATH_TEXT_MAX];
    char copy[200];

    strcpy(copy, value);
    int status = death_capture(complain, copy, said);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), set_count);
    assert_string_equal(said, expected);
}

#define LINE(what, pair) "malstrom-base: BASE_OPTIONS: " what ": \"" pair "\"\n"

static void
env_says_what_is_wrong_and_where(void **state)
{
    (void)state;
    assert_complaint("flag:1", 1, "");
    assert_complaint("colour:3", 0, LINE("unknown option", "colour:3"));
    assert_complaint("siz:16", 0, LINE("unknown option", "siz:16"));
    assert_complaint("flag", 0, LINE("no \":\" in option", "flag"));
    assert_complaint("size:15", 0, LINE("out of range", "size:15"));
    assert_complaint("size:", 0, LINE("not a size", "size:"));
    assert_complaint("size:k", 0, LINE("not a size", "size:k"));
    assert_complaint("size:1t", 0, LINE("not a size", "size:1t"));
    assert_complaint("size:-1", 0, LINE("not a size", "size:-1"));
    assert_complaint("size:18446744073709551616", 0,
        LINE("not a size", "size:18446744073709551616"));
    assert_complaint(
        "size:17179869184g", 0, LINE("not a size", "size:17179869184g"));
    assert_complaint("small:6", 0, LINE("out of range", "small:6"));
    assert_complaint("small:-6", 0, LINE("out of range", "small:-6"));
    assert_complaint("number:9223372036854775808", 0,
        LINE("not a number", "number:9223372036854775808"));
    assert_complaint("number:--1", 0, LINE("not a number", "number:--1"));
    assert_complaint(
        "paint:redd", 0, LINE("not one of the choices", "paint:redd"));
    assert_complaint("flag:yes", 0, LINE("neither on nor off", "flag:yes"));
    assert_complaint("x:1,size:1k,y:2", 1,
        LINE("unknown option", "x:1") LINE("unknown option", "y:2"));
}

/* What a drop-in library sees before the C library's own constructor. */
static void
env_works_without_environ(void **state)
{
    extern char **environ;
    char **saved = environ;

    (void)state;
    environ = NULL;
    assert_int_equal(env_read("base", "BASE_TEST_GIVEN", options,
                         sizeof(options) / sizeof(options[0])),
        1);
    environ = saved;
    assert_int_equal(size, 12345);
}

/* The loader hands over the environment at the start, so one test needs a
 * variable that was there then. */
int
main(int argc, char **argv)
{
    if (argc > 0 && getenv("BASE_TEST_GIVEN") == NULL) {
        setenv("BASE_TEST_GIVEN", "size:12345", 1);
        execv("/proc/self/exe", argv);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(env_reads_sizes),
        cmocka_unit_test(env_reads_numbers_flags_and_texts),
        cmocka_unit_test(env_reads_choices_and_counts_what_is_bad),
        cmocka_unit_test(env_reads_many_pairs_and_the_last_wins),
        cmocka_unit_test(env_says_what_is_wrong_and_where),
        cmocka_unit_test(env_works_without_environ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
