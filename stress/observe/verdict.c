/*
 * verdict.c - what ended the run, and the steps that led there
 * (contract: runtime.h, observe.h)
 *
 * A run keeps no history: that would cost more than the checks. Since a run
 * replays exactly, the history is made when somebody wants to read it:
 * observe_explain runs the same choices again, and this file then keeps each
 * thread's last steps, and the stack of a race's earlier access, known from the
 * first run by its thread, epoch and address.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "observe/runtime.h"

struct observe_verdict last_verdict;

struct ring {
    struct observe_step steps[OBSERVE_STEPS_MAX];
    uint32_t count; /* all that were noted; the ring keeps the last */
};

static struct ring rings[OBSERVE_THREADS_MAX];
static struct observe_verdict
    wanted; /* the race whose earlier access is sought */
static struct observe_access found;
static bool is_seeking;

static void
keep_stack(
    struct observe_access *access, const struct thread *thread, uintptr_t pc)
{
    access->stack_count = 0;
    if (pc != 0) {
        access->stack[access->stack_count++] = pc;
    }
    unsigned depth = thread->frame_count;
    depth = depth < FRAMES_MAX ? depth : FRAMES_MAX;
    while (depth > 0 && access->stack_count < OBSERVE_STACK_MAX) {
        access->stack[access->stack_count++] = thread->frames[--depth];
    }
}

/* What a forked child found, for its parent. */
static struct child_page {
    bool is_there;
    enum verdict_kind kind;
    char text[sizeof(last_verdict.text)];
} * child_page;
static bool is_child;

bool
verdict_init(void)
{
    child_page = mmap(NULL, sizeof(*child_page), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return child_page != MAP_FAILED;
}

void
verdict_enter_child(void)
{
    is_child = true;
}

void
verdict_clear(void)
{
    memset(&last_verdict, 0, sizeof(last_verdict));
    last_verdict.kind = VERDICT_KIND_COUNT;
    child_page->is_there = false;
}

const char *
observe_child_verdict(enum verdict_kind *kind)
{
    *kind = child_page->kind;
    return child_page->is_there ? child_page->text : NULL;
}

static _Noreturn void
end_child(void)
{
    child_page->kind = last_verdict.kind;
    memcpy(child_page->text, last_verdict.text, sizeof(child_page->text));
    child_page->is_there = true;
    _exit(1);
}

static _Noreturn void
raise(enum verdict_kind kind, uintptr_t pc, uintptr_t addr, unsigned size,
    bool write, bool atomic, const char *format, va_list arguments)
{
    struct thread *me = hot.current;
    last_verdict.kind = kind;
    vsnprintf(last_verdict.text, sizeof(last_verdict.text), format, arguments);
    last_verdict.access.thread = me->id;
    last_verdict.access.addr = addr;
    last_verdict.access.size = size;
    last_verdict.access.write = write;
    last_verdict.access.atomic = atomic;
    if (is_child) {
        end_child();
    }
    keep_stack(&last_verdict.access, me, pc);
    sched_stop();
}

void
verdict_raise(enum verdict_kind kind, uintptr_t pc, uintptr_t addr,
    unsigned size, bool write, bool atomic, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    raise(kind, pc, addr, size, write, atomic, format, arguments);
}

void
observe_fail(enum verdict_kind kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    raise(kind, 0, 0, 0, false, false, format, arguments);
}

void
trace_begin(void)
{
    for (unsigned i = 0; i < OBSERVE_THREADS_MAX; i++) {
        rings[i].count = 0;
    }
}

void
trace_note(enum event_kind kind, uintptr_t pc, uintptr_t addr, unsigned size,
    uint64_t value, const char *text)
{
    struct ring *ring = &rings[hot.current->id];
    struct observe_step *step = &ring->steps[ring->count++ % OBSERVE_STEPS_MAX];
    *step = (struct observe_step){
        .kind = (uint8_t)kind,
        .size = (uint8_t)(size < 255 ? size : 255),
        .number = (uint32_t)hot.steps,
        .pc = pc,
        .addr = addr,
        .value = value,
    };
    if (text != NULL) {
        snprintf(step->text, sizeof(step->text), "%s", text);
    }
}

unsigned
observe_steps(unsigned thread, struct observe_step steps[OBSERVE_STEPS_MAX])
{
    const struct ring *ring = &rings[thread];
    unsigned count =
        ring->count < OBSERVE_STEPS_MAX ? ring->count : OBSERVE_STEPS_MAX;
    for (unsigned i = 0; i < count; i++) {
        uint32_t index = ring->count - count + i;
        steps[i] = ring->steps[index % OBSERVE_STEPS_MAX];
    }
    return count;
}

void
trace_seek(const struct observe_verdict *race)
{
    is_seeking = race != NULL && race->has_other;
    if (is_seeking) {
        wanted = *race;
        found = race->other;
    }
}

void
trace_match(
    uintptr_t pc, uintptr_t addr, unsigned size, bool write, bool atomic)
{
    const struct thread *me = hot.current;
    const struct observe_access *other = &wanted.other;
    if (is_seeking && me->id == other->thread &&
        me->seen.hb.at[me->id] == wanted.other_count && write == other->write &&
        atomic == other->atomic && addr < other->addr + other->size &&
        other->addr < addr + size) {
        found.addr = addr;
        found.size = size;
        keep_stack(&found, me, pc);
    }
}

void
trace_found(struct observe_verdict *into)
{
    if (into->has_other) {
        into->other = found;
    }
}
