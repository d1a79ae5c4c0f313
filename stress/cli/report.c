/*
 * report.c - what malstrom says on stdout (contract: report.h)
 */
#include "cli/report.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "program/text.h"

void
report_init(struct report *report, bool is_json)
{
    *report = (struct report){
        .is_json = is_json, .has_progress_line = isatty(STDERR_FILENO) == 1};
}

static void
clear_progress(struct report *report)
{
    if (report->progress_shown) {
        fputs("\r\033[K", stderr);
        report->progress_shown = false;
    }
}

/* A line that the terminal breaks in two cannot be cleared as one. */
static int
progress_width(void)
{
    struct winsize size = {0};
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0;
    return known && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

void
report_progress(struct report *report, const char *format, ...)
{
    char line[256];
    if (!report->has_progress_line) {
        return;
    }
    va_list args;
    clear_progress(report);
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fprintf(stderr, "%.*s", progress_width(), line);
    report->progress_shown = true;
}

void
report_note(struct report *report, const char *format, ...)
{
    va_list args;
    clear_progress(report);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static void
print_json(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    if (text != NULL) {
        puts(text);
    }
    free(text);
    json_decref(object);
    fflush(stdout);
}

void
report_start(struct report *report, uint64_t seed, unsigned thread_count,
    const char *policy)
{
    if (report->is_json) {
        print_json(json_pack("{s:s, s:I, s:i, s:s}", "type", "start", "seed",
            (json_int_t)seed, "threads", (int)thread_count, "policy", policy));
    } else {
        printf("stress: seed=%lu threads=%u policy=%s\n", (unsigned long)seed,
            thread_count, policy);
        fflush(stdout);
    }
}

/* JSON is UTF-8, and a path may be anything: then its ASCII part must do. */
static json_t *
json_of(const char *text)
{
    char ascii[4096 + 512];
    json_t *value = json_string(text);
    if (value != NULL) {
        return value;
    }
    snprintf(ascii, sizeof ascii, "%s", text);
    for (char *at = ascii; *at != '\0'; at++) {
        *at = (*at & 0x80) == 0 ? *at : '?';
    }
    return json_string(ascii);
}

static json_t *
evidence_of(const struct report_finding *finding)
{
    const struct result *result = finding->result;
    json_t *lines = json_array();
    for (unsigned i = 0; i < result->line_count; i++) {
        json_array_append_new(lines, json_string(result->lines[i]));
    }
    if (finding->note != NULL) {
        json_array_append_new(lines, json_string(finding->note));
    }
    return lines;
}

/* An observe-NAME alone holds the target that it is made for. */
static const char *
replay_of(const struct report_finding *finding, char *text, size_t size)
{
    if (finding->replay != NULL) {
        return finding->replay;
    }
    const char *name = program_invocation_short_name;
    if (strncmp(name, "observe-", 8) != 0) {
        name = "malstrom";
    }
    snprintf(text, size, "%s repro %s", name, finding->file);
    return text;
}

static void
print_finding_json(const struct report_finding *finding)
{
    const struct finding *found = &finding->result->finding;
    char replay[4096 + 32];
    print_json(json_pack(
        "{s:s, s:s, s:o, s:s, s:I, s:I, s:s, s:i, s:I, s:s, s:s, s:s, s:o, "
        "s:o, s:o}",
        "type", "finding", "kind", verdicts[found->kind].name, "target",
        json_of(finding->target), "scenario", finding->scenario, "seed",
        (json_int_t)finding->seed, "index", (json_int_t)finding->index,
        "policy", finding->policy, "thread", (int)found->thread, "operation",
        (json_int_t)found->op_index, "call", found->call, "expected",
        found->expected, "seen", found->seen, "evidence", evidence_of(finding),
        "file", json_of(finding->file), "replay",
        json_of(replay_of(finding, replay, sizeof replay))));
}

/* The operation as the program has it, and the call that it made. */
static void
print_place(const struct report_finding *finding)
{
    const struct finding *found = &finding->result->finding;
    const struct program *program = finding->program;
    char line[128] = "";
    if (found->op_kind == OP_KIND_COUNT) {
        printf("  at: %s\n", found->call);
        return;
    }
    if (program != NULL && found->thread < program->thread_count) {
        const struct thread_ops *list = &program->threads[found->thread];
        if (found->op_index == list->op_count) {
            printf(
                "  at: the end, when all blocks are freed: %s\n", found->call);
            return;
        }
        if (found->op_index < list->op_count) {
            line[0] = ' ';
            text_op(&list->ops[found->op_index], line + 1, sizeof line - 1);
        }
    }
    printf("  at: thread %u, operation %zu%s%s: %s\n", found->thread,
        found->op_index, line[0] == '\0' ? "" : ",", line, found->call);
}

static void
print_finding(const struct report_finding *finding)
{
    const struct result *result = finding->result;
    const struct finding *found = &result->finding;
    char replay[4096 + 32];
    printf("finding: %s target=%s scenario=%s seed=%lu file=%s\n",
        verdicts[found->kind].name, finding->target, finding->scenario,
        (unsigned long)finding->seed, finding->file);
    print_place(finding);
    printf("  expected: %s\n  seen: %s\n", found->expected, found->seen);
    for (unsigned i = 0; i < result->line_count; i++) {
        printf("  %s\n", result->lines[i]);
    }
    if (finding->note != NULL) {
        printf("  %s\n", finding->note);
    }
    if (strcmp(finding->file, "-") != 0) { /* it could be written */
        printf("replay: %s\n", replay_of(finding, replay, sizeof replay));
    }
    fflush(stdout);
}

void
report_finding(struct report *report, const struct report_finding *finding)
{
    clear_progress(report);
    report->finding_count++;
    if (report->is_json) {
        print_finding_json(finding);
    } else {
        print_finding(finding);
    }
}

void
report_repeated(struct report *report, const char *kind, const char *target,
    const char *scenario, uint64_t count)
{
    clear_progress(report);
    if (report->is_json) {
        print_json(json_pack("{s:s, s:s, s:o, s:s, s:I}", "type", "repeated",
            "kind", kind, "target", json_of(target), "scenario", scenario,
            "count", (json_int_t)count));
    } else {
        printf("seen again: %s target=%s scenario=%s: %lu times more\n", kind,
            target, scenario, (unsigned long)count);
    }
}

void
report_times(struct report *report, unsigned shown, unsigned times)
{
    if (report->is_json) {
        print_json(json_pack("{s:s, s:i, s:i}", "type", "shown", "shown",
            (int)shown, "times", (int)times));
    } else {
        printf("shown: %u of %u\n", shown, times);
    }
}

bool
report_end(struct report *report, uint64_t call_count, uint64_t run_count)
{
    clear_progress(report);
    if (report->is_json) {
        print_json(json_pack("{s:s, s:s, s:i, s:I, s:I}", "type", "verdict",
            "verdict", report->finding_count == 0 ? "ok" : "findings",
            "findings", (int)report->finding_count, "operations",
            (json_int_t)call_count, "runs", (json_int_t)run_count));
    } else if (report->finding_count == 0) {
        printf("verdict: ok (%lu operations, %lu runs)\n",
            (unsigned long)call_count, (unsigned long)run_count);
    } else {
        printf("verdict: %u findings\n", report->finding_count);
    }
    return cli_finish_output();
}
