/*
 * ck_subject.c - runs one program on CK's structures (contract: ck_subject.h)
 *
 * What is weakened lies in static data, which each run finds as it was at the
 * start, so the run itself sets it.
 */
#include "observe/ck_subject.h"

void
ck_subject_body(unsigned thread, void *arg)
{
    const struct ck_subject *subject = arg;

    (void)thread;
    weaken_orders = subject->weakening.orders;
    weaken_roles = subject->weakening.roles;
    race_run(subject->program, NULL);
}
