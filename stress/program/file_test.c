/*
 * file_test.c - programs in files: each form, every refusal, whole or not at all
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "program/bytes.h"
#include "program/file.h"
#include "program/text.h"

static char directory[64];
static struct file_error error;

static int
set_up(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/malstrom-file-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int
tear_down(void **state)
{
    DIR *open = opendir(directory);
    struct dirent *entry;
    char path[400];

    (void)state;
    while ((entry = readdir(open)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        unlink(path);
    }
    closedir(open);
    return rmdir(directory);
}

/* A path in the test's directory, good until the next call but one. */
static const char *
path_of(const char *name)
{
    static char paths[2][128];
    static unsigned turn;
    char *path = paths[turn++ % 2];

    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static size_t
count_files(void)
{
    DIR *open = opendir(directory);
    size_t count = 0;

    for (struct dirent *entry; (entry = readdir(open)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(open);
    return count;
}

static struct program *
new_program(void)
{
    struct program *program = program_new();

    assert_non_null(program);
    return program;
}

static struct program *
make_program(size_t op_count)
{
    struct program *program = new_program();
    struct random random;

    random_seed(&random, op_count);
    for (size_t i = 0; i < op_count; i++) {
        struct op op = {.kind = i % 2 == 0 ? OP_MALLOC : OP_FREE,
            .slot = (uint32_t)random_below(&random, 60),
            .size = random_log_between(&random, 1, 100000)};
        assert_true(program_add(program, (unsigned)i % 3, &op));
    }
    return program;
}

static void
write_bytes(const char *path, const void *bytes, size_t size)
{
    if (!file_write(path, bytes, size, &error)) {
        fail_msg("%s", error.line);
    }
}

static void
assert_refused(const char *path, enum file_failure failure, const char *reason)
{
    struct program *program = new_program();
    char line[400];

    assert_false(file_load(program, path, &error));
    snprintf(line, sizeof(line), "%s%s", path, reason);
    assert_string_equal(error.line, line);
    assert_int_equal(error.failure, failure);
    program_delete(program);
}

static void
file_keeps_a_program_in_each_form(void **state)
{
    static const char *const names[] = {"a.heap", "a.heap.zst", "a.bytes"};
    struct program *program = make_program(900);
    struct program *again = new_program();

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(file_save(program, path_of(names[i]), &error));
        assert_true(file_load(again, path_of(names[i]), &error));
        assert_true(program_equal(program, again));
    }
    /* Saved again over itself; nothing temporary is left. */
    assert_true(file_save(again, path_of("a.heap"), &error));
    assert_int_equal(count_files(), 3);
    program_delete(program);
    program_delete(again);
}

/* The name says nothing: content does. */
static void
file_form_is_told_by_content(void **state)
{
    struct program *program = make_program(100);
    struct program *again = new_program();

    (void)state;
    assert_true(file_save(program, path_of("packed.zst"), &error));
    assert_int_equal(rename(path_of("packed.zst"), path_of("crash-1")), 0);
    assert_true(file_load(again, path_of("crash-1"), &error));
    assert_true(program_equal(program, again));
    program_delete(program);
    program_delete(again);
}

static void
file_takes_any_short_binary_for_the_byte_form(void **state)
{
    struct program *program = new_program();
    struct program *decoded = new_program();
    uint8_t bytes[100];

    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct random random;

        random_seed(&random, seed);
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (uint8_t)random_next(&random);
        }
        bytes[0] &= 7;
        write_bytes(path_of("random"), bytes, sizeof(bytes));
        assert_true(file_load(program, path_of("random"), &error));
        assert_true(bytes_decode(decoded, bytes, sizeof(bytes)));
        assert_true(program_equal(program, decoded));
    }
    program_delete(program);
    program_delete(decoded);
}

static void
file_refuses_what_is_no_program(void **state)
{
    static char zeroes[BYTES_SIZE_MAX + 1];
    const char *path = path_of("bad.heap");

    (void)state;
    assert_refused(directory, FILE_BAD_INPUT, ": is a directory");
    assert_refused(
        path_of("none"), FILE_NO_ACCESS, ": No such file or directory");
    write_bytes(path, "", 0);
    assert_refused(path, FILE_BAD_INPUT, ": is empty");
    write_bytes(path, "hello\n", 6);
    assert_refused(path, FILE_BAD_INPUT,
        ":1: not a heap program: the first line is not "
        "'malstrom heap program 1'");
    write_bytes(path, zeroes, sizeof(zeroes));
    assert_refused(path, FILE_BAD_INPUT,
        ": not a heap program: neither text nor zstd, and 24577 bytes are too "
        "many for the byte form (24576)");
}

static void
file_names_the_line_of_an_error(void **state)
{
    static const char text[] = "malstrom heap program 1\n"
                               "slots 64\n"
                               "thread 0\n"
                               "  malloc 0 1\n"
                               "  free 0\n"
                               "  malloc 1 1\n"
                               "  malloc 99 1\n"
                               "end\n";
    const char *path = path_of("bad.heap");

    (void)state;
    write_bytes(path, text, sizeof(text) - 1);
    assert_refused(path, FILE_BAD_INPUT, ":7: slot 99 out of range (0..63)");
}

static void
file_cut_anywhere_is_refused_when_packed(void **state)
{
    struct program *program = make_program(5000);
    struct buffer packed = {0};
    const char *whole = path_of("whole.zst");
    const char *path = path_of("cut.zst");

    (void)state;
    assert_true(file_save(program, whole, &error));
    assert_true(file_read(&packed, whole, &error));
    for (size_t cut = 4; cut < packed.size; cut += 1 + cut / 40) {
        write_bytes(path, packed.data, cut);
        assert_refused(path, FILE_BAD_INPUT, ": the zstd data is cut short");
    }
    write_bytes(path, packed.data, packed.size - 1);
    assert_refused(path, FILE_BAD_INPUT, ": the zstd data is cut short");
    buffer_fini(&packed);
    program_delete(program);
}

static void
file_damaged_when_packed_is_refused(void **state)
{
    struct program *program = make_program(500);
    struct buffer packed = {0};
    const char *path = path_of("damaged.zst");

    (void)state;
    assert_true(file_save(program, path, &error));
    assert_true(file_read(&packed, path, &error));
    for (size_t at = 6; at < packed.size; at += 37) {
        packed.data[at] ^= 0x10;
        write_bytes(path, packed.data, packed.size);
        assert_false(file_load(program, path, &error));
        assert_int_equal(error.failure, FILE_BAD_INPUT);
        packed.data[at] ^= 0x10;
    }
    buffer_fini(&packed);
    program_delete(program);
}

/* What a failed write leaves: the old file, and nothing else. */
static void
file_is_written_whole_or_not_at_all(void **state)
{
    struct program *program = make_program(10);
    char long_path[PATH_MAX];

    (void)state;
    write_bytes(path_of("file"), "old", 3);
    assert_false(file_save(program, path_of("file/below"), &error));
    assert_non_null(strstr(error.line, "Not a directory"));
    assert_false(file_save(program, path_of("none/below"), &error));
    assert_non_null(strstr(error.line, "No such file or directory"));
    assert_int_equal(error.failure, FILE_NO_ACCESS);
    assert_false(file_save(program, directory, &error));
    assert_non_null(strstr(error.line, "Is a directory"));
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    assert_false(file_save(program, long_path, &error));
    assert_non_null(strstr(error.line, ": File name too long"));
    assert_int_equal(count_files(), 1);
    program_delete(program);
}

/* A rename would replace a pipe or a device by a plain file. */
static void
file_writes_a_pipe_in_place(void **state)
{
    const char *path = path_of("pipe");
    struct stat stat_after;
    char bytes[8];

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDWR | O_NONBLOCK);
    assert_true(fd >= 0);
    write_bytes(path, "hello", 5);
    assert_int_equal(read(fd, bytes, sizeof(bytes)), 5);
    assert_int_equal(stat(path, &stat_after), 0);
    assert_true(S_ISFIFO(stat_after.st_mode));
    close(fd);
}

static void
file_says_why_the_byte_form_does_not_fit(void **state)
{
    struct program *program = make_program(2000);

    (void)state;
    assert_false(file_save(program, path_of("a.bytes"), &error));
    assert_non_null(strstr(
        error.line, "a.bytes: the byte form holds at most 1024 operations"));
    assert_int_equal(error.failure, FILE_BAD_INPUT);
    program_delete(program);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(file_keeps_a_program_in_each_form),
        TEST(file_form_is_told_by_content),
        TEST(file_takes_any_short_binary_for_the_byte_form),
        TEST(file_refuses_what_is_no_program),
        TEST(file_names_the_line_of_an_error),
        TEST(file_cut_anywhere_is_refused_when_packed),
        TEST(file_damaged_when_packed_is_refused),
        TEST(file_is_written_whole_or_not_at_all),
        TEST(file_writes_a_pipe_in_place),
        TEST(file_says_why_the_byte_form_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
