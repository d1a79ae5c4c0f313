/*
 * file.c - heap programs in files (contract: file.h)
 *
 * The temporary name ends in the process and a count, and is created with
 * O_EXCL, so that two writers of one path never share it; the last rename wins.
 * What exists and is no regular file (/dev/stdout, a pipe) is written in place,
 * since a rename would replace it.
 */
#include "program/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "program/bytes.h"
#include "program/text.h"

#define READ_SIZE  ((size_t)64 << 10)
#define ZSTD_LEVEL 15 /* a trace of 100,000 lines takes half a second */

static const unsigned char zstd_magic[4] = {0x28, 0xb5, 0x2f, 0xfd};

static bool fail(struct file_error *error, enum file_failure failure,
    const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool
fail(struct file_error *error, enum file_failure failure, const char *path,
    const char *format, ...)
{
    size_t room = sizeof(error->line) - 160; /* leaves some for the reason */
    int length = snprintf(error->line, room, "%s: ", path);
    size_t used = (size_t)length < room ? (size_t)length : room - 1;
    va_list args;

    va_start(args, format);
    vsnprintf(error->line + used, sizeof(error->line) - used, format, args);
    va_end(args);
    error->failure = failure;
    return false;
}

static bool
fail_errno(struct file_error *error, const char *path)
{
    return fail(error, FILE_NO_ACCESS, path, "%s", strerror(errno));
}

/* The line is part of the place. */
static bool
fail_text(
    struct file_error *error, const char *path, const struct text_error *reason)
{
    char place[PATH_MAX + 24];

    snprintf(place, sizeof(place), "%s:%zu", path, reason->line);
    return fail(error, FILE_BAD_INPUT, place, "%s", reason->reason);
}

static bool
fail_memory(struct file_error *error, const char *path)
{
    return fail(error, FILE_NO_ACCESS, path, "out of memory");
}

/* Reads to the end of the file. */
static bool
read_all(
    int fd, struct buffer *buffer, const char *path, struct file_error *error)
{
    size_t limit = buffer->size + FILE_SIZE_MAX;

    for (;;) {
        if (buffer->size > limit) {
            return fail(error, FILE_BAD_INPUT, path, "larger than 1 GiB");
        }
        if (!buffer_reserve(buffer, READ_SIZE)) {
            return fail_memory(error, path);
        }
        ssize_t count = read(
            fd, buffer->data + buffer->size, buffer->capacity - buffer->size);
        if (count == 0) {
            return true;
        } else if (count > 0) {
            buffer->size += (size_t)count;
        } else if (errno != EINTR) {
            return fail_errno(error, path);
        }
    }
}

bool
file_read(struct buffer *buffer, const char *path, struct file_error *error)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return fail_errno(error, path);
    }
    bool done;
    if (fstat(fd, &stat) != 0) {
        done = fail_errno(error, path);
    } else if (S_ISDIR(stat.st_mode)) {
        done = fail(error, FILE_BAD_INPUT, path, "is a directory");
    } else {
        done = read_all(fd, buffer, path, error);
    }
    close(fd);
    return done;
}

/* Unpacks a whole zstd file, of one frame or several. */
static bool
unpack(struct buffer *out, ZSTD_DStream *stream, ZSTD_inBuffer *in,
    const char *path, struct file_error *error)
{
    size_t hint = 1; /* 0 at the end of a frame */

    while (in->pos < in->size || hint != 0) {
        if (out->size > FILE_SIZE_MAX) {
            return fail(
                error, FILE_BAD_INPUT, path, "unpacks to more than 1 GiB");
        }
        if (!buffer_reserve(out, ZSTD_DStreamOutSize())) {
            return fail_memory(error, path);
        }
        ZSTD_outBuffer piece = {out->data, out->capacity, out->size};
        size_t before = in->pos;
        hint = ZSTD_decompressStream(stream, &piece, in);
        if (ZSTD_isError(hint)) {
            return fail(error, FILE_BAD_INPUT, path, "damaged zstd data: %s",
                ZSTD_getErrorName(hint));
        }
        if (hint != 0 && in->pos == before && piece.pos == out->size) {
            return fail(
                error, FILE_BAD_INPUT, path, "the zstd data is cut short");
        }
        out->size = piece.pos;
    }
    return true;
}

static bool
parse_packed(struct program *program, const char *bytes, size_t size,
    const char *path, struct file_error *error)
{
    struct buffer text = {0};
    ZSTD_inBuffer in = {bytes, size, 0};
    ZSTD_DStream *stream = ZSTD_createDStream();
    struct text_error reason;

    if (stream == NULL) {
        return fail_memory(error, path);
    }
    bool done = unpack(&text, stream, &in, path, error);
    ZSTD_freeDStream(stream);
    if (done && !text_read(program, text.data, text.size, &reason)) {
        done = fail_text(error, path, &reason);
    }
    buffer_fini(&text);
    return done;
}

/* No control character but those of text files. The first byte that
 * bytes_encode writes is one, so that it never looks like text. */
static bool
looks_like_text(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)bytes[i];
        bool is_space = c >= '\t' && c <= '\r';

        if ((c < ' ' && !is_space) || c == 127) {
            return false;
        }
    }
    return true;
}

bool
file_parse(struct program *program, const char *bytes, size_t size,
    const char *path, struct file_error *error)
{
    struct text_error reason;

    if (size == 0) {
        return fail(error, FILE_BAD_INPUT, path, "is empty");
    }
    if (size >= sizeof(zstd_magic) &&
        memcmp(bytes, zstd_magic, sizeof(zstd_magic)) == 0) {
        return parse_packed(program, bytes, size, path, error);
    }
    if (text_is(bytes, size) || looks_like_text(bytes, size)) {
        return text_read(program, bytes, size, &reason) ||
               fail_text(error, path, &reason);
    }
    if (size > BYTES_SIZE_MAX) {
        return fail(error, FILE_BAD_INPUT, path,
            "not a heap program: neither text nor zstd, and %zu bytes are too "
            "many for the byte form (%d)",
            size, BYTES_SIZE_MAX);
    }
    return bytes_decode(program, (const uint8_t *)bytes, size) ||
           fail_memory(error, path);
}

bool
file_load(struct program *program, const char *path, struct file_error *error)
{
    struct buffer buffer = {0};
    bool done = file_read(&buffer, path, error) &&
                file_parse(program, buffer.data, buffer.size, path, error);

    buffer_fini(&buffer);
    return done;
}

static bool
write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, bytes, size);

        if (count < 0 && errno != EINTR) {
            return false;
        }
        if (count > 0) {
            bytes += count;
            size -= (size_t)count;
        }
    }
    return true;
}

/* Opens, writes and closes; false leaves errno. */
static bool
write_file(const char *path, int flags, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0666);

    if (fd < 0) {
        return false;
    }
    bool done = write_all(fd, bytes, size);
    int saved_errno = errno;
    if (close(fd) != 0 && done) {
        return false;
    }
    errno = saved_errno;
    return done;
}

static bool
replace_file(const char *path, const void *bytes, size_t size)
{
    static _Atomic unsigned counter;
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof(temporary), "%s.%d-%u.tmp", path,
        (int)getpid(), atomic_fetch_add(&counter, 1));

    if (length >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (write_file(temporary, O_CREAT | O_EXCL, bytes, size) &&
        rename(temporary, path) == 0) {
        return true;
    }
    int saved_errno = errno;
    unlink(temporary);
    errno = saved_errno;
    return false;
}

bool
file_write(
    const char *path, const void *bytes, size_t size, struct file_error *error)
{
    struct stat stat_before;
    bool is_special =
        stat(path, &stat_before) == 0 && !S_ISREG(stat_before.st_mode);

    return (is_special ? write_file(path, 0, bytes, size)
                       : replace_file(path, bytes, size)) ||
           fail_errno(error, path);
}

static bool
path_ends(const char *path, const char *ending)
{
    size_t length = strlen(path);
    size_t ending_length = strlen(ending);

    return length >= ending_length &&
           strcmp(path + length - ending_length, ending) == 0;
}

/* Packs text into buffer; false leaves *error. */
static bool
pack(struct buffer *buffer, const struct buffer *text, const char *path,
    struct file_error *error)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();

    if (context == NULL ||
        !buffer_reserve(buffer, ZSTD_compressBound(text->size))) {
        ZSTD_freeCCtx(context);
        return fail_memory(error, path);
    }
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    size_t size = ZSTD_compress2(
        context, buffer->data, buffer->capacity, text->data, text->size);
    ZSTD_freeCCtx(context);
    if (ZSTD_isError(size)) {
        return fail(error, FILE_NO_ACCESS, path, "%s", ZSTD_getErrorName(size));
    }
    buffer->size = size;
    return true;
}

static bool
save_bytes(
    const struct program *program, const char *path, struct file_error *error)
{
    uint8_t bytes[BYTES_SIZE_MAX];
    const char *why;

    if (!bytes_fit(program, &why)) {
        return fail(error, FILE_BAD_INPUT, path, "%s", why);
    }
    size_t size = bytes_encode(program, bytes, sizeof(bytes));
    return file_write(path, bytes, size, error);
}

bool
file_save(
    const struct program *program, const char *path, struct file_error *error)
{
    struct buffer text = {0};
    struct buffer packed = {0};

    if (path_ends(path, ".bytes")) {
        return save_bytes(program, path, error);
    }
    bool done = text_write(program, &text) || fail_memory(error, path);
    if (done && path_ends(path, ".zst")) {
        done = pack(&packed, &text, path, error) &&
               file_write(path, packed.data, packed.size, error);
    } else if (done) {
        done = file_write(path, text.data, text.size, error);
    }
    buffer_fini(&text);
    buffer_fini(&packed);
    return done;
}
