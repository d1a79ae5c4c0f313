/*
 * ck_race_run.c - runs one program (contract: ck_race.h)
 */
#include <pthread.h>

#include "base/ck_port/ck_race.h"

unsigned weaken_orders;
unsigned weaken_roles;
_Thread_local unsigned weaken_role;

struct racer {
    const struct race_program *program;
    void (*meet)(unsigned threads);
    unsigned me;
    pthread_t thread;
};

static void *
race(void *arg)
{
    const struct racer *racer = arg;
    const struct race_program *program = racer->program;
    bool takes = program->take != NULL && racer->me % 2 == 1;

    if (racer->meet != NULL) {
        racer->meet(program->threads);
    }
    weaken_role = takes ? RACE_TAKER : RACE_GIVER;
    (takes ? program->take : program->give)(racer->me);
    return NULL;
}

void
race_run(const struct race_program *program, void (*meet)(unsigned threads))
{
    struct racer racers[RACE_THREADS];

    if (program->start != NULL) {
        program->start();
    }
    for (unsigned i = 0; i < program->threads; i++) {
        racers[i] = (struct racer){.program = program, .meet = meet, .me = i};
        CHECK(pthread_create(&racers[i].thread, NULL, race, &racers[i]) == 0);
    }
    for (unsigned i = 0; i < program->threads; i++) {
        CHECK(pthread_join(racers[i].thread, NULL) == 0);
    }
    if (program->finish != NULL) {
        program->finish();
    }
}
