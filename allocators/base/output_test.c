/*
 * output_test.c - files without malloc: whole, named apart, framed as gzip says
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/output.h"

#define BYTES_MAX 20000

static uint8_t file_bytes[BYTES_MAX + 4096];

/* What is in the file from its beginning. */
static size_t
read_file(int fd)
{
    ssize_t size = pread(fd, file_bytes, sizeof file_bytes, 0);

    assert_true(size >= 0);
    return (size_t)size;
}

/* RFC 1952, section 8, bit by bit. */
static uint32_t
crc_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
        }
    }
    return ~crc;
}

static uint32_t
number_at(const uint8_t *bytes, unsigned count)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < count; i++) {
        value |= (uint32_t)bytes[i] << (8 * i);
    }
    return value;
}

/* Takes the frames off; the bytes stand where the file stood. */
static size_t
unframe(size_t file_size)
{
    static const uint8_t header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    const uint8_t *next = file_bytes + sizeof header;
    size_t size = 0;
    bool last;

    assert_memory_equal(file_bytes, header, sizeof header);
    do {
        uint32_t frame = number_at(next + 1, 2);

        assert_in_range(next[0], 0, 1);
        assert_int_equal(number_at(next + 3, 2), frame ^ 0xffff);
        last = next[0] == 1;
        memmove(file_bytes + size, next + 5, frame);
        size += frame;
        next += 5 + frame;
    } while (!last);
    assert_int_equal(number_at(next, 4), crc_of(file_bytes, size));
    assert_int_equal(number_at(next + 4, 4), size);
    assert_ptr_equal(next + 8, file_bytes + file_size);
    return size;
}

static void
output_gzip_holds_what_was_written(void **state)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, BYTES_MAX};
    static uint8_t bytes[BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < BYTES_MAX; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 256);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int fd = memfd_create("output_test", 0);
        struct gzip gzip;

        gzip_init(&gzip, fd);
        gzip_write(&gzip, bytes, sizes[i] / 3);
        gzip_write(&gzip, bytes + sizes[i] / 3, sizes[i] - sizes[i] / 3);
        assert_true(gzip_finish(&gzip));
        assert_int_equal(unframe(read_file(fd)), sizes[i]);
        assert_memory_equal(file_bytes, bytes, sizes[i]);
        close(fd);
    }
}

static void
output_says_when_a_file_is_not_written(void **state)
{
    struct gzip gzip;
    int fd = output_create("/dev/full");

    (void)state;
    assert_true(fd >= 0);
    assert_false(output_write(fd, "x", 1));
    gzip_init(&gzip, fd);
    gzip_write(&gzip, "x", 1);
    assert_false(gzip_finish(&gzip));
    assert_true(output_close(fd));
    assert_int_equal(output_create("/nowhere/at/all"), -1);
}

static void
output_names_are_of_process_and_number(void **state)
{
    char path[OUTPUT_PATH_MAX], expected[100];
    static char longest[OUTPUT_PATH_MAX];

    (void)state;
    snprintf(expected, sizeof expected, "/tmp/some.%d.17.heap", (int)getpid());
    assert_true(output_name(path, "/tmp/some, and more", 9, 17, ".heap"));
    assert_string_equal(path, expected);
    memset(longest, 'x', sizeof longest);
    assert_false(output_name(path, longest, sizeof longest, 0, ".heap"));
    assert_false(output_name(path, longest, sizeof longest - 3, 0, ".heap"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_gzip_holds_what_was_written),
        cmocka_unit_test(output_says_when_a_file_is_not_written),
        cmocka_unit_test(output_names_are_of_process_and_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
