/*
 * main.c - the malstrom command: which of its commands is meant
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "run/child.h"
#include "scenarios/scenario.h"

static const struct command *const commands[] = {
    &command_list,
    &command_stress,
    &command_fuzz,
    &command_explore,
    &command_repro,
    &command_record,
    NULL,
};

static int
print_help(void)
{
    puts("usage: malstrom COMMAND [OPTION]...\n\n"
         "Tries to break memory allocators, and replays what broke.\n");
    for (int i = 0; commands[i] != NULL; i++) {
        printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
    }
    puts("\n`malstrom COMMAND --help` explains a command.\n"
         "Status: 0 no finding, 1 findings, 2 wrong usage or bad input, "
         "3 could not run.");
    return cli_finish_output() ? STATUS_OK : STATUS_CANNOT_RUN;
}

static bool
generate(struct program *program, const char *name, uint64_t seed,
    uint64_t index, unsigned thread_count)
{
    const struct scenario *scenario = scenario_find(name);
    return scenario != NULL &&
           scenario->generate(program, seed, index, thread_count);
}

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], CHILD_ARGUMENT) == 0) {
        return child_main(atoi(argv[2]), generate);
    }
    cli_open_standard();
    if (argc < 2) {
        cli_fail(
            NULL, STATUS_USAGE, "a command is needed (see `malstrom --help`)");
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return print_help();
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("malstrom " MALSTROM_VERSION);
        return cli_finish_output() ? STATUS_OK : STATUS_CANNOT_RUN;
    }
    for (int i = 0; commands[i] != NULL; i++) {
        if (strcmp(argv[1], commands[i]->name) == 0) {
            return commands[i]->run(commands[i], argc - 1, argv + 1);
        }
    }
    cli_fail(NULL, STATUS_USAGE, "unknown command %s (see `malstrom --help`)",
        argv[1]);
}
