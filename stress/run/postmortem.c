/*
 * postmortem.c - what became of a child (contract: postmortem.h)
 *
 * An abort after a line on stderr is the allocator accusing the program, which
 * is valid: misuse. An abort in a call for more memory than any machine gives is
 * how some designs say that there is none; only the clause oom_null minds.
 */
#include "run/postmortem.h"

#include <ctype.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run/signals.h"

#define ASK_WAIT_MS   150
#define IMMODEST_SIZE ((uint64_t)1 << 30)

void
postmortem_ask(struct shared *shared, int pid)
{
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        const struct progress *progress = &shared->progress[i];
        int tid = atomic_load(&progress->tid);
        int fork_pid = atomic_load(&progress->fork_pid);
        if (atomic_load(&progress->phase) != PROGRESS_IDLE && tid > 0) {
            syscall(
                SYS_tgkill, fork_pid > 0 ? fork_pid : pid, tid, SIGNALS_ASK);
        }
    }
    struct timespec time = {0, ASK_WAIT_MS * 1000000};
    nanosleep(&time, NULL);
}

static void __attribute__((format(printf, 2, 3)))
add_line(struct result *result, const char *format, ...)
{
    if (result->line_count == RESULT_LINES_MAX) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(
        result->lines[result->line_count++], FINDING_TEXT_MAX, format, args);
    va_end(args);
}

static enum op_kind
op_kind_of(const struct progress *progress)
{
    uint32_t kind = atomic_load(&progress->op_kind);
    return kind < OP_KIND_COUNT ? (enum op_kind)kind : OP_KIND_COUNT;
}

static const char *
phase_text(const struct progress *progress)
{
    switch (atomic_load(&progress->phase)) {
    case PROGRESS_WAIT:
        return "waits for a slot";
    case PROGRESS_FORK:
        return "waits for its forked child in";
    case PROGRESS_CHECK:
        return "in the heap check after";
    default:
        return "in";
    }
}

/* One line for each thread that has not ended: its operation, its stack. */
static void
add_threads(struct result *result, struct shared *shared)
{
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        const struct progress *progress = &shared->progress[i];
        enum op_kind kind = op_kind_of(progress);
        if (atomic_load(&progress->phase) == PROGRESS_IDLE) {
            continue;
        }
        char *stack = shared->stacks[i];
        stack[SHARED_STACK_MAX - 1] = '\0';
        add_line(result, "thread %u %s operation %lu, %s;%.150s", i,
            phase_text(progress),
            (unsigned long)atomic_load(&progress->op_index),
            kind == OP_KIND_COUNT ? "?" : op_shapes[kind].name, stack);
    }
}

/* The last line with something on it, without control characters. */
static void
last_line(const struct last_words *words, char *line, size_t line_size)
{
    size_t end = words->size;
    while (end > 0 && isspace((unsigned char)words->text[end - 1])) {
        end--;
    }
    size_t start = end;
    while (start > 0 && words->text[start - 1] != '\n') {
        start--;
    }
    size_t used = 0;
    for (; start < end && used + 1 < line_size; start++) {
        unsigned char c = (unsigned char)words->text[start];
        line[used++] = (char)(isprint(c) ? c : '?');
    }
    line[used] = '\0';
}

/* Where the finding is: the thread that crashed, or else the first in a call. */
static void
locate(struct shared *shared, struct finding *finding)
{
    int tid = shared->crash.tid;
    int found = -1;
    uint32_t state = atomic_load(&shared->state);
    for (int i = 0; i < PROGRAM_THREADS_MAX; i++) {
        const struct progress *progress = &shared->progress[i];
        uint32_t phase = atomic_load(&progress->phase);
        bool is_it = atomic_load(&shared->crash.state) != 0
                         ? atomic_load(&progress->tid) == tid
                         : phase == PROGRESS_CALL || phase == PROGRESS_FORK;
        if (is_it && (found < 0 || phase == PROGRESS_FORK)) {
            found = i;
        }
    }
    finding->op_kind = OP_KIND_COUNT;
    if (found < 0) {
        snprintf(finding->call, sizeof finding->call, "%s",
            state == CHILD_DONE       ? "at the end of the process"
            : state == CHILD_STARTING ? "at the start of the process"
                                      : "between operations");
        return;
    }
    const struct progress *progress = &shared->progress[found];
    finding->thread = (unsigned)found;
    finding->op_index = atomic_load(&progress->op_index);
    finding->op_kind = op_kind_of(progress);
    snprintf(finding->call, sizeof finding->call, "%s",
        finding->op_kind == OP_KIND_COUNT ? "?"
                                          : op_shapes[finding->op_kind].name);
}

static bool
in_phase(const struct shared *shared, enum progress_phase phase)
{
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        if (atomic_load(&shared->progress[i].phase) == phase) {
            return true;
        }
    }
    return false;
}

static void
judge_stuck(
    struct shared *shared, enum watchdog_state stuck, struct result *result)
{
    struct finding *finding = &result->finding;
    bool asleep = stuck == WATCHDOG_ASLEEP;
    bool in_fork = in_phase(shared, PROGRESS_FORK);
    finding->kind = in_fork  ? VERDICT_FORK
                    : asleep ? VERDICT_DEADLOCK
                             : VERDICT_HANG;
    locate(shared, finding);
    snprintf(finding->expected, sizeof finding->expected, "every call returns");
    snprintf(finding->seen, sizeof finding->seen, "%s",
        !asleep ? "seconds of CPU time are used and no call returns"
        : in_fork
            ? "the forked child has slept for seconds and nobody can wake it"
            : "all threads have slept for seconds and nobody is left to wake "
              "them");
    add_threads(result, shared);
}

/* An abort that says: out of memory. */
static bool
is_oom_abort(struct shared *shared, int number)
{
    struct finding where = {0};
    locate(shared, &where);
    return number == SIGABRT && where.op_kind != OP_KIND_COUNT &&
           !policy_has(&shared->job.policy, CLAUSE_OOM_NULL) &&
           atomic_load(&shared->progress[where.thread].work_size) >
               IMMODEST_SIZE;
}

static void
judge_signal(struct shared *shared, int number, const struct last_words *words,
    struct result *result)
{
    struct finding *finding = &result->finding;
    struct crash *crash = &shared->crash;
    char line[FINDING_TEXT_MAX - 40];
    last_line(words, line, sizeof line);
    bool is_misuse = number == SIGABRT && line[0] != '\0';
    finding->kind = in_phase(shared, PROGRESS_CHECK) ? VERDICT_HEAP_CHECK
                    : is_misuse                      ? VERDICT_MISUSE
                                                     : VERDICT_CRASH;
    locate(shared, finding);
    snprintf(finding->expected, sizeof finding->expected,
        "a valid program runs to its end");
    if (atomic_load(&crash->state) == 2 && crash->addr != 0) {
        snprintf(finding->seen, sizeof finding->seen,
            "signal %d (%s) at address 0x%lx", number, sigdescr_np(number),
            (unsigned long)crash->addr);
    } else {
        snprintf(finding->seen, sizeof finding->seen, "signal %d (%s)", number,
            sigdescr_np(number));
    }
    if (line[0] != '\0') {
        add_line(result, "it said: %s", line);
    }
    crash->stack[SHARED_STACK_MAX - 1] = '\0';
    if (crash->stack[0] != '\0') {
        add_line(result, "stack:%.*s", FINDING_TEXT_MAX - 8, crash->stack);
    }
}

static void
judge_exit(struct shared *shared, int status, const struct last_words *words,
    struct result *result)
{
    char line[FINDING_TEXT_MAX - 40];
    struct finding *finding = &result->finding;
    finding->kind = VERDICT_CRASH;
    locate(shared, finding);
    last_line(words, line, sizeof line);
    snprintf(finding->expected, sizeof finding->expected,
        "a valid program runs to its end");
    snprintf(finding->seen, sizeof finding->seen,
        "the process exited with status %d", status);
    if (line[0] != '\0') {
        add_line(result, "it said: %s", line);
    }
}

/* The child ended by itself, its work undone. */
static void
judge_failure(struct shared *shared, const struct last_words *words,
    struct result *result)
{
    char line[FINDING_TEXT_MAX - 40];
    last_line(words, line, sizeof line);
    bool no_malloc = atomic_load(&shared->state) == CHILD_NO_MALLOC;
    result->kind = no_malloc ? RESULT_NO_MALLOC : RESULT_FAILED;
    snprintf(result->error, sizeof result->error, "%s",
        no_malloc         ? "no malloc in this library"
        : line[0] != '\0' ? line
                          : "the child process could not set itself up");
}

void
postmortem(struct shared *shared, int status, bool killed,
    enum watchdog_state stuck, const struct last_words *words,
    struct result *result)
{
    uint32_t state = atomic_load(&shared->state);
    const struct finding *found = finding_get(&shared->box);
    bool cannot = state == CHILD_NO_MALLOC || state == CHILD_NO_MEMORY;
    result->kind = RESULT_FINDING;
    result->at_start = state == CHILD_STARTING;
    if (found != NULL) {
        result->finding = *found;
    } else if (stuck != WATCHDOG_FINE) {
        judge_stuck(shared, stuck, result);
    } else if (killed || (WIFEXITED(status) && state == CHILD_DONE)) {
        result->kind = RESULT_DONE;
    } else if (cannot || (WIFEXITED(status) && state == CHILD_STARTING)) {
        judge_failure(shared, words, result);
    } else if (WIFEXITED(status)) {
        judge_exit(shared, WEXITSTATUS(status), words, result);
    } else if (WTERMSIG(status) == SIGKILL) {
        result->kind = RESULT_KILLED;
    } else if (is_oom_abort(shared, WTERMSIG(status))) {
        result->kind = RESULT_DONE;
    } else {
        judge_signal(shared, WTERMSIG(status), words, result);
    }
}
