/*
 * record.c - `malstrom record`: a real program's allocations in a file
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "program/file.h"
#include "run/record.h"

enum { OPT_OUTPUT };

static const struct option options[] = {
    [OPT_OUTPUT] = {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, 0},
    {NULL, 0, NULL, 0},
};

/* Found out before the command runs, which may take long. */
static void
check_output(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct stat found;

    if (stat(path, &found) == 0 && S_ISDIR(found.st_mode)) {
        cli_fail(&command_record, STATUS_USAGE, "%s: is a directory", path);
    }
    if (slash == NULL) {
        strcpy(dir, ".");
    } else {
        snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path + 1), path);
    }
    if (access(dir, W_OK | X_OK) != 0 && access(path, W_OK) != 0) {
        cli_fail(
            &command_record, STATUS_CANNOT_RUN, "%s: cannot be written", path);
    }
}

static void
describe(const struct record_result *result, const struct program *program,
    const char *path)
{
    fprintf(stderr, "recorded %zu operations of %u thread%s in %s",
        program_op_count(program), result->summary.thread_count,
        result->summary.thread_count == 1 ? "" : "s", path);
    if (result->summary.is_cut) {
        fputs("; the trace is full, later ones are not in it", stderr);
    }
    if (WIFSIGNALED(result->wait_status)) {
        fprintf(stderr, "; it was ended by signal %d",
            WTERMSIG(result->wait_status));
    } else if (WEXITSTATUS(result->wait_status) != 0) {
        fprintf(stderr, "; it exited with status %d",
            WEXITSTATUS(result->wait_status));
    }
    fputc('\n', stderr);
}

static int
run(const struct command *command, int argc, char **argv)
{
    struct record_result result;
    struct file_error error;
    char path[PATH_MAX] = "";
    int option;

    while ((option = cli_option(command, argc, argv, options)) >= 0) {
        if (option == OPT_OUTPUT) {
            snprintf(path, sizeof(path), "%s", optarg);
        }
    }
    if (optind >= argc) {
        cli_fail(command, STATUS_USAGE,
            "which COMMAND? (see `malstrom record --help`)");
    }
    if (path[0] == '\0') {
        const char *slash = strrchr(argv[optind], '/');
        snprintf(path, sizeof(path), "%s.heap.zst",
            slash == NULL ? argv[optind] : slash + 1);
    }
    check_output(path);
    struct program *program = program_new();
    if (program == NULL) {
        cli_fail(command, STATUS_CANNOT_RUN, "out of memory");
    }
    if (!record_run(program, argv + optind, &result)) {
        cli_fail(command, (enum status)result.status, "%s", result.error);
    }
    if (!file_save(program, path, &error)) {
        cli_fail(command,
            error.failure == FILE_BAD_INPUT ? STATUS_USAGE : STATUS_CANNOT_RUN,
            "%s", error.line);
    }
    describe(&result, program, path);
    program_delete(program);
    return STATUS_OK;
}

const struct command command_record = {
    .name = "record",
    .summary = "Records what a real program asks of malloc as a heap program",
    .usage = "[-o FILE] -- COMMAND ARG...",
    .help =
        "  -o, --output FILE  where it goes; .zst compresses (default: the\n"
        "                     command's name and .heap.zst, in this "
        "directory)\n"
        "\n"
        "The command runs as always, and its own status does not matter. All\n"
        "threads of its process are recorded, its child processes are not; a\n"
        "program that the process executes begins the recording anew. About\n"
        "8 million calls are kept. Programs that are statically linked or run\n"
        "with other privileges cannot be recorded.\n",
    .run = run,
};
