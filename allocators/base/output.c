/*
 * output.c - files that an allocator writes, without malloc or stdio (contract:
 * output.h)
 *
 *     | header | frame: last?, size, ~size, bytes | frame ... | crc | size |
 */
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CRC_POLYNOMIAL 0xedb88320u /* RFC 1952, section 8, reflected */
#define NUMBER_CHARS   21

/* ---- files */

int
output_create(const char *path)
{
    int saved_errno = errno;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    errno = saved_errno;
    return fd;
}

bool
output_write(int fd, const void *bytes, size_t size)
{
    int saved_errno = errno;
    const char *next = bytes;

    while (size > 0) {
        ssize_t count = write(fd, next, size);

        if (count > 0) {
            next += count;
            size -= (size_t)count;
        } else if (count == 0 || errno != EINTR) {
            break;
        }
    }
    errno = saved_errno;
    return size == 0;
}

bool
output_close(int fd)
{
    int saved_errno = errno;
    int status = close(fd);

    errno = saved_errno;
    return status == 0;
}

/* ---- names */

/* What is appended to, and false once it has been too much. */
struct name {
    char *chars;
    size_t size;
    bool fits;
};

static void
append(struct name *name, const char *chars, size_t size)
{
    name->fits = name->fits && size < OUTPUT_PATH_MAX - name->size;
    if (name->fits) {
        memcpy(name->chars + name->size, chars, size);
        name->size += size;
        name->chars[name->size] = '\0';
    }
}

static void
append_number(struct name *name, uint64_t number)
{
    char digits[NUMBER_CHARS];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    append(name, ".", 1);
    append(name, digits + at, sizeof digits - at);
}

bool
output_name(char path[OUTPUT_PATH_MAX], const char *prefix, size_t prefix_size,
    uint64_t number, const char *suffix)
{
    struct name name = {path, 0, true};

    append(&name, prefix, prefix_size);
    append_number(&name, (uint64_t)getpid());
    append_number(&name, number);
    append(&name, suffix, strlen(suffix));
    return name.fits;
}

/* ---- gzip */

static void
put_bytes(uint8_t *to, uint32_t value, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

void
gzip_init(struct gzip *gzip, int fd)
{
    /* Magic, "deflate", no flags, no time, nothing extra, Unix. */
    static const uint8_t header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};

    gzip->fd = fd;
    gzip->crc = UINT32_MAX;
    gzip->size = 0;
    gzip->used_size = 0;
    gzip->failed = !output_write(fd, header, sizeof header);
}

/* Four bits at a time, by a table that fits in a cache line. */
static uint32_t
add_to_crc(uint32_t crc, const uint8_t *bytes, size_t size)
{
    uint32_t table[16];

    for (uint32_t i = 0; i < 16; i++) {
        table[i] = i;
        for (int bit = 0; bit < 4; bit++) {
            table[i] = table[i] >> 1 ^ ((table[i] & 1) * CRC_POLYNOMIAL);
        }
    }
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

static void
write_frame(struct gzip *gzip, bool last)
{
    uint32_t size = gzip->used_size;
    uint8_t head[5] = {last};

    put_bytes(head + 1, size, 2);
    put_bytes(head + 3, ~size, 2);
    gzip->failed |= !output_write(gzip->fd, head, sizeof head) ||
                    !output_write(gzip->fd, gzip->buffer, size);
    gzip->crc = add_to_crc(gzip->crc, gzip->buffer, size);
    gzip->size += size;
    gzip->used_size = 0;
}

void
gzip_write(struct gzip *gzip, const void *bytes, size_t size)
{
    const char *next = bytes;

    while (size > 0) {
        size_t room = sizeof gzip->buffer - gzip->used_size;
        size_t count = size < room ? size : room;

        memcpy(gzip->buffer + gzip->used_size, next, count);
        gzip->used_size += (uint32_t)count;
        next += count;
        size -= count;
        if (gzip->used_size == sizeof gzip->buffer) {
            write_frame(gzip, false);
        }
    }
}

bool
gzip_finish(struct gzip *gzip)
{
    uint8_t tail[8];

    write_frame(gzip, true);
    put_bytes(tail, ~gzip->crc, 4);
    put_bytes(tail + 4, gzip->size, 4);
    gzip->failed |= !output_write(gzip->fd, tail, sizeof tail);
    return !gzip->failed;
}
