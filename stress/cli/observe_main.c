/*
 * observe_main.c - malstrom-observe: the command's part for observed runs
 *
 * The targets in this program are compiled with the instrumentation and linked
 * with the runtime in observe/, so it is a program apart. `malstrom explore`
 * starts it.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct command *const commands[] = {
    &command_explore, &command_observed_repro, NULL};

int
main(int argc, char **argv)
{
    cli_open_standard();
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        puts("usage: malstrom-observe COMMAND [OPTION]...\n");
        for (int i = 0; commands[i] != NULL; i++) {
            printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
        }
        return argc < 2              ? STATUS_USAGE
               : cli_finish_output() ? STATUS_OK
                                     : STATUS_CANNOT_RUN;
    }
    for (int i = 0; commands[i] != NULL; i++) {
        if (strcmp(argv[1], commands[i]->name) == 0) {
            return commands[i]->run(commands[i], argc - 1, argv + 1);
        }
    }
    cli_fail(NULL, STATUS_USAGE, "unknown command %s", argv[1]);
}
