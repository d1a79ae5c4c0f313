/*
 * ck_race_queues.c - items pass through CK's rings, fifos and stacks (contract:
 * ck_race.h)
 *
 * A giver writes an item and sends it; a taker reads it and writes it again, so
 * that both directions would race. Where the structure allows nodes to be used
 * again at once, they are.
 */
#include <ck_fifo.h>
#include <ck_ring.h>
#include <ck_stack.h>

#include "base/ck_port/ck_race.h"

enum { FRESH = 1, TAKEN = 2, RING_SIZE = 8 };

struct item {
    ck_stack_entry_t link; /* first */
    int state;
    char pad[44]; /* a line of its own */
};

static struct item items[RACE_THREADS][RACE_ROUNDS];
static unsigned taken; /* [ck_pr] items that have arrived */

static struct item *
make(unsigned me, unsigned round)
{
    struct item *item = &items[me][round];

    CHECK(item->state == 0);
    item->state = FRESH;
    return item;
}

static void
accept(struct item *item)
{
    CHECK(item->state == FRESH);
    item->state = TAKEN;
    ck_pr_inc_uint(&taken);
}

/* For takers: all that the givers of a program with this many threads give. */
static bool
all_taken(unsigned threads)
{
    return ck_pr_load_uint(&taken) == threads / 2 * RACE_ROUNDS;
}

/* The four kinds of ring differ in their names only. */
static ck_ring_t ring;
static ck_ring_buffer_t ring_buffer[RING_SIZE];

static void
start_ring(void)
{
    ck_ring_init(&ring, RING_SIZE);
}

#define RACE_RING(kind)                                                        \
    static void give_##kind(unsigned me)                                       \
    {                                                                          \
        for (unsigned i = 0; i < RACE_ROUNDS; i++) {                           \
            struct item *item = make(me, i);                                   \
            while (!ck_ring_enqueue_##kind(&ring, ring_buffer, item)) {        \
                ck_pr_stall();                                                 \
            }                                                                  \
        }                                                                      \
    }                                                                          \
    static bool take_one_##kind(void)                                          \
    {                                                                          \
        struct item *item;                                                     \
                                                                               \
        if (!ck_ring_dequeue_##kind(&ring, ring_buffer, &item)) {              \
            return false;                                                      \
        }                                                                      \
        accept(item);                                                          \
        return true;                                                           \
    }

RACE_RING(spsc)
RACE_RING(spmc)
RACE_RING(mpsc)
RACE_RING(mpmc)

static void
take_spsc(unsigned me)
{
    (void)me;
    while (!all_taken(2)) {
        if (!take_one_spsc()) {
            ck_pr_stall();
        }
    }
}

static void
take_mpmc(unsigned me)
{
    (void)me;
    while (!all_taken(RACE_THREADS)) {
        if (!take_one_mpmc()) {
            ck_pr_stall();
        }
    }
}

/* One giver among the even threads. */
static void
give_spmc_one(unsigned me)
{
    if (me == 0) {
        give_spmc(me);
    }
}

static void
take_spmc(unsigned me)
{
    (void)me;
    while (!all_taken(2)) {
        if (!take_one_spmc()) {
            ck_pr_stall();
        }
    }
}

/* One taker among the odd threads. */
static void
take_mpsc(unsigned me)
{
    while (me == 1 && !all_taken(RACE_THREADS)) {
        if (!take_one_mpsc()) {
            ck_pr_stall();
        }
    }
}

/* The fifo of one giver and one taker; the giver uses its entries again. */
static ck_fifo_spsc_t fifo;
static ck_fifo_spsc_entry_t fifo_entries[RACE_ROUNDS + 1];

static void
start_fifo_spsc(void)
{
    ck_fifo_spsc_init(&fifo, &fifo_entries[RACE_ROUNDS]);
}

static void
give_fifo_spsc(unsigned me)
{
    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        ck_fifo_spsc_entry_t *entry = ck_fifo_spsc_recycle(&fifo);

        ck_fifo_spsc_enqueue(
            &fifo, entry != NULL ? entry : &fifo_entries[i], make(me, i));
        (void)sched_yield();
    }
}

static void
take_fifo_spsc(unsigned me)
{
    (void)me;
    while (!all_taken(2)) {
        struct item *item;

        if (ck_fifo_spsc_dequeue(&fifo, &item)) {
            accept(item);
        } else {
            ck_pr_stall();
        }
    }
}

/* The fifo of many. */
static ck_fifo_mpmc_t fifo_mpmc;
static ck_fifo_mpmc_entry_t fifo_mpmc_entries[RACE_THREADS][RACE_ROUNDS];
static ck_fifo_mpmc_entry_t fifo_mpmc_stub;

static void
start_fifo_mpmc(void)
{
    ck_fifo_mpmc_init(&fifo_mpmc, &fifo_mpmc_stub);
}

static void
give_fifo_mpmc(unsigned me)
{
    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        ck_fifo_mpmc_enqueue(
            &fifo_mpmc, &fifo_mpmc_entries[me][i], make(me, i));
    }
}

static void
take_fifo_mpmc(unsigned me)
{
    (void)me;
    while (!all_taken(RACE_THREADS)) {
        ck_fifo_mpmc_entry_t *garbage;
        struct item *item;

        if (ck_fifo_mpmc_dequeue(&fifo_mpmc, &item, &garbage)) {
            accept(item);
        } else {
            ck_pr_stall();
        }
    }
}

/* Each thread gives, takes, and gives again with the entry that it took. */
static void
pass_fifo_mpmc(unsigned me)
{
    ck_fifo_mpmc_entry_t *entry = &fifo_mpmc_entries[me][0];

    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        struct item *item;

        ck_fifo_mpmc_enqueue(&fifo_mpmc, entry, make(me, i));
        while (!ck_fifo_mpmc_dequeue(&fifo_mpmc, &item, &entry)) {
            ck_pr_stall();
        }
        accept(item);
    }
}

static ck_stack_t stack CK_CC_ALIGN(16);

static void
start_stack(void)
{
    ck_stack_init(&stack);
}

static void
give_stack_upmc(unsigned me)
{
    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        ck_stack_push_upmc(&stack, &make(me, i)->link);
    }
}

static void
take_stack_upmc(unsigned me)
{
    (void)me;
    while (!all_taken(RACE_THREADS)) {
        ck_stack_entry_t *entry = ck_stack_pop_upmc(&stack);

        if (entry != NULL) {
            accept((struct item *)(void *)entry);
        } else {
            ck_pr_stall();
        }
    }
}

/* Each thread pushes what it popped, at once. */
static void
pass_stack_mpmc(unsigned me)
{
    struct item *item = make(me, 0);

    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        ck_stack_entry_t *entry;

        item->state = FRESH;
        ck_stack_push_mpmc(&stack, &item->link);
        (void)sched_yield();
        while ((entry = ck_stack_pop_mpmc(&stack)) == NULL) {
            ck_pr_stall();
        }
        item = (struct item *)(void *)entry;
        accept(item);
    }
}

const struct race_program race_queues[] = {
    {"ring_spsc", 2, start_ring, give_spsc, take_spsc, NULL},
    {"ring_spmc", RACE_THREADS, start_ring, give_spmc_one, take_spmc, NULL},
    {"ring_mpsc", RACE_THREADS, start_ring, give_mpsc, take_mpsc, NULL},
    {"ring_mpmc", RACE_THREADS, start_ring, give_mpmc, take_mpmc, NULL},
    {"fifo_spsc", 2, start_fifo_spsc, give_fifo_spsc, take_fifo_spsc, NULL},
    {"fifo_mpmc", RACE_THREADS, start_fifo_mpmc, give_fifo_mpmc, take_fifo_mpmc,
        NULL},
    {"fifo_mpmc_reuse", RACE_THREADS, start_fifo_mpmc, pass_fifo_mpmc, NULL,
        NULL},
    {"stack_upmc", RACE_THREADS, start_stack, give_stack_upmc, take_stack_upmc,
        NULL},
    {"stack_mpmc", RACE_THREADS, start_stack, pass_stack_mpmc, NULL, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL},
};
