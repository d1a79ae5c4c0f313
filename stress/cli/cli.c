/*
 * cli.c - what the commands of malstrom share (contract: cli.h)
 *
 * getopt_long with its own messages off: a mistake gets one line, whatever it
 * is, and scripts count on that.
 */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Atomic bool cli_stop;

void
cli_fail(
    const struct command *command, enum status status, const char *format, ...)
{
    char text[4608];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fflush(stdout);
    if (command != NULL) {
        fprintf(stderr, "malstrom %s: %s\n", command->name, text);
    } else {
        fprintf(stderr, "malstrom: %s\n", text);
    }
    exit(status);
}

static void
on_signal(int number)
{
    if (atomic_exchange(&cli_stop, true)) {
        /* The second time: at once. The child goes with its parent. */
        signal(number, SIG_DFL);
        raise(number);
    }
}

void
cli_catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    for (int i = 0; i < 3; i++) {
        struct sigaction old;
        sigaction(numbers[i], NULL, &old);
        if (old.sa_handler != SIG_IGN) {
            sigaction(numbers[i], &action, NULL);
        }
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

void
cli_open_standard(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) {
            open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
        }
    }
}

bool
cli_finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return true;
    }
    fprintf(stderr, "malstrom: standard output: %s\n", strerror(errno));
    return false;
}

static void
print_help(const struct command *command)
{
    printf("usage: malstrom %s%s%s\n\n%s.\n\n%s", command->name,
        command->usage[0] == '\0' ? "" : " ", command->usage, command->summary,
        command->help);
    exit(cli_finish_output() ? STATUS_OK : STATUS_CANNOT_RUN);
}

/* True for "--name=..." where name is an option. */
static bool
is_known_with_value(const struct option *options, const char *argument)
{
    size_t length = strcspn(argument, "=");
    for (int i = 0; options[i].name != NULL; i++) {
        if (argument[length] == '=' && length == strlen(options[i].name) + 2 &&
            strncmp(argument + 2, options[i].name, length - 2) == 0) {
            return true;
        }
    }
    return false;
}

/* getopt moves arguments about, so that optind - 1 is what it stopped at. */
static _Noreturn void
refuse(const struct command *command, int why, char **argv,
    const struct option *options)
{
    const char *argument = argv[optind - 1];
    if (why == ':') {
        cli_fail(command, STATUS_USAGE, "%s needs a value", argument);
    }
    bool takes_none = is_known_with_value(options, argument);
    cli_fail(command, STATUS_USAGE, "%s %s (see `malstrom %s --help`)",
        takes_none ? "no value goes with" : "unknown option", argument,
        command->name);
}

/* getopt's letters: those that the options name, and h for help. */
static void
list_letters(const struct option *options, char letters[64])
{
    strcpy(letters, "+:h");
    for (int i = 0; options[i].name != NULL; i++) {
        char letter[3] = {
            (char)options[i].val, options[i].has_arg ? ':' : '\0', '\0'};
        strcat(letters, letter);
    }
}

static int
find_letter(const struct option *options, int letter)
{
    int i = 0;
    while (options[i].name != NULL && options[i].val != letter) {
        i++;
    }
    return i;
}

int
cli_option(const struct command *command, int argc, char **argv,
    const struct option *options)
{
    char letters[64];
    int index = -1;
    opterr = 0;
    list_letters(options, letters);
    int result = getopt_long(argc, argv, letters, options, &index);
    if (result == -1) {
        return -1;
    }
    if (result == 'h' ||
        (result == 0 && strcmp(options[index].name, "help") == 0)) {
        print_help(command);
    }
    if (result == '?' || result == ':') {
        refuse(command, result, argv, options);
    }
    return index >= 0 ? index : find_letter(options, result);
}

uint64_t
cli_time_ms(const struct command *command, const char *option, const char *text)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    char *end = NULL;
    errno = 0;
    unsigned long value = isdigit((unsigned char)text[0])
                              ? strtoul(text, &end, 10)
                              : (end = NULL, 0);
    for (int i = 0; end != NULL && errno == 0 && i < 4; i++) {
        if (strcmp(end, units[i].name) == 0 && value > 0 &&
            value <= 1000u * 3600000u / units[i].ms) {
            return value * units[i].ms;
        }
    }
    cli_fail(command, STATUS_USAGE,
        "--%s %s: not a time (500ms, 30s, 10m or 2h)", option, text);
}

uint64_t
cli_number(const struct command *command, const char *option, const char *text,
    uint64_t min, uint64_t max)
{
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(text, &end, 0);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 ||
        value < min || value > max) {
        cli_fail(command, STATUS_USAGE, "--%s %s: not a number from %lu to %lu",
            option, text, (unsigned long)min, (unsigned long)max);
    }
    return value;
}

bool
cli_make_directory(const char *path, char *error, size_t error_size)
{
    struct stat status;
    int why = 0;
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        why = errno;
    } else if (stat(path, &status) != 0) {
        why = errno;
    } else if (!S_ISDIR(status.st_mode)) {
        why = ENOTDIR;
    } else if (access(path, W_OK | X_OK) != 0) {
        why = errno;
    }
    snprintf(error, error_size, "%s: %s", path, strerror(why));
    return why == 0;
}
