/*
 * growth.c - programs that take ever more memory (contract: growth.h)
 *
 * A proof begins after the first runs, in which caches fill and threads get
 * their arenas. From then on growth must keep up with the runs: since then, at
 * least a sixteenth of what they asked for, looked at after each sixteen. That
 * ends a proof early when there is nothing to prove, whatever the program's
 * size. It is complete when what was taken exceeds both of what an allocator may
 * do with a program's memory: keep all of it for a while, some times over, and
 * keep caches that do not depend on the program.
 *
 * Older kernels count what is resident by batches of 64 pages a thread; hence a
 * least rate, and two looks before a proof is given up.
 */
#include "run/growth.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOK_NS   10000000u
#define RUNS_WARM 8
#define STEP_RUNS 16
#define STEP_MIN  ((size_t)64 << 10) /* what a step must keep at least */
#define KEPT_MAX  ((size_t)64 << 20) /* by caches */
#define TIMES_MAX 4                  /* of what one run asks for */

#ifdef MALSTROM_SANITIZED
#    define IS_JUDGED false
#else
#    define IS_JUDGED true
#endif

/* What of this process is in memory; 0 if that cannot be read. No malloc: it is
 * the target's. */
static size_t
resident_size(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0) {
        close(fd);
    }
    if (length <= 0) {
        return 0;
    }
    text[length] = '\0';
    char *rest;
    strtoul(text, &rest, 10); /* the whole size, in pages */
    return strtoul(rest, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

bool
growth_is_suspect(struct growth *growth, size_t size, uint64_t now_ns)
{
    if (!IS_JUDGED || now_ns - growth->looked_ns < LOOK_NS) {
        return false;
    }
    size_t now_size = resident_size();

    growth->looked_ns = now_ns;
    if (now_size > 0 && !growth->has_begun) {
        growth->has_begun = true;
        growth->resident_size = now_size;
    }
    return growth->has_begun && now_size > growth->resident_size + size;
}

static void
tell(const struct growth *growth, size_t asked, size_t grown,
    struct finding *finding)
{
    *finding = (struct finding){
        .kind = VERDICT_GROWTH,
        .op_kind = OP_KIND_COUNT,
        .call = "the same program, again and again",
        .expected = "after some runs, no more memory than they had",
    };
    snprintf(finding->seen, sizeof(finding->seen),
        "%lu further runs, each of which asks for %zu bytes and frees them, "
        "took %zu bytes more",
        (unsigned long)(growth->run_count - RUNS_WARM), asked, grown);
}

enum growth_proof
growth_prove(struct growth *growth, const struct program *program,
    struct finding *finding)
{
    uint64_t runs = ++growth->run_count;

    if (!IS_JUDGED) {
        return GROWTH_NONE;
    }
    if (runs == RUNS_WARM) {
        growth->resident_size = resident_size();
    }
    if (runs <= RUNS_WARM || (runs - RUNS_WARM) % STEP_RUNS != 0) {
        return GROWTH_OPEN;
    }
    size_t asked = program_asked_size(program);
    size_t now_size = resident_size();
    size_t grown =
        now_size > growth->resident_size ? now_size - growth->resident_size : 0;

    if (growth->resident_size == 0) {
        return GROWTH_NONE; /* It could not be read. */
    }
    if (grown > KEPT_MAX + TIMES_MAX * asked) {
        tell(growth, asked, grown, finding);
        return GROWTH_PROVED;
    }
    uint64_t steps = (runs - RUNS_WARM) / STEP_RUNS;
    size_t least = asked > STEP_MIN ? asked : STEP_MIN;
    return steps > 1 && grown / steps < least ? GROWTH_NONE : GROWTH_OPEN;
}
