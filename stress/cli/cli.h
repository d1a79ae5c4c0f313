/*
 * cli.h - what the commands of malstrom share
 *
 *     main --> one command --> options, report, supervisor, ...
 *
 * Concurrency: one thread, and signal handlers that set cli_stop.
 * Failure: a command returns its exit status; a function that fails on wrong
 * usage or bad input prints one line on stderr and exits.
 */
#pragma once

#include <getopt.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum status {
    STATUS_OK,        /* no finding */
    STATUS_FINDING,   /* at least one */
    STATUS_USAGE,     /* wrong usage or bad input */
    STATUS_CANNOT_RUN /* something that is needed is missing */
};

struct command {
    const char *name;
    const char *summary; /* one line */
    const char *help;    /* after the usage line: options and what they mean */
    const char *usage;   /* what follows `malstrom NAME` */
    int (*run)(const struct command *command, int argc, char **argv);
};

extern const struct command command_list, command_stress, command_fuzz,
    command_repro, command_record;
extern const struct command command_explore, command_observed_repro;

/* First in main: a descriptor 0, 1 or 2 that is closed is taken, so that no file
 * of ours gets its number; reading and writing it still fails. */
void cli_open_standard(void);
/* Writes what is left of stdout. False when some of it was not written; then
 * stderr says so in one line. */
bool cli_finish_output(void);

/* Set by SIGINT, SIGTERM and SIGHUP: end soon, findings first. A closed pipe
 * and a limit on the size of files become errors of write. */
extern _Atomic bool cli_stop;
void cli_catch_signals(void);

/* "malstrom COMMAND: TEXT" on stderr, then exit with that status. */
_Noreturn void cli_fail(const struct command *command, enum status status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * As getopt_long, but wrong usage ends in cli_fail, and --help, which every
 * command has, prints and exits. An option's val is its letter, or 0. The
 * index into options, or -1 at the end.
 */
int cli_option(const struct command *command, int argc, char **argv,
    const struct option *options);

/* "500ms", "30s", "10m", "2h": milliseconds. A bad text ends in cli_fail. */
uint64_t cli_time_ms(
    const struct command *command, const char *option, const char *text);
/* A decimal number (or 0x...) in min .. max. */
uint64_t cli_number(const struct command *command, const char *option,
    const char *text, uint64_t min, uint64_t max);

/* Makes the directory for findings, if need be, and checks that it can be
 * written to. False: error says why not. */
bool cli_make_directory(const char *path, char *error, size_t error_size);
