/*
 * symbol.c - code addresses as function, file and line (contract: symbol.h)
 *
 * addr2line comes with the linker that built us. With -a it prints each address
 * before its function and line; of inlined calls the innermost comes first, and
 * one line is what a report has room for.
 */
#include "observe/symbol.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_MAX 32768
#define TEXT_MAX    1024

/* Paths in the debugging information start with where the sources lay, or with
 * the way there from where they were compiled: the last folder counts. */
static const char *
short_path(const char *path)
{
    static const char *const folders[] = {"/allocators/", "/stress/", "/fuzz/"};
    const char *last = path;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        const char *at = strstr(path, folders[i]);
        for (; at != NULL; at = strstr(at + 1, folders[i])) {
            last = at >= last ? at + 1 : last;
        }
    }
    return last;
}

static bool
read_line(FILE *from, char line[TEXT_MAX])
{
    if (fgets(line, TEXT_MAX, from) == NULL) {
        return false;
    }
    line[strcspn(line, "\n")] = '\0';
    return true;
}

/* The answer is groups of: address, function, file:line, and more pairs of the
 * latter two where calls were inlined. */
static void
read_answer(FILE *from, struct symbol *symbols, size_t count)
{
    char line[TEXT_MAX];
    char function[TEXT_MAX];
    size_t next = 0;
    while (next < count && read_line(from, line)) {
        if (strncmp(line, "0x", 2) != 0) {
            continue; /* an outer frame of inlined calls */
        }
        struct symbol *symbol = &symbols[next++];
        if (!read_line(from, function) || !read_line(from, line)) {
            return;
        }
        line[strcspn(line, " ")] = '\0'; /* "(discriminator 3)" */
        if (strcmp(function, "??") != 0) {
            snprintf(symbol->name, sizeof(symbol->name), "%.48s %.70s",
                function, short_path(line));
        }
    }
}

void
symbol_find(struct symbol *symbols, size_t count)
{
    static char command[COMMAND_MAX];
    char path[512];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[length > 0 ? length : 0] = '\0';
    int used = snprintf(command, sizeof(command),
        "exec addr2line -a -f -i -e '%s' 2>/dev/null", path);
    for (size_t i = 0; i < count; i++) {
        snprintf(symbols[i].name, sizeof(symbols[i].name), "0x%lx",
            (unsigned long)symbols[i].pc);
        if ((size_t)used + 24 < sizeof(command)) {
            used += snprintf(command + used, sizeof(command) - (size_t)used,
                " %lx", (unsigned long)symbols[i].pc - 1);
        }
    }
    FILE *answer = count > 0 ? popen(command, "r") : NULL;
    if (answer != NULL) {
        read_answer(answer, symbols, count);
        pclose(answer);
    }
}
