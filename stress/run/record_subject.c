/*
 * record_subject.c - a small program to be recorded, in several ways
 *
 *     sequence     the steps of record_subject.h, in one thread
 *     threads      two threads allocate for each other
 *     mortals      300 threads, one after the other, leave a block each
 *     exec         allocates, then executes itself as `sequence`
 *     fork         a child allocates blocks of 777 bytes
 *     killed       dies by a signal with blocks alive
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/record_subject.h"

#define PASSED 500

static void *slots[SUBJECT_SLOTS];

/* What fills a slot finds it empty. */
static void
allocate(const struct subject_step *step)
{
    void **slot = &slots[step->slot];

    switch (step->kind) {
    case SUBJECT_MALLOC:
        *slot = malloc(step->size);
        break;
    case SUBJECT_CALLOC:
        *slot = calloc(step->count, step->size);
        break;
    case SUBJECT_MEMALIGN:
        *slot = memalign(step->align, step->size);
        break;
    case SUBJECT_ALIGNED_ALLOC:
        *slot = aligned_alloc(step->align, step->size);
        break;
    case SUBJECT_POSIX_MEMALIGN:
        if (posix_memalign(slot, step->align, step->size) != 0) {
            abort();
        }
        break;
    case SUBJECT_VALLOC:
        *slot = valloc(step->size);
        break;
    default:
        *slot = pvalloc(step->size);
        break;
    }
}

static void
play(const struct subject_step *step)
{
    void **slot = &slots[step->slot];

    switch (step->kind) {
    case SUBJECT_FREE:
        free(*slot);
        *slot = NULL;
        break;
    case SUBJECT_REALLOC:
        *slot = realloc(*slot, step->size);
        break;
    case SUBJECT_REALLOCARRAY:
        *slot = reallocarray(*slot, step->count, step->size);
        break;
    default:
        if (*slot == NULL) {
            allocate(step);
        }
        break;
    }
}

static void
play_sequence(void)
{
    uint64_t state = 1;

    for (int i = 0; i < SUBJECT_STEPS; i++) {
        struct subject_step step = subject_draw(&state);
        play(&step);
    }
}

/* Blocks that each of two threads passes to the other. */
static _Atomic(void *) passed[2][PASSED];

static void *
pass_blocks(void *arg)
{
    unsigned me = *(unsigned *)arg;

    for (unsigned i = 0; i < PASSED; i++) {
        void *block = malloc(1000 * (me + 1) + i);
        if (i % 5 == 0) {
            block = realloc(block, 5000 * (me + 1) + i);
        }
        atomic_store(&passed[me][i], block);
        void *other;
        while ((other = atomic_load(&passed[1 - me][i])) == NULL) {
            sched_yield();
        }
        free(other);
    }
    return NULL;
}

static void
play_threads(void)
{
    pthread_t threads[2];
    static unsigned numbers[2] = {0, 1};

    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, pass_blocks, &numbers[i]);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void *
leave_block(void *arg)
{
    void *block = malloc(64);

    memset(block, 1, 64);
    free(arg);
    return block;
}

static void
play_mortals(void)
{
    void *block = NULL;

    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, leave_block, block);
        pthread_join(thread, &block);
    }
    free(block);
}

static void
play_fork(void)
{
    void *volatile before = malloc(50);
    pid_t pid = fork();

    if (pid == 0) {
        for (int i = 0; i < 10; i++) {
            void *volatile block = malloc(777);
            (void)block;
        }
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    free(before);
    before = malloc(60);
}

int
main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "sequence";

    if (strcmp(mode, "threads") == 0) {
        play_threads();
    } else if (strcmp(mode, "mortals") == 0) {
        play_mortals();
    } else if (strcmp(mode, "exec") == 0) {
        void *volatile block = malloc(777);
        (void)block;
        execl("/proc/self/exe", "subject", "sequence", (char *)NULL);
    } else if (strcmp(mode, "fork") == 0) {
        play_fork();
    } else {
        play_sequence();
        if (strcmp(mode, "killed") == 0) {
            raise(SIGKILL);
        }
    }
    return 0;
}
