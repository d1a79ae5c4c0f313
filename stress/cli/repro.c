/*
 * repro.c - `malstrom repro`: runs one heap program again, and counts
 *
 * A program with a schedule for several threads is for malstrom-observe, which
 * keeps to it.
 *
 * Each time is a process of its own, so that no run sees what an earlier one
 * left. A program of one thread shows its finding every time or never.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/fuzzed.h"
#include "cli/observed.h"
#include "cli/proof.h"
#include "cli/report.h"
#include "program/emit.h"
#include "program/file.h"

#define TIMES_THREADS 10 /* of a program with threads, unless --times says */
#define MINIMISE_NS   ((uint64_t)60 * 1000000000)

struct repro {
    const char *path;
    const char *target_name; /* NULL: the file's */
    const char *emit_path;   /* NULL: no C program is wanted */
    unsigned times;
    bool minimise, is_json;
    struct policy policy;
    const char *policy_text; /* NULL: the file's */

    struct target target;
    struct program *program;
    struct report report;
    unsigned shown[VERDICT_KIND_COUNT];
    unsigned shown_count;
    struct result first; /* the first finding */
    uint64_t call_count, run_count;
    uint32_t lacks;       /* kinds of operation that the target does not have */
    struct fuzzed fuzzed; /* where a fuzz target found it, and is there */
};

enum { OPT_TARGET, OPT_TIMES, OPT_POLICY, OPT_MINIMISE, OPT_EMIT_C, OPT_JSON };

static const struct option options[] = {
    [OPT_TARGET] = {"target", required_argument, NULL, 0},
    [OPT_TIMES] = {"times", required_argument, NULL, 0},
    [OPT_POLICY] = {"policy", required_argument, NULL, 0},
    [OPT_MINIMISE] = {"minimise", no_argument, NULL, 0},
    [OPT_EMIT_C] = {"emit-c", required_argument, NULL, 0},
    [OPT_JSON] = {"json", no_argument, NULL, 0},
    {"help", no_argument, NULL, 0},
    {NULL, 0, NULL, 0},
};

/* FILE may stand before, between or after the options. */
static void
read_options(struct repro *repro, int argc, char **argv)
{
    const struct command *command = &command_repro;
    while (optind < argc) {
        int option = cli_option(command, argc, argv, options);
        switch (option) {
        case -1:
            if (optind < argc && repro->path != NULL) {
                cli_fail(command, STATUS_USAGE, "unexpected argument %s",
                    argv[optind]);
            }
            if (optind < argc) {
                repro->path = argv[optind++];
            }
            break;
        case OPT_TARGET:
            repro->target_name = optarg;
            break;
        case OPT_TIMES:
            repro->times =
                (unsigned)cli_number(command, "times", optarg, 1, 1000000);
            break;
        case OPT_POLICY:
            repro->policy_text = optarg;
            break;
        case OPT_MINIMISE:
            repro->minimise = true;
            break;
        case OPT_EMIT_C:
            repro->emit_path = optarg;
            break;
        case OPT_JSON:
            repro->is_json = true;
            break;
        default:
            break;
        }
    }
    if (repro->path == NULL) {
        cli_fail(
            command, STATUS_USAGE, "which FILE? (see `malstrom repro --help`)");
    }
}

static void
load(struct repro *repro)
{
    struct file_error error;
    repro->program = program_new();
    if (repro->program == NULL) {
        cli_fail(&command_repro, STATUS_CANNOT_RUN, "out of memory");
    }
    if (!file_load(repro->program, repro->path, &error)) {
        fprintf(stderr, "%s\n", error.line);
        exit(
            error.failure == FILE_BAD_INPUT ? STATUS_USAGE : STATUS_CANNOT_RUN);
    }
}

/* What a fuzz target found on a fresh heap is shown by that target, if it is
 * there and no other allocator is asked for. */
static void
choose_fuzz_target(struct repro *repro)
{
    static char path[PATH_MAX];
    const struct program *program = repro->program;
    if (strcmp(program->scenario, FUZZED_SCENARIO) == 0 &&
        (repro->target_name == NULL ||
            strcmp(repro->target_name, program->target) == 0) &&
        fuzzed_find(program->target, path, sizeof path)) {
        repro->fuzzed.binary = path;
        repro->fuzzed.stop = &cli_stop;
    }
}

/* What the options leave open the file says. */
static void
choose_target(struct repro *repro)
{
    const struct program *program = repro->program;
    const char *name = repro->target_name;
    struct target_error error;
    if (repro->fuzzed.binary != NULL) {
        snprintf(repro->target.name, sizeof repro->target.name, "%s",
            program->target);
        return;
    }
    if (name == NULL) {
        name =
            program->target[0] != '\0' ? program->target : alloc_all[0]->name;
    }
    if (!target_find(&repro->target, name, &error)) {
        cli_fail(&command_repro, (enum status)error.status, "%s", error.text);
    }
}

static void
choose_policy(struct repro *repro)
{
    const char *error, *text = repro->policy_text;
    size_t offset;
    if (text == NULL) {
        text = repro->program->policy;
        text = text[0] == '\0' ? "glibc" : text;
    }
    repro->policy_text = text;
    if (!policy_parse(&repro->policy, text, &error, &offset)) {
        cli_fail(&command_repro, STATUS_USAGE, "policy %s: %s at character %zu",
            text, error, offset + 1);
    }
}

static const char *
scenario_of(const struct repro *repro)
{
    const char *scenario = repro->program->scenario;
    return scenario[0] == '\0' ? "-" : scenario;
}

static void
note_result(struct repro *repro, const struct result *result)
{
    repro->call_count += result->call_count;
    repro->run_count += result->run_count;
    repro->lacks = result->lacks;
    switch (result->kind) {
    case RESULT_FINDING:
        if (repro->shown_count++ == 0) {
            repro->first = *result;
        }
        repro->shown[result->finding.kind]++;
        break;
    case RESULT_NO_MALLOC:
    case RESULT_FAILED:
        cli_fail(&command_repro, STATUS_CANNOT_RUN, "%s: %s",
            repro->target.name, result->error);
    case RESULT_KILLED:
        report_note(&repro->report,
            "malstrom repro: the program was killed from outside");
        break;
    case RESULT_DONE:
    case RESULT_STOPPED:
        break;
    }
}

static void
play_fuzzed(struct repro *repro)
{
    struct fuzzed *fuzzed = &repro->fuzzed;
    fuzzed_play(fuzzed, repro->program);
    if (fuzzed->kind == FUZZED_FAILED) {
        cli_fail(&command_repro, STATUS_CANNOT_RUN, "%s: %s", fuzzed->binary,
            fuzzed->error);
    }
    note_result(repro, &fuzzed->result);
}

static void
run_times(struct repro *repro)
{
    static struct result result;
    struct supervisor supervisor = {
        .target = &repro->target,
        .program = repro->program,
        .stop = &cli_stop,
    };
    supervisor.job.end_index = 1;
    supervisor.job.policy = repro->policy;
    supervisor.job.checks_all = true;
    if (verdict_find(repro->program->finding) == VERDICT_GROWTH) {
        supervisor.job.growth = GROWTH_PROVE;
    }
    for (unsigned i = 0; i < repro->times && !atomic_load(&cli_stop); i++) {
        if (repro->fuzzed.binary != NULL) {
            play_fuzzed(repro);
            continue;
        }
        supervisor_run(&supervisor, &result);
        note_result(repro, &result);
    }
}

static void
report_shown(struct repro *repro)
{
    if (repro->shown_count == 0) {
        return;
    }
    struct report_finding finding = {
        .result = &repro->first,
        .target = repro->target.name,
        .scenario = scenario_of(repro),
        .policy = repro->policy_text,
        .seed = repro->program->seed,
        .program = repro->program,
        .file = repro->path,
    };
    report_finding(&repro->report, &finding);
}

/* PATH.heap becomes PATH.min.heap. */
static void
minimise_program(struct repro *repro)
{
    char path[4096];
    struct file_error error;
    struct proof proof = {
        .target = &repro->target,
        .policy = repro->policy,
        .kind = repro->first.finding.kind,
        .deadline_ns = supervisor_now_ns() + MINIMISE_NS,
        .stop = &cli_stop,
        .result = repro->first,
    };
    size_t before = program_op_count(repro->program);
    if (repro->fuzzed.binary != NULL) {
        fuzzed_minimise(repro->program, &repro->fuzzed, MINIMISE_NS);
    } else {
        proof_minimise(&proof, repro->program);
        repro->first = proof.result;
    }
    size_t length = strlen(repro->path);
    if (length > 5 && strcmp(repro->path + length - 5, ".heap") == 0) {
        length -= 5;
    }
    snprintf(path, sizeof path, "%.*s.min.heap", (int)length, repro->path);
    if (!file_save(repro->program, path, &error)) {
        cli_fail(&command_repro, STATUS_CANNOT_RUN, "%s", error.line);
    }
    report_note(&repro->report, "minimised: %zu to %zu operations: %s", before,
        program_op_count(repro->program), path);
}

static struct emit_rules
rules_of(const struct policy *policy)
{
    return (struct emit_rules){
        .align_asked = policy_has(policy, CLAUSE_ALIGN_ASKED),
        .align_fit = policy_has(policy, CLAUSE_ALIGN_FIT),
        .align_16 = policy_has(policy, CLAUSE_ALIGN_16),
        .overflow = policy_has(policy, CLAUSE_OVERFLOW),
        .size_max = policy_has(policy, CLAUSE_SIZE_MAX),
        .null_modest = policy_has(policy, CLAUSE_NULL_MODEST),
        .zero_unique = policy_has(policy, CLAUSE_ZERO_UNIQUE),
        .realloc_frees = policy_has(policy, CLAUSE_REALLOC_FREES),
        .errno_null = policy_has(policy, CLAUSE_ERRNO_NULL),
        .errno_free = policy_has(policy, CLAUSE_ERRNO_FREE),
        .errno_success = policy_has(policy, CLAUSE_ERRNO_SUCCESS),
        .memalign_code = policy_has(policy, CLAUSE_MEMALIGN_CODE),
        .memalign_out = policy_has(policy, CLAUSE_MEMALIGN_OUT),
        .usable = policy_has(policy, CLAUSE_USABLE),
    };
}

/* The program is adapted first, so that the C program calls nothing that the
 * target would leave to libc. */
static void
emit(struct repro *repro)
{
    struct buffer text = {0};
    struct file_error error;
    struct emit_rules rules = rules_of(&repro->policy);
    target_adapt(repro->program, repro->lacks);
    rules.usable = rules.usable && (repro->lacks >> OP_USABLE_SIZE & 1) == 0;
    if (!emit_c(repro->program, &rules, &text)) {
        cli_fail(&command_repro, STATUS_CANNOT_RUN, "out of memory");
    }
    if (!file_write(repro->emit_path, text.data, text.size, &error)) {
        cli_fail(&command_repro, STATUS_CANNOT_RUN, "%s", error.line);
    }
    buffer_fini(&text);
}

static int
run(const struct command *command, int argc, char **argv)
{
    static struct repro repro;
    (void)command;
    read_options(&repro, argc, argv);
    load(&repro);
    choose_fuzz_target(&repro);
    choose_target(&repro);
    choose_policy(&repro);
    if (!repro.minimise && observed_is_meant(repro.program)) {
        observed_exec(argv); /* back here when it is not there */
    }
    if (repro.times == 0) {
        repro.times = repro.program->thread_count > 1 ? TIMES_THREADS : 1;
    }
    report_init(&repro.report, repro.is_json);
    cli_catch_signals();
    run_times(&repro);
    report_shown(&repro);
    report_times(&repro.report, repro.shown_count, repro.times);
    if (repro.minimise && repro.shown_count > 0) {
        minimise_program(&repro);
    }
    if (repro.emit_path != NULL) {
        emit(&repro);
    }
    bool good = report_end(&repro.report, repro.call_count, repro.run_count);
    program_delete(repro.program);
    return repro.shown_count > 0 ? STATUS_FINDING
           : good                ? STATUS_OK
                                 : STATUS_CANNOT_RUN;
}

const struct command command_repro = {
    .name = "repro",
    .summary = "Runs a heap program again and counts how often it fails",
    .usage = "FILE [OPTION]...",
    .help =
        "  FILE           a heap program: text, compressed trace, or bytes\n"
        "  --target T     instead of the one that the file names\n"
        "  --times N      runs, each in a process of its own\n"
        "                 (default: 1, or 10 when the program has threads)\n"
        "  --policy P     instead of the one that the file names\n"
        "  --minimise     writes FILE.min.heap, as small as still fails\n"
        "  --emit-c OUT.c writes a C program that does the same\n"
        "  --json         one JSON object a line\n",
    .run = run,
};
