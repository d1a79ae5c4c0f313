/*
 * supervisor.c - runs a job in a child (contract: supervisor.h)
 *
 * The child is the command's own file, started again: a fork alone would keep
 * the command's heap and could not change the malloc that it is bound to.
 *
 * The child's stderr is a pipe that is always drained, its stdout too: nothing
 * that a target prints reaches the report, and nothing can block it.
 */
#include "run/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run/child.h"
#include "run/postmortem.h"
#include "run/watchdog.h"

#define GRACE_NS    500000000u
#define QUIET_TICKS 4 /* without a call: may be stuck */

struct watch {
    struct supervisor *supervisor;
    struct shared *shared;
    size_t shared_size;
    int shared_fd;
    int output_fd; /* what the child prints; -1 when it closed that */
    int pid, pid_fd;
    int status;
    bool killed; /* by us, not for being stuck */
    enum watchdog_state stuck;
    struct watchdog watchdog;
    struct last_words words;
};

uint64_t
supervisor_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static bool
fail(struct result *result, const char *what)
{
    result->kind = RESULT_FAILED;
    snprintf(
        result->error, sizeof result->error, "%s: %s", what, strerror(errno));
    return false;
}

static bool
share(struct watch *watch, struct result *result)
{
    struct supervisor *supervisor = watch->supervisor;
    const struct target *target = supervisor->target;
    watch->shared_fd = memfd_create("malstrom", 0);
    size_t size = shared_size(supervisor->program);
    if (watch->shared_fd < 0 || ftruncate(watch->shared_fd, (off_t)size) != 0) {
        return fail(result, "shared memory");
    }
    watch->shared = shared_map(watch->shared_fd, &watch->shared_size);
    if (watch->shared == NULL) {
        return fail(result, "shared memory");
    }
    struct job *job = &watch->shared->job;
    *job = supervisor->job;
    snprintf(job->built_in, sizeof job->built_in, "%s",
        target->built_in == NULL ? "" : target->built_in->name);
    snprintf(job->library, sizeof job->library, "%s", target->library);
    if (supervisor->program != NULL) {
        shared_write_program(watch->shared, supervisor->program);
    }
    return true;
}

/* Between fork and exec: only calls that are safe there. */
static _Noreturn void
become_child(const struct watch *watch, int output_fd, char **environment)
{
    char number[16];
    char argument[] = CHILD_ARGUMENT, name[] = "malstrom";
    char *arguments[] = {name, argument, number, NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    /* The same addresses each time, where the system lets us: a finding that
     * hangs on them is then shown again. */
    personality(ADDR_NO_RANDOMIZE);
    setpgid(0, 0);
    int input_fd = open("/dev/null", O_RDONLY);
    dup2(input_fd, STDIN_FILENO);
    dup2(output_fd, STDOUT_FILENO);
    dup2(output_fd, STDERR_FILENO);
    snprintf(number, sizeof number, "%d", watch->shared_fd);
    execve("/proc/self/exe", arguments, environment);
    _exit(127);
}

/* The environment, with LD_PRELOAD as the target wants it. */
static char **
make_environment(const struct target *target)
{
    static char preload[TARGET_PATH_MAX + 16];
    size_t count = 0, kept = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **environment = calloc(count + 2, sizeof(char *));
    bool is_library = target->library[0] != '\0';
    for (size_t i = 0; environment != NULL && i < count; i++) {
        if (!is_library || strncmp(environ[i], "LD_PRELOAD=", 11) != 0) {
            environment[kept++] = environ[i];
        }
    }
    if (environment != NULL && is_library) {
        snprintf(preload, sizeof preload, "LD_PRELOAD=%s", target->library);
        environment[kept] = preload;
    }
    return environment;
}

static bool
start(struct watch *watch, struct result *result)
{
    int pipe_fds[2];
    char **environment = make_environment(watch->supervisor->target);
    if (environment == NULL || pipe2(pipe_fds, O_CLOEXEC) != 0) {
        free(environment);
        return fail(result, "pipe");
    }
    watch->pid = fork();
    if (watch->pid == 0) {
        become_child(watch, pipe_fds[1], environment);
    }
    free(environment);
    close(pipe_fds[1]);
    watch->output_fd = pipe_fds[0];
    if (watch->pid < 0) {
        return fail(result, "fork");
    }
    fcntl(watch->output_fd, F_SETFL, O_NONBLOCK);
    setpgid(watch->pid, watch->pid); /* whoever comes first */
    watch->pid_fd = (int)syscall(SYS_pidfd_open, watch->pid, 0);
    return true;
}

/* Keeps the last of what the child prints. */
static void
drain(struct watch *watch)
{
    struct last_words *words = &watch->words;
    char text[1024];
    ssize_t size;
    while (watch->output_fd >= 0 &&
           (size = read(watch->output_fd, text, sizeof text)) != -1) {
        if (size == 0) {
            close(watch->output_fd);
            watch->output_fd = -1;
            return;
        }
        size_t more = (size_t)size, room = sizeof words->text;
        size_t kept = words->size + more > room ? room - more : words->size;
        memmove(words->text, words->text + words->size - kept, kept);
        memcpy(words->text + kept, text, more);
        words->size = kept + more;
    }
}

static uint64_t
count_calls(const struct shared *shared)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        sum += atomic_load(&shared->progress[i].call_count);
    }
    return sum;
}

/* True when the child has ended; it is not reaped yet. */
static bool
is_over(const struct watch *watch)
{
    siginfo_t info = {0};
    int options = WEXITED | WNOHANG | WNOWAIT;
    return waitid(P_PID, (id_t)watch->pid, &info, options) == 0 &&
           info.si_pid == watch->pid;
}

/* Waits for output, the child's end, or the next tick. */
static void
wait_a_tick(struct watch *watch)
{
    struct pollfd fds[2] = {
        {.fd = watch->output_fd, .events = POLLIN},
        {.fd = watch->pid_fd, .events = POLLIN},
    };
    poll(fds, 2, watch->pid_fd < 0 ? 5 : WATCHDOG_TICK_MS);
    drain(watch);
}

/* Past the deadline. A program may end by itself, and one that is stuck may be
 * shown to be. */
static bool
is_late(const struct watch *watch, uint64_t now_ns)
{
    const struct supervisor *supervisor = watch->supervisor;
    uint64_t deadline_ns = supervisor->job.deadline_ns;
    bool is_quiet = watch->watchdog.quiet_ticks >= QUIET_TICKS ||
                    watch->watchdog.forked_ticks >= QUIET_TICKS;
    if (deadline_ns == 0 || now_ns <= deadline_ns + GRACE_NS) {
        return false;
    }
    return !is_quiet || now_ns > supervisor->watch_until_ns;
}

/* True when the child is to be killed. */
static bool
should_end(struct watch *watch, uint64_t now_ns)
{
    const struct supervisor *supervisor = watch->supervisor;
    watch->stuck = watchdog_tick(&watch->watchdog, now_ns / 1000000);
    if (watch->stuck != WATCHDOG_FINE) {
        if (!supervisor->hasty) {
            postmortem_ask(watch->shared, watch->pid);
        }
        return true;
    }
    bool stopped = supervisor->stop != NULL && atomic_load(supervisor->stop);
    watch->killed = stopped || is_late(watch, now_ns);
    return watch->killed;
}

static void
watch_until_over(struct watch *watch)
{
    struct supervisor *supervisor = watch->supervisor;
    uint64_t last_ns = supervisor_now_ns();
    watchdog_init(
        &watch->watchdog, watch->shared, watch->pid, supervisor->hasty);
    while (!is_over(watch)) {
        wait_a_tick(watch);
        uint64_t now_ns = supervisor_now_ns();
        if (now_ns - last_ns < (uint64_t)WATCHDOG_TICK_MS * 1000000) {
            continue;
        }
        last_ns = now_ns;
        if (supervisor->tick != NULL) {
            supervisor->tick(supervisor->tick_arg, count_calls(watch->shared));
        }
        if (should_end(watch, now_ns)) {
            break;
        }
    }
    /* With it goes what it may have forked. The group's number is its own
     * until it is reaped. */
    kill(-watch->pid, SIGKILL);
    while (waitpid(watch->pid, &watch->status, 0) < 0 && errno == EINTR) {
    }
    drain(watch);
}

static void
conclude(struct watch *watch, struct result *result)
{
    struct shared *shared = watch->shared;
    postmortem(shared, watch->status, watch->killed, watch->stuck,
        &watch->words, result);
    result->quiet_ms =
        watch->killed ? (uint64_t)watch->watchdog.quiet_ticks * WATCHDOG_TICK_MS
                      : 0;
    result->begun_count = atomic_load(&shared->begun_count);
    result->run_count = atomic_load(&shared->run_count);
    for (int i = 0; i < VERDICT_KIND_COUNT; i++) {
        result->muted_counts[i] = atomic_load(&shared->muted_counts[i]);
    }
    result->lacks = atomic_load(&shared->lacks);
    result->call_count = count_calls(shared);
    bool stopped =
        watch->supervisor->stop != NULL && atomic_load(watch->supervisor->stop);
    if (result->kind == RESULT_DONE && stopped) {
        result->kind = RESULT_STOPPED;
    }
}

static void
close_if_open(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void
supervisor_run(struct supervisor *supervisor, struct result *result)
{
    struct watch watch = {.supervisor = supervisor,
        .shared_fd = -1,
        .output_fd = -1,
        .pid_fd = -1};
    memset(result, 0, sizeof *result);
    if (share(&watch, result) && start(&watch, result)) {
        watch_until_over(&watch);
        conclude(&watch, result);
    }
    if (watch.shared != NULL) {
        munmap(watch.shared, watch.shared_size);
    }
    close_if_open(watch.shared_fd);
    close_if_open(watch.output_fd);
    close_if_open(watch.pid_fd);
}
