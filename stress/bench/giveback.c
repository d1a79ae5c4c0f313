/*
 * giveback.c - what a malloc keeps of a heap that has mostly been freed
 *
 *     LD_PRELOAD=LIBRARY giveback [MIB [PERCENT [SECONDS]]]
 *
 * Fills MIB (1024) with blocks of 16 to 1024 bytes, frees PERCENT (90) of them
 * chosen at random, then lets SECONDS (10.5) pass in which a thousand blocks
 * come and go each hundredth of a second: the light use by which an allocator
 * without a thread of its own learns that time passes. What is resident at the
 * end is what the blocks left cost, and what was not given back.
 *
 * The seconds are virtual: clock_gettime is this program's own, which a malloc
 * that is loaded beside it calls too, and each hundredth is skipped. What asks
 * the kernel directly does not see them.
 *
 * Nothing here knows of malstrom. It prints what is resident at the end, and the
 * peak.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SIZE_LEAST  16u
#define SIZE_MOST   1024u
#define ROUND_NS    10000000L
#define ROUND_COUNT 1000
#define SECOND_NS   1000000000L

static long skipped_ns;

__attribute__((visibility("default"))) int
clock_gettime(clockid_t clock, struct timespec *time)
{
    if (syscall(SYS_clock_gettime, clock, time) != 0) {
        return -1;
    }
    long ns = time->tv_nsec + skipped_ns % SECOND_NS;
    time->tv_sec += skipped_ns / SECOND_NS + ns / SECOND_NS;
    time->tv_nsec = ns % SECOND_NS;
    return 0;
}

static uint64_t
next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static size_t
next_size(uint64_t *seed)
{
    return SIZE_LEAST + next(seed) % (SIZE_MOST - SIZE_LEAST + 1);
}

/* A number of KiB out of /proc/self/status. */
static long
status_kib(const char *name)
{
    char line[128];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kib = strtol(line + strlen(name) + 1, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib;
}

/* Fills the table with that many bytes in blocks; returns how many blocks. */
static size_t
fill(char **blocks, size_t bytes, uint64_t *seed)
{
    size_t count = 0;
    while (bytes > SIZE_MOST) {
        size_t size = next_size(seed);
        blocks[count] = malloc(size);
        if (blocks[count] == NULL) {
            fprintf(stderr, "giveback: out of memory\n");
            exit(1);
        }
        memset(blocks[count++], 1, size);
        bytes -= size;
    }
    return count;
}

static void
use_lightly(double seconds, uint64_t *seed)
{
    static void *recent[ROUND_COUNT];
    for (double passed = 0; passed < seconds; passed += 0.01) {
        for (int i = 0; i < ROUND_COUNT; i++) {
            recent[i] = malloc(next_size(seed));
        }
        for (int i = 0; i < ROUND_COUNT; i++) {
            free(recent[i]);
        }
        skipped_ns += ROUND_NS;
    }
}

int
main(int argc, char **argv)
{
    size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1024) << 20;
    unsigned long percent = argc > 2 ? strtoul(argv[2], NULL, 10) : 90;
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 10.5;
    uint64_t seed = 88172645463325252u;
    /* Most that there can be; not of the heap. */
    size_t table_size = bytes / SIZE_LEAST * sizeof(char *);
    char **blocks = mmap(NULL, table_size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (blocks == MAP_FAILED) {
        fprintf(stderr, "giveback: no table: %s\n", strerror(errno));
        return 1;
    }
    size_t count = fill(blocks, bytes, &seed);
    for (size_t i = 0; i < count; i++) {
        if (next(&seed) % 100 < percent) {
            free(blocks[i]);
        }
    }
    use_lightly(seconds, &seed);
    munmap(blocks, table_size);
    printf("resident %ld KiB\n", status_kib("VmRSS:"));
    printf("peak %ld KiB\n", status_kib("VmHWM:"));
    return 0;
}
