/*
 * fuzz_bytes.c - program/bytes: any bytes decode, and go round
 *
 * What is decoded is valid and fits the form; encoded and decoded again it is
 * the same program, and its encoding is the same bytes.
 */
#include "fuzz/read.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct program *program, *again;
    static uint8_t encoded[BYTES_SIZE_MAX], twice[BYTES_SIZE_MAX];
    const char *why;

    if (program == NULL) {
        program = program_new();
        again = program_new();
        CHECK(program != NULL && again != NULL);
    }
    CHECK(bytes_decode(program, data, size));
    program_check(program);
    CHECK(bytes_fit(program, &why));
    size_t encoded_size = bytes_encode(program, encoded, sizeof(encoded));
    CHECK(encoded_size <= sizeof(encoded));
    CHECK(bytes_decode(again, encoded, encoded_size));
    CHECK(program_equal(program, again));
    CHECK(bytes_encode(again, twice, sizeof(twice)) == encoded_size);
    CHECK(memcmp(encoded, twice, encoded_size) == 0);
    return 0;
}
