/*
 * mutator.c - libFuzzer's hooks, over program/mutate
 *
 * Most changes are made to the decoded program. One in eight is libFuzzer's own
 * on the bytes: it has dictionaries and knows what the code compares with.
 */
#include "fuzz/read.h"
#include "program/mutate.h"

#define BYTES_ONE_IN 8

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);
size_t LLVMFuzzerCustomMutator(
    uint8_t *data, size_t size, size_t size_max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1,
    const uint8_t *data2, size_t size2, uint8_t *out, size_t out_max,
    unsigned seed);

/* Made at the first use and kept. */
static struct program *
scratch(int which)
{
    static struct program *programs[3];

    if (programs[which] == NULL) {
        programs[which] = program_new();
        CHECK(programs[which] != NULL);
    }
    return programs[which];
}

/* A program that the byte form can hold; a larger one is cut. */
static struct program *
read_to(int which, const uint8_t *data, size_t size)
{
    struct program *program = scratch(which);
    const char *why;

    if (!read_program(program, data, size) || !bytes_fit(program, &why)) {
        program_clear(program);
    }
    return program;
}

/* Writes the program, without some operations if they are too many. */
static size_t
write_program(struct program *program, struct random *random, uint8_t *data,
    size_t size_max)
{
    size_t size;

    while ((size = bytes_encode(program, data, size_max)) > size_max) {
        size_t op_count = program_op_count(program);

        if (op_count == 0) {
            return 0; /* The schedule alone is too large. */
        }
        mutate_shrink(program, random, op_count * 3 / 4);
    }
    return size;
}

size_t
LLVMFuzzerCustomMutator(
    uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    struct random random;

    random_seed(&random, seed);
    if (random_one_in(&random, BYTES_ONE_IN) &&
        !text_is((const char *)data, size)) {
        return LLVMFuzzerMutate(data, size, size_max);
    }
    struct program *program = read_to(0, data, size);
    mutate_program(program, &random);
    return write_program(program, &random, data, size_max);
}

size_t
LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1,
    const uint8_t *data2, size_t size2, uint8_t *out, size_t out_max,
    unsigned seed)
{
    struct random random;
    struct program *child = scratch(2);

    random_seed(&random, seed);
    mutate_cross(
        child, read_to(0, data1, size1), read_to(1, data2, size2), &random);
    return write_program(child, &random, out, out_max);
}
