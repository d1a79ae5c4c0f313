/*
 * ck_subject.c - runs one program on CK's structures (contract: ck_subject.h)
 *
 * What is weakened lies in static data, which each run finds as it was at the
 * start, so the run itself sets it.
 */
#include "observe/ck_subject.h"

#include <pthread.h>

unsigned weaken_orders;
unsigned weaken_roles;
_Thread_local unsigned weaken_role;

struct racer {
    const struct race_program *program;
    unsigned me;
    pthread_t thread;
};

static void *
race(void *arg)
{
    const struct racer *racer = arg;
    bool takes = racer->program->take != NULL && racer->me % 2 == 1;

    weaken_role = takes ? RACE_TAKER : RACE_GIVER;
    (takes ? racer->program->take : racer->program->give)(racer->me);
    return NULL;
}

void
ck_subject_body(unsigned thread, void *arg)
{
    const struct ck_subject *subject = arg;
    const struct race_program *program = subject->program;
    struct racer racers[RACE_THREADS];

    (void)thread;
    weaken_orders = subject->weakening.orders;
    weaken_roles = subject->weakening.roles;
    if (program->start != NULL) {
        program->start();
    }
    for (unsigned i = 0; i < program->threads; i++) {
        racers[i] = (struct racer){.program = program, .me = i};
        CHECK(pthread_create(&racers[i].thread, NULL, race, &racers[i]) == 0);
    }
    for (unsigned i = 0; i < program->threads; i++) {
        CHECK(pthread_join(racers[i].thread, NULL) == 0);
    }
    if (program->finish != NULL) {
        program->finish();
    }
}
