/*
 * memory.c - whether the machine has memory to give (contract: memory.h)
 *
 * A process that holds much may meet limits that cannot be seen from here, the
 * count of mappings among them. So plenty also means that it holds little.
 */
#include "oracle/memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LIVE_MAX      ((size_t)256 << 20)
#define AVAILABLE_MIN ((size_t)1 << 30)

/* The number after `key` in a small file; false when there is none. */
static bool
read_number(const char *path, const char *key, unsigned long *number)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    text[size > 0 ? size : 0] = '\0';
    const char *found = strstr(text, key);
    if (size <= 0 || found == NULL) {
        return false;
    }
    *number = strtoul(found + strlen(key), NULL, 10);
    return true;
}

static bool
is_unlimited(int resource)
{
    struct rlimit limit;
    return getrlimit((__rlimit_resource_t)resource, &limit) == 0 &&
           limit.rlim_cur == RLIM_INFINITY;
}

bool
memory_is_plenty(size_t live_size)
{
    unsigned long overcommit, available_kib;
    return live_size < LIVE_MAX && is_unlimited(RLIMIT_AS) &&
           is_unlimited(RLIMIT_DATA) &&
           read_number("/proc/sys/vm/overcommit_memory", "", &overcommit) &&
           overcommit != 2 &&
           read_number("/proc/meminfo", "MemAvailable:", &available_kib) &&
           available_kib > AVAILABLE_MIN / 1024;
}
