/*
 * sched.c - one logical thread at a time, and who is next (contract: runtime.h)
 *
 * A point is where the running thread is about to do something that others may
 * notice. There the strategy is asked, if more than one thread can run, and its
 * answer is kept as one byte, so that the bytes replay the run. The ways on are
 * always in the same order: the thread that runs, then the others in turn from
 * its number; a thread that yields or spins comes last.
 *
 * A run must end. A thread that does many atomic operations which change nothing
 * spins, and counts as yielding. From half of the step budget on the strategy is
 * no longer asked: every point draws evenly and loads read the newest store, so
 * a program that makes progress under a fair scheduler ends. One that does not
 * end even so is livelocked. On a slow machine even a run within its budget may
 * take longer than there is time, so now and then it is asked whether it is late.
 *
 * Invariants, whenever a fiber runs:
 *   I1  Bit i of ready_mask is set exactly when threads[i] is THREAD_READY.
 *   I2  hot.current is the thread whose fiber runs; hot.epoch is its epoch.
 *   I3  ways are in one order, a function of (ready_mask, current, yields).
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "observe/image.h"
#include "observe/intercept.h"
#include "observe/owner.h"
#include "observe/race.h"
#include "observe/runtime.h"
#include "observe/weak.h"

#define SPINS_TO_YIELD    16
#define STEPS_TO_LOOK     (1u << 16)
#define CHOICES_MAX       ((size_t)1 << 22)
#define CLOCK_START_NS    1000000000ull
#define CLOCK_POINT_NS    50
#define CPU_COUNT_DEFAULT 2

struct hot hot;
struct thread threads[OBSERVE_THREADS_MAX];
unsigned thread_count;
const struct observe_plan *plan;
struct observe_stats stats;
bool explaining;

static struct fiber main_fiber;
static uint32_t ready_mask; /* I1 */
static unsigned harness_alive;
static bool has_started_end;
static struct thread *paused; /* by observe_pause */
static uint64_t steps_max;
static uint64_t advanced_ns;
static struct random fair_random;
static uint8_t *choices; /* CHOICES_MAX bytes; more are not kept */
static size_t choice_count;
static struct pending pending[OBSERVE_THREADS_MAX];
static uint64_t places[OBSERVE_THREADS_MAX];
static struct thread *waiters[OBSERVE_THREADS_MAX]; /* first come first */
static unsigned waiter_count;
static uint32_t run_number;

/*
 * Choosing.
 */

static bool
is_fair_now(void)
{
    return hot.steps >= steps_max / 2;
}

static unsigned
ask(const struct choice *choice)
{
    stats.choices++;
    unsigned way;
    if (is_fair_now()) {
        way = choice->is_load
                  ? 0
                  : (unsigned)random_below(&fair_random, choice->count);
    } else {
        way = plan->strategy->choose(plan->strategy, choice);
    }
    CHECK(way < choice->count);
    if (choice_count < CHOICES_MAX) {
        choices[choice_count++] = (uint8_t)way;
    }
    return way;
}

/* I3: fills ways[] with the ready threads; returns how many. */
static unsigned
list_ways(unsigned current, bool yields, uint8_t ways[OBSERVE_THREADS_MAX])
{
    unsigned count = 0;
    bool current_ready = (ready_mask >> current & 1) != 0;
    if (current_ready && !yields) {
        ways[count++] = (uint8_t)current;
    }
    uint32_t above = ready_mask & ~((2u << current) - 1);
    uint32_t below = ready_mask & ((1u << current) - 1);
    for (; above != 0; above &= above - 1) {
        ways[count++] = (uint8_t)__builtin_ctz(above);
    }
    for (; below != 0; below &= below - 1) {
        ways[count++] = (uint8_t)__builtin_ctz(below);
    }
    if (current_ready && yields) {
        ways[count++] = (uint8_t)current;
    }
    return count;
}

static unsigned
choose_thread(unsigned current, bool yields)
{
    uint8_t ways[OBSERVE_THREADS_MAX];
    unsigned count = list_ways(current, yields, ways);
    if (count == 1) {
        return ways[0];
    }
    struct choice choice = {
        .count = count,
        .preempts = hot.current != NULL && (ready_mask >> current & 1) != 0,
        .thread = ways,
        .current = current,
        .point = stats.points,
        .places = places,
        .pending = pending,
        .yields = yields,
    };
    return ways[ask(&choice)];
}

unsigned
sched_choose_store(unsigned count)
{
    struct choice choice = {
        .count = count,
        .is_load = true,
        .preempts = true,
        .current = hot.current->id,
        .point = stats.points,
        .places = places,
        .pending = pending,
    };
    return ask(&choice);
}

/*
 * Switching.
 */

static void
enter(struct thread *thread)
{
    hot.current = thread;
    hot.epoch = clock_epoch(thread->id, thread->seen.hb.at[thread->id]);
}

static void
switch_to(struct thread *from, unsigned next)
{
    struct thread *to = &threads[next];
    stats.switches++;
    if (from->state == THREAD_READY) { /* Preempted: it may migrate. */
        unsigned cpus =
            plan->cpu_count > 0 ? plan->cpu_count : CPU_COUNT_DEFAULT;
        from->cpu = (from->cpu + 1) % cpus;
    }
    enter(to);
    fiber_switch(&from->fiber, &to->fiber);
}

void
sched_stop(void)
{
    struct thread *me = hot.current;
    hot.current = NULL;
    fiber_switch(&me->fiber, &main_fiber);
    __builtin_unreachable();
}

static void
raise_out_of_steps(void)
{
    struct thread *me = hot.current;
    bool others = (ready_mask & (ready_mask - 1)) != 0;
    bool spins = others || me->spin_count >= SPINS_TO_YIELD;
    verdict_raise(spins ? VERDICT_LIVELOCK : VERDICT_HANG, 0,
        pending[me->id].addr, 0, false, false,
        "%llu steps and no end%s; thread %u is at the last of them",
        (unsigned long long)hot.steps,
        others ? " under a fair schedule" : ", nobody else can run", me->id);
}

static void
look_again_at(uint64_t step)
{
    bool slow = plan->points == OBSERVE_EVERY || explaining;
    hot.look_at = step < steps_max ? step : steps_max;
    hot.steps_stop = slow ? 0 : hot.look_at;
}

void
sched_look(void)
{
    if (hot.steps >= steps_max) {
        raise_out_of_steps();
    }
    if (plan->is_late != NULL && plan->is_late(plan->arg)) {
        stats.is_cut = true;
        sched_stop();
    }
    look_again_at(hot.steps + STEPS_TO_LOOK);
}

static void
point(enum event_kind kind, uintptr_t addr, bool write, bool yields)
{
    struct thread *me = hot.current;
    stats.points++;
    places[me->id]++;
    if (UNLIKELY(++hot.steps >= hot.look_at)) {
        sched_look();
    }
    if (UNLIKELY(stats.points == plan->interrupt_at)) {
        plan->interrupt(me->id, plan->arg);
    }
    hash_add(addr ^ (uint64_t)kind << 48 ^ (uint64_t)me->id << 56);
    pending[me->id] = (struct pending){addr, write};
    if ((ready_mask & (ready_mask - 1)) != 0) {
        unsigned next = choose_thread(me->id, yields);
        if (next != me->id) {
            stats.preemptions += !yields;
            switch_to(me, next);
        }
    }
    if (plan->strategy->executed != NULL) {
        plan->strategy->executed(plan->strategy, me->id, &pending[me->id]);
    }
}

void
sched_point(enum event_kind kind, uintptr_t addr, bool write)
{
    point(kind, addr, write, hot.current->spin_count >= SPINS_TO_YIELD);
}

void
sched_yield_point(void)
{
    trace_event(EVENT_YIELD, 0, 0, 0, 0);
    point(EVENT_YIELD, 0, false, true);
}

/*
 * Blocking.
 */

static void
set_ready(struct thread *thread)
{
    thread->state = THREAD_READY;
    thread->wait_kind = WAIT_NONE;
    ready_mask |= 1u << thread->id;
    unsigned kept = 0;
    for (unsigned i = 0; i < waiter_count; i++) {
        if (waiters[i] != thread) {
            waiters[kept++] = waiters[i];
        }
    }
    waiter_count = kept;
}

/* The waiter whose time comes first; NULL when none waits for a time. */
static struct thread *
find_next_timer(void)
{
    struct thread *first = NULL;
    for (unsigned i = 0; i < waiter_count; i++) {
        struct thread *waiter = waiters[i];
        if (waiter->wait_until != 0 &&
            (first == NULL || waiter->wait_until < first->wait_until)) {
            first = waiter;
        }
    }
    return first;
}

static struct thread *
find_cell_waiter(void)
{
    for (unsigned i = 0; i < waiter_count; i++) {
        if (waiters[i]->wait_kind == WAIT_CELL) {
            return waiters[i];
        }
    }
    return NULL;
}

/* Nobody is ready: time passes, or a waiter for a cell gives up, or there is
 * no way on. */
static void
unblock_somebody(void)
{
    if (hot.steps++ >= hot.look_at) {
        sched_look();
    }
    struct thread *timer = find_next_timer();
    struct thread *waiter = timer != NULL ? timer : find_cell_waiter();
    if (waiter == NULL) {
        intercept_raise_deadlock();
    }
    if (timer != NULL && timer->wait_until > sched_now()) {
        sched_advance(timer->wait_until - sched_now());
    }
    waiter->timed_out = true;
    set_ready(waiter);
}

/* Gives the processor away for good or until somebody calls set_ready. */
static void
leave(struct thread *me)
{
    if (ready_mask == 0) {
        unblock_somebody();
    }
    unsigned next = choose_thread(me->id, false);
    if (next != me->id) {
        switch_to(me, next);
    }
}

bool
sched_block(enum wait_kind kind, uintptr_t addr, uint64_t until)
{
    struct thread *me = hot.current;
    me->state = THREAD_BLOCKED;
    me->wait_kind = kind;
    me->wait_addr = addr;
    me->wait_until = until;
    me->timed_out = false;
    me->spin_count = 0;
    ready_mask &= ~(1u << me->id);
    waiters[waiter_count++] = me;
    pending[me->id] = (struct pending){addr, false};
    leave(me);
    return !me->timed_out;
}

unsigned
sched_wake(enum wait_kind kind, uintptr_t addr, unsigned count)
{
    unsigned woken = 0;
    for (unsigned i = 0; i < waiter_count && woken < count;) {
        struct thread *waiter = waiters[i];
        if (waiter->wait_kind == kind && waiter->wait_addr == addr) {
            set_ready(waiter); /* Takes it out of waiters[]. */
            woken++;
        } else {
            i++;
        }
    }
    return woken;
}

uint64_t
sched_now(void)
{
    return CLOCK_START_NS + stats.points * CLOCK_POINT_NS + advanced_ns;
}

void
sched_advance(uint64_t ns)
{
    advanced_ns += ns;
}

/*
 * Threads.
 */

static void
init_thread(struct thread *thread, unsigned id)
{
    struct fiber fiber = thread->fiber;
    memset(thread, 0, sizeof(*thread));
    thread->fiber = fiber;
    thread->id = id;
    thread->cpu = id;
    thread->seen.hb.at[id] = 1;
    thread->seen.view.at[id] = 1;
    thread->state = THREAD_READY;
    if (!thread->fiber.is_open) {
        CHECK(fiber_open(&thread->fiber, id));
    }
    pending[id] = (struct pending){0};
    places[id] = 0;
    ready_mask |= 1u << id;
}

static void
run_body(void *arg)
{
    struct thread *me = arg;
    errno = 0;
    plan->body(me->id, plan->arg);
    sched_exit();
}

static void
run_start(void *arg)
{
    struct thread *me = arg;
    errno = 0;
    me->result = me->start(me->start_arg);
    sched_exit();
}

struct thread *
sched_spawn(void *(*start)(void *), void *arg)
{
    if (thread_count == OBSERVE_THREADS_MAX) {
        return NULL;
    }
    struct thread *parent = hot.current;
    struct thread *child = &threads[thread_count];
    init_thread(child, thread_count++);
    child->start = start;
    child->start_arg = arg;
    seen_join(&child->seen, &parent->seen);
    thread_tick(parent);
    fiber_start(&child->fiber, run_start, child);
    return child;
}

static void *
run_end(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < thread_count; i++) {
        weak_acquire((uintptr_t)&threads[i]);
    }
    plan->end(plan->arg);
    return NULL;
}

/* The last thread of the harness ends: the end is one more. */
static bool
start_end(void)
{
    if (plan->end == NULL || has_started_end) {
        return false;
    }
    has_started_end = true;
    struct thread *end = sched_spawn(run_end, NULL);
    CHECK(end != NULL);
    end->is_harness = true;
    harness_alive++;
    return true;
}

void
sched_exit(void)
{
    struct thread *me = hot.current;
    intercept_thread_end();
    weak_release((uintptr_t)me);
    trace_event(EVENT_EXIT, 0, 0, 0, 0);
    me->state = THREAD_DONE;
    ready_mask &= ~(1u << me->id);
    sched_wake(WAIT_JOIN, (uintptr_t)me, OBSERVE_THREADS_MAX);
    if (me->is_harness && --harness_alive == 0 && !start_end()) {
        sched_stop(); /* The target's own threads end with the process. */
    }
    leave(me);
    __builtin_unreachable();
}

void
sched_enter_child(void)
{
    struct thread *me = hot.current;
    for (unsigned i = 0; i < thread_count; i++) {
        if (&threads[i] != me) {
            seen_join(&me->seen, &threads[i].seen);
            threads[i].state = THREAD_DONE;
        }
    }
    ready_mask = 1u << me->id;
    waiter_count = 0;
    harness_alive = 1;
    look_again_at(steps_max); /* Only the parent's run can be cut. */
}

/*
 * Runs.
 */

const char *
observe_init(void)
{
    choices = mmap(NULL, CHOICES_MAX, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (choices == MAP_FAILED) {
        return "out of memory";
    }
    if (!region_init()) {
        return "addresses from 4 GiB up are taken, or address space is short";
    }
    if (!race_init() || !weak_init() || !owner_init() || !verdict_init()) {
        return "not enough address space for shadow memory";
    }
    fiber_adopt_main(&main_fiber);
    intercept_init(); /* The picture has our table of the machine. */
    return image_init();
}

static void
begin_run(void)
{
    if (++run_number == 1u << 16) { /* Tags would repeat. */
        run_number = 1;
        race_clear();
        weak_clear();
    }
    memset(&stats, 0, sizeof(stats));
    memset(&hot, 0, sizeof(hot));
    hot.run_tag = run_number << 16;
    steps_max = plan->steps_max > 0 ? plan->steps_max : STEPS_MAX_DEFAULT;
    look_again_at(STEPS_TO_LOOK);
    choice_count = 0;
    waiter_count = 0;
    paused = NULL;
    advanced_ns = 0;
    ready_mask = 0;
    random_seed(&fair_random, 1);
    verdict_clear();
    owner_begin();
    region_rewind();
    image_restore();
    race_begin();
    weak_begin();
    intercept_begin();
    trace_begin();
}

const struct observe_verdict *
observe_run(const struct observe_plan *wanted)
{
    CHECK(wanted->thread_count >= 1 &&
          wanted->thread_count < OBSERVE_THREADS_MAX);
    plan = wanted;
    begin_run();
    thread_count = plan->thread_count;
    harness_alive = plan->thread_count;
    has_started_end = false;
    for (unsigned i = 0; i < thread_count; i++) {
        init_thread(&threads[i], i);
        threads[i].is_harness = true;
        fiber_start(&threads[i].fiber, run_body, &threads[i]);
    }
    plan->strategy->begin(plan->strategy, thread_count);
    unsigned first = choose_thread(0, false);
    enter(&threads[first]);
    fiber_switch(&main_fiber, &threads[first].fiber);
    hot.current = NULL;
    stats.steps = hot.steps;
    stats.hash = hot.hash;
    if (plan->strategy->end != NULL && !stats.is_cut) {
        plan->strategy->end(plan->strategy, stats.points);
    }
    return &last_verdict;
}

bool
observe_explain(const struct observe_plan *wanted)
{
    struct observe_verdict before = last_verdict;
    uint64_t hash = stats.hash;
    trace_seek(&before);
    explaining = true;
    observe_run(wanted);
    explaining = false;
    trace_seek(NULL);
    bool same = before.kind == last_verdict.kind && hash == stats.hash;
    trace_found(&last_verdict);
    return same;
}

const struct observe_stats *
observe_stats(void)
{
    return &stats;
}

const struct observe_verdict *
observe_last_verdict(void)
{
    return &last_verdict;
}

const uint8_t *
observe_choices(size_t *count)
{
    *count = choice_count;
    return choices;
}

unsigned
observe_thread_count(void)
{
    return thread_count;
}

/*
 * From a body.
 */

bool
observe_is_explaining(void)
{
    return explaining;
}

int
observe_self(void)
{
    return hot.current != NULL ? (int)hot.current->id : -1;
}

void
observe_op(const char *text, uint64_t value)
{
    if (UNLIKELY(explaining)) {
        trace_note(EVENT_OP, 0, 0, 0, value, text);
    }
    hash_add(value);
    sched_note_progress(hot.current);
    uint64_t *place = &places[hot.current->id];
    if (*place < PLACE_OF_OP(value)) {
        *place = PLACE_OF_OP(value);
    }
    sched_point(EVENT_OP, 0, false);
}

void
observe_release(const void *cell)
{
    weak_release((uintptr_t)cell);
}

void
observe_acquire(const void *cell)
{
    weak_acquire((uintptr_t)cell);
}

bool
observe_wait(const void *cell)
{
    return sched_block(WAIT_CELL, (uintptr_t)cell, 0);
}

void
observe_wake(const void *cell)
{
    sched_wake(WAIT_CELL, (uintptr_t)cell, OBSERVE_THREADS_MAX);
}

void
observe_yield(void)
{
    sched_yield_point();
}

void
observe_sleep(uint64_t ns)
{
    sched_advance(ns);
    sched_yield_point();
}

void
observe_pause(void)
{
    paused = hot.current;
    hot.current = NULL;
}

bool
sched_resume(void)
{
    if (paused != NULL) {
        hot.current = paused;
        paused = NULL;
    }
    return hot.current != NULL;
}

void
observe_resume(void)
{
    sched_resume();
}

void
observe_renew(void)
{
    intercept_thread_end();
    fiber_reset_tls(&hot.current->fiber);
}
