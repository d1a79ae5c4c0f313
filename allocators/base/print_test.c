/*
 * print_test.c - print.h: each conversion, long texts, and what is kept
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"

#define TEXT_MAX 16384

/* A pipe holds 64 KiB: what is printed can be read afterwards. */
struct capture {
    int ends[2];
    char text[TEXT_MAX];
};

static void
capture_begin(struct capture *capture, struct print *print)
{
    assert_int_equal(pipe(capture->ends), 0);
    print_init(print, capture->ends[1]);
}

static const char *
capture_end(struct capture *capture, struct print *print)
{
    size_t size = 0;
    ssize_t count;

    print_flush(print);
    close(capture->ends[1]);
    while ((count = read(capture->ends[0], capture->text + size,
                TEXT_MAX - 1 - size)) > 0) {
        size += (size_t)count;
    }
    capture->text[size] = '\0';
    close(capture->ends[0]);
    return capture->text;
}

static void
print_numbers_as_stdio_does(void **state)
{
    static const uint64_t values[] = {0, 1, 9, 10, 4095, 1u << 31, UINT32_MAX,
        (uint64_t)1 << 63, INT64_MAX, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct capture capture;
        struct print print;
        char expected[200];
        uint64_t value = values[i];

        capture_begin(&capture, &print);
        print_decimal(&print, value);
        print_text(&print, " ");
        print_signed(&print, (int64_t)value);
        print_text(&print, " ");
        print_hex(&print, value);
        snprintf(expected, sizeof(expected), "%llu %lld 0x%llx",
            (unsigned long long)value, (long long)value,
            (unsigned long long)value);
        assert_string_equal(capture_end(&capture, &print), expected);
    }
}

static void
print_format_knows_its_conversions(void **state)
{
    struct capture capture;
    struct print print;

    (void)state;
    capture_begin(&capture, &print);
    print_format(&print, "%s|%u|%d|%zu|%lu|%x|%lx|%p|%c|%%", "text",
        4000000000u, -7, (size_t)1 << 40, UINT64_MAX, 0xabcu, 0x123456789abcul,
        (void *)0x1000, 'q');
    assert_string_equal(capture_end(&capture, &print),
        "text|4000000000|-7|1099511627776|18446744073709551615|0xabc|"
        "0x123456789abc|0x1000|q|%");

    capture_begin(&capture, &print);
    print_format(&print, "%s", "");
    assert_string_equal(capture_end(&capture, &print), "");
}

static void
print_passes_texts_longer_than_its_buffer(void **state)
{
    (void)state;
    for (size_t size = 500; size < 520; size++) {
        struct capture capture;
        struct print print;
        char text[1100];

        for (size_t i = 0; i < sizeof(text); i++) {
            text[i] = (char)('a' + i % 26);
        }
        capture_begin(&capture, &print);
        print_chars(&print, text, size);
        print_chars(&print, text + size, sizeof(text) - 1 - size);
        text[sizeof(text) - 1] = '\0';
        assert_string_equal(capture_end(&capture, &print), text);
    }
}

static void
print_keeps_errno_and_drops_what_cannot_be_written(void **state)
{
    struct print print;

    (void)state;
    print_init(&print, -1);
    errno = 77;
    print_text(&print, "nobody reads this");
    print_flush(&print);
    assert_int_equal(errno, 77);
    assert_int_equal(print.used_size, 0);
}

/* A sink gets all of the text, in pieces that end in NUL. */
static void
append(void *arg, const char *text)
{
    strcat(arg, text);
}

static void
print_hands_texts_to_a_sink(void **state)
{
    static char whole[2000];
    struct print print;

    (void)state;
    print_init_sink(&print, append, whole);
    print_flush(&print);
    assert_string_equal(whole, "");
    for (unsigned i = 0; i < 300; i++) {
        print_format(&print, "%u,", i);
    }
    print_flush(&print);
    assert_int_equal(strlen(whole), 10 * 2 + 90 * 3 + 200 * 4);
    assert_string_equal(whole + strlen(whole) - 8, "298,299,");
    assert_null(strstr(whole, ",,"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(print_numbers_as_stdio_does),
        cmocka_unit_test(print_format_knows_its_conversions),
        cmocka_unit_test(print_passes_texts_longer_than_its_buffer),
        cmocka_unit_test(print_keeps_errno_and_drops_what_cannot_be_written),
        cmocka_unit_test(print_hands_texts_to_a_sink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
