/*
 * explore.c - `malstrom explore`: programs under many schedules; and `repro` of
 * what it found
 *
 * The campaign runs in a child process. Crashes of the target are verdicts of
 * the runtime; should the child die or stop even so, the parent says which
 * program it was at, and ends in time. Of a finding that was being made small
 * then it says what is known.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "cli/cli.h"
#include "cli/report.h"
#include "observe/crash.h"
#include "program/file.h"
#include "run/explore.h"
#include "scenarios/list.h"

#define TARGETS_MAX      16
#define FINDINGS_MAX     8
#define SECOND_NS        1000000000ull
#define TIME_DEFAULT_MS  30000u
#define DEPTH_PCT        3
#define DEPTH_EXHAUSTIVE 2
#define PATH_SIZE        4096
#define TICK_RUNS        64                        /* for people */
#define LATE_NS          (1700 * SECOND_NS / 1000) /* of the 2 s for the end */
#define HANG_NS          (10 * SECOND_NS)          /* of CPU time */
#define STOP_NS          (2 * SECOND_NS) /* for the run at hand, on a signal */

/* Where the child is, for its parent, who takes the signals: a terminal sends
 * them to both, a script to the one that it knows. */
struct place {
    _Atomic bool stop;
    _Atomic uint64_t run_count, op_total, program_count;
    _Atomic unsigned target, finding_count;
    _Atomic unsigned kind; /* of the verdict to tell next; VERDICT_KIND_COUNT */
    char text[FINDING_TEXT_MAX]; /* of that */
};

struct session {
    struct explore explore;
    const struct alloc_ops *targets[TARGETS_MAX];
    unsigned target_count;
    uint64_t time_ns; /* 0: as long as runs_max says */
    const char *path; /* of the given program */
    const char *out;
    bool out_given;
    const char *policy_text;
    bool is_json, is_replay;
    unsigned findings_max; /* then the campaign ends */

    struct report report;
    struct place *place;
    unsigned target; /* the one at work */
    uint64_t begun_ns;
};

enum {
    OPT_TARGET,
    OPT_STRATEGY,
    OPT_DEPTH,
    OPT_RUNS,
    OPT_TIME,
    OPT_SEED,
    OPT_THREADS,
    OPT_OPS,
    OPT_POINTS,
    OPT_POLICY,
    OPT_OUT,
    OPT_FAIL_OS,
    OPT_FORK,
    OPT_SIGNAL,
    OPT_TWICE,
    OPT_MAX_FINDINGS,
    OPT_SCHEDULES,
    OPT_WHOLE,
    OPT_TIMES,
    OPT_JSON
};

static const struct option options[] = {
    [OPT_TARGET] = {"target", required_argument, NULL, 0},
    [OPT_STRATEGY] = {"strategy", required_argument, NULL, 0},
    [OPT_DEPTH] = {"depth", required_argument, NULL, 0},
    [OPT_RUNS] = {"runs", required_argument, NULL, 0},
    [OPT_TIME] = {"time", required_argument, NULL, 0},
    [OPT_SEED] = {"seed", required_argument, NULL, 0},
    [OPT_THREADS] = {"threads", required_argument, NULL, 0},
    [OPT_OPS] = {"ops", required_argument, NULL, 0},
    [OPT_POINTS] = {"points", required_argument, NULL, 0},
    [OPT_POLICY] = {"policy", required_argument, NULL, 0},
    [OPT_OUT] = {"out", required_argument, NULL, 0},
    [OPT_FAIL_OS] = {"fail-os", no_argument, NULL, 0},
    [OPT_FORK] = {"fork", no_argument, NULL, 0},
    [OPT_SIGNAL] = {"signal", no_argument, NULL, 0},
    [OPT_TWICE] = {"twice", no_argument, NULL, 0},
    [OPT_MAX_FINDINGS] = {"max-findings", required_argument, NULL, 0},
    [OPT_SCHEDULES] = {"schedules", required_argument, NULL, 0},
    [OPT_WHOLE] = {"whole", no_argument, NULL, 0},
    [OPT_TIMES] = {"times", required_argument, NULL, 0},
    [OPT_JSON] = {"json", no_argument, NULL, 0},
    {"help", no_argument, NULL, 0},
    {NULL, 0, NULL, 0},
};

/* The command at work, for messages. */
static const struct command *current;

static void
add_target(struct session *session, const char *name)
{
    struct target target;
    struct target_error error;
    if (!target_find(&target, name, &error)) {
        cli_fail(current, (enum status)error.status, "%s", error.text);
    }
    if (target.built_in == NULL) {
        cli_fail(current, STATUS_CANNOT_RUN,
            "%s: not compiled for observed runs (see docs/observe.md)", name);
    }
    if (session->target_count < TARGETS_MAX) {
        session->targets[session->target_count++] = target.built_in;
    }
}

static void
set_strategy(struct session *session, const char *name)
{
    for (int i = 0; i < EXPLORE_REPLAY; i++) {
        if (strcmp(name, explore_strategy_names[i]) == 0) {
            session->explore.strategy = (enum explore_strategy)i;
            return;
        }
    }
    cli_fail(current, STATUS_USAGE,
        "--strategy %s: not one of pct, pos, random, exhaustive", name);
}

static void
set_points(struct session *session, const char *name)
{
    if (strcmp(name, "every") != 0 && strcmp(name, "sync") != 0) {
        cli_fail(
            current, STATUS_USAGE, "--points %s: not one of sync, every", name);
    }
    session->explore.points =
        strcmp(name, "every") == 0 ? OBSERVE_EVERY : OBSERVE_SYNC;
}

static void
set_policy(struct session *session, const char *text)
{
    const char *error;
    size_t offset;
    if (!policy_parse(&session->explore.policy, text, &error, &offset)) {
        cli_fail(current, STATUS_USAGE, "--policy %s: %s at character %zu",
            text, error, offset + 1);
    }
    session->policy_text = text;
}

static void
set_option(struct session *session, int option, const char *value)
{
    const struct command *command = current;
    struct explore *explore = &session->explore;
    switch (option) {
    case OPT_TARGET:
        add_target(session, value);
        break;
    case OPT_STRATEGY:
        set_strategy(session, value);
        break;
    case OPT_DEPTH:
        explore->depth = (unsigned)cli_number(command, "depth", value, 0, 17);
        break;
    case OPT_RUNS:
        explore->runs_max =
            cli_number(command, "runs", value, 1, UINT64_MAX / 2);
        break;
    case OPT_TIME:
        session->time_ns = cli_time_ms(command, "time", value) * 1000000;
        break;
    case OPT_SEED:
        explore->seed = cli_number(command, "seed", value, 0, UINT64_MAX);
        break;
    case OPT_THREADS:
        explore->thread_count = (unsigned)cli_number(
            command, "threads", value, 1, OBSERVE_THREADS_MAX - 1);
        break;
    case OPT_OPS:
        explore->op_count = (unsigned)cli_number(command, "ops", value, 1, 12);
        break;
    case OPT_POINTS:
        set_points(session, value);
        break;
    case OPT_POLICY:
        set_policy(session, value);
        break;
    case OPT_OUT:
        session->out = value;
        session->out_given = true;
        break;
    case OPT_FAIL_OS:
        explore->sweep = EXPLORE_FAIL_OS;
        break;
    case OPT_FORK:
        explore->sweep = EXPLORE_FORK;
        break;
    case OPT_SIGNAL:
        explore->sweep = EXPLORE_SIGNAL;
        break;
    case OPT_TWICE:
        explore->twice = true;
        break;
    case OPT_MAX_FINDINGS:
        session->findings_max = (unsigned)cli_number(
            command, "max-findings", value, 1, FINDINGS_MAX);
        break;
    case OPT_SCHEDULES:
        explore->schedule_count =
            cli_number(command, "schedules", value, 1, UINT64_MAX / 2);
        break;
    case OPT_WHOLE:
        explore->keeps_whole = true;
        break;
    case OPT_TIMES:
        explore->runs_max = cli_number(command, "times", value, 1, 1000000);
        break;
    case OPT_JSON:
        session->is_json = true;
        break;
    default:
        break;
    }
}

/* FILE may stand before, between or after the options. */
static void
read_options(struct session *session, int argc, char **argv)
{
    const unsigned unset = ~0u;
    struct explore *explore = &session->explore;
    explore->depth = unset;
    while (optind < argc) {
        int option = cli_option(current, argc, argv, options);
        if (option >= 0) {
            set_option(session, option, optarg);
        } else if (optind < argc && session->path == NULL) {
            session->path = argv[optind++];
        } else if (optind < argc) {
            cli_fail(
                current, STATUS_USAGE, "unexpected argument %s", argv[optind]);
        }
    }
    if (explore->depth == unset) {
        explore->depth = explore->strategy == EXPLORE_EXHAUSTIVE
                             ? DEPTH_EXHAUSTIVE
                             : DEPTH_PCT;
    }
    if (explore->runs_max == 0 && session->time_ns == 0) {
        session->time_ns = TIME_DEFAULT_MS * 1000000ull;
    }
}

static void
set_up_replay(struct session *session)
{
    struct explore *explore = &session->explore;
    if (session->path == NULL) {
        cli_fail(current, STATUS_USAGE, "which FILE?");
    }
    explore->strategy = EXPLORE_REPLAY;
    explore->keeps_whole = true;
    explore->twice = true;
    session->time_ns = 0;
    explore->runs_max = explore->runs_max == 0 ? 1 : explore->runs_max;
}

static void
load_program(struct session *session)
{
    struct file_error error;
    struct program *program = program_new();
    if (program == NULL) {
        cli_fail(current, STATUS_CANNOT_RUN, "out of memory");
    }
    if (!file_load(program, session->path, &error)) {
        fprintf(stderr, "%s\n", error.line);
        exit(
            error.failure == FILE_BAD_INPUT ? STATUS_USAGE : STATUS_CANNOT_RUN);
    }
    if (program->thread_count >= OBSERVE_THREADS_MAX) {
        cli_fail(current, STATUS_USAGE,
            "%s: %u threads; an observed run has at most %d", session->path,
            program->thread_count, OBSERVE_THREADS_MAX - 1);
    }
    if (session->target_count == 0 && program->target[0] != '\0') {
        add_target(session, program->target);
    }
    session->explore.program = program;
    if (session->is_replay && program->has_seed) {
        session->explore.seed = program->seed;
    }
    if (session->policy_text == NULL) {
        set_policy(
            session, program->policy[0] != '\0' ? program->policy : "glibc");
    }
}

/*
 * In the child.
 */

static const char *
target_name(const struct session *session)
{
    return session->targets[session->target]->name;
}

static const char *
scenario_name(const struct session *session)
{
    const struct program *given = session->explore.program;
    return given == NULL                ? scenario_collide.name
           : given->scenario[0] != '\0' ? given->scenario
                                        : "-";
}

/* Writes the program with its header; path gets where, or "-". */
static void
write_program(
    struct session *session, const struct explore_finding *finding, char *path)
{
    struct file_error error;
    const char *kind = verdicts[finding->verdict->kind].name;
    struct program *program = program_new();
    strcpy(path, "-");
    if (program == NULL || !program_copy(program, finding->program)) {
        return;
    }
    program->seed = session->explore.seed;
    program->has_seed = true;
    snprintf(
        program->target, sizeof(program->target), "%s", target_name(session));
    snprintf(program->scenario, sizeof(program->scenario), "%s",
        scenario_name(session));
    snprintf(program->finding, sizeof(program->finding), "%s", kind);
    snprintf(
        program->policy, sizeof(program->policy), "%s", session->policy_text);
    snprintf(path, PATH_SIZE, "%s/%s-%s-%s-%llu-%llu.heap", session->out, kind,
        target_name(session),
        session->explore.program != NULL ? "given" : scenario_collide.name,
        (unsigned long long)session->explore.seed,
        (unsigned long long)finding->run);
    char why[512];
    if (!cli_make_directory(session->out, why, sizeof(why))) {
        report_note(&session->report, "malstrom explore: %s", why);
        strcpy(path, "-");
    } else if (!file_save(program, path, &error)) {
        report_note(&session->report, "malstrom explore: %s", error.line);
        strcpy(path, "-");
    }
    program_delete(program);
}

static void
fill_result(struct result *result, const struct explore_finding *finding)
{
    const struct explanation *explanation = finding->explanation;
    enum verdict_kind kind = finding->verdict->kind;
    *result = (struct result){.kind = RESULT_FINDING};
    result->finding.kind = kind;
    result->finding.op_kind = OP_KIND_COUNT;
    snprintf(result->finding.call, FINDING_TEXT_MAX,
        "run %llu, program %llu; now %zu operations, %u threads, %u "
        "preemptions, %u loads of older stores",
        (unsigned long long)finding->run, (unsigned long long)finding->index,
        program_op_count(finding->program), finding->program->thread_count,
        finding->preemption_count, finding->stale_count);
    snprintf(result->finding.expected, FINDING_TEXT_MAX, "not that %s",
        verdicts[kind].meaning);
    snprintf(
        result->finding.seen, FINDING_TEXT_MAX, "%s", finding->verdict->text);
    for (unsigned i = 0; i < explanation->line_count && i < RESULT_LINES_MAX;
         i++) {
        snprintf(
            result->lines[i], FINDING_TEXT_MAX, "%s", explanation->lines[i]);
        result->line_count++;
    }
}

static void
on_seen(const struct observe_verdict *verdict, void *arg)
{
    struct place *place = ((struct session *)arg)->place;
    snprintf(place->text, sizeof(place->text), "%s", verdict->text);
    atomic_store(&place->kind, (unsigned)verdict->kind);
}

static bool
on_finding(const struct explore_finding *finding, void *arg)
{
    static struct result result;
    static char path[PATH_SIZE];
    struct session *session = arg;
    strcpy(path, session->path != NULL ? session->path : "-");
    if (!session->is_replay) {
        write_program(session, finding, path);
    }
    fill_result(&result, finding);
    const struct report_finding told = {
        .result = &result,
        .target = target_name(session),
        .scenario = scenario_name(session),
        .policy = session->policy_text,
        .seed = session->explore.seed,
        .index = finding->index,
        .file = path,
    };
    report_finding(&session->report, &told);
    atomic_store(&session->place->kind, VERDICT_KIND_COUNT);
    atomic_store(&session->place->finding_count, session->report.finding_count);
    return session->report.finding_count < session->findings_max;
}

static void
on_tick(const struct explore *explore, void *arg)
{
    struct session *session = arg;
    struct place *place = session->place;
    atomic_store(&place->run_count, explore->run_count);
    atomic_store(&place->op_total, explore->op_total);
    atomic_store(&place->program_count, explore->program_count);
    atomic_store(&place->target, session->target);
    atomic_store(&place->kind, VERDICT_KIND_COUNT);
    if (explore->run_count % TICK_RUNS != 0) {
        return;
    }
    uint64_t spent_ns = supervisor_now_ns() - session->begun_ns;
    report_progress(&session->report, "%3llu s  %s  %llu runs, %u findings",
        (unsigned long long)(spent_ns / SECOND_NS), target_name(session),
        (unsigned long long)explore->run_count, session->report.finding_count);
}

static void
print_bound(struct session *session)
{
    const struct explore *explore = &session->explore;
    if (session->is_replay) {
        uint64_t shown = explore->finding_count + explore->repeat_count;
        report_times(
            &session->report, (unsigned)shown, (unsigned)explore->run_count);
    } else if (!session->is_json) {
        printf("explored: target=%s strategy=%s: %s\n", target_name(session),
            explore_strategy_names[session->explore.strategy],
            session->explore.bound);
        if (session->explore.repeat_count > 0) {
            printf("seen again: %llu runs more with a verdict told before\n",
                (unsigned long long)session->explore.repeat_count);
        }
    }
    session->explore.repeat_count = 0;
}

/* Each target has an equal share of what is left. */
static const char *
explore_targets(struct session *session)
{
    struct explore *explore = &session->explore;
    const char *error = NULL;
    uint64_t runs_max = explore->runs_max;
    for (unsigned i = 0; error == NULL && i < session->target_count; i++) {
        if (atomic_load(&session->place->stop)) {
            break;
        }
        uint64_t now_ns = supervisor_now_ns();
        uint64_t end_ns = session->begun_ns + session->time_ns;
        uint64_t left_ns = end_ns > now_ns ? end_ns - now_ns : 1;
        session->target = i;
        explore->ops = session->targets[i];
        if (explore->sweep == EXPLORE_SIGNAL && !explore->ops->signal_safe) {
            report_note(&session->report,
                "malstrom explore: --signal: %s skipped: it does not claim "
                "that a signal handler may allocate",
                explore->ops->name);
            continue;
        }
        explore->deadline_ns =
            session->time_ns == 0
                ? 0
                : now_ns + left_ns / (session->target_count - i);
        explore->runs_max = runs_max == 0 ? 0 : explore->run_count + runs_max;
        explore->program_count = 0;
        error = explore_run(explore);
        if (error == NULL) {
            print_bound(session);
        }
    }
    return error;
}

static int
be_child(struct session *session)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    const char *lack = observe_init();
    if (lack == NULL && !crash_init()) {
        lack = "no signal handlers can be installed";
    }
    if (lack == NULL) {
        lack = explore_targets(session);
    }
    if (lack != NULL) {
        fprintf(stderr, "malstrom explore: %s\n", lack);
        return STATUS_CANNOT_RUN;
    }
    bool good = report_end(&session->report, session->explore.op_total,
        session->explore.run_count);
    return session->report.finding_count > 0 ? STATUS_FINDING
           : good                            ? STATUS_OK
                                             : STATUS_CANNOT_RUN;
}

/*
 * In the parent.
 */

/* The last line in the child's stead; its line of progress may still be there.
 */
static int
end_report(struct session *session)
{
    const struct place *place = session->place;
    bool good = report_end(&session->report, atomic_load(&place->op_total),
        atomic_load(&place->run_count));
    return session->report.finding_count > 0 ? STATUS_FINDING
           : good                            ? STATUS_OK
                                             : STATUS_CANNOT_RUN;
}

static void
take_over_report(struct session *session)
{
    struct report *report = &session->report;
    report->finding_count = atomic_load(&session->place->finding_count);
    report->progress_shown = report->has_progress_line;
}

/* The child is dead and said no last line: a finding, and that line. */
static int
tell_last(struct session *session, enum verdict_kind kind, const char *expected,
    const char *seen)
{
    const struct place *place = session->place;
    session->target = atomic_load(&place->target);
    take_over_report(session);
    static struct result result = {.kind = RESULT_FINDING};
    result.finding.kind = kind;
    result.finding.op_kind = OP_KIND_COUNT;
    snprintf(result.finding.call, FINDING_TEXT_MAX,
        "after run %llu, at program %llu or so",
        (unsigned long long)atomic_load(&place->run_count),
        (unsigned long long)atomic_load(&place->program_count));
    snprintf(result.finding.expected, FINDING_TEXT_MAX, "%s", expected);
    snprintf(result.finding.seen, FINDING_TEXT_MAX, "%s", seen);
    const struct report_finding told = {
        .result = &result,
        .target = target_name(session),
        .scenario = scenario_name(session),
        .policy = session->policy_text,
        .seed = session->explore.seed,
        .file = "-",
    };
    report_finding(&session->report, &told);
    return end_report(session);
}

static int
tell_death(struct session *session, const char *how)
{
    return tell_last(
        session, VERDICT_CRASH, "the observed process lives on", how);
}

/* It was killed for want of time. What it had seen is told as it is. */
static int
tell_cut(struct session *session)
{
    char expected[FINDING_TEXT_MAX];
    enum verdict_kind kind = atomic_load(&session->place->kind);
    take_over_report(session);
    report_note(
        &session->report, "malstrom explore: the last run was not waited for");
    if (kind == VERDICT_KIND_COUNT) {
        return end_report(session);
    }
    snprintf(expected, sizeof(expected), "not that %s", verdicts[kind].meaning);
    return tell_last(session, kind, expected, session->place->text);
}

/* CPU time of a process, without the children that it has made. */
static uint64_t
used_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec used = {0};
    if (clock_getcpuclockid(pid, &clock) != 0 ||
        clock_gettime(clock, &used) != 0) {
        return 0;
    }
    return (uint64_t)used.tv_sec * SECOND_NS + (uint64_t)used.tv_nsec;
}

enum pace { PACE_GOOD, PACE_LATE, PACE_HANGS };

/* Past its time. A run looks at the clock, so a machine with much else to do
 * makes it late; one that has used so much of the CPU hangs. */
static enum pace
judge_pace(const struct session *session, pid_t pid)
{
    static uint64_t last_count = UINT64_MAX, since_used_ns;
    uint64_t now_ns = supervisor_now_ns();
    uint64_t count = atomic_load(&session->place->run_count);
    if (count != last_count) {
        last_count = count;
        since_used_ns = used_ns(pid);
    }
    uint64_t end_ns =
        session->begun_ns + session->time_ns + session->time_ns / 10 + LATE_NS;
    if (session->time_ns == 0 || now_ns <= end_ns) {
        return PACE_GOOD;
    }
    return used_ns(pid) >= since_used_ns + HANG_NS ? PACE_HANGS : PACE_LATE;
}

/* A signal has come, and the run at hand does not end. */
static bool
is_overdue(struct session *session)
{
    static uint64_t since_ns;
    if (!atomic_load(&cli_stop)) {
        return false;
    }
    atomic_store(&session->place->stop, true);
    since_ns = since_ns == 0 ? supervisor_now_ns() : since_ns;
    return supervisor_now_ns() > since_ns + STOP_NS;
}

static int
wait_for_child(struct session *session, pid_t pid)
{
    int status = 0;
    char how[64];
    while (waitpid(pid, &status, WNOHANG) == 0) {
        nanosleep(&(struct timespec){0, 20000000}, NULL);
        enum pace pace = judge_pace(session, pid);
        if (pace == PACE_GOOD && !is_overdue(session)) {
            continue;
        }
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        if (pace == PACE_HANGS) {
            return tell_death(session, "it did not end in time");
        }
        return tell_cut(session);
    }
    if (WIFEXITED(status)) {
        return WEXITSTATUS(status);
    }
    snprintf(how, sizeof(how), "it died by signal %d", WTERMSIG(status));
    return tell_death(session, how);
}

static void
begin_session(struct session *session)
{
    char why[512];
    if (session->out_given &&
        !cli_make_directory(session->out, why, sizeof(why))) {
        cli_fail(current, STATUS_CANNOT_RUN, "%s", why);
    }
    session->place = mmap(NULL, sizeof(*session->place), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (session->place == MAP_FAILED) {
        cli_fail(current, STATUS_CANNOT_RUN, "out of memory");
    }
    atomic_store(&session->place->kind, VERDICT_KIND_COUNT);
    session->explore.seen = on_seen;
    session->explore.found = on_finding;
    session->explore.tick = on_tick;
    session->explore.arg = session;
    session->explore.stop = &session->place->stop;
    session->explore.generate = scenario_collide.generate;
    report_init(&session->report, session->is_json);
    session->begun_ns = supervisor_now_ns();
}

static void
print_start(const struct session *session)
{
    const struct explore *explore = &session->explore;
    if (session->is_json || session->is_replay) {
        return;
    }
    printf("explore: seed=%llu ", (unsigned long long)explore->seed);
    if (session->path != NULL) {
        printf("file=%s ", session->path);
    } else {
        printf("threads=%u operations=%u ", explore->thread_count,
            explore->op_count);
    }
    printf("strategy=%s depth=%u policy=%s\n",
        explore_strategy_names[explore->strategy], explore->depth,
        session->policy_text);
    fflush(stdout);
}

static int
run(const struct command *command, int argc, char **argv)
{
    static struct session session;
    current = command;
    session.explore = (struct explore){
        .strategy = EXPLORE_PCT,
        .seed = random_mix(supervisor_now_ns() ^ (uint64_t)getpid()) >> 32,
        .thread_count = 3,
        .op_count = 12,
    };
    session.out = "malstrom-out";
    session.findings_max = FINDINGS_MAX;
    session.is_replay = command == &command_observed_repro;
    read_options(&session, argc, argv);
    if (session.is_replay) {
        set_up_replay(&session);
    }
    if (session.path != NULL) {
        load_program(&session);
    } else if (session.policy_text == NULL) {
        set_policy(&session, "glibc");
    }
    for (int i = 0; session.target_count == 0 && alloc_all[i] != NULL; i++) {
        session.targets[i] = alloc_all[i];
        session.target_count = alloc_all[i + 1] == NULL ? (unsigned)i + 1 : 0;
    }
    begin_session(&session);
    cli_catch_signals();
    print_start(&session);
    pid_t pid = fork();
    if (pid < 0) {
        cli_fail(current, STATUS_CANNOT_RUN, "fork: %s", strerror(errno));
    }
    if (pid == 0) {
        exit(be_child(&session));
    }
    return wait_for_child(&session, pid);
}

const struct command command_explore = {
    .name = "explore",
    .summary = "Runs heap programs under schedules of its choosing",
    .usage = "[OPTION]... [FILE.heap]",
    .help =
        "  --target T       a built-in allocator (default: each in turn)\n"
        "  --strategy S     pct (default), pos, random or exhaustive\n"
        "  --depth D        PCT's d (default 3); for exhaustive, how many\n"
        "                   preemptions and stale loads a run may have (2)\n"
        "  --runs N         at most N runs of each target\n"
        "  --time T         30s, unless --runs is given\n"
        "  --seed N         programs and schedules repeat with it\n"
        "  --threads N      in each program (default 3)\n"
        "  --ops N          of each thread, at most 12 (default)\n"
        "  --schedules N    of each program (default 20)\n"
        "  --points P       switch at sync (default) or at every access\n"
        "  --fail-os        each call for memory fails in turn\n"
        "  --fork           the program forks at each point in turn; the "
        "child\n"
        "                   allocates, frees and checks\n"
        "  --signal         a handler that allocates runs at each point in\n"
        "                   turn, where the design claims that it may\n"
        "  --policy P       which contract is judged (see malstrom list)\n"
        "  --out DIR        where findings go (default malstrom-out)\n"
        "  --max-findings N end after so many, at most 8 (default)\n"
        "  --whole          findings are not made small\n"
        "  --twice          run everything twice and compare traces\n"
        "  --json           one JSON object a line\n"
        "  FILE             this program only, under many schedules\n",
    .run = run,
};

const struct command command_observed_repro = {
    .name = "repro",
    .summary = "Runs a heap program under its own schedule",
    .usage = "FILE.heap [OPTION]...",
    .help = "  --target T       instead of the one that the file names\n"
            "  --times N        runs (default 1)\n"
            "  --points P       switch at sync (default) or at every access\n"
            "  --policy P       instead of the one that the file names\n"
            "  --json           one JSON object a line\n",
    .run = run,
};
