/*
 * death.h - for tests: what must end in abort does, with that message
 *
 *     a test --> assert_dies(fn, arg, "the line") --> a forked child dies
 *
 * Include it after cmocka.h. The child's stderr is read through a pipe.
 *
 * Concurrency: one thread; the child has no other.
 * Failure: the test fails when the child lives, dies otherwise or is silent.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEATH_TEXT_MAX 4096

/* The child: never returns. No core file, and no handler of the test's. */
static inline void
death_run(void (*fn)(void *arg), void *arg, int stderr_fd)
{
    struct rlimit no_core = {0, 0};

    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL);
    alarm(20);
    dup2(stderr_fd, STDERR_FILENO);
    fn(arg);
    _exit(0);
}

/* Runs fn(arg) in a child; its stderr into text, its status is returned. */
static inline int
death_capture(void (*fn)(void *arg), void *arg, char text[DEATH_TEXT_MAX])
{
    size_t size = 0;
    ssize_t count;
    int ends[2];
    int status;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        death_run(fn, arg, ends[1]);
    }
    close(ends[1]);
    while (size < DEATH_TEXT_MAX - 1 && (count = read(ends[0], text + size,
                                             DEATH_TEXT_MAX - 1 - size)) > 0) {
        size += (size_t)count;
    }
    text[size] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* Runs fn(arg) in a child, which must abort with `message` in its stderr; a
 * message that ends in a newline must be all of it. */
static inline void
assert_dies(void (*fn)(void *arg), void *arg, const char *message)
{
    char text[DEATH_TEXT_MAX];
    int status = death_capture(fn, arg, text);
    size_t size = strlen(message);
    bool is_whole = size > 0 && message[size - 1] == '\n';
    bool is_said =
        is_whole ? strcmp(text, message) == 0 : strstr(text, message) != NULL;

    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !is_said) {
        fail_msg("status %#x; wanted abort and \"%s\", got \"%s\"",
            (unsigned)status, message, text);
    }
}

/* fn(&i) dies with messages[i], for each i below count. */
static inline void
assert_each_dies(
    void (*fn)(void *index), const char *const *messages, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_dies(fn, &i, messages[i]);
    }
}

/* What fn(arg) writes to stderr holds the text; of no text, it is nothing. */
static inline void
assert_prints(void (*fn)(void *arg), void *arg, const char *text)
{
    char printed[DEATH_TEXT_MAX];
    int status = death_capture(fn, arg, printed);

    assert_int_equal(status, 0);
    if (text == NULL ? printed[0] != '\0' : strstr(printed, text) == NULL) {
        fail_msg(
            "wanted \"%s\", got \"%s\"", text == NULL ? "" : text, printed);
    }
}
