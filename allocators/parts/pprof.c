/*
 * pprof.c - a profile as a file that other tools read (contract: pprof.h)
 *
 * The fields of profile.proto are written as they are met; the format lets them
 * come in any order. A location's number is its address: the format lets any
 * number be one, and so no table is needed.
 */
#include "parts/pprof.h"

#include "base/maps.h"
#include "base/print.h"
#include "parts/proto.h"
#include "parts/sampler.h"

/* The numbers of profile.proto's fields. */
enum field {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE = 2,
    PROFILE_MAPPING = 3,
    PROFILE_LOCATION = 4,
    PROFILE_STRING = 6,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD = 12,
    PROFILE_DEFAULT_TYPE = 14,
    VALUE_TYPE_TYPE = 1,
    VALUE_TYPE_UNIT = 2,
    SAMPLE_LOCATION = 1,
    SAMPLE_VALUE = 2,
    MAPPING_ID = 1,
    MAPPING_BEGIN = 2,
    MAPPING_END = 3,
    MAPPING_OFFSET = 4,
    MAPPING_PATH = 5,
    LOCATION_ID = 1,
    LOCATION_MAPPING = 2,
    LOCATION_ADDR = 3
};

/* The strings of the file's table, by their index. */
enum string_index {
    STRING_NONE, /* "", as the format asks */
    STRING_ALLOC_OBJECTS,
    STRING_ALLOC_SPACE,
    STRING_INUSE_OBJECTS,
    STRING_INUSE_SPACE,
    STRING_COUNT,
    STRING_BYTES,
    STRING_SPACE,
    STRING_FIRST_PATH /* of the mappings, from here on */
};

static const char *const strings[STRING_FIRST_PATH] = {"", "alloc_objects",
    "alloc_space", "inuse_objects", "inuse_space", "count", "bytes", "space"};

/* A place in the call, from the address that it returns to. */
static uintptr_t
call_addr(uintptr_t return_addr)
{
    return return_addr - 1;
}

static uint64_t
rounded(uint64_t full_count)
{
    return (full_count + SAMPLER_UNIT / 2) / SAMPLER_UNIT;
}

static void
write_value_type(
    struct proto *file, unsigned field, uint64_t type, uint64_t unit)
{
    struct proto message;

    proto_init_message(&message);
    proto_number(&message, VALUE_TYPE_TYPE, type);
    proto_number(&message, VALUE_TYPE_UNIT, unit);
    proto_message(file, field, &message);
}

static void
write_types(struct proto *file, uint64_t mean)
{
    for (unsigned i = 0; i < STRING_FIRST_PATH; i++) {
        proto_text(file, PROFILE_STRING, strings[i]);
    }
    write_value_type(
        file, PROFILE_SAMPLE_TYPE, STRING_ALLOC_OBJECTS, STRING_COUNT);
    write_value_type(
        file, PROFILE_SAMPLE_TYPE, STRING_ALLOC_SPACE, STRING_BYTES);
    write_value_type(
        file, PROFILE_SAMPLE_TYPE, STRING_INUSE_OBJECTS, STRING_COUNT);
    write_value_type(
        file, PROFILE_SAMPLE_TYPE, STRING_INUSE_SPACE, STRING_BYTES);
    write_value_type(file, PROFILE_PERIOD_TYPE, STRING_SPACE, STRING_BYTES);
    proto_number(file, PROFILE_PERIOD, mean);
    proto_number(file, PROFILE_DEFAULT_TYPE, STRING_INUSE_SPACE);
}

/* A walk over the mappings; those with code are numbered from 1 on. */
struct walk {
    const struct profile *profile;
    struct proto *file;
    uint64_t id;
};

/* A mapping and its path; the codes in it learn its number. */
static void
write_mapping(const struct maps_entry *entry, void *arg)
{
    struct walk *walk = arg;
    struct profile_code *code;
    struct proto message;

    if (!entry->executable) {
        return;
    }
    walk->id++;
    proto_text(walk->file, PROFILE_STRING, entry->path);
    proto_init_message(&message);
    proto_number(&message, MAPPING_ID, walk->id);
    proto_number(&message, MAPPING_BEGIN, entry->begin);
    proto_number(&message, MAPPING_END, entry->end);
    proto_number(&message, MAPPING_OFFSET, entry->offset);
    proto_number(&message, MAPPING_PATH, STRING_FIRST_PATH + walk->id - 1);
    proto_message(walk->file, PROFILE_MAPPING, &message);
    PROFILE_EACH (code, walk->profile->codes) {
        uintptr_t addr = call_addr(code->addr);

        if (addr >= entry->begin && addr < entry->end) {
            code->mapping = walk->id;
        }
    }
}

static void
write_location(struct proto *file, const struct profile_code *code)
{
    struct proto message;

    proto_init_message(&message);
    proto_number(&message, LOCATION_ID, call_addr(code->addr));
    proto_number(&message, LOCATION_ADDR, call_addr(code->addr));
    if (code->mapping != 0) {
        proto_number(&message, LOCATION_MAPPING, code->mapping);
    }
    proto_message(file, PROFILE_LOCATION, &message);
}

static void
write_site(struct proto *file, const struct profile_site *site)
{
    struct proto message;

    proto_init_message(&message);
    for (size_t i = 0; i < site->depth; i++) {
        proto_number(&message, SAMPLE_LOCATION, call_addr(site->frames[i]));
    }
    proto_number(&message, SAMPLE_VALUE, rounded(site->all.full_count));
    proto_number(&message, SAMPLE_VALUE, site->all.full_size);
    proto_number(&message, SAMPLE_VALUE, rounded(site->live.full_count));
    proto_number(&message, SAMPLE_VALUE, site->live.full_size);
    proto_message(file, PROFILE_SAMPLE, &message);
}

bool
pprof_write_proto(const struct profile *profile, int fd)
{
    const struct profile_site *site;
    struct profile_code *code;
    struct gzip gzip;
    struct proto file;

    gzip_init(&gzip, fd);
    proto_init_file(&file, &gzip);
    write_types(&file, profile->mean);
    PROFILE_EACH (code, profile->codes) {
        code->mapping = 0;
    }
    struct walk walk = {profile, &file, 0};
    bool mapped = maps_each(write_mapping, &walk);
    PROFILE_EACH (code, profile->codes) {
        write_location(&file, code);
    }
    PROFILE_EACH (site, profile->sites) {
        write_site(&file, site);
    }
    return gzip_finish(&gzip) && mapped;
}

/* ---- text */

static void
print_sums(struct print *print, const struct profile_sums *live,
    const struct profile_sums *all)
{
    print_format(print, "  t*: %lu: %lu [%lu: %lu]\n",
        (unsigned long)live->count, (unsigned long)live->size,
        (unsigned long)all->count, (unsigned long)all->size);
}

bool
pprof_write_text(const struct profile *profile, int fd)
{
    const struct profile_site *site;
    struct print print;

    print_init(&print, fd);
    print_format(&print, "heap_v2/%lu\n", (unsigned long)profile->mean);
    print_sums(&print, &profile->live, &profile->all);
    PROFILE_EACH (site, profile->sites) {
        print_text(&print, "@");
        for (size_t i = 0; i < site->depth; i++) {
            print_format(&print, " %lx", (unsigned long)site->frames[i]);
        }
        print_text(&print, "\n");
        print_sums(&print, &site->live, &site->all);
    }
    print_text(&print, "\nMAPPED_LIBRARIES:\n");
    print_flush(&print);
    /* A file that could not be written before cannot be now either. */
    return maps_copy(fd);
}
