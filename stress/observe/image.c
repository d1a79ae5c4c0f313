/*
 * image.c - the target's static data (contract: image.h)
 *
 * Both sections are copied back whole. They are small (tens of KiB) because
 * allocators map what is large; noting which pages were written costs more than
 * it saves.
 */
#include "observe/image.h"

#include <string.h>
#include <sys/mman.h>

#include "observe/region.h"

/* The linker's names for the bounds; absent when there is no such section. */
extern char __start_observed_data[] __attribute__((weak));
extern char __stop_observed_data[] __attribute__((weak));
extern char __start_observed_bss[] __attribute__((weak));
extern char __stop_observed_bss[] __attribute__((weak));

static struct part {
    char *addr;
    size_t size;
    char *picture;
} parts[2];

const char *
image_init(void)
{
    parts[0].addr = __start_observed_data;
    parts[0].size = (size_t)(__stop_observed_data - __start_observed_data);
    parts[1].addr = __start_observed_bss;
    parts[1].size = (size_t)(__stop_observed_bss - __start_observed_bss);
    for (unsigned i = 0; i < 2; i++) {
        struct part *part = &parts[i];
        if (part->size == 0) {
            continue;
        }
        if ((uintptr_t)part->addr + part->size > REGION_BASE) {
            return "observed code must be linked with -no-pie";
        }
        part->picture = mmap(NULL, part->size, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (part->picture == MAP_FAILED) {
            return "out of memory";
        }
        memcpy(part->picture, part->addr, part->size);
        region_open(part->addr, part->size);
    }
    return NULL;
}

void
image_restore(void)
{
    for (unsigned i = 0; i < 2; i++) {
        if (parts[i].size > 0) {
            memcpy(parts[i].addr, parts[i].picture, parts[i].size);
        }
    }
}
