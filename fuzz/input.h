/*
 * input.h - decisions drawn from a fuzz input, byte by byte
 *
 *     libFuzzer's bytes --> struct input --> a target's choices
 *
 * Past the end every draw is 0, so each byte string is a valid input and the
 * targets need no length checks: they go on while input_more().
 *
 * Concurrency: one thread. Failure: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
    const uint8_t *bytes;
    size_t size; /* left */
};

static inline bool
input_more(const struct input *input)
{
    return input->size > 0;
}

static inline uint8_t
input_byte(struct input *input)
{
    if (input->size == 0) {
        return 0;
    }
    input->size--;
    return *input->bytes++;
}

/* 0 .. bound-1 from one byte; bound is 1 .. 256. */
static inline unsigned
input_below(struct input *input, unsigned bound)
{
    return input_byte(input) % bound;
}

static inline uint64_t
input_word(struct input *input)
{
    uint64_t word = 0;

    for (int i = 0; i < 8; i++) {
        word = word << 8 | input_byte(input);
    }
    return word;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
