/*
 * record.c - runs a program under the recorder (contract: record.h)
 *
 * The trace is a file without a name: nothing is left behind, however this
 * ends. The recorder opens it by this process's descriptor, which stays open.
 * Its space is reserved before the command starts, since a write into a mapped
 * hole on a full disk would kill the command.
 */
#include "run/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIBRARY "libmalstrom-record.so"

enum { STATUS_BAD_USAGE = 2, STATUS_NOT_RUN = 3 };

static bool fail(struct record_result *result, int status, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

static bool
fail(struct record_result *result, int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(result->error, sizeof(result->error), format, args);
    va_end(args);
    result->status = status;
    return false;
}

/* The recorder, as it lies beside the running program: in the build's lib/, or
 * where it was installed. */
static bool
find_library(char *path, size_t size)
{
    static const char *const places[] = {
        "../lib/" LIBRARY, "../" MALSTROM_LIBDIR "/" LIBRARY};
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (length <= 0) {
        return false;
    }
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char joined[PATH_MAX + 64], real[PATH_MAX];
        snprintf(joined, sizeof(joined), "%s/%s", self, places[i]);
        if (realpath(joined, real) != NULL && strlen(real) < size) {
            strcpy(path, real);
            return true;
        }
    }
    return false;
}

/* A file without a name, its space reserved; -1 leaves errno. */
static int
open_spool(void)
{
    const char *dir = getenv("TMPDIR");
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/malstrom-record-XXXXXX",
        dir != NULL && dir[0] != '\0' ? dir : "/tmp");
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    unlink(path);
    int error = posix_fallocate(fd, 0, (off_t)sizeof(struct trace));
    if (error != 0) {
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static struct trace *
map_spool(int fd)
{
    struct trace *trace = mmap(
        NULL, sizeof(struct trace), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return trace == MAP_FAILED ? NULL : trace;
}

/* In the child, until it is the command. Returns only on failure. */
static void
become(char *const *command, struct trace *trace, const char *library,
    const char *spool)
{
    const char *others = getenv("LD_PRELOAD");
    char preload[2 * PATH_MAX];

    snprintf(preload, sizeof(preload), "%s%s%s", library,
        others == NULL ? "" : ":", others == NULL ? "" : others);
    setenv("LD_PRELOAD", preload, 1);
    setenv("MALSTROM_RECORD", spool, 1);
    trace->pid = (uint32_t)getpid();
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    execvp(command[0], command);
}

/* Starts the command; *error is errno when it cannot be executed. */
static pid_t
start(char *const *command, struct trace *trace, const char *library,
    const char *spool, int *error)
{
    int ends[2];

    *error = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        *error = errno;
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(command, trace, library, spool);
        ssize_t written = write(ends[1], &errno, sizeof(errno));
        _exit(written > 0 ? 127 : 126);
    }
    close(ends[1]);
    if (pid < 0) {
        *error = errno;
    } else if (read(ends[0], error, sizeof(*error)) > 0) {
        waitpid(pid, NULL, 0);
        pid = -1;
    }
    close(ends[0]);
    return pid;
}

/* The command, while it runs. Who asks us to end means it: what it did until
 * then is recorded. */
static _Atomic pid_t running;

static void
pass_on(int number)
{
    kill(atomic_load(&running), number);
}

static void
wait_for_command(pid_t pid, int *status)
{
    static const int numbers[] = {SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = pass_on}, before[2];

    atomic_store(&running, pid);
    for (int i = 0; i < 2; i++) {
        sigaction(numbers[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) {
            sigaction(numbers[i], &action, NULL);
        }
    }
    while (waitpid(pid, status, 0) < 0 && errno == EINTR) {
    }
    for (int i = 0; i < 2; i++) {
        sigaction(numbers[i], &before[i], NULL);
    }
}

/* Waits; the terminal's signals are the command's, not ours. */
static bool
run_command(char *const *command, struct trace *trace, const char *library,
    const char *spool, struct record_result *result)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, quit;
    int error;

    sigaction(SIGINT, &ignore, &interrupt);
    sigaction(SIGQUIT, &ignore, &quit);
    pid_t pid = start(command, trace, library, spool, &error);
    if (pid > 0) {
        wait_for_command(pid, &result->wait_status);
    }
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGQUIT, &quit, NULL);
    return pid > 0 ||
           fail(result, STATUS_NOT_RUN, "%s: %s", command[0], strerror(error));
}

static bool
record(struct program *program, char *const *command, const char *library,
    int spool_fd, struct record_result *result)
{
    struct trace *trace = map_spool(spool_fd);
    char spool[64];

    if (trace == NULL) {
        return fail(result, STATUS_NOT_RUN, "out of memory");
    }
    snprintf(spool, sizeof(spool), "/proc/%d/fd/%d", (int)getpid(), spool_fd);
    bool done = run_command(command, trace, library, spool, result);
    if (done && trace->image == 0) {
        done = fail(result, STATUS_NOT_RUN,
            "%s: cannot be recorded: it is statically linked, or runs with "
            "other privileges",
            command[0]);
    }
    if (done && !trace_convert(program, trace, &result->summary)) {
        done = fail(result, STATUS_NOT_RUN, "out of memory");
    }
    munmap(trace, sizeof(struct trace));
    return done;
}

bool
record_run(
    struct program *program, char *const *command, struct record_result *result)
{
    char library[PATH_MAX];

    memset(result, 0, sizeof(*result));
    if (command[0] == NULL) {
        return fail(result, STATUS_BAD_USAGE, "which COMMAND?");
    }
    if (!find_library(library, sizeof(library))) {
        return fail(result, STATUS_NOT_RUN, "%s is missing beside this program",
            LIBRARY);
    }
    int fd = open_spool();
    if (fd < 0) {
        return fail(result, STATUS_NOT_RUN,
            "no room for a trace of %zu MiB in $TMPDIR or /tmp: %s",
            sizeof(struct trace) >> 20, strerror(errno));
    }
    bool done = record(program, command, library, fd, result);
    close(fd);
    return done;
}
