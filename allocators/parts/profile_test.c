/*
 * profile_test.c - sums by stack, and files that say the same
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

#include "base/pages.h"
#include "parts/pprof.h"
#include "parts/sampler.h"

#define MEAN 100000

static char first_meta[1 << 16];
static struct meta meta;
static struct profile profile;

static int
open_profile(void **state)
{
    (void)state;
    memset(first_meta, 0, sizeof first_meta);
    meta_init(&meta, first_meta, sizeof first_meta);
    return profile_init(&profile, &meta, MEAN) ? 0 : -1;
}

static int
close_profile(void **state)
{
    (void)state;
    meta_fini(&meta);
    return 0;
}

/* Frames with return addresses in this program's code. */
static void
make_frames(uintptr_t frames[3], unsigned which)
{
    for (unsigned i = 0; i < 3; i++) {
        frames[i] = (uintptr_t)make_frames + 1 + which * i;
    }
}

static struct profile_sample *
add(unsigned which, size_t depth, size_t size)
{
    uintptr_t frames[3];

    make_frames(frames, which);
    return profile_add(&profile, frames, depth, size);
}

static void
profile_keeps_sums_by_stack(void **state)
{
    struct profile_sample *samples[100];

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        samples[i] = add(i % 10, 1 + i % 3, 1000);
        assert_non_null(samples[i]);
        profile_check(&profile);
    }
    assert_int_equal(profile.all.count, 100);
    assert_int_equal(profile.site_count, 21); /* of depth 1: one */
    for (unsigned i = 0; i < 100; i += 2) {
        profile_remove(&profile, samples[i]);
        profile_check(&profile);
    }
    assert_int_equal(profile.live.count, 50);
    assert_int_equal(profile.live.size, 50000);
    assert_int_equal(profile.all.size, 100000);
    /* One in 1 / (1 - exp(-0.01)), 100.5. */
    assert_in_range(profile.all.full_size, 10040000, 10060000);
}

static void
profile_does_without_a_sample_when_memory_is_out(void **state)
{
    unsigned which = 0;

    (void)state;
    pages_fail_at(1, true);
    while (add(++which, 3, 1000) != NULL) {
    }
    profile_check(&profile);
    uint64_t count = profile.all.count;
    assert_null(add(which + 1, 3, 1000));
    assert_int_equal(profile.all.count, count);
    pages_fail_at(0, false);
    assert_non_null(add(which, 3, 1000));
    profile_check(&profile);
}

/* ---- reading profile.proto */

static uint8_t file[1 << 18];

struct reader {
    const uint8_t *next, *end;
};

static uint64_t
read_varint(struct reader *reader)
{
    uint64_t value = 0;
    unsigned shift = 0;

    do {
        assert_true(reader->next < reader->end);
        value |= (uint64_t)(*reader->next & 0x7f) << shift;
        shift += 7;
    } while ((*reader->next++ & 0x80) != 0);
    return value;
}

/* The next field's number; its value, or what it holds. */
static unsigned
read_field(struct reader *reader, uint64_t *value, struct reader *inside)
{
    uint64_t key = read_varint(reader);

    *value = read_varint(reader);
    if ((key & 7) == 2) {
        *inside = (struct reader){reader->next, reader->next + *value};
        reader->next += *value;
        assert_true(reader->next <= reader->end);
    } else {
        assert_int_equal(key & 7, 0);
    }
    return (unsigned)(key >> 3);
}

/* The file's bytes, its frames taken off (output_test checks them). */
static struct reader
read_file(int fd)
{
    ssize_t file_size = pread(fd, file, sizeof file, 0);
    uint8_t *to = file;

    assert_true(file_size > 18 && (size_t)file_size < sizeof file);
    for (const uint8_t *next = file + 10; next < file + file_size - 8;) {
        size_t size = next[1] | (size_t)next[2] << 8;

        memmove(to, next + 5, size);
        to += size;
        next += 5 + size;
    }
    return (struct reader){file, to};
}

/* What a file's fields come to. */
struct tally {
    uint64_t values[4];
    unsigned samples, locations, mappings, strings, types;
    uint64_t location_ids[64];
};

static void
tally_sample(struct tally *tally, struct reader sample)
{
    unsigned index = 0;
    struct reader inside;
    uint64_t value;

    tally->samples++;
    while (sample.next < sample.end) {
        if (read_field(&sample, &value, &inside) == 2) {
            assert_true(index < 4);
            tally->values[index++] += value;
        } else {
            unsigned i = 0;
            while (i < tally->locations && tally->location_ids[i] != value) {
                i++;
            }
            assert_true(i < tally->locations);
        }
    }
    assert_int_equal(index, 4);
}

static void
tally_location(struct tally *tally, struct reader location)
{
    uint64_t numbers[4] = {0};
    struct reader inside;
    uint64_t value;

    while (location.next < location.end) {
        unsigned field = read_field(&location, &value, &inside);
        assert_in_range(field, 1, 3);
        numbers[field] = value;
    }
    assert_int_equal(numbers[1], numbers[3]);
    assert_in_range(numbers[2], 1, tally->mappings);
    for (unsigned i = 0; i < tally->locations; i++) {
        assert_int_not_equal(tally->location_ids[i], numbers[1]);
    }
    tally->location_ids[tally->locations++] = numbers[1];
}

static struct tally
tally_file(int fd)
{
    struct reader reader = read_file(fd);
    struct tally tally = {0};
    struct reader inside;
    uint64_t value;

    while (reader.next < reader.end) {
        switch (read_field(&reader, &value, &inside)) {
        case 1:
            tally.types++;
            break;
        case 2:
            tally_sample(&tally, inside);
            break;
        case 3:
            tally.mappings++;
            break;
        case 4:
            tally_location(&tally, inside);
            break;
        case 6:
            tally.strings++;
            break;
        case 12:
            assert_int_equal(value, MEAN);
            break;
        }
    }
    return tally;
}

static void
profile_proto_says_what_the_profile_says(void **state)
{
    int fd = memfd_create("profile_test", 0);

    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        struct profile_sample *sample = add(i % 10, 1 + i % 3, 500 + i);
        if (i % 4 == 0) {
            profile_remove(&profile, sample);
        }
    }
    assert_true(pprof_write_proto(&profile, fd));
    struct tally tally = tally_file(fd);
    assert_int_equal(tally.types, 4);
    assert_int_equal(tally.samples, profile.site_count);
    assert_true(tally.mappings > 2);
    assert_int_equal(tally.strings, 8 + tally.mappings);
    assert_int_equal(tally.values[1], profile.all.full_size);
    assert_int_equal(tally.values[3], profile.live.full_size);
    /* Rounded, a site at a time. */
    assert_in_range(tally.values[0] + profile.site_count,
        profile.all.full_count / SAMPLER_UNIT,
        profile.all.full_count / SAMPLER_UNIT + 2 * profile.site_count);
    close(fd);
}

static void
profile_text_says_what_the_profile_says(void **state)
{
    uint64_t sums[4] = {0}, total[4] = {0}, next[4];
    int fd = memfd_create("profile_test", 0);
    unsigned stacks = 0;

    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        struct profile_sample *sample = add(i % 10, 1 + i % 3, 500 + i);
        if (i % 4 == 0) {
            profile_remove(&profile, sample);
        }
    }
    assert_true(pprof_write_text(&profile, fd));
    FILE *text = fdopen(fd, "r");
    char line[4096];
    rewind(text);
    assert_non_null(fgets(line, sizeof line, text));
    assert_string_equal(line, "heap_v2/100000\n");
    while (fgets(line, sizeof line, text) != NULL && line[0] != '\n') {
        if (line[0] == '@') {
            stacks++;
        } else {
            assert_int_equal(sscanf(line, "  t*: %lu: %lu [%lu: %lu]", &next[0],
                                 &next[1], &next[2], &next[3]),
                4);
            for (unsigned i = 0; i < 4; i++) {
                *(stacks == 0 ? &total[i] : &sums[i]) += next[i];
            }
        }
    }
    assert_int_equal(stacks, profile.site_count);
    assert_memory_equal(sums, total, sizeof sums);
    assert_int_equal(total[0], 45);
    assert_int_equal(total[2], 60);
    assert_non_null(fgets(line, sizeof line, text));
    assert_string_equal(line, "MAPPED_LIBRARIES:\n");
    fclose(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            profile_keeps_sums_by_stack, open_profile, close_profile),
        cmocka_unit_test_setup_teardown(
            profile_does_without_a_sample_when_memory_is_out, open_profile,
            close_profile),
        cmocka_unit_test_setup_teardown(
            profile_proto_says_what_the_profile_says, open_profile,
            close_profile),
        cmocka_unit_test_setup_teardown(profile_text_says_what_the_profile_says,
            open_profile, close_profile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
