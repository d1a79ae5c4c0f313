/*
 * runner.c - what both runners share: storage and a run's beginning (contract:
 * runner.h)
 *
 * Slots and blocks are mapped once, for the largest program there can be, and
 * the kernel gives memory to the parts that are used.
 */
#include "run/runner.h"

#include <sys/mman.h>

#include "run/play.h"

#define BLOCKS_MAX ((size_t)PROGRAM_SLOTS_MAX + 2 * PROGRAM_THREADS_MAX)

static void *
map_zeroed(size_t size)
{
    void *addr = mmap(NULL, size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return addr == MAP_FAILED ? NULL : addr;
}

static void
unmap(void *addr, size_t size)
{
    if (addr != NULL) {
        munmap(addr, size);
    }
}

bool
runner_open(struct runner *runner)
{
    struct run *run = map_zeroed(sizeof *run);
    runner->run = run;
    if (run == NULL) {
        return false;
    }
    run->blocks = map_zeroed(BLOCKS_MAX * sizeof run->blocks[0]);
    run->slots = map_zeroed(PROGRAM_SLOTS_MAX * sizeof run->slots[0]);
    if (run->blocks == NULL || run->slots == NULL) {
        runner_close(runner);
        return false;
    }
    return true;
}

void
runner_close(struct runner *runner)
{
    struct run *run = runner->run;
    unmap(run->blocks, BLOCKS_MAX * sizeof run->blocks[0]);
    unmap(run->slots, PROGRAM_SLOTS_MAX * sizeof run->slots[0]);
    unmap(run, sizeof *run);
    runner->run = NULL;
}

static bool
needs_threads(const struct program *program)
{
    if (program->thread_count > 1) {
        return true;
    }
    const struct thread_ops *list = &program->threads[0];
    for (size_t i = 0; i < list->op_count; i++) {
        if (list->ops[i].kind == OP_EXIT) {
            return true;
        }
    }
    return false;
}

bool
runner_run(struct runner *runner, const struct program *program)
{
    return needs_threads(program) ? runner_threads(runner, program)
                                  : runner_inline(runner, program);
}
