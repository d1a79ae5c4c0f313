/*
 * read.h - a fuzz input as a heap program
 *
 *     text or bytes --> read_program --> struct program
 *
 * The text form is taken where its first line is there, so that a corpus can be
 * read by people; everything else is the byte form.
 *
 * Concurrency: one thread. Failure: false for a text that is wrong.
 */
#pragma once

#include <string.h>

#include "base/check.h"
#include "program/bytes.h"
#include "program/text.h"

static inline bool
read_program(struct program *program, const uint8_t *data, size_t size)
{
    struct text_error error;

    if (text_is((const char *)data, size)) {
        return text_read(program, (const char *)data, size, &error);
    }
    CHECK(bytes_decode(program, data, size));
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
