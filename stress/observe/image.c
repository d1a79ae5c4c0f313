/*
 * image.c - the target's static data (contract: image.h)
 *
 * Both sections are put back as a whole. Where many pages of .bss together were
 * zero in the picture, those that a run touched are zeroed (region.h); all else
 * is copied.
 */
#include "observe/image.h"

#include <string.h>
#include <sys/mman.h>

#include "observe/region.h"
#include "observe/tls.h"

/* The linker's names for the bounds; absent when there is no such section. */
extern char __start_observed_data[] __attribute__((weak));
extern char __stop_observed_data[] __attribute__((weak));
extern char __start_observed_bss[] __attribute__((weak));
extern char __stop_observed_bss[] __attribute__((weak));

#define PARTS_MAX     64
#define ZERO_SIZE_MIN (16 * REGION_PAGE)

static struct part {
    char *addr;
    size_t size;
    const char *picture; /* NULL: zeroes, whole pages of them */
} parts[PARTS_MAX];
static unsigned part_count;

/* How far from addr on memory is zero, in whole pages. */
static size_t
zero_size(const char *addr, const char *end)
{
    const char *at = addr;
    while ((size_t)(end - at) >= REGION_PAGE) {
        for (size_t i = 0; i < REGION_PAGE; i++) {
            if (at[i] != 0) {
                return (size_t)(at - addr);
            }
        }
        at += REGION_PAGE;
    }
    return (size_t)(at - addr);
}

static void
add_part(char *addr, char *end, const char *picture)
{
    if (addr < end) {
        parts[part_count++] =
            (struct part){addr, (size_t)(end - addr), picture};
    }
}

/* Cuts a section into parts to copy and parts to zero. */
static bool
take_picture(char *addr, char *end, bool is_bss)
{
    size_t size = (size_t)(end - addr);
    char *picture = mmap(
        NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (picture == MAP_FAILED) {
        return false;
    }
    memcpy(picture, addr, size);
    char *first = addr;
    char *at = (char *)(((uintptr_t)addr | (REGION_PAGE - 1)) + 1);
    while (is_bss && at < end && part_count < PARTS_MAX - 2) {
        size_t zeroes = zero_size(at, end);
        if (zeroes >= ZERO_SIZE_MIN) {
            add_part(first, at, picture + (first - addr));
            add_part(at, at + zeroes, NULL);
            first = at + zeroes;
        }
        at += zeroes + REGION_PAGE;
    }
    add_part(first, end, picture + (first - addr));
    region_open(addr, size);
    return true;
}

const char *
image_init(void)
{
    tls_keep();
    char *const bounds[2][2] = {{__start_observed_data, __stop_observed_data},
        {__start_observed_bss, __stop_observed_bss}};
    for (unsigned i = 0; i < 2; i++) {
        char *end = bounds[i][1];
        if (bounds[i][0] == end) {
            continue;
        }
        if ((uintptr_t)end > REGION_BASE) {
            return "observed code must be linked with -no-pie";
        }
        if (!take_picture(bounds[i][0], end, i == 1)) {
            return "out of memory";
        }
    }
    return NULL;
}

void
image_restore(void)
{
    tls_rewind();
    for (unsigned i = 0; i < part_count; i++) {
        const struct part *part = &parts[i];
        if (part->picture != NULL) {
            memcpy(part->addr, part->picture, part->size);
        } else {
            region_refresh((uintptr_t)part->addr, part->size);
        }
    }
}
