/*
 * ck_race_orders.c - all programs, and the orders that each cannot do without
 * (contract: ck_race.h)
 *
 * Where two orders cover the same hand-over, such as a fence behind a dependent
 * load, both go.
 */
#include <string.h>

#include "base/ck_port/ck_race.h"

enum { ANYONE = RACE_GIVER | RACE_TAKER };

const struct race_program *const race_lists[] = {
    race_locks, race_queues, race_sets, NULL};

const struct race_weakening race_weakenings[] = {
    {"cas", ANYONE, WEAKEN_lock},
    {"cas", ANYONE, WEAKEN_unlock},
    {"dec", ANYONE, WEAKEN_lock},
    {"dec", ANYONE, WEAKEN_unlock},
    {"fas", ANYONE, WEAKEN_lock},
    {"fas", ANYONE, WEAKEN_unlock},
    {"ticket", ANYONE, WEAKEN_lock},
    {"ticket", ANYONE, WEAKEN_unlock},
    {"mcs", ANYONE, WEAKEN_lock},
    {"mcs", ANYONE, WEAKEN_unlock},
    {"clh", ANYONE, WEAKEN_lock},
    {"clh", ANYONE, WEAKEN_unlock},
    {"anderson", ANYONE, WEAKEN_lock},
    {"anderson", ANYONE, WEAKEN_unlock},
    {"rwlock", RACE_GIVER, WEAKEN_unlock},
    {"ring_spsc", RACE_GIVER, WEAKEN_store},
    {"ring_spsc", RACE_TAKER, WEAKEN_load},
    {"ring_spmc", RACE_GIVER, WEAKEN_store},
    {"ring_spmc", RACE_TAKER, WEAKEN_load},
    {"ring_mpsc", RACE_GIVER, WEAKEN_store},
    {"ring_mpsc", RACE_TAKER, WEAKEN_load},
    {"ring_mpmc", RACE_GIVER, WEAKEN_store},
    {"ring_mpmc", RACE_TAKER, WEAKEN_load},
    {"fifo_spsc", RACE_GIVER, WEAKEN_store},
    {"fifo_spsc", RACE_TAKER, WEAKEN_consume},
    {"fifo_mpmc", RACE_GIVER, WEAKEN_store_atomic},
    {"fifo_mpmc", RACE_TAKER, WEAKEN_consume | WEAKEN_load},
    {"stack_upmc", RACE_GIVER, WEAKEN_store},
    {"stack_upmc", RACE_TAKER, WEAKEN_consume | WEAKEN_load},
    {"stack_mpmc", ANYONE, WEAKEN_store},
    {"stack_mpmc", ANYONE, WEAKEN_consume | WEAKEN_load},
    {"hs", RACE_GIVER, WEAKEN_tso_release},
    {"hs", RACE_TAKER, WEAKEN_tso_acquire | WEAKEN_load},
    {"epoch", RACE_GIVER, WEAKEN_store},
    {"epoch", RACE_GIVER,
        WEAKEN_tso_acquire | WEAKEN_memory | WEAKEN_atomic_load},
    {"epoch", RACE_TAKER, WEAKEN_release},
    {"barrier_centralized", ANYONE, WEAKEN_tso_release},
    {"barrier_centralized", ANYONE, WEAKEN_tso_acquire | WEAKEN_acquire},
    {"barrier_combining", ANYONE, WEAKEN_tso_release},
    {"barrier_combining", ANYONE, WEAKEN_tso_acquire | WEAKEN_memory},
    {"barrier_dissemination", ANYONE, WEAKEN_tso_release},
    {"barrier_dissemination", ANYONE, WEAKEN_tso_acquire | WEAKEN_acquire},
    {"barrier_tournament", ANYONE, WEAKEN_tso_release},
    {"barrier_tournament", ANYONE, WEAKEN_tso_acquire | WEAKEN_memory},
    {"barrier_mcs", ANYONE, WEAKEN_tso_release},
    {"barrier_mcs", ANYONE, WEAKEN_tso_acquire | WEAKEN_memory},
};

const unsigned race_weakening_count =
    sizeof race_weakenings / sizeof race_weakenings[0];

const struct race_program *
race_find(const char *name)
{
    for (unsigned i = 0; race_lists[i] != NULL; i++) {
        const struct race_program *p = race_lists[i];
        for (; p->name != NULL; p++) {
            if (strcmp(p->name, name) == 0) {
                return p;
            }
        }
    }
    return NULL;
}
