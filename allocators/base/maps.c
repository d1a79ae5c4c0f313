/*
 * maps.c - what is mapped where in this process (contract: maps.h)
 *
 *     55d0-55d8 r-xp 00002000 fd:01 1234     /usr/bin/program
 *     begin-end      offset   device inode   path
 *
 * A line that is longer than the buffer, so a path of nearly PATH_MAX, is shown
 * cut short.
 */
#include "base/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/output.h"

#define LINE_MAX_SIZE 4096

/* The file's bytes, a line at a time. */
struct reader {
    int fd;
    size_t size; /* in the buffer */
    bool cut;    /* the rest of the last line is still to be skipped */
    char buffer[LINE_MAX_SIZE];
};

static int
open_maps(void)
{
    return open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
}

static ssize_t
read_some(int fd, char *to, size_t size)
{
    ssize_t count;

    do {
        count = read(fd, to, size);
    } while (count < 0 && errno == EINTR);
    return count;
}

static uint64_t
parse_hex(const char **chars)
{
    uint64_t value = 0;

    for (;; (*chars)++) {
        char c = **chars;

        if (c >= '0' && c <= '9') {
            value = value << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return value;
        }
    }
}

/* Past the next blanks. */
static const char *
next_word(const char *chars)
{
    chars += strcspn(chars, " ");
    return chars + strspn(chars, " ");
}

static void
show_line(const char *line, maps_fn *visit, void *arg)
{
    struct maps_entry entry;

    entry.begin = parse_hex(&line);
    line += *line == '-';
    entry.end = parse_hex(&line);
    line = next_word(line);
    entry.executable = strlen(line) > 2 && line[2] == 'x';
    line = next_word(line);
    entry.offset = parse_hex(&line);
    entry.path = next_word(next_word(next_word(line)));
    visit(&entry, arg);
}

/* Shows the whole lines in the buffer and keeps the rest. */
static void
show_lines(struct reader *reader, maps_fn *visit, void *arg)
{
    char *next = reader->buffer;
    char *buffer_end = reader->buffer + reader->size;
    char *end;

    while ((end = memchr(next, '\n', (size_t)(buffer_end - next))) != NULL) {
        *end = '\0';
        if (!reader->cut) {
            show_line(next, visit, arg);
        }
        reader->cut = false;
        next = end + 1;
    }
    reader->size = (size_t)(buffer_end - next);
    memmove(reader->buffer, next, reader->size);
    if (reader->size == sizeof reader->buffer - 1) {
        reader->buffer[reader->size] = '\0';
        if (!reader->cut) {
            show_line(reader->buffer, visit, arg);
        }
        reader->cut = true;
        reader->size = 0;
    }
}

bool
maps_each(maps_fn *visit, void *arg)
{
    int saved_errno = errno;
    struct reader reader = {.fd = open_maps()};
    ssize_t count = -1;

    if (reader.fd >= 0) {
        while ((count = read_some(reader.fd, reader.buffer + reader.size,
                    sizeof reader.buffer - 1 - reader.size)) > 0) {
            reader.size += (size_t)count;
            show_lines(&reader, visit, arg);
        }
        close(reader.fd);
    }
    errno = saved_errno;
    return count == 0;
}

bool
maps_copy(int fd)
{
    int saved_errno = errno;
    char buffer[LINE_MAX_SIZE];
    int from = open_maps();
    ssize_t count = -1;

    if (from >= 0) {
        while ((count = read_some(from, buffer, sizeof buffer)) > 0 &&
               output_write(fd, buffer, (size_t)count)) {
        }
        close(from);
    }
    errno = saved_errno;
    return count == 0;
}
