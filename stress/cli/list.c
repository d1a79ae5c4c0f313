/*
 * list.c - `malstrom list`: targets, scenarios, fuzz targets, kinds, clauses
 */
#include <stdio.h>

#include "alloc.h"
#include "cli/cli.h"
#include "cli/fuzzed.h"
#include "oracle/policy.h"
#include "oracle/verdict.h"
#include "scenarios/scenario.h"

static void
list_targets(void)
{
    puts("targets:");
    for (const struct alloc_ops *const *ops = alloc_all; *ops != NULL; ops++) {
        printf("  %-14s built in\n", (*ops)->name);
    }
    printf("  %-14s libc's malloc\n", "system");
    printf("  %-14s any shared library that exports malloc\n", "PATH");
}

static void
list_scenarios(void)
{
    puts("scenarios:");
    for (const struct scenario *const *scenario = scenario_all;
         *scenario != NULL; scenario++) {
        printf("  %-14s %s\n", (*scenario)->name, (*scenario)->danger);
    }
}

static void
list_fuzz_target(const char *name)
{
    printf("  %s%s\n", name,
        alloc_find(name) != NULL ? " its whole malloc API" : "");
}

static void
list_fuzz_targets(void)
{
    puts("fuzz targets:");
    if (fuzzed_each(list_fuzz_target) == 0) {
        puts("  none is there: the preset fuzz builds them");
    }
}

static void
list_verdicts(void)
{
    puts("verdict kinds:");
    for (int i = 0; i < VERDICT_KIND_COUNT; i++) {
        printf("  %-14s %s\n", verdicts[i].name, verdicts[i].meaning);
    }
}

static void
list_clauses(void)
{
    puts("policies and their clauses (c, posix, glibc; +name and -name "
         "switch):");
    for (int i = 0; i < CLAUSE_COUNT; i++) {
        const struct clause_text *clause = &clause_texts[i];
        printf("  %-14s %s %s %s  %s\n", clause->name, clause->in_c ? "c" : "-",
            clause->in_posix ? "posix" : "-    ",
            clause->in_glibc ? "glibc" : "-    ", clause->meaning);
    }
}

static int
run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 0}, {NULL, 0, NULL, 0}};
    while (cli_option(command, argc, argv, options) >= 0) {
    }
    if (optind < argc) {
        cli_fail(command, STATUS_USAGE, "unexpected argument %s", argv[optind]);
    }
    list_targets();
    list_scenarios();
    list_fuzz_targets();
    list_verdicts();
    list_clauses();
    return cli_finish_output() ? STATUS_OK : STATUS_CANNOT_RUN;
}

const struct command command_list = {
    .name = "list",
    .summary = "Lists targets, scenarios, fuzz targets, verdicts and policies",
    .usage = "",
    .help = "",
    .run = run,
};
