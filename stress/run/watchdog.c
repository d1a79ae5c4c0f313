/*
 * watchdog.c - tells a child that is stuck from one that is slow (contract:
 * watchdog.h)
 *
 * /proc/PID/stat has the CPU time of a whole process, /proc/PID/task/TID/stat
 * the state of a thread: S sleeps and can be woken, by a futex or a wait. D
 * waits for a page or a disk, R runs or wants to; neither is stuck.
 */
#include "run/watchdog.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLEEPING_TICKS 40 /* two seconds */
#define HASTY_TICKS    3
#define HASTY_MS       60
#define BUSY_MS        3000 /* of CPU time, for one call */
#define BUSY_THREAD_MS 50   /* more for each thread */
#define COPY_MS_SHIFT  19   /* and one more for each 512 KiB to copy */
#define COPY_MS_MAX    20000
#define LATE_TICK_MS   (4 * WATCHDOG_TICK_MS)

struct process_stat {
    char state;
    uint64_t cpu_ms;
};

static bool
read_stat(const char *path, struct process_stat *stat)
{
    char text[1024];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    text[size > 0 ? size : 0] = '\0';
    /* The name, in parentheses, may hold anything. */
    const char *after = strrchr(text, ')');
    unsigned long user, kernel;
    if (after == NULL ||
        sscanf(after + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
            &stat->state, &user, &kernel) != 3) {
        return false;
    }
    uint64_t ticks_a_second = (uint64_t)sysconf(_SC_CLK_TCK);
    stat->cpu_ms = (user + kernel) * 1000 / ticks_a_second;
    return true;
}

/* The forked child that thread i waits for, or 0. */
static int
fork_pid(const struct shared *shared, unsigned i)
{
    return atomic_load(&shared->progress[i].fork_pid);
}

static uint64_t
cpu_ms_of(int pid)
{
    char path[64];
    struct process_stat stat = {0};
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    return read_stat(path, &stat) ? stat.cpu_ms : 0;
}

static uint64_t
cpu_ms_of_all(const struct watchdog *watchdog)
{
    uint64_t sum = cpu_ms_of(watchdog->pid);
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        int pid = fork_pid(watchdog->shared, i);
        if (pid > 0) {
            sum += cpu_ms_of(pid);
        }
    }
    return sum;
}

/* A thread in OP_WAIT polls its slot: nobody waits for it to wake. */
static bool
only_polls(const struct shared *shared, int tid)
{
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        const struct progress *progress = &shared->progress[i];
        if (atomic_load(&progress->tid) == tid) {
            return atomic_load(&progress->phase) == PROGRESS_WAIT;
        }
    }
    return false;
}

static bool
all_tasks_sleep(const struct shared *shared, int pid)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL) {
        return false;
    }
    bool sleep = true;
    struct dirent *entry;
    while (sleep && (entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        struct process_stat stat;
        snprintf(
            path, sizeof path, "/proc/%d/task/%s/stat", pid, entry->d_name);
        sleep = (read_stat(path, &stat) && stat.state == 'S') ||
                only_polls(shared, atoi(entry->d_name));
    }
    closedir(tasks);
    return sleep;
}

static bool
all_sleep(const struct watchdog *watchdog)
{
    bool sleep = all_tasks_sleep(watchdog->shared, watchdog->pid);
    for (unsigned i = 0; sleep && i < PROGRAM_THREADS_MAX; i++) {
        int pid = fork_pid(watchdog->shared, i);
        sleep = pid <= 0 || all_tasks_sleep(watchdog->shared, pid);
    }
    return sleep;
}

/* The process forked_pid if it is still waited for, else any that is, or 0. */
static int
choose_forked(const struct watchdog *watchdog)
{
    int chosen = 0;
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        int pid = fork_pid(watchdog->shared, i);
        if (pid > 0 && (chosen == 0 || pid == watchdog->forked_pid)) {
            chosen = pid;
        }
    }
    return chosen;
}

/* A forked process has one thread. While it sleeps the others may go on. */
static void
watch_forked(struct watchdog *watchdog, bool is_late)
{
    int pid = choose_forked(watchdog);
    if (pid == 0 || !all_tasks_sleep(watchdog->shared, pid)) {
        watchdog->forked_pid = 0;
        watchdog->forked_ticks = 0;
    } else if (pid != watchdog->forked_pid) {
        watchdog->forked_pid = pid;
        watchdog->forked_ticks = 1;
    } else if (!is_late) {
        watchdog->forked_ticks++;
    }
}

static uint64_t
count_calls(const struct shared *shared)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        sum += atomic_load(&shared->progress[i].call_count);
    }
    return sum + atomic_load(&shared->run_count);
}

/* CPU time that a call may take before it counts as endless. */
static uint64_t
busy_limit_ms(const struct watchdog *watchdog)
{
    const struct shared *shared = watchdog->shared;
    uint64_t limit = watchdog->hasty ? HASTY_MS : BUSY_MS, copy_ms = 0;
    for (unsigned i = 0; i < PROGRAM_THREADS_MAX; i++) {
        const struct progress *progress = &shared->progress[i];
        if (atomic_load(&progress->phase) != PROGRESS_IDLE) {
            limit += watchdog->hasty ? 1 : BUSY_THREAD_MS;
            uint64_t ms = atomic_load(&progress->work_size) >> COPY_MS_SHIFT;
            copy_ms += ms < COPY_MS_MAX ? ms : COPY_MS_MAX;
        }
    }
    return limit + (copy_ms < COPY_MS_MAX ? copy_ms : COPY_MS_MAX);
}

void
watchdog_init(
    struct watchdog *watchdog, const struct shared *shared, int pid, bool hasty)
{
    *watchdog = (struct watchdog){.shared = shared, .pid = pid, .hasty = hasty};
}

enum watchdog_state
watchdog_tick(struct watchdog *watchdog, uint64_t now_ms)
{
    uint64_t calls = count_calls(watchdog->shared);
    bool is_late = now_ms - watchdog->last_tick_ms > LATE_TICK_MS;
    unsigned ticks = watchdog->hasty ? HASTY_TICKS : SLEEPING_TICKS;
    watchdog->last_tick_ms = now_ms;
    watch_forked(watchdog, is_late);
    if (watchdog->forked_ticks >= ticks) {
        return WATCHDOG_ASLEEP;
    }
    if (calls != watchdog->call_count) {
        watchdog->call_count = calls;
        watchdog->cpu_ms = cpu_ms_of_all(watchdog);
        watchdog->sleeping_ticks = 0;
        watchdog->quiet_ticks = 0;
        return WATCHDOG_FINE;
    }
    watchdog->quiet_ticks++;
    if (!all_sleep(watchdog)) {
        watchdog->sleeping_ticks = 0;
    } else if (!is_late) {
        watchdog->sleeping_ticks++;
    }
    if (watchdog->sleeping_ticks >= ticks) {
        return WATCHDOG_ASLEEP;
    }
    uint64_t used_ms = cpu_ms_of_all(watchdog) - watchdog->cpu_ms;
    bool is_busy = (int64_t)used_ms > 0 && used_ms >= busy_limit_ms(watchdog);
    return is_busy ? WATCHDOG_BUSY : WATCHDOG_FINE;
}
