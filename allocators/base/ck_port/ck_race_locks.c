/*
 * ck_race_locks.c - CK's locks guard a plain counter (contract: ck_race.h)
 *
 * The counter is all that the threads share beside the lock. The yield inside the
 * critical section makes others queue up.
 */
#include <ck_rwlock.h>
#include <ck_spinlock.h>

#include "base/ck_port/ck_race.h"

static unsigned long counter;

static void
visit(void)
{
    counter++;
    (void)sched_yield();
}

static void
finish(void)
{
    CHECK(counter == (unsigned long)RACE_THREADS * RACE_ROUNDS);
}

/* One lock, static, and how to pass through it. */
#define RACE_LOCK(name, type, lock_it, unlock_it)                              \
    static type name;                                                          \
    static void start_##name(void)                                             \
    {                                                                          \
        ck_spinlock_##name##_init(&name);                                      \
    }                                                                          \
    static void pass_##name(unsigned me)                                       \
    {                                                                          \
        (void)me;                                                              \
        for (unsigned i = 0; i < RACE_ROUNDS; i++) {                           \
            lock_it(&name);                                                    \
            visit();                                                           \
            unlock_it(&name);                                                  \
        }                                                                      \
    }

RACE_LOCK(cas, ck_spinlock_cas_t, ck_spinlock_cas_lock, ck_spinlock_cas_unlock)
RACE_LOCK(dec, ck_spinlock_dec_t, ck_spinlock_dec_lock, ck_spinlock_dec_unlock)
RACE_LOCK(fas, ck_spinlock_fas_t, ck_spinlock_fas_lock, ck_spinlock_fas_unlock)
RACE_LOCK(ticket, ck_spinlock_ticket_t, ck_spinlock_ticket_lock,
    ck_spinlock_ticket_unlock)

/* The queue locks want a node a thread. */
static ck_spinlock_mcs_t mcs;
static ck_spinlock_mcs_context_t mcs_nodes[RACE_THREADS];

static void
start_mcs(void)
{
    ck_spinlock_mcs_init(&mcs);
}

static void
pass_mcs(unsigned me)
{
    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        ck_spinlock_mcs_lock(&mcs, &mcs_nodes[me]);
        visit();
        ck_spinlock_mcs_unlock(&mcs, &mcs_nodes[me]);
    }
}

static ck_spinlock_clh_t *clh;
static ck_spinlock_clh_t clh_nodes[RACE_THREADS + 1];

static void
start_clh(void)
{
    ck_spinlock_clh_init(&clh, &clh_nodes[RACE_THREADS]);
}

static void
pass_clh(unsigned me)
{
    ck_spinlock_clh_t *node = &clh_nodes[me];

    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        ck_spinlock_clh_lock(&clh, node);
        visit();
        ck_spinlock_clh_unlock(&node);
    }
}

static ck_spinlock_anderson_t anderson;
static ck_spinlock_anderson_thread_t anderson_slots[RACE_THREADS];

static void
start_anderson(void)
{
    ck_spinlock_anderson_init(&anderson, anderson_slots, RACE_THREADS);
}

static void
pass_anderson(unsigned me)
{
    (void)me;
    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        ck_spinlock_anderson_thread_t *slot;

        ck_spinlock_anderson_lock(&anderson, &slot);
        visit();
        ck_spinlock_anderson_unlock(&anderson, slot);
    }
}

static ck_rwlock_t rwlock = CK_RWLOCK_INITIALIZER;

static void
start_rwlock(void)
{
    ck_rwlock_init(&rwlock);
}

static void
write_rwlock(unsigned me)
{
    (void)me;
    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        ck_rwlock_write_lock(&rwlock);
        visit();
        ck_rwlock_write_unlock(&rwlock);
    }
}

static void
read_rwlock(unsigned me)
{
    unsigned long last = 0;

    (void)me;
    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        ck_rwlock_read_lock(&rwlock);
        CHECK(counter >= last);
        last = counter;
        (void)sched_yield();
        ck_rwlock_read_unlock(&rwlock);
    }
}

const struct race_program race_locks[] = {
    {"cas", RACE_THREADS, start_cas, pass_cas, NULL, finish},
    {"dec", RACE_THREADS, start_dec, pass_dec, NULL, finish},
    {"fas", RACE_THREADS, start_fas, pass_fas, NULL, finish},
    {"ticket", RACE_THREADS, start_ticket, pass_ticket, NULL, finish},
    {"mcs", RACE_THREADS, start_mcs, pass_mcs, NULL, finish},
    {"clh", RACE_THREADS, start_clh, pass_clh, NULL, finish},
    {"anderson", RACE_THREADS, start_anderson, pass_anderson, NULL, finish},
    {"rwlock", RACE_THREADS, start_rwlock, write_rwlock, read_rwlock, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL},
};
