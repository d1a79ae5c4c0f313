/*
 * observed.c - hands a command over to malstrom-observe (contract: observed.h)
 *
 * The observed runner has its targets compiled with the instrumentation, so it
 * is another program. Installed, it lies beside this one; in a build tree, in
 * the bin/ of the preset named observe.
 */
#include "cli/observed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "cli/cli.h"

#define ARGUMENTS_MAX 256

void
observed_exec(char **argv)
{
    static const char *const places[] = {
        "malstrom-observe", "../../observe/bin/malstrom-observe"};
    char self[4096], path[4096 + 64];
    char *arguments[ARGUMENTS_MAX] = {path};
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[length < 0 ? 0 : length] = '\0';
    char *slash = strrchr(self, '/');
    for (int i = 0; i + 2 < ARGUMENTS_MAX && argv[i] != NULL; i++) {
        arguments[i + 1] = argv[i];
    }
    for (int i = 0; slash != NULL && i < 2; i++) {
        snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - self), self,
            places[i]);
        execv(path, arguments);
    }
}

bool
observed_is_meant(const struct program *program)
{
    return program->thread_count > 1 && program->schedule_count > 0 &&
           alloc_find(program->target) != NULL;
}

static int
run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 0}, {0}};
    observed_exec(argv);
    int error = errno;
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        cli_option(command, argc, argv, options);
    }
    cli_fail(command, STATUS_CANNOT_RUN,
        "malstrom-observe is not there (the preset observe builds it): %s",
        strerror(error));
}

const struct command command_explore = {
    .name = "explore",
    .summary = "Runs heap programs under schedules of its choosing",
    .usage = "[OPTION]... [FILE.heap]",
    .help = /* malstrom-observe has one of its own */
    "It is done by malstrom-observe, which the preset observe builds, and\n"
    "which explains the options.\n",
    .run = run,
};
