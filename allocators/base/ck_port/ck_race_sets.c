/*
 * ck_race_sets.c - CK's hash set, epochs and barriers order what they stand for
 * (contract: ck_race.h)
 *
 * These are the parts of CK that live in .c files. A set hands objects from its
 * writer to readers; an epoch hands an object back when no reader has it; a
 * barrier shows each thread what all did before it.
 */
#include <ck_barrier.h>
#include <ck_epoch.h>
#include <ck_hs.h>

#include "base/ck_port/ck_race.h"

/*
 * One writer puts objects, readers wait for each and read it.
 */
struct object {
    unsigned long key; /* of the set: compared by readers */
    unsigned long value;
};

static ck_hs_t set;
static struct object objects[RACE_ROUNDS];

/* The set's maps: taken from an arena, never given back, since a reader may
 * still be in an old one. */
static void *
take_map(size_t size)
{
    static char arena[1 << 20] __attribute__((aligned(64)));
    static size_t used;
    void *map = &arena[used];

    used += (size + 63) & ~(size_t)63;
    CHECK(used <= sizeof arena);
    return map;
}

static void
drop_map(void *map, size_t size, bool defer)
{
    (void)map;
    (void)size;
    (void)defer;
}

static unsigned long
hash_object(const void *object, unsigned long seed)
{
    return (((const struct object *)object)->key + seed) * 0x9e3779b97f4a7c15;
}

static bool
same_object(const void *a, const void *b)
{
    return ((const struct object *)a)->key == ((const struct object *)b)->key;
}

static void
start_hs(void)
{
    static struct ck_malloc arena = {.malloc = take_map, .free = drop_map};

    CHECK(ck_hs_init(&set, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT, hash_object,
        same_object, &arena, 8, 1));
}

static void
give_hs(unsigned me)
{
    for (unsigned i = 0; me == 0 && i < RACE_ROUNDS; i++) {
        objects[i].key = i;
        objects[i].value = i + 1;
        CHECK(ck_hs_put(
            &set, CK_HS_HASH(&set, hash_object, &objects[i]), &objects[i]));
        (void)sched_yield();
    }
}

static void
take_hs(unsigned me)
{
    (void)me;
    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        struct object wanted = {.key = i};
        unsigned long hash = CK_HS_HASH(&set, hash_object, &wanted);
        const struct object *found;

        while ((found = (const struct object *)ck_hs_get(
                    &set, hash, &wanted)) == NULL) {
            ck_pr_stall();
        }
        CHECK(found->value == i + 1);
    }
}

/*
 * One writer replaces an object and, a grace period later, spoils the old one.
 * Readers must never see it spoilt.
 */
static ck_epoch_t epoch;
static ck_epoch_record_t epoch_records[RACE_THREADS];
static struct object versions[RACE_ROUNDS + 1];
static struct object *current;

static void
start_epoch(void)
{
    ck_epoch_init(&epoch);
    for (unsigned i = 0; i < RACE_THREADS; i++) {
        ck_epoch_register(&epoch, &epoch_records[i], NULL);
    }
    versions[RACE_ROUNDS].value = 1;
    current = &versions[RACE_ROUNDS];
}

static void
give_epoch(unsigned me)
{
    for (unsigned i = 0; me == 0 && i < RACE_ROUNDS; i++) {
        struct object *old = current;

        versions[i].value = 1;
        ck_pr_fence_store();
        ck_pr_store_ptr(&current, &versions[i]);
        ck_epoch_synchronize(&epoch_records[me]);
        old->value = 0;
    }
}

static void
take_epoch(unsigned me)
{
    const struct object *version;

    do {
        ck_epoch_begin(&epoch_records[me], NULL);
        version = ck_pr_load_ptr(&current);
        (void)sched_yield();
        CHECK(version->value == 1);
        ck_epoch_end(&epoch_records[me], NULL);
        (void)sched_yield();
    } while (version != &versions[RACE_ROUNDS - 1]);
}

/*
 * Each thread writes its place; beyond the barrier all are read; a second barrier
 * keeps the next round's writes from this round's reads.
 */
static unsigned places[RACE_THREADS];

/* A barrier of libck spins, for as long as others have the processor. */
enum { BARRIER_ROUNDS = RACE_ROUNDS / 10 };

static void
check_places(unsigned round)
{
    for (unsigned i = 0; i < RACE_THREADS; i++) {
        CHECK(places[i] == round);
    }
}

static ck_barrier_centralized_t centralized =
    CK_BARRIER_CENTRALIZED_INITIALIZER;

static void
pass_centralized(unsigned me)
{
    ck_barrier_centralized_state_t state =
        CK_BARRIER_CENTRALIZED_STATE_INITIALIZER;

    for (unsigned i = 0; i < BARRIER_ROUNDS; i++) {
        places[me] = i;
        ck_barrier_centralized(&centralized, &state, RACE_THREADS);
        check_places(i);
        ck_barrier_centralized(&centralized, &state, RACE_THREADS);
    }
}

/* Two groups of half the threads below one root. */
static ck_barrier_combining_t combining;
static ck_barrier_combining_group_t combining_root;
static ck_barrier_combining_group_t combining_groups[2];

static void
start_combining(void)
{
    ck_barrier_combining_init(&combining, &combining_root);
    for (unsigned i = 0; i < 2; i++) {
        ck_barrier_combining_group_init(
            &combining, &combining_groups[i], RACE_THREADS / 2);
    }
}

static void
pass_combining(unsigned me)
{
    ck_barrier_combining_state_t state = CK_BARRIER_COMBINING_STATE_INITIALIZER;

    for (unsigned i = 0; i < BARRIER_ROUNDS; i++) {
        places[me] = i;
        ck_barrier_combining(&combining, &combining_groups[me % 2], &state);
        check_places(i);
        ck_barrier_combining(&combining, &combining_groups[me % 2], &state);
    }
}

static ck_barrier_dissemination_t dissemination[RACE_THREADS];
static ck_barrier_dissemination_flag_t dissemination_flags[RACE_THREADS][16];

static void
start_dissemination(void)
{
    static ck_barrier_dissemination_flag_t *flags[RACE_THREADS];

    CHECK(ck_barrier_dissemination_size(RACE_THREADS) <= 16);
    for (unsigned i = 0; i < RACE_THREADS; i++) {
        flags[i] = dissemination_flags[i];
    }
    ck_barrier_dissemination_init(dissemination, flags, RACE_THREADS);
}

static void
pass_dissemination(unsigned me)
{
    ck_barrier_dissemination_state_t state;

    ck_barrier_dissemination_subscribe(dissemination, &state);
    for (unsigned i = 0; i < BARRIER_ROUNDS; i++) {
        places[me] = i;
        ck_barrier_dissemination(dissemination, &state);
        check_places(i);
        ck_barrier_dissemination(dissemination, &state);
    }
}

static ck_barrier_tournament_t tournament;
static ck_barrier_tournament_round_t tournament_rounds[RACE_THREADS][8];

static void
start_tournament(void)
{
    static ck_barrier_tournament_round_t *rounds[RACE_THREADS];

    CHECK(ck_barrier_tournament_size(RACE_THREADS) <= 8);
    for (unsigned i = 0; i < RACE_THREADS; i++) {
        rounds[i] = tournament_rounds[i];
    }
    ck_barrier_tournament_init(&tournament, rounds, RACE_THREADS);
}

static void
pass_tournament(unsigned me)
{
    ck_barrier_tournament_state_t state;

    ck_barrier_tournament_subscribe(&tournament, &state);
    for (unsigned i = 0; i < BARRIER_ROUNDS; i++) {
        places[me] = i;
        ck_barrier_tournament(&tournament, &state);
        check_places(i);
        ck_barrier_tournament(&tournament, &state);
    }
}

static ck_barrier_mcs_t mcs_barrier[RACE_THREADS];

static void
start_mcs_barrier(void)
{
    ck_barrier_mcs_init(mcs_barrier, RACE_THREADS);
}

static void
pass_mcs_barrier(unsigned me)
{
    ck_barrier_mcs_state_t state;

    ck_barrier_mcs_subscribe(mcs_barrier, &state);
    for (unsigned i = 0; i < BARRIER_ROUNDS; i++) {
        places[me] = i;
        ck_barrier_mcs(mcs_barrier, &state);
        check_places(i);
        ck_barrier_mcs(mcs_barrier, &state);
    }
}

const struct race_program race_sets[] = {
    {"hs", RACE_THREADS, start_hs, give_hs, take_hs, NULL},
    {"epoch", RACE_THREADS, start_epoch, give_epoch, take_epoch, NULL},
    {"barrier_centralized", RACE_THREADS, NULL, pass_centralized, NULL, NULL},
    {"barrier_combining", RACE_THREADS, start_combining, pass_combining, NULL,
        NULL},
    {"barrier_dissemination", RACE_THREADS, start_dissemination,
        pass_dissemination, NULL, NULL},
    {"barrier_tournament", RACE_THREADS, start_tournament, pass_tournament,
        NULL, NULL},
    {"barrier_mcs", RACE_THREADS, start_mcs_barrier, pass_mcs_barrier, NULL,
        NULL},
    {NULL, 0, NULL, NULL, NULL, NULL},
};
