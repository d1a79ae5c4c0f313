/*
 * fuzzed.c - runs a libFuzzer target (contract: fuzzed.h)
 *
 * What a target found it says on stderr: the oracle's finding, a failed check,
 * a misuse line, or a sanitizer's report. The first of them names the kind; the
 * sanitizer's lines that follow are kept as evidence.
 */
#include "cli/fuzzed.h"

#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program/file.h"
#include "program/minimise.h"

#define LINE_MAX_SIZE 4096
#define POLL_MS       100
#define STACK_LINES   12

extern char **environ;

/* Reads one run. */
struct reader {
    struct fuzzed *fuzzed;
    pid_t pid;
    int fd;
    bool ended; /* the target closed its end */
    size_t size;
    char line[LINE_MAX_SIZE];
    char last[256]; /* the last line, should nothing else explain the end */
};

/* A text that is too long is cut. */
static void
copy_text(char *to, size_t size, const char *text)
{
    size_t length = strlen(text);
    length = length < size ? length : size - 1;
    memcpy(to, text, length);
    to[length] = '\0';
}

static bool
find_from_here(const char *const *places, const char *name, int mode,
    char *path, size_t size)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length < 0 ? 0 : length] = '\0';
    char *slash = strrchr(self, '/');
    for (int i = 0; slash != NULL && places[i] != NULL; i++) {
        int written = snprintf(path, size, "%.*s/%s%s", (int)(slash - self),
            self, places[i], name);
        char *real;
        if (written > 0 && (size_t)written < size && access(path, mode) == 0 &&
            (real = realpath(path, NULL)) != NULL) {
            copy_text(path, size, real);
            free(real);
            return true;
        }
    }
    return false;
}

static const char *const target_places[] = {
    "fuzz_", "../../fuzz/bin/fuzz_", NULL};

bool
fuzzed_find(const char *name, char *path, size_t size)
{
    return strchr(name, '/') == NULL &&
           find_from_here(target_places, name, X_OK, path, size);
}

size_t
fuzzed_each(void (*visit)(const char *name))
{
    char pattern[PATH_MAX];
    glob_t found = {0};
    if (find_from_here(
            target_places, "dlmalloc", X_OK, pattern, sizeof pattern - 1)) {
        strcpy(strrchr(pattern, '_') + 1, "*");
        (void)glob(pattern, 0, NULL, &found);
    }
    size_t count = found.gl_pathc;
    for (size_t i = 0; i < count; i++) {
        visit(strstr(strrchr(found.gl_pathv[i], '/'), "_") + 1);
    }
    globfree(&found);
    return count;
}

bool
fuzzed_find_folder(const char *folder, char *path, size_t size)
{
    static const char *const places[] = {"../../../", NULL};
    return find_from_here(places, folder, R_OK | X_OK, path, size);
}

/* ---- what it says */

static void
set_kind(struct fuzzed *fuzzed, enum verdict_kind kind, const char *expected,
    const char *seen)
{
    struct finding *finding = &fuzzed->result.finding;
    if (fuzzed->kind == FUZZED_FINDING) {
        return; /* The first says it best. */
    }
    fuzzed->kind = FUZZED_FINDING;
    fuzzed->result.kind = RESULT_FINDING;
    finding->kind = kind;
    finding->op_kind = OP_KIND_COUNT;
    copy_text(finding->call, sizeof finding->call, "the target");
    copy_text(finding->expected, sizeof finding->expected, expected);
    copy_text(finding->seen, sizeof finding->seen, seen);
}

/* "finding: KIND target=T thread=N operation=N", the oracle's. */
static void
set_finding(struct fuzzed *fuzzed, const char *text)
{
    char name[32];
    unsigned thread;
    size_t op_index;
    if (sscanf(text, "%31s target=%*s thread=%u operation=%zu", name, &thread,
            &op_index) == 3 &&
        verdict_find(name) != VERDICT_KIND_COUNT) {
        set_kind(fuzzed, verdict_find(name), "", "");
        fuzzed->is_oracles = true;
        fuzzed->result.finding.thread = thread;
        fuzzed->result.finding.op_index = op_index;
    }
}

static const char *
after(const char *line, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(line, prefix, length) == 0 ? line + length : NULL;
}

/* The kinds that are told by one line. */
static void
read_ends(struct fuzzed *fuzzed, const char *line)
{
    static const struct {
        const char *part;
        enum verdict_kind kind;
        const char *expected;
    } ends[] = {
        {": check failed: ", VERDICT_HEAP_CHECK, "the heap's check passes"},
        {"ERROR: AddressSanitizer: ", VERDICT_CRASH, "no memory error"},
        {": runtime error: ", VERDICT_CRASH, "no undefined behaviour"},
        {"ERROR: libFuzzer: timeout", VERDICT_HANG, "an end within seconds"},
        {"ERROR: libFuzzer: out-of-memory", VERDICT_GROWTH, "bounded memory"},
        {"ERROR: LeakSanitizer: ", VERDICT_LEAK, "nothing is lost"},
        {"ERROR: libFuzzer: deadly signal", VERDICT_CRASH, "no signal"},
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const char *part = strstr(line, ends[i].part);
        if (part != NULL) {
            bool whole = ends[i].part[0] == ':'; /* file and line before it */
            set_kind(fuzzed, ends[i].kind, ends[i].expected,
                whole ? line : part + strlen("ERROR: "));
        }
    }
    if (after(line, "malstrom-") != NULL) {
        set_kind(fuzzed, VERDICT_MISUSE, "no misuse line", line);
    }
}

static void
keep_evidence(struct fuzzed *fuzzed, const char *line)
{
    struct result *result = &fuzzed->result;
    const char *text = line + strspn(line, " ");
    if (fuzzed->kind == FUZZED_FINDING && !fuzzed->is_oracles &&
        result->line_count < STACK_LINES &&
        (text[0] == '#' || after(text, "SUMMARY: ") != NULL) &&
        strstr(text, "fuzzer::") == NULL) {
        copy_text(result->lines[result->line_count++], FINDING_TEXT_MAX, text);
    }
}

static void
read_line(struct reader *reader, const char *line)
{
    struct fuzzed *fuzzed = reader->fuzzed;
    struct finding *finding = &fuzzed->result.finding;
    const char *rest;
    if (line[0] == '#' && strchr(line, '\t') != NULL) {
        if (fuzzed->pulse != NULL) {
            fuzzed->pulse(fuzzed->pulse_arg, line);
        }
        return;
    }
    copy_text(reader->last, sizeof reader->last, line);
    if ((rest = after(line, "finding: ")) != NULL) {
        set_finding(fuzzed, rest);
    } else if ((rest = after(line, "  call: ")) != NULL) {
        copy_text(finding->call, sizeof finding->call, rest);
    } else if ((rest = after(line, "  expected: ")) != NULL) {
        copy_text(finding->expected, sizeof finding->expected, rest);
    } else if ((rest = after(line, "  seen: ")) != NULL) {
        copy_text(finding->seen, sizeof finding->seen, rest);
    } else if ((rest = after(line, "stat::number_of_executed_units: "))) {
        fuzzed->run_count = strtoull(rest, NULL, 10);
    } else if ((rest = after(line, "stat::number_of_operations: "))) {
        fuzzed->op_count = strtoull(rest, NULL, 10);
    } else if ((rest = strstr(line, "Test unit written to "))) {
        copy_text(fuzzed->artifact, sizeof fuzzed->artifact,
            rest + strlen("Test unit written to "));
    } else {
        read_ends(fuzzed, line);
        keep_evidence(fuzzed, line);
    }
}

/* Reads what is there; a line that is too long is cut. */
static void
read_some(struct reader *reader)
{
    char bytes[4096];
    ssize_t count = read(reader->fd, bytes, sizeof bytes);
    reader->ended = count == 0 || (count < 0 && errno != EINTR);
    for (ssize_t i = 0; i < count; i++) {
        if (bytes[i] == '\n') {
            reader->line[reader->size] = '\0';
            reader->size = 0;
            read_line(reader, reader->line);
        } else if (reader->size < sizeof reader->line - 1) {
            reader->line[reader->size++] = bytes[i];
        }
    }
}

/* ---- the process */

static bool
start(struct reader *reader)
{
    struct fuzzed *fuzzed = reader->fuzzed;
    posix_spawn_file_actions_t actions;
    char *arguments[64] = {(char *)(uintptr_t)fuzzed->binary};
    int fds[2];
    for (int i = 0; i < 62 && fuzzed->arguments[i] != NULL; i++) {
        arguments[i + 1] = fuzzed->arguments[i];
    }
    if (pipe(fds) != 0) {
        snprintf(fuzzed->error, sizeof fuzzed->error, "%s", strerror(errno));
        return false;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
    posix_spawn_file_actions_addclose(&actions, fds[0]);
    posix_spawn_file_actions_addclose(&actions, fds[1]);
    int why = posix_spawn(
        &reader->pid, fuzzed->binary, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    reader->fd = fds[0];
    if (why != 0) {
        snprintf(fuzzed->error, sizeof fuzzed->error, "%s: %s", fuzzed->binary,
            strerror(why));
        close(fds[0]);
    }
    return why == 0;
}

static bool
must_stop(const struct fuzzed *fuzzed)
{
    return (fuzzed->stop != NULL && atomic_load(fuzzed->stop)) ||
           (fuzzed->deadline_ns != 0 &&
               supervisor_now_ns() >= fuzzed->deadline_ns);
}

/* Until it ends. It is asked to end by SIGINT, and made to a second later. */
static void
watch(struct reader *reader)
{
    uint64_t asked_ns = 0;
    while (!reader->ended) {
        struct pollfd poll_fd = {.fd = reader->fd, .events = POLLIN};
        if (poll(&poll_fd, 1, POLL_MS) > 0) {
            read_some(reader);
        }
        uint64_t now_ns = supervisor_now_ns();
        if (asked_ns == 0 && must_stop(reader->fuzzed)) {
            kill(reader->pid, SIGINT);
            asked_ns = now_ns;
        } else if (asked_ns != 0 && now_ns - asked_ns > 1000000000) {
            kill(reader->pid, SIGKILL);
        }
    }
    close(reader->fd);
    int status;
    while (waitpid(reader->pid, &status, 0) < 0 && errno == EINTR) {
    }
    struct fuzzed *fuzzed = reader->fuzzed;
    if (fuzzed->kind == FUZZED_DONE && asked_ns != 0) {
        fuzzed->kind = FUZZED_STOPPED;
    } else if (fuzzed->kind == FUZZED_DONE && status != 0) {
        fuzzed->kind = FUZZED_FAILED;
        copy_text(fuzzed->error, sizeof fuzzed->error, reader->last);
    }
}

void
fuzzed_run(struct fuzzed *fuzzed)
{
    struct reader reader = {.fuzzed = fuzzed};
    fuzzed->kind = FUZZED_DONE;
    fuzzed->result = (struct result){.kind = RESULT_DONE};
    fuzzed->is_oracles = false;
    fuzzed->run_count = fuzzed->op_count = 0;
    fuzzed->artifact[0] = '\0';
    if (!start(&reader)) {
        fuzzed->kind = FUZZED_FAILED;
        return;
    }
    watch(&reader);
    fuzzed->result.run_count = fuzzed->run_count;
    fuzzed->result.call_count = fuzzed->op_count;
}

/* ---- one heap program */

void
fuzzed_play(struct fuzzed *fuzzed, const struct program *program)
{
    char path[] = "/tmp/malstrom-fuzz-XXXXXX";
    char timeout[] = "-timeout=10";
    char artifact[] = "-exact_artifact_path=/dev/null";
    char *arguments[] = {timeout, artifact, path, NULL};
    struct file_error error;
    int fd = mkstemp(path);
    fuzzed->kind = FUZZED_FAILED;
    if (fd < 0) {
        snprintf(fuzzed->error, sizeof fuzzed->error, "%s: %s", path,
            strerror(errno));
        return;
    }
    close(fd);
    if (file_save(program, path, &error)) {
        fuzzed->arguments = arguments;
        fuzzed_run(fuzzed);
        fuzzed->arguments = NULL;
    } else {
        copy_text(fuzzed->error, sizeof fuzzed->error, error.line);
    }
    unlink(path);
    fuzzed->result.run_count = 1;
    fuzzed->result.call_count = program_op_count(program);
}

/* For minimise(): `arg` is a run whose finding is sought. */
static bool
shows(const struct program *program, void *arg)
{
    const struct fuzzed *like = arg;
    struct fuzzed fuzzed = {
        .binary = like->binary,
        .stop = like->stop,
        .deadline_ns = like->deadline_ns,
    };
    fuzzed_play(&fuzzed, program);
    return fuzzed.kind == FUZZED_FINDING &&
           fuzzed.result.finding.kind == like->result.finding.kind;
}

/* Names for addresses cost more than the run, and its kind needs none; so does a
 * search for leaks, where none was the finding. */
static void
leave_out_extras(const char *options, enum verdict_kind kind)
{
    char without[1024];
    snprintf(without, sizeof without, "%s%ssymbolize=0%s",
        options == NULL ? "" : options, options == NULL ? "" : ":",
        kind == VERDICT_LEAK ? "" : ":detect_leaks=0");
    setenv("ASAN_OPTIONS", without, 1);
}

static void
restore_extras(const char *options)
{
    if (options == NULL) {
        unsetenv("ASAN_OPTIONS");
    } else {
        setenv("ASAN_OPTIONS", options, 1);
    }
}

void
fuzzed_minimise(
    struct program *program, const struct fuzzed *like, uint64_t time_ns)
{
    struct fuzzed bounded = *like;
    struct minimise_status status;
    struct minimise_options minimise_options = {
        .shows = shows, .arg = &bounded, .time_ns = time_ns};
    const char *given = getenv("ASAN_OPTIONS");
    char *options = given == NULL ? NULL : strdup(given);
    bounded.deadline_ns = supervisor_now_ns() + time_ns;
    leave_out_extras(options, like->result.finding.kind);
    (void)minimise(program, &minimise_options, &status);
    restore_extras(options);
    free(options);
}
