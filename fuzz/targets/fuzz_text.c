/*
 * fuzz_text.c - program/text: every text is read or refused, and goes round
 *
 * A refusal names a line within the text and gives a printable reason. What is
 * read is valid; written and read again it is the same program, and its text
 * the same.
 */
#include "fuzz/read.h"

static size_t
count_lines(const uint8_t *data, size_t size)
{
    size_t count = 1;

    for (size_t i = 0; i < size; i++) {
        count += data[i] == '\n';
    }
    return count;
}

static void
check_error(const struct text_error *error, const uint8_t *data, size_t size)
{
    CHECK(error->line >= 1 && error->line <= count_lines(data, size));
    CHECK(error->reason[0] != '\0');
    for (const char *c = error->reason; *c != '\0'; c++) {
        CHECK(*c >= ' ' && *c < 127);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct program *program, *again;
    struct text_error error;
    struct buffer text = {0}, twice = {0};

    if (program == NULL) {
        program = program_new();
        again = program_new();
        CHECK(program != NULL && again != NULL);
    }
    bool is_good = text_read(program, (const char *)data, size, &error);
    program_check(program);
    if (!is_good) {
        check_error(&error, data, size);
        return 0;
    }
    CHECK(text_write(program, &text));
    CHECK(text_is(text.data, text.size));
    CHECK(text_read(again, text.data, text.size, &error));
    CHECK(program_equal(program, again));
    CHECK(text_write(again, &twice));
    CHECK(text.size == twice.size);
    CHECK(memcmp(text.data, twice.data, text.size) == 0);
    buffer_fini(&text);
    buffer_fini(&twice);
    return 0;
}
