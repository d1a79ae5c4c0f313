/*
 * fuzz.c - `malstrom fuzz`: runs libFuzzer targets on their corpora
 *
 * A target gets the seeds and the fixed findings of the source tree, and a
 * folder of its own below --out that grows from run to run. Of a finding in a
 * heap program a minimised text is kept, of any other the input as it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "base/random.h"
#include "cli/cli.h"
#include "cli/fuzzed.h"
#include "cli/report.h"
#include "program/file.h"

#define NAMES_MAX     64
#define ARGUMENTS_MAX 62 /* of a target */
#define SECOND_NS     ((uint64_t)1000000000)
#define REPLAY_NS     (10 * SECOND_NS) /* of one program, at most */

struct fuzz {
    const char *names[NAMES_MAX];
    unsigned name_count;
    uint64_t time_ns, end_ns, seed;
    const char *out;
    bool is_json;
    char *const *passed; /* to libFuzzer, after -- */

    struct report report;
    uint64_t run_count, op_count;
};

/* One target's run. */
struct session {
    struct fuzz *fuzz;
    const char *name;
    char binary[PATH_MAX];
    unsigned argument_count;
    char *arguments[ARGUMENTS_MAX + 1];
    char texts[8][PATH_MAX + 64]; /* of arguments that are made here */
    unsigned text_count;
    struct fuzzed fuzzed;
};

enum { OPT_TARGET, OPT_TIME, OPT_SEED, OPT_OUT, OPT_JSON };

static const struct option options[] = {
    [OPT_TARGET] = {"target", required_argument, NULL, 0},
    [OPT_TIME] = {"time", required_argument, NULL, 0},
    [OPT_SEED] = {"seed", required_argument, NULL, 0},
    [OPT_OUT] = {"out", required_argument, NULL, 0},
    [OPT_JSON] = {"json", no_argument, NULL, 0},
    {"help", no_argument, NULL, 0},
    {NULL, 0, NULL, 0},
};

static void
add_name(struct fuzz *fuzz, const char *name, bool is_design)
{
    char path[PATH_MAX];
    if (fuzz->name_count == NAMES_MAX) {
        cli_fail(
            &command_fuzz, STATUS_USAGE, "more than %d targets", NAMES_MAX);
    }
    if (is_design && alloc_find(name) == NULL) {
        cli_fail(&command_fuzz, STATUS_USAGE,
            "--target %s: not built in (see `malstrom list`)", name);
    }
    if (!fuzzed_find(name, path, sizeof path)) {
        cli_fail(&command_fuzz, STATUS_CANNOT_RUN,
            "fuzz_%s is not there (the preset fuzz builds the fuzz targets)",
            name);
    }
    fuzz->names[fuzz->name_count++] = name;
}

static void
set_option(struct fuzz *fuzz, int option, const char *value)
{
    const struct command *command = &command_fuzz;
    switch (option) {
    case OPT_TARGET:
        add_name(fuzz, value, true);
        break;
    case OPT_TIME:
        fuzz->time_ns = cli_time_ms(command, "time", value) * 1000000;
        break;
    case OPT_SEED:
        fuzz->seed = cli_number(command, "seed", value, 1, INT32_MAX);
        break;
    case OPT_OUT:
        fuzz->out = value;
        break;
    case OPT_JSON:
        fuzz->is_json = true;
        break;
    default:
        break;
    }
}

/* Names and options in any order, up to "--". */
static void
read_options(struct fuzz *fuzz, int argc, char **argv)
{
    bool over = false;
    fuzz->time_ns = 60 * SECOND_NS;
    fuzz->seed = random_mix(supervisor_now_ns() ^ (uint64_t)getpid()) >> 33;
    fuzz->out = "malstrom-out";
    while (optind < argc && !over) {
        int option = cli_option(&command_fuzz, argc, argv, options);
        over = option < 0 && strcmp(argv[optind - 1], "--") == 0;
        if (option >= 0) {
            set_option(fuzz, option, optarg);
        } else if (!over && optind < argc) {
            add_name(fuzz, argv[optind++], false);
        }
    }
    fuzz->passed = argv + optind;
    for (int i = 0; fuzz->name_count == 0 && alloc_all[i] != NULL; i++) {
        add_name(fuzz, alloc_all[i]->name, true);
    }
}

/* ---- the arguments of a target */

static void
add(struct session *session, char *argument)
{
    if (session->argument_count == ARGUMENTS_MAX) {
        cli_fail(&command_fuzz, STATUS_USAGE, "too many arguments");
    }
    session->arguments[session->argument_count++] = argument;
}

static char *
new_text(struct session *session)
{
    return session->texts[session->text_count++];
}

static void
add_number(struct session *session, const char *option, uint64_t number)
{
    char *text = new_text(session);
    snprintf(text, sizeof session->texts[0], "-%s=%llu", option,
        (unsigned long long)number);
    add(session, text);
}

/* What is kept over runs; returns its path. */
static char *
make_folder(struct session *session)
{
    const char *const parts[] = {"", "/fuzz", "/", session->name};
    char *path = new_text(session);
    char error[512];
    int length = snprintf(path, PATH_MAX, "%s", session->fuzz->out);
    for (int i = 0; i < 4; i++) {
        length += snprintf(
            path + length, (size_t)(PATH_MAX - length), "%s", parts[i]);
        if (length >= PATH_MAX ||
            !cli_make_directory(path, error, sizeof error)) {
            cli_fail(&command_fuzz, STATUS_CANNOT_RUN, "%s",
                length >= PATH_MAX ? "the path is too long" : error);
        }
    }
    return path;
}

static void
add_folders(struct session *session)
{
    static const char *const parts[] = {"seeds", "fixed"};
    add(session, make_folder(session));
    for (int i = 0; i < 2; i++) {
        char folder[PATH_MAX], *path = new_text(session);
        snprintf(
            folder, sizeof folder, "corpus/%s/%s", session->name, parts[i]);
        if (fuzzed_find_folder(folder, path, PATH_MAX)) {
            add(session, path);
        }
    }
}

/* libFuzzer's own limit of time is in whole seconds, which must be over. */
static void
set_arguments(struct session *session, uint64_t time_ns)
{
    static char max_len[] = "-max_len=4096", stats[] = "-print_final_stats=1",
                timeout[] = "-timeout=10", rss[] = "-rss_limit_mb=2048";
    char *prefix = new_text(session);
    snprintf(prefix, sizeof session->texts[0], "-artifact_prefix=%s/",
        session->fuzz->out);
    add(session, max_len);
    add(session, stats);
    add(session, timeout);
    add(session, rss);
    add(session, prefix);
    add_number(session, "seed", session->fuzz->seed);
    add_number(session, "max_total_time",
        time_ns < 2 * SECOND_NS ? 1 : time_ns / SECOND_NS - 1);
    for (int i = 0; session->fuzz->passed[i] != NULL; i++) {
        add(session, session->fuzz->passed[i]);
    }
    add_folders(session);
}

/* ---- what it found */

static void
show_pulse(void *arg, const char *line)
{
    struct session *session = arg;
    report_progress(
        &session->fuzz->report, "fuzz %s: %.100s", session->name, line);
}

/* The operation that the finding names, and the program's own names. */
static void
describe(struct session *session, struct program *program)
{
    struct finding *finding = &session->fuzzed.result.finding;
    unsigned thread = finding->thread;
    if (session->fuzzed.is_oracles && thread < program->thread_count) {
        const struct thread_ops *list = &program->threads[thread];
        if (finding->op_index < list->op_count) {
            finding->op_kind = list->ops[finding->op_index].kind;
        }
    }
    snprintf(program->target, sizeof program->target, "%s", session->name);
    snprintf(program->scenario, sizeof program->scenario, FUZZED_SCENARIO);
    snprintf(program->finding, sizeof program->finding, "%s",
        verdicts[finding->kind].name);
    program->seed = session->fuzz->seed;
    program->has_seed = true;
}

static void
report_one(struct session *session, const struct program *program,
    const char *file, const char *replay, const char *note)
{
    struct report_finding finding = {
        .result = &session->fuzzed.result,
        .target = session->name,
        .scenario = FUZZED_SCENARIO,
        .policy = "glibc",
        .seed = session->fuzz->seed,
        .program = program,
        .file = file,
        .replay = replay,
        .note = note,
    };
    report_finding(&session->fuzz->report, &finding);
}

/* What is left of the target's time, and at least a tenth of the campaign's. */
static uint64_t
minimise_ns(const struct session *session)
{
    uint64_t now_ns = supervisor_now_ns();
    uint64_t end_ns = session->fuzzed.deadline_ns;
    uint64_t least_ns = session->fuzz->time_ns / 10 + SECOND_NS;

    return end_ns > now_ns + least_ns ? end_ns - now_ns : least_ns;
}

/* A program: minimised, in text, and run again for what it then shows. */
static void
keep_program(struct session *session, struct program *program)
{
    char path[PATH_MAX + 128], note[128];
    struct file_error error;
    size_t before = program_op_count(program);
    describe(session, program);
    report_progress(
        &session->fuzz->report, "fuzz %s: minimising", session->name);
    fuzzed_minimise(program, &session->fuzzed, minimise_ns(session));
    struct fuzzed again = {
        .binary = session->binary,
        .deadline_ns = supervisor_now_ns() + REPLAY_NS,
    };
    fuzzed_play(&again, program);
    bool shown = again.kind == FUZZED_FINDING;
    if (shown) {
        session->fuzzed.result = again.result;
        session->fuzzed.is_oracles = again.is_oracles;
        describe(session, program);
    }
    snprintf(note, sizeof note,
        shown ? "minimised: %zu to %zu operations"
              : "not shown by its program alone: it needs what ran before it",
        before, program_op_count(program));
    snprintf(path, sizeof path, "%s/%s-fuzz-%s-%llu.heap", session->fuzz->out,
        session->name, program->finding,
        (unsigned long long)session->fuzz->seed);
    if (!file_save(program, path, &error)) {
        cli_fail(&command_fuzz, STATUS_CANNOT_RUN, "%s", error.line);
    }
    report_one(session, program, path, NULL, note);
    if (shown) {
        unlink(session->fuzzed.artifact);
    }
}

static void
keep_finding(struct session *session)
{
    struct fuzzed *fuzzed = &session->fuzzed;
    char replay[2 * PATH_MAX];
    struct file_error error;
    struct program *program = program_new();
    if (program == NULL) {
        cli_fail(&command_fuzz, STATUS_CANNOT_RUN, "out of memory");
    }
    if ((alloc_find(session->name) != NULL || fuzzed->is_oracles) &&
        fuzzed->artifact[0] != '\0' &&
        file_load(program, fuzzed->artifact, &error)) {
        keep_program(session, program);
    } else {
        const char *file =
            fuzzed->artifact[0] != '\0' ? fuzzed->artifact : "(none)";
        snprintf(replay, sizeof replay, "%s %s", session->binary, file);
        report_one(session, NULL, file, replay, NULL);
    }
    program_delete(program);
}

static void
run_target(struct fuzz *fuzz, const char *name, uint64_t time_ns)
{
    static struct session session;
    session = (struct session){.fuzz = fuzz, .name = name};
    if (!fuzzed_find(name, session.binary, sizeof session.binary)) {
        cli_fail(&command_fuzz, STATUS_CANNOT_RUN, "fuzz_%s is gone", name);
    }
    set_arguments(&session, time_ns);
    session.fuzzed = (struct fuzzed){
        .binary = session.binary,
        .arguments = session.arguments,
        .deadline_ns = supervisor_now_ns() + time_ns +
                       (time_ns < SECOND_NS ? 0 : SECOND_NS),
        .stop = &cli_stop,
        .pulse = show_pulse,
        .pulse_arg = &session,
    };
    fuzzed_run(&session.fuzzed);
    fuzz->run_count += session.fuzzed.run_count;
    fuzz->op_count += session.fuzzed.op_count;
    if (session.fuzzed.kind == FUZZED_FINDING) {
        keep_finding(&session);
    } else if (session.fuzzed.kind == FUZZED_FAILED) {
        cli_fail(&command_fuzz, STATUS_CANNOT_RUN, "%s: %s", session.binary,
            session.fuzzed.error);
    }
}

/* The i-th target's share of the time that is left. */
static uint64_t
slice_ns(const struct fuzz *fuzz, unsigned i)
{
    uint64_t now_ns = supervisor_now_ns();
    uint64_t left_ns = fuzz->end_ns > now_ns ? fuzz->end_ns - now_ns : 0;

    return left_ns / (fuzz->name_count - i);
}

static int
run(const struct command *command, int argc, char **argv)
{
    static struct fuzz fuzz;
    (void)command;
    read_options(&fuzz, argc, argv);
    report_init(&fuzz.report, fuzz.is_json);
    cli_catch_signals();
    fuzz.end_ns = supervisor_now_ns() + fuzz.time_ns;
    for (unsigned i = 0; i < fuzz.name_count && !atomic_load(&cli_stop); i++) {
        run_target(&fuzz, fuzz.names[i], slice_ns(&fuzz, i));
    }
    bool good = report_end(&fuzz.report, fuzz.op_count, fuzz.run_count);
    return fuzz.report.finding_count > 0 ? STATUS_FINDING
           : good                        ? STATUS_OK
                                         : STATUS_CANNOT_RUN;
}

const struct command command_fuzz = {
    .name = "fuzz",
    .summary = "Runs libFuzzer targets on their corpora",
    .usage = "[OPTION]... [NAME]... [-- LIBFUZZER-OPTION...]",
    .help =
        "  NAME           a fuzz target, such as bitmap or text\n"
        "  --target T     the whole malloc API of a built-in allocator; may "
        "be\n"
        "                 repeated (default: all of them in turn)\n"
        "  --time T       500ms, 30s, 10m, 2h, of all together (default: 60s)\n"
        "  --seed N       libFuzzer's\n"
        "  --out DIR      findings, and DIR/fuzz/NAME, the corpus that grows\n"
        "                 (default: malstrom-out)\n"
        "  --json         one JSON object a line\n",
    .run = run,
};
