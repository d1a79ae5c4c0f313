/*
 * target.c - the allocator under test (contract: target.h)
 *
 * Whether a library has a malloc is not read from its symbol table: the child
 * asks the loader, which alone knows what it bound.
 */
#include "run/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/system.h"

static bool __attribute__((format(printf, 3, 4)))
fail(struct target_error *error, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error->status = status;
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return false;
}

/* A regular file that begins as ELF files do. */
static bool
check_library(const char *name, struct target_error *error)
{
    static const char magic[4] = {0x7f, 'E', 'L', 'F'};
    char start[sizeof magic] = {0};
    struct stat status;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        int why = errno;
        if (fd >= 0) {
            close(fd);
        }
        return fail(error, 3, "%s: %s", name, strerror(why));
    }
    bool good = S_ISREG(status.st_mode) &&
                read(fd, start, sizeof start) == sizeof start &&
                memcmp(start, magic, sizeof magic) == 0;
    close(fd);
    return good || fail(error, 3, "%s: not a shared library", name);
}

bool
target_find(struct target *target, const char *name, struct target_error *error)
{
    *target = (struct target){0};
    if (strlen(name) >= sizeof target->name) {
        return fail(error, 2, "target: name too long");
    }
    strcpy(target->name, name);
    target->built_in = alloc_find(name);
    if (target->built_in != NULL || strcmp(name, system_ops.name) == 0) {
        return true;
    }
    if (strchr(name, '/') == NULL && strstr(name, ".so") == NULL) {
        return fail(error, 2,
            "%s: unknown target (see `malstrom list`; a library is given by "
            "its path)",
            name);
    }
    char full[PATH_MAX];
    if (!check_library(name, error)) {
        return false;
    }
    if (realpath(name, full) == NULL ||
        strlen(full) >= sizeof target->library) {
        return fail(error, 3, "%s: %s", name, strerror(errno));
    }
    if (strpbrk(full, " :") != NULL) {
        return fail(error, 3,
            "%s: the loader takes no path with a space or a colon", name);
    }
    strcpy(target->library, full);
    return true;
}

static bool
same_file(const char *a, const char *b)
{
    struct stat left, right;
    return a != NULL && stat(a, &left) == 0 && stat(b, &right) == 0 &&
           left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

bool
target_open(struct target_view *view, const struct alloc_ops *built_in,
    const char *library)
{
    *view = (struct target_view){.ops = built_in};
    if (built_in != NULL) {
        return true;
    }
    view->ops = &system_ops;
    if (library[0] == '\0') {
        view->ask_stats = system_ask_stats;
        return true;
    }
    view->lacks = system_lacks();
    if (target_has(view, OP_STATS)) {
        view->ask_stats = system_ask_stats;
    }
    return same_file(system_object(), library);
}

/* What an operation becomes when the target lacks its kind. */
static void
adapt_aligned(struct op *op, uint32_t lacks)
{
    static const enum op_kind aligned[] = {
        OP_MEMALIGN, OP_ALIGNED_ALLOC, OP_POSIX_MEMALIGN};
    if (op->kind == OP_VALLOC || op->kind == OP_PVALLOC) {
        op->align = 4096;
    }
    for (int i = 0; i < 3; i++) {
        if ((lacks >> aligned[i] & 1) == 0) {
            op->kind = (uint8_t)aligned[i];
            return;
        }
    }
    op->kind = OP_MALLOC;
    op->align = 0;
}

static void
adapt_op(struct op *op, uint32_t lacks)
{
    if ((lacks >> op->kind & 1) == 0) {
        return;
    }
    size_t product;
    switch (op->kind) {
    case OP_CALLOC:
    case OP_REALLOCARRAY:
        if (__builtin_mul_overflow(op->count, op->size, &product)) {
            product = SIZE_MAX;
        }
        op->kind = op->kind == OP_CALLOC || (lacks >> OP_REALLOC & 1) != 0
                       ? OP_MALLOC
                       : OP_REALLOC;
        op->size = product;
        op->count = 0;
        break;
    case OP_REALLOC:
        op->kind = OP_MALLOC;
        break;
    case OP_MEMALIGN:
    case OP_ALIGNED_ALLOC:
    case OP_POSIX_MEMALIGN:
    case OP_VALLOC:
    case OP_PVALLOC:
        adapt_aligned(op, lacks);
        break;
    case OP_FREE_SIZED:
    case OP_FREE_ALIGNED_SIZED:
        op->kind = OP_FREE;
        break;
    case OP_USABLE_SIZE:
        op->kind = OP_TOUCH;
        break;
    case OP_TRIM:
        op->kind = OP_YIELD;
        op->size = 0;
        break;
    default:
        break;
    }
}

void
target_adapt(struct program *program, uint32_t lacks)
{
    for (unsigned i = 0; lacks != 0 && i < program->thread_count; i++) {
        struct thread_ops *list = &program->threads[i];
        for (size_t j = 0; j < list->op_count; j++) {
            adapt_op(&list->ops[j], lacks);
        }
    }
}
